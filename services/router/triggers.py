"""When the condition of an order is met: the price it looks at, and where its trigger stands."""

from dataclasses import dataclass, field
from decimal import Decimal

from contracts.event import Event
from contracts.market import Funding, Quote, Trade
from contracts.orders import OrderTerms, Trail
from contracts.types import InstrumentId, Side, TrailKind, TriggerBy
from tape.span import Span

NEAR = 1e-9
"""Market data are floats: a price that is this near to a trigger, relatively, is at it."""
_SMALLEST, _LARGEST = 1e-15, 1e15
"""No market trades at prices beyond these; they would not fit on the tape as money."""


@dataclass(slots=True)
class Seen:
    """What the market showed last."""

    quotes: dict[InstrumentId, Quote] = field(default_factory=dict)
    lasts: dict[InstrumentId, float] = field(default_factory=dict)
    marks: dict[InstrumentId, float] = field(default_factory=dict)

    def trade(self, trade: Trade) -> None:
        self.lasts[trade.instrument] = trade.price

    def funding(self, funding: Funding) -> None:
        self.marks[funding.instrument] = funding.mark

    def mid(self, instrument: InstrumentId) -> float | None:
        quote = self.quotes.get(instrument)
        return None if quote is None else quote.mid

    def price(self, terms: OrderTerms) -> float | None:
        """Give the price that a conditional order looks at; None where it was not seen yet.

        Where the venue says no mark (spot), the middle of the market stands in for it.
        """
        price = self._price(terms)
        return price if price is not None and _SMALLEST < price < _LARGEST else None

    def _price(self, terms: OrderTerms) -> float | None:
        match terms.trigger_by:
            case TriggerBy.LAST:
                return self.lasts.get(terms.instrument)
            case TriggerBy.MARK:
                mark = self.marks.get(terms.instrument)
                return self.mid(terms.instrument) if mark is None else mark
            case _:
                quote = self.quotes.get(terms.instrument)
                if quote is None:
                    return None
                return quote.bid if terms.side is Side.SELL else quote.ask

    def moves(self, terms: OrderTerms, event: Event) -> bool:
        """Say whether `event` shows the price that an order looks at."""
        if isinstance(event, Trade):
            return terms.trigger_by is TriggerBy.LAST
        if isinstance(event, Funding):
            return terms.trigger_by is TriggerBy.MARK
        return self.shows(terms)

    def shows(self, terms: OrderTerms) -> bool:
        """Say whether quotes show the price that an order looks at."""
        by_mid = terms.trigger_by is TriggerBy.MARK and terms.instrument not in self.marks
        return by_mid or terms.trigger_by is TriggerBy.BID_ASK


def reached(terms: OrderTerms, trigger: float, price: float) -> bool:
    """Say whether `price` is at the trigger or beyond it.

    A stop waits for a price worse than the present one (a sale: lower), an order "if touched" for a better one.
    """
    falling = terms.order_type.is_stop is (terms.side is Side.SELL)
    slack = trigger * NEAR
    return price <= trigger + slack if falling else price >= trigger - slack


def first_reached(terms: OrderTerms, trigger: float, span: Span, begin: int, end: int) -> int:
    """Give the first of `quotes[begin:end]` that shows a price at the trigger or beyond it; `end` if none does."""
    if terms.trigger_by is TriggerBy.MARK:
        prices = span.mids[begin:end]
    elif terms.side is Side.SELL:
        prices = [quote.bid for quote in span.quotes[begin:end]]
    else:
        prices = [quote.ask for quote in span.quotes[begin:end]]
    if not (reached(terms, trigger, min(prices)) or reached(terms, trigger, max(prices))):
        return end
    return next(at for at, price in enumerate(prices, begin) if reached(terms, trigger, price))


def trailed(trail: Trail, side: Side, trigger: float | None, price: float) -> float:
    """Move the trigger of a trailing stop after `price`; it never goes back."""
    distance = float(trail.offset) if trail.kind is TrailKind.ABSOLUTE else price * float(trail.offset) / 100
    if side is Side.SELL:
        behind = price - distance
        return behind if trigger is None else max(trigger, behind)
    behind = price + distance
    return behind if trigger is None else min(trigger, behind)


def as_money(price: float) -> Decimal:
    """Book a price of the market with the digits that a float is sure of."""
    return Decimal(f"{price:.15g}")
