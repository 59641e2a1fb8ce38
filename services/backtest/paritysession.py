"""What one side of a parity comparison did: its orders with what was known when they were decided, and its fills.

A session is folded from events in the order of their positions: those of a record, or those of a run's log. Both have
the same quotes from outside, so that the number of a quote of an instrument means the same on both sides.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from contracts.books import CapitalAllocated, PositionChanged
from contracts.control import LeaseTaken, TradingStateSet
from contracts.event import Event
from contracts.market import Bar, Quote
from contracts.orders import (
    OrderCanceled,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderIntent,
    OrderRejected,
    OrderTerms,
    ProtectiveIntent,
    RiskApproved,
    RiskRejected,
)
from contracts.presets import PresetSelected
from contracts.recorded import Recorded
from contracts.regimes import RegimeInferred
from contracts.types import InstrumentId, Interval
from contracts.venue import SubmitOrder, VenueFilled
from services.backtest.parityorders import BarShown, Fill, Order, Top, Trigger

_MOST_QUOTES = 400_000
"""Of an instrument that are remembered: a command is hardly ever later than half of them."""
_MOST_TRIGGERS = 100_000


class _Past:
    """Values by the position at which they were said."""

    __slots__ = ("positions", "values")

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.values: list[str] = []

    def add(self, position: int, value: str) -> None:
        if not self.values or self.values[-1] != value:
            self.positions.append(position)
            self.values.append(value)

    def before(self, position: int) -> str:
        place = bisect_left(self.positions, position)
        return self.values[place - 1] if place else "-"


class _Quotes:
    """Quotes of an instrument by position."""

    __slots__ = ("count", "positions", "tops")

    def __init__(self) -> None:
        self.count = 0
        self.positions: list[int] = []
        self.tops: list[Top] = []

    def add(self, position: int, quote: Quote) -> None:
        self.count += 1
        self.positions.append(position)
        self.tops.append(Top(self.count, quote.ts_init, quote.bid, quote.ask))
        if len(self.tops) > _MOST_QUOTES:
            del self.positions[: _MOST_QUOTES // 2], self.tops[: _MOST_QUOTES // 2]

    def at(self, position: int) -> Top | None:
        """Give the quote at a position, or the last one before it."""
        place = bisect_right(self.positions, position)
        return self.tops[place - 1] if place else None

    def position_of(self, number: int) -> int | None:
        place = number - 1 - (self.count - len(self.tops))
        return self.positions[place] if 0 <= place < len(self.positions) else None


class Session:
    """Folds the events of one side."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.bars: dict[tuple[InstrumentId, Interval, int], BarShown] = {}
        self.facts: dict[tuple[str, str, str], _Past] = {}
        """What was known, by kind, strategy and instrument (empty: all)."""
        self.funding: dict[tuple[str, InstrumentId], float] = {}
        self.first: int | None = None
        self.last = 0
        self.leases: dict[str, list[tuple[int, str]]] = {}
        """The settings of each component, from when on."""
        self._quotes: dict[InstrumentId, _Quotes] = {}
        self._triggers: dict[int, Trigger] = {}
        self._venue_fills: dict[int, int | None] = {}
        self._approvals: set[int] = set()

    def hear(self, recorded: Recorded) -> None:
        """Take the next event."""
        event = recorded.event
        if type(event) is Quote:
            if self.first is None:
                self.first = event.ts_init
            self.last = max(self.last, event.ts_init)
            quotes = self._quotes.get(event.instrument)
            if quotes is None:
                quotes = self._quotes[event.instrument] = _Quotes()
            quotes.add(recorded.position, event)
            return
        take = self._TAKES.get(type(event))
        if take is not None:
            take(self, recorded, event)

    def marks(self) -> dict[InstrumentId, float]:
        """Give the middle of the last quote of each instrument."""
        return {instrument: quotes.tops[-1].middle for instrument, quotes in self._quotes.items()}

    def place_of(self, order: Order) -> int | None:
        """Give the position here of what an order of the other side was decided on; None where it is not here."""
        if order.trigger.bar is not None:
            bar = self.bars.get(order.trigger.bar)
            return None if bar is None else bar.position
        quotes = self._quotes.get(order.instrument)
        return None if quotes is None or order.top is None else quotes.position_of(order.top.number)

    def known(self, order: Order, place: int) -> Iterator[tuple[str, str]]:
        """Tell what a decision like this one goes by, as it was known before a position."""
        own = order.strategy, order.instrument
        for kind, key in (
            ("trading", ("", "")),
            ("held", own),
            ("regime", ("", order.instrument)),
            ("preset", own),
            ("capital", (order.strategy, "")),
            ("plan", own),
        ):
            past = self.facts.get((kind, *key))
            yield kind, past.before(place) if past is not None else "-"

    def _know(self, kind: str, strategy: str, instrument: str, position: int, value: str) -> None:
        self.facts.setdefault((kind, strategy, instrument), _Past()).add(position, value)

    def _top(self, instrument: InstrumentId, position: int | None) -> Top | None:
        quotes = self._quotes.get(instrument)
        return None if quotes is None or position is None else quotes.at(position)

    # -- what is known -------------------------------------------------------------------------------------------------

    def _on_lease(self, recorded: Recorded, lease: LeaseTaken) -> None:
        told = self.leases.setdefault(lease.component, [])
        if not told or told[-1][1] != lease.settings:
            told.append((recorded.position, lease.settings))

    def _on_bar(self, recorded: Recorded, bar: Bar) -> None:
        key = bar.instrument, bar.interval, bar.ts_open
        self.bars[key] = BarShown(bar.open, bar.high, bar.low, bar.close, bar.volume, bar.ts_init, recorded.position)
        self._trigger(recorded, Trigger(f"bar {bar.interval.value} of {bar.instrument}", key))

    def _on_preset(self, recorded: Recorded, selected: PresetSelected) -> None:
        self._know("preset", selected.strategy, selected.instrument, recorded.position, selected.preset)
        self._trigger(recorded, Trigger("preset"))

    def _on_regime(self, recorded: Recorded, inferred: RegimeInferred) -> None:
        self._know("regime", "", inferred.instrument, recorded.position, inferred.regime)
        self._trigger(recorded, Trigger("regime"))

    def _on_state(self, recorded: Recorded, state: TradingStateSet) -> None:
        self._know("trading", "", "", recorded.position, state.state.value)
        self._trigger(recorded, Trigger("trading state"))

    def _on_capital(self, recorded: Recorded, allocated: CapitalAllocated) -> None:
        self._know("capital", allocated.strategy, "", recorded.position, f"{allocated.capital.normalize():f}")

    def _on_position(self, recorded: Recorded, changed: PositionChanged) -> None:
        held = f"{changed.quantity.normalize():f}"
        self._know("held", changed.strategy, changed.instrument, recorded.position, held)
        self.funding[changed.strategy, changed.instrument] = float(changed.funding)
        self._trigger(recorded, Trigger("position"))

    def _trigger(self, recorded: Recorded, trigger: Trigger) -> None:
        triggers = self._triggers
        triggers[recorded.position] = trigger
        if len(triggers) > _MOST_TRIGGERS:
            del triggers[next(iter(triggers))]

    # -- orders --------------------------------------------------------------------------------------------------------

    def _on_wish(self, recorded: Recorded, wish: OrderIntent) -> None:
        if wish.exit is not None:
            target = "none" if wish.exit.target is None else f"{wish.exit.target:.10g}"
            plan = f"stop {wish.exit.stop:.10g}, target {target}"
            self._know("plan", wish.order.strategy, wish.order.instrument, recorded.position, plan)
        for terms in (wish.order, *wish.attached):
            self._begin(recorded, terms, terms.strategy, wish.reference_price)

    def _on_protective(self, recorded: Recorded, wish: ProtectiveIntent) -> None:
        self._begin(recorded, wish.order, wish.by, wish.reference_price)

    def _begin(self, recorded: Recorded, terms: OrderTerms, by: str, reference: float) -> None:
        trigger = self._triggers.get(recorded.cause or 0, Trigger("market"))
        self.orders[terms.client_order_id] = Order(
            order_id=terms.client_order_id,
            strategy=terms.strategy,
            instrument=terms.instrument,
            side=terms.side,
            by=by,
            quantity=terms.quantity,
            order_type=terms.order_type.value,
            reference=reference,
            position=recorded.position,
            cause=recorded.cause or 0,
            decided_at=recorded.event.ts_init,
            trigger=trigger,
            top=self._top(terms.instrument, recorded.cause),
        )

    def _on_approved(self, recorded: Recorded, approved: RiskApproved) -> None:
        self._approvals.add(recorded.position)
        for terms in (approved.order, *approved.attached):
            if (order := self.orders.get(terms.client_order_id)) is not None:
                order.approved, order.denials = terms.quantity, approved.resized

    def _on_rejected(self, _: Recorded, rejected: RiskRejected) -> None:
        if (order := self.orders.get(rejected.order.client_order_id)) is not None:
            order.refused, order.denials = True, rejected.reasons

    def _on_submit(self, recorded: Recorded, command: SubmitOrder) -> None:
        """Where an order waited for a price, what it waited for is what it was decided on."""
        order = self.orders.get(command.order.slice_of or command.order.client_order_id)
        if order is not None and recorded.cause not in self._approvals and not order.fills:
            order.top = self._top(order.instrument, recorded.cause)

    def _on_venue_fill(self, recorded: Recorded, _: VenueFilled) -> None:
        self._venue_fills[recorded.position] = recorded.cause

    def _on_fill(self, recorded: Recorded, fill: OrderFilled) -> None:
        seen = self._venue_fills.pop(recorded.cause or 0, recorded.cause)
        order = self.orders.get(fill.client_order_id)
        if order is None:
            return
        price = float(fill.price)
        fee = float(fill.fee) * (1.0 if fill.fee_currency in (None, fill.currency) else price)
        top = self._top(fill.instrument, seen)
        order.fills.append(Fill(recorded.position, fill.ts_init, price, float(fill.quantity), fee, fill.liquidity, top))

    def _on_end(self, _: Recorded, ended: OrderEvent) -> None:
        if (order := self.orders.get(ended.client_order_id)) is not None:
            order.ended = f"{type(ended).type_name.removeprefix('Order').lower()}: {getattr(ended, 'reason', '')}"

    _TAKES: ClassVar[dict[type[Event], Callable[[Any, Recorded, Any], None]]] = {
        LeaseTaken: _on_lease,
        Bar: _on_bar,
        PresetSelected: _on_preset,
        RegimeInferred: _on_regime,
        TradingStateSet: _on_state,
        CapitalAllocated: _on_capital,
        PositionChanged: _on_position,
        OrderIntent: _on_wish,
        ProtectiveIntent: _on_protective,
        RiskApproved: _on_approved,
        RiskRejected: _on_rejected,
        SubmitOrder: _on_submit,
        VenueFilled: _on_venue_fill,
        OrderFilled: _on_fill,
        OrderDenied: _on_end,
        OrderRejected: _on_end,
        OrderCanceled: _on_end,
        OrderExpired: _on_end,
    }


HEARS: tuple[type[Event], ...] = (Quote, *Session._TAKES)  # noqa: SLF001 # of this file
"""What a session takes from a record."""
