"""The rails: each looks at an order and says what is wrong with it, or nothing. All of them are always asked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from contracts.market import Quote
from contracts.orders import Denial, OrderIntent, OrderTerms
from contracts.types import InstrumentId, Rail, TradingState
from services.risk.exposure import Exposure
from services.risk.settings import RiskSettings
from venues.instruments import Instrument, Listing


@dataclass(slots=True)
class Situation:
    """Everything that a rail may look at."""

    settings: RiskSettings
    listing: Listing
    exposure: Exposure
    quotes: dict[InstrumentId, Quote]
    state: TradingState
    is_known_id: bool
    intent: OrderIntent

    @property
    def order(self) -> OrderTerms:
        return self.intent.order

    @property
    def instrument(self) -> Instrument | None:
        return self.listing.get(self.order.instrument)

    @property
    def mark(self) -> float | None:
        quote = self.quotes.get(self.order.instrument)
        return quote.mid if quote else None

    @property
    def reduces(self) -> bool:
        return self.order.quantity <= self.exposure.reducible(self.order)

    def notional(self, mark: float) -> float:
        return float(self.order.quantity) * mark


RailCheck = Callable[[Situation], str | None]


def trading_state(at: Situation) -> str | None:
    if at.state is TradingState.HALTED:
        return "trading is halted, by the operator or a guard"
    if at.state is TradingState.REDUCE_ONLY and not at.reduces:
        return "only orders that reduce a position may pass"
    return None


def duplicate(at: Situation) -> str | None:
    return f"{at.order.client_order_id} was judged before" if at.is_known_id else None


def allowlist(at: Situation) -> str | None:
    if at.instrument is None:
        return f"{at.order.instrument} is not listed"
    if at.settings.allowlist and at.order.instrument not in at.settings.allowlist:
        return f"{at.order.instrument} is not on the allowlist"
    return None


def lot_size(at: Situation) -> str | None:
    if at.instrument is None or at.instrument.is_quantity(at.order.quantity):
        return None
    return f"quantity {at.order.quantity} is not a multiple of the lot {at.instrument.lot}"


def price_tick(at: Situation) -> str | None:
    limit = at.order.limit_price
    if at.instrument is None or limit is None or at.instrument.is_price(limit):
        return None
    return f"limit_price {limit} is not a multiple of the tick {at.instrument.tick}"


def reduce_only(at: Situation) -> str | None:
    if not at.order.reduce_only or at.reduces:
        return None
    return f"only {at.exposure.reducible(at.order)} can be reduced, {at.order.quantity} wanted"


def stale_mark(at: Situation) -> str | None:
    quote = at.quotes.get(at.order.instrument)
    if quote is None:
        return "no quote has been seen"
    age_ms = (at.intent.ts_init - quote.ts_init) / 1e6
    if age_ms > at.settings.max_mark_age_ms:
        return f"the last quote is {age_ms:.0f} ms old, above max_mark_age_ms {at.settings.max_mark_age_ms:.0f}"
    return None


def min_notional(at: Situation) -> str | None:
    if at.instrument is None or at.mark is None or at.reduces:
        return None
    notional = at.notional(at.mark)
    least = float(at.instrument.min_notional)
    return f"{notional:.2f} below min_notional {least:.2f}" if notional < least else None


def max_notional(at: Situation) -> str | None:
    """Let every exit pass: a position may have outgrown the limit of a single order."""
    if at.mark is None or at.reduces:
        return None
    notional = at.notional(at.mark)
    most = at.settings.max_order_notional
    return f"{notional:.2f} above max_order_notional {most:.2f}" if notional > most else None


def price_collar(at: Situation) -> str | None:
    if at.mark is None:
        return None
    price = at.intent.reference_price if at.order.limit_price is None else float(at.order.limit_price)
    distance = abs(price / at.mark - 1) * 10_000
    most = at.settings.collar_bps
    if distance <= most:
        return None
    return f"{price:.8g} is {distance:.1f} bps from the mark {at.mark:.8g}, above collar_bps {most:.1f}"


def symbol_exposure(at: Situation) -> str | None:
    return _exposure(at, at.settings.max_symbol_exposure, "max_symbol_exposure", symbol=at.order.instrument)


def strategy_exposure(at: Situation) -> str | None:
    return _exposure(at, at.settings.max_strategy_exposure, "max_strategy_exposure", strategy=at.order.strategy)


def total_exposure(at: Situation) -> str | None:
    return _exposure(at, at.settings.max_total_exposure, "max_total_exposure")


def _exposure(
    at: Situation, most: float, setting: str, *, symbol: InstrumentId | None = None, strategy: str | None = None
) -> str | None:
    """Judge the worst case of everything pending; an order that only reduces a position is never held back."""
    if at.reduces:
        return None
    total = 0.0
    for (holder, instrument), quantity in at.exposure.worst_case(at.order).items():
        if symbol not in (None, instrument) or strategy not in (None, holder):
            continue
        quote = at.quotes.get(instrument)
        if quote is not None:
            total += float(quantity) * quote.mid
    return f"{total:.2f} would be above {setting} {most:.2f}" if total > most else None


RAILS: dict[Rail, RailCheck] = {
    Rail.TRADING_STATE: trading_state,
    Rail.DUPLICATE: duplicate,
    Rail.ALLOWLIST: allowlist,
    Rail.LOT_SIZE: lot_size,
    Rail.PRICE_TICK: price_tick,
    Rail.REDUCE_ONLY: reduce_only,
    Rail.STALE_MARK: stale_mark,
    Rail.MIN_NOTIONAL: min_notional,
    Rail.MAX_NOTIONAL: max_notional,
    Rail.PRICE_COLLAR: price_collar,
    Rail.SYMBOL_EXPOSURE: symbol_exposure,
    Rail.STRATEGY_EXPOSURE: strategy_exposure,
    Rail.TOTAL_EXPOSURE: total_exposure,
}


def objections(at: Situation) -> Iterator[Denial]:
    """Ask every rail, so that a rejection names all that is wrong at once."""
    for rail, check in RAILS.items():
        if detail := check(at):
            yield Denial(rail=rail, detail=detail)
