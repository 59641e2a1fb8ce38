"""The base of a guard: it knows what everyone holds, and trims it, hedges it, or says who may trade."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_UP, Decimal
from typing import ClassVar, Protocol

from contracts.books import PositionChanged
from contracts.control import Alert, GuardSet
from contracts.event import Event
from contracts.orders import (
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderIntent,
    OrderRejected,
    ProtectiveIntent,
    RiskRejected,
)
from contracts.types import MAX_TEXT, InstrumentId, PositionSide, Severity, Side, TradingState
from tape.component import on
from tape.strategy import FLAT, Strategy, StrategyState

SECOND = 1_000_000_000
FIRST_RETRY_NS = SECOND
LAST_RETRY_NS = 60 * SECOND
BOOKING_NS = 5 * SECOND
"""The books take in a fill at once; a position that they still have not changed after this is believed as it is."""


class Lots(Protocol):
    """How an instrument may be traded: whole lots, and worth at least `min_notional` (quote currency)."""

    @property
    def lot(self) -> Decimal: ...
    @property
    def min_notional(self) -> Decimal: ...
    def quantity(self, value: float | Decimal) -> Decimal: ...


@dataclass(slots=True)
class Attempts:
    """When something that failed is tried again: after 1 s, twice that, and so on up to a minute."""

    failed: int = 0
    next_at: int = 0

    def fail(self, now: int) -> bool:
        """Wait longer than the last time; say whether it is the first failure in a row."""
        self.next_at = now + min(FIRST_RETRY_NS << min(self.failed, 10), LAST_RETRY_NS)
        self.failed += 1
        return self.failed == 1


@dataclass(slots=True)
class Holding:
    """A position of a strategy (base units, negative: short) and what a guard does about it."""

    strategy: str
    instrument: InstrumentId
    position_side: PositionSide
    quantity: Decimal
    mark: float
    attempts: Attempts
    ceiling: Decimal | None = None
    """It is trimmed to at most this, long or short; None: it is left alone."""
    trim: str | None = None
    """The order under way."""
    unbooked: int = 0
    """Fills of ours that are not in `quantity` yet; not waited for after `booked_by`."""
    booked_by: int = 0


@dataclass(slots=True)
class Hedge:
    """What the guard itself wants to hold of an instrument (base units, negative: short)."""

    target: Decimal
    attempts: Attempts


Key = tuple[str, InstrumentId, PositionSide]


@dataclass(slots=True)
class GuardState:
    strategy: StrategyState
    holdings: list[Holding]
    hedges: dict[InstrumentId, Hedge]
    prices: dict[InstrumentId, float]
    permitted: TradingState


class Guard(Strategy):
    """Everything is decided once a second, from what is known then.

    A subclass says what it wants (`restrain`, `hedge`, a trading state), and lets `act` bring it about. A position is
    trimmed by protective orders, which pass a halt; a hedge is a position of the guard's own. What fails is tried again
    later, with one alert.
    """

    produces: ClassVar[tuple[type[Event], ...]] = (*Strategy.produces, GuardSet, ProtectiveIntent, Alert)

    def __init__(self, name: str, listing: Mapping[InstrumentId, Lots]) -> None:
        super().__init__(name)
        self.lots = listing
        self.holdings: dict[Key, Holding] = {}
        """Of everyone else."""
        self.hedges: dict[InstrumentId, Hedge] = {}
        self.prices: dict[InstrumentId, float] = {}
        self.permitted = TradingState.ACTIVE

    def guard_state(self) -> GuardState:
        holdings = list(self.holdings.values())
        return GuardState(self.strategy_state(), holdings, self.hedges, self.prices, self.permitted)

    def restore_guard(self, state: GuardState) -> None:
        self.restore_strategy(state.strategy)
        self.holdings = {(one.strategy, one.instrument, one.position_side): one for one in state.holdings}
        self.hedges = state.hedges
        self.prices = state.prices
        self.permitted = state.permitted

    # -- what is wanted ------------------------------------------------------------------------------------------------

    def restrain(self, holding: Holding, fraction: Decimal) -> None:
        """Let a position lose `fraction` of what it is now, and not grow again until it is freed."""
        if holding.ceiling is None and holding.quantity:
            holding.ceiling = abs(holding.quantity) * (1 - fraction)

    def free(self, holding: Holding) -> None:
        holding.ceiling = None

    def hedge(self, instrument: InstrumentId, target: Decimal) -> None:
        """Want to hold `target`; zero ends a hedge."""
        held = self.hedges.get(instrument)
        if held is not None:
            held.target = target
        elif target:
            self.hedges[instrument] = Hedge(target, Attempts())

    def act(self, event: Event, permitted: TradingState, why: str) -> Iterator[Event]:
        """Bring about what is wanted, as far as it is not so yet."""
        reason = why[:MAX_TEXT]
        if permitted is not self.permitted:
            self.permitted = permitted
            yield GuardSet(
                ts_event=event.ts_event, ts_init=event.ts_init, guard=self.name, state=permitted, reason=reason
            )
        for holding in self.holdings.values():
            if self._is_beyond(holding, event.ts_init):
                yield from self._trim(event, holding, reason)
        for instrument, hedge in list(self.hedges.items()):
            if not self.is_free(instrument):
                continue
            if hedge.target == self.position(instrument) == FLAT:
                del self.hedges[instrument]
            elif hedge.attempts.next_at <= event.ts_init:
                yield from self._approach(event, instrument, hedge, reason)

    def _is_beyond(self, holding: Holding, now: int) -> bool:
        """Say whether a position is above its ceiling, and nothing is under way that may change that."""
        if holding.ceiling is None or abs(holding.quantity) <= holding.ceiling:
            return False
        unsettled = holding.trim is not None or (holding.unbooked > 0 and now < holding.booked_by)
        return not unsettled and now >= holding.attempts.next_at

    def _trim(self, event: Event, holding: Holding, reason: str) -> Iterator[ProtectiveIntent | Alert]:
        """Take away what is too much of a position: whole lots, no more than there are."""
        assert holding.ceiling is not None, "a position without a ceiling is never beyond it"
        rules = self.lots.get(holding.instrument)
        if rules is None:
            text = f"{holding.strategy} cannot be trimmed in {holding.instrument}: it is not listed"
            yield from self._failed(event, holding.attempts, text)
            return
        excess = ((abs(holding.quantity) - holding.ceiling) / rules.lot).to_integral_value(ROUND_UP) * rules.lot
        quantity = min(excess, rules.quantity(abs(holding.quantity)))
        if quantity == 0:
            return
        side = Side.SELL if holding.quantity > 0 else Side.BUY
        order = replace(
            self.market(holding.instrument, side, quantity, reduce_only=True),
            strategy=holding.strategy,
        )
        holding.trim = order.client_order_id
        yield ProtectiveIntent(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            by=self.name,
            order=order,
            reference_price=self.prices.get(holding.instrument, holding.mark),
            reason=reason,
        )

    def _approach(
        self, event: Event, instrument: InstrumentId, hedge: Hedge, reason: str
    ) -> Iterator[OrderIntent | Alert]:
        """Trade towards the target of a hedge; a step that is too small to be traded is left out."""
        held = self.position(instrument)
        step = hedge.target - held
        price, rules = self.prices.get(instrument), self.lots.get(instrument)
        if step == 0:
            return
        if price is None or rules is None:
            lacks = "it is not listed" if rules is None else "it has no price yet"
            yield from self._failed(event, hedge.attempts, f"{instrument} cannot be traded as a hedge: {lacks}")
            return
        quantity = rules.quantity(abs(step))
        ends = hedge.target == 0
        if quantity > 0 and (ends or float(quantity) * price >= rules.min_notional):
            side = Side.BUY if step > 0 else Side.SELL
            yield self.market_order(
                event,
                instrument,
                side,
                quantity,
                reference_price=price,
                reason=reason,
                reduce_only=ends,
            )

    # -- what became of it ---------------------------------------------------------------------------------------------

    @on(PositionChanged)
    def on_position(self, changed: PositionChanged) -> None:
        if changed.strategy == self.name:
            return
        key = (changed.strategy, changed.instrument, changed.position_side)
        holding = self.holdings.get(key)
        if holding is None:
            holding = self.holdings[key] = Holding(*key, FLAT, float(changed.mark), Attempts())
        if holding.quantity * changed.quantity <= 0:
            holding.ceiling = None
        if holding.quantity != changed.quantity and holding.unbooked:
            holding.unbooked -= 1
        holding.quantity, holding.mark = changed.quantity, float(changed.mark)
        if holding.quantity == 0 and holding.trim is None:
            del self.holdings[key]

    @on(OrderFilled)
    def on_any_fill(self, fill: OrderFilled) -> None:
        self.on_fill(fill)
        if fill.strategy == self.name:
            hedge = self.hedges.setdefault(fill.instrument, Hedge(FLAT, Attempts()))
            hedge.attempts = Attempts() if fill.leaves == 0 else hedge.attempts
            return
        holding = self._trimmed_by(fill.client_order_id)
        if holding is None:
            return
        holding.unbooked += 1
        holding.booked_by = fill.ts_init + BOOKING_NS
        if fill.leaves == 0:
            self._trim_ended(holding)
            holding.attempts = Attempts()

    @on(OrderDenied, OrderRejected, OrderCanceled, OrderExpired)
    def on_any_end(self, end: OrderDenied | OrderRejected | OrderCanceled | OrderExpired) -> Iterator[Alert] | None:
        self.on_order_end(end)
        if not self._is_own(end.client_order_id):
            return None
        return self._not_done(end, end.client_order_id, end.instrument, lambda: end.reason)

    @on(RiskRejected)
    def on_any_refusal(self, refusal: RiskRejected) -> Iterator[Alert] | None:
        self.on_refusal(refusal)
        order = refusal.order
        if not self._is_own(order.client_order_id):
            return None
        return self._not_done(
            refusal,
            order.client_order_id,
            order.instrument,
            lambda: "; ".join(f"{denial.rail.value}: {denial.detail}" for denial in refusal.reasons),
        )

    def _not_done(
        self, event: Event, client_order_id: str, instrument: InstrumentId, reason: Callable[[], str]
    ) -> Iterator[Alert] | None:
        holding = self._trimmed_by(client_order_id)
        if holding is not None:
            self._trim_ended(holding)
            text = f"{client_order_id} did not trim {holding.strategy} in {instrument}: {reason()}"
            return self._failed(event, holding.attempts, text)
        hedge = self.hedges.get(instrument)
        if hedge is None:
            return None
        return self._failed(event, hedge.attempts, f"{client_order_id} did not hedge with {instrument}: {reason()}")

    def _failed(self, event: Event, attempts: Attempts, text: str) -> Iterator[Alert]:
        if attempts.fail(event.ts_init):
            yield self.alert(event, Severity.CRITICAL, "guard_failed", f"{text}; it is tried again until it is done")

    def _is_own(self, client_order_id: str) -> bool:
        return client_order_id.startswith(f"{self.name}-")

    def _trimmed_by(self, client_order_id: str) -> Holding | None:
        if not self._is_own(client_order_id):
            return None
        return next((one for one in self.holdings.values() if one.trim == client_order_id), None)

    def _trim_ended(self, holding: Holding) -> None:
        holding.trim = None
        if holding.quantity == 0:
            del self.holdings[holding.strategy, holding.instrument, holding.position_side]

    def alert(self, event: Event, severity: Severity, code: str, message: str) -> Alert:
        return Alert(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            component=self.name,
            severity=severity,
            code=code,
            message=message[:MAX_TEXT],
        )
