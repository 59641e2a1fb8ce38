"""What a run takes for granted that is better than the world, as sentences for its report."""

from collections.abc import Iterator

from services.backtest.sources import Source
from services.backtest.wiring import Wiring
from services.gateway.settings import GatewaySettings
from venues.simulated.latency import is_nothing
from venues.simulated.settings import MarginMode, QueueModel

_QUEUES = {
    QueueModel.FRONT: "a resting order is the first in its queue: any trade at its price fills it",
    QueueModel.RISK_AVERSE: "a resting order is behind what was displayed when it came; cancels let it advance",
}


def assumptions(wiring: Wiring, source: Source) -> tuple[str, ...]:
    """List what the exchange of a run grants, and what its data does."""
    settings = wiring.settings["gateway"]
    assert isinstance(settings, GatewaySettings)
    return (*_of_time(settings), *_of_price(settings), *_of_money(settings), *_of_training(wiring), *source.assumptions)


def _of_time(settings: GatewaySettings) -> Iterator[str]:
    if is_nothing(settings.latency_ms) and is_nothing(settings.feed_latency_ms):
        yield "an order takes effect at the very quote it was decided on: there is no latency (--latency MS)"
    if is_nothing(settings.report_latency_ms):
        yield "what the exchange does is known to us at once (--report-latency MS)"
    if is_nothing(settings.feed_latency_ms):
        yield "prices are seen at the time that the data gives them (--feed-latency MS)"
    if not (settings.outages or settings.rejects or settings.slowdowns):
        yield "the exchange answers always: it neither fails nor refuses for load (--script FILE)"


def _of_price(settings: GatewaySettings) -> Iterator[str]:
    slippage = settings.slippage
    if settings.queue in _QUEUES:
        yield _QUEUES[settings.queue]
    yield "our orders change no prices: what we take is there again with the next quote"
    if slippage.is_none:
        yield "an order that takes gets the displayed price: it has not moved away (--slippage BPS)"
    else:
        yield "an order with a limit never pays slippage beyond it: it trades at its limit all the same"
    if slippage.impact_bps == 0:
        yield "what an order pays does not depend on its share of the displayed size (--impact BPS)"
    free = [name for name in ("maker_fee", "taker_fee") if getattr(settings, name) == 0]
    if free:
        yield f"nothing is paid as {' and '.join(name.replace('_', ' ') for name in free)}"


def _of_money(settings: GatewaySettings) -> Iterator[str]:
    borrow, perpetuals = settings.borrow, settings.perpetuals
    if settings.balances is None:
        cost = "at no cost (--borrow BPS)" if borrow.is_free else "at a rate that stays the same"
        yield f"coins that are sold short are lent without limit, {cost}"
        if borrow.is_free or borrow.own is None:
            yield "money that a strategy spends beyond its own is lent without limit, at no cost"
    if perpetuals.margin is MarginMode.ISOLATED or perpetuals.capital is not None:
        yield "a liquidation closes the whole position at the quote, whatever size is displayed"
    else:
        yield "perpetuals are never liquidated: the margin account has no limit"


def _of_training(wiring: Wiring) -> Iterator[str]:
    if wiring.edges() is not None and wiring.training_s == 0:
        yield "a model is trained in no time (--training-time SECONDS)"
