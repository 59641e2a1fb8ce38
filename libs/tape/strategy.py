"""The base of a strategy: it knows what it holds and what is under way, and wishes for orders under its own ids."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from contracts.event import Event
from contracts.orders import (
    ExitPlan,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderIntent,
    OrderRejected,
    OrderTerms,
    RiskRejected,
)
from contracts.types import InstrumentId, OrderType, Side, TimeInForce
from tape.component import Component, on

FLAT = Decimal(0)


@dataclass(slots=True)
class StrategyState:
    """What every strategy knows of its own orders: a part of its state."""

    positions: dict[InstrumentId, Decimal]
    under_way: dict[InstrumentId, str]
    last_cause: int
    wishes: int


class Strategy(Component):
    """Adds to a component its own positions, from its own fills, and at most one order under way per instrument."""

    produces: ClassVar[tuple[type[Event], ...]] = (OrderIntent,)

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.positions: dict[InstrumentId, Decimal] = {}
        self.under_way: dict[InstrumentId, str] = {}
        self._last_cause = 0
        self._wishes = 0

    def strategy_state(self) -> StrategyState:
        return StrategyState(self.positions, self.under_way, self._last_cause, self._wishes)

    def restore_strategy(self, state: StrategyState) -> None:
        self.positions = state.positions
        self.under_way = state.under_way
        self._last_cause = state.last_cause
        self._wishes = state.wishes

    def position(self, instrument: InstrumentId) -> Decimal:
        """Give what is held, in base units; negative when short."""
        return self.positions.get(instrument, FLAT)

    def is_free(self, instrument: InstrumentId) -> bool:
        """Say whether no order of ours is under way there."""
        return instrument not in self.under_way

    def market_order(
        self,
        event: Event,
        instrument: InstrumentId,
        side: Side,
        quantity: Decimal,
        *,
        reference_price: float,
        reason: str,
        exit: ExitPlan | None = None,
        reduce_only: bool = False,
    ) -> OrderIntent:
        """Wish for a market order on account of `event`; it is under way until it has ended or was refused."""
        order = OrderTerms(
            client_order_id=self._next_id(),
            strategy=self.name,
            instrument=instrument,
            side=side,
            quantity=quantity,
            order_type=OrderType.MARKET,
            limit_price=None,
            time_in_force=TimeInForce.GTC,
            reduce_only=reduce_only,
        )
        self.under_way[instrument] = order.client_order_id
        return OrderIntent(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            order=order,
            reference_price=reference_price,
            exit=exit,
            reason=reason,
        )

    @on(OrderFilled)
    def on_fill(self, fill: OrderFilled) -> None:
        if fill.strategy != self.name:
            return
        self.positions[fill.instrument] = self.position(fill.instrument) + fill.side.sign * fill.quantity
        if fill.leaves == 0:
            self._ended(fill.instrument, fill.client_order_id)

    @on(OrderDenied, OrderRejected, OrderCanceled, OrderExpired)
    def on_order_end(self, end: OrderDenied | OrderRejected | OrderCanceled | OrderExpired) -> None:
        if end.strategy == self.name:
            self._ended(end.instrument, end.client_order_id)

    @on(RiskRejected)
    def on_refusal(self, refusal: RiskRejected) -> None:
        if refusal.order.strategy == self.name:
            self._ended(refusal.order.instrument, refusal.order.client_order_id)

    def _ended(self, instrument: InstrumentId, client_order_id: str) -> None:
        if self.under_way.get(instrument) == client_order_id:
            del self.under_way[instrument]

    def _next_id(self) -> str:
        cause = self.moment.position
        self._wishes = self._wishes + 1 if cause == self._last_cause else 0
        self._last_cause = cause
        return f"{self.name}-{cause}-{self._wishes}"
