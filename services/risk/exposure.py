"""What is held and what is on its way: the ground that exposure limits are judged on.

Sums are kept up with every order and fill, so that a verdict costs the same however many orders there were.
"""

from dataclasses import dataclass, field, replace
from decimal import Decimal

from contracts.orders import Amendment, OrderFilled, OrderTerms, OrderUpdated
from contracts.types import InstrumentId, Side

Holding = tuple[str, InstrumentId]
"""A strategy and an instrument."""

ZERO = Decimal(0)

BUY = Side.BUY
"""To look a member up in its class costs more than to compare it."""


def holding_of(order: OrderTerms) -> Holding:
    return order.strategy, order.instrument


def stands_by(order: OrderTerms) -> bool:
    """Say whether an order only waits to end a position when it comes to that: a stop, a target, the exit of a list.

    Such orders do not compete: whoever keeps them takes back what is left when the position is gone.
    """
    return order.reduce_only and (order.order_type.is_conditional or order.link is not None)


@dataclass(slots=True)
class Pending:
    """An approved order that may still fill: `leaves`, and `more` of it when new terms that were approved are taken."""

    order: OrderTerms
    leaves: Decimal
    more: Decimal = ZERO

    @property
    def holding(self) -> Holding:
        return holding_of(self.order)

    @property
    def side(self) -> Side:
        return self.order.side

    @property
    def filled(self) -> Decimal:
        return self.order.quantity - self.leaves


@dataclass(slots=True)
class ExposureState:
    positions: list[tuple[Holding, Decimal]]
    pending: dict[str, Pending]
    paid: dict[InstrumentId, float]


@dataclass(slots=True)
class Stake:
    """What a strategy holds of an instrument (negative: short), and what pending orders may add and take away."""

    position: Decimal = ZERO
    buys: Decimal = ZERO
    sells: Decimal = ZERO
    buys_by: Decimal = ZERO
    """Purchases that stand by: they never take a short position beyond flat."""
    sells_by: Decimal = ZERO
    known_worst: float | None = field(default=None, compare=False, repr=False)
    """What `worst` gives; None since something changed: most changes come before anyone asks."""

    @property
    def highest(self) -> Decimal:
        """The position if all that buys is filled."""
        plain = self.position + self.buys
        return plain + min(self.buys_by, max(-self.position, ZERO)) if self.buys_by else plain

    @property
    def lowest(self) -> Decimal:
        """The position if all that sells is filled."""
        plain = self.position - self.sells
        return plain - min(self.sells_by, max(self.position, ZERO)) if self.sells_by else plain

    @property
    def reach(self) -> tuple[float, float]:
        """The highest and the lowest position that fills may lead to."""
        if self.buys or self.sells or self.buys_by or self.sells_by:
            return float(self.highest), float(self.lowest)
        held = float(self.position)
        return held, held

    @property
    def worst(self) -> float:
        """The largest absolute position that fills of either side may lead to."""
        if self.known_worst is None:
            high, low = self.reach
            self.known_worst = max(abs(high), abs(low))
        return self.known_worst

    def add(self, order: OrderTerms, quantity: Decimal) -> None:
        """Count on more of a pending order; negative: on less."""
        if order.reduce_only and stands_by(order):
            if order.side is BUY:
                self.buys_by += quantity
            else:
                self.sells_by += quantity
        elif order.side is BUY:
            self.buys += quantity
        else:
            self.sells += quantity
        self.known_worst = None


@dataclass(slots=True)
class Exposure:
    """Positions by strategy and instrument, from fills alone, and the approved orders that may still change them."""

    pending: dict[str, Pending] = field(default_factory=dict)
    paid: dict[InstrumentId, Decimal] = field(default_factory=dict)
    """The last price that we traded at, where there is no better one."""
    stakes: dict[Holding, Stake] = field(default_factory=dict)
    open_orders: dict[str, int] = field(default_factory=dict)
    """By strategy."""

    @property
    def positions(self) -> dict[Holding, Decimal]:
        return {holding: stake.position for holding, stake in self.stakes.items()}

    def state(self) -> ExposureState:
        paid = {instrument: float(price) for instrument, price in self.paid.items()}
        return ExposureState(list(self.positions.items()), self.pending, paid)

    def restore(self, state: ExposureState) -> None:
        self.pending, self.paid = {}, {name: Decimal(repr(price)) for name, price in state.paid.items()}
        self.stakes, self.open_orders = {}, {}
        for holding, position in state.positions:
            self._stake(*holding).position += position
        for pending in state.pending.values():
            self._add(pending)

    def stake(self, order: OrderTerms) -> Stake:
        return self.stakes.get(holding_of(order)) or Stake()

    def reserve(self, order: OrderTerms) -> None:
        self._add(Pending(order, order.quantity))

    def reserve_more(self, amendment: Amendment) -> None:
        """Count on the larger quantity of terms that were approved, and not yet taken."""
        pending = self.pending[amendment.client_order_id]
        more = (amendment.quantity or ZERO) - pending.order.quantity
        if more > pending.more:
            self.stakes[pending.holding].add(pending.order, more - pending.more)
            pending.more = more

    def updated(self, update: OrderUpdated) -> None:
        if pending := self._take(update.client_order_id):
            order = replace(
                pending.order,
                quantity=update.quantity,
                limit_price=update.limit_price,
                trigger_price=update.trigger_price,
            )
            self._add(Pending(order, update.leaves))

    def not_updated(self, client_order_id: str) -> None:
        if pending := self._take(client_order_id):
            self._add(Pending(pending.order, pending.leaves))

    def filled(self, fill: OrderFilled) -> None:
        stake = self.stakes.get((fill.strategy, fill.instrument)) or self._stake(fill.strategy, fill.instrument)
        stake.position += fill.quantity if fill.side is BUY else -fill.quantity
        stake.known_worst = None
        self.paid[fill.instrument] = fill.price
        pending = self._take(fill.client_order_id)
        if pending is not None and fill.leaves > 0:
            self._add(Pending(pending.order, fill.leaves, pending.more))

    def released(self, client_order_id: str) -> None:
        self._take(client_order_id)

    def reducible(self, order: OrderTerms) -> Decimal:
        """How much of the position this order may take away, beyond what other pending orders already will.

        An order that stands by may take away all that is held, and what the order it waits for will bring.
        """
        stake = self.stakes.get(holding_of(order)) or Stake()
        buys = order.side is BUY
        held = max(-stake.position if buys else stake.position, ZERO)
        if not stands_by(order):
            return max(held - (stake.buys if buys else stake.sells), ZERO)
        parent = self.pending.get(order.link.parent) if order.link is not None and order.link.parent else None
        return held if parent is None or parent.side is order.side else held + parent.leaves

    def _stake(self, strategy: str, instrument: InstrumentId) -> Stake:
        stake = self.stakes.get((strategy, instrument))
        if stake is None:
            stake = self.stakes[strategy, instrument] = Stake()
        return stake

    def _add(self, pending: Pending) -> None:
        order = pending.order
        strategy = order.strategy
        self.pending[order.client_order_id] = pending
        self.open_orders[strategy] = self.open_orders.get(strategy, 0) + 1
        stake = self.stakes.get((strategy, order.instrument)) or self._stake(strategy, order.instrument)
        stake.add(order, pending.leaves + pending.more)

    def _take(self, client_order_id: str) -> Pending | None:
        pending = self.pending.pop(client_order_id, None)
        if pending is not None:
            order = pending.order
            self.open_orders[order.strategy] -= 1
            self.stakes[order.strategy, order.instrument].add(order, -(pending.leaves + pending.more))
        return pending
