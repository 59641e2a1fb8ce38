"""What a run takes for granted that is better than the world, as sentences for its report."""

from collections.abc import Iterator

from services.backtest.sources import Source
from services.backtest.wiring import Wiring
from services.gateway.settings import GatewaySettings
from venues.simulated.settings import QueueModel

_QUEUES = {
    QueueModel.FRONT: "a resting order is the first in its queue: any trade at its price fills it",
    QueueModel.RISK_AVERSE: "a resting order is behind what was displayed when it came; cancels let it advance",
}


def assumptions(wiring: Wiring, source: Source) -> tuple[str, ...]:
    """List what the exchange of a run grants, and what its data does."""
    settings = wiring.settings["gateway"]
    assert isinstance(settings, GatewaySettings)
    return (*_granted(settings), *source.assumptions)


def _granted(settings: GatewaySettings) -> Iterator[str]:
    if settings.latency_ms == 0:
        yield "an order takes effect at the very quote it was decided on: there is no latency (--latency MS)"
    if settings.queue in _QUEUES:
        yield _QUEUES[settings.queue]
    yield "our orders change no prices: what we take is there again with the next quote"
    yield "the exchange answers always: it neither fails nor refuses for load"
    if settings.balances is None:
        yield "coins that are sold short are lent without limit, at no cost"
    if settings.perpetuals.capital is None:
        yield "perpetuals are never liquidated: the margin account has no limit"
    free = [name for name in ("maker_fee", "taker_fee") if getattr(settings, name) == 0]
    if free:
        yield f"nothing is paid as {' and '.join(name.replace('_', ' ') for name in free)}"
