"""What is held and what is on its way: the ground that exposure limits are judged on."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from contracts.orders import OrderFilled, OrderTerms
from contracts.types import InstrumentId, Side

Holding = tuple[str, InstrumentId]
"""A strategy and an instrument."""

ZERO = Decimal(0)


@dataclass(slots=True)
class Pending:
    """An approved order that may still fill."""

    holding: Holding
    side: Side
    leaves: Decimal


@dataclass(slots=True)
class ExposureState:
    positions: list[tuple[Holding, Decimal]]
    pending: dict[str, Pending]


class Exposure:
    """Positions by strategy and instrument, from fills alone, and the approved orders that may still change them."""

    def __init__(self) -> None:
        self.positions: dict[Holding, Decimal] = {}
        self.pending: dict[str, Pending] = {}

    def state(self) -> ExposureState:
        return ExposureState(list(self.positions.items()), self.pending)

    def restore(self, state: ExposureState) -> None:
        self.positions = dict(state.positions)
        self.pending = state.pending

    def reserve(self, order: OrderTerms) -> None:
        self.pending[order.client_order_id] = Pending((order.strategy, order.instrument), order.side, order.quantity)

    def filled(self, fill: OrderFilled) -> None:
        holding = (fill.strategy, fill.instrument)
        self.positions[holding] = self.positions.get(holding, ZERO) + fill.side.sign * fill.quantity
        if fill.leaves == 0:
            self.pending.pop(fill.client_order_id, None)
        elif pending := self.pending.get(fill.client_order_id):
            pending.leaves = fill.leaves

    def released(self, client_order_id: str) -> None:
        self.pending.pop(client_order_id, None)

    def reducible(self, order: OrderTerms) -> Decimal:
        """How much of the position this order may take away, beyond what other pending orders already will."""
        held = self.positions.get((order.strategy, order.instrument), ZERO)
        if held == 0 or (held > 0) is (order.side is Side.BUY):
            return ZERO
        leaving = sum(
            (
                pending.leaves
                for pending in self.pending.values()
                if pending.holding == (order.strategy, order.instrument) and pending.side is order.side
            ),
            ZERO,
        )
        return max(abs(held) - leaving, ZERO)

    def worst_case(self, order: OrderTerms) -> dict[Holding, Decimal]:
        """The largest absolute position of each holding if `order` and the pending orders of either side fill."""
        rises: dict[Holding, Decimal] = {}
        falls: dict[Holding, Decimal] = {}
        for holding, side, leaves in self._open(order):
            sums = rises if side is Side.BUY else falls
            sums[holding] = sums.get(holding, ZERO) + leaves
        return {
            holding: max(
                abs(self.positions.get(holding, ZERO) + rises.get(holding, ZERO)),
                abs(self.positions.get(holding, ZERO) - falls.get(holding, ZERO)),
            )
            for holding in {**self.positions, **rises, **falls}
        }

    def _open(self, order: OrderTerms) -> Iterable[tuple[Holding, Side, Decimal]]:
        yield (order.strategy, order.instrument), order.side, order.quantity
        for pending in self.pending.values():
            yield pending.holding, pending.side, pending.leaves
