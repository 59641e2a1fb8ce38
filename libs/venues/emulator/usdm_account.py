"""The USD-M account: a wallet, positions at average cost, cross margin, funding."""

from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from venues.emulator.account import BnbPrice, Commission
from venues.emulator.ledger import UNIT, Ledger, Place
from venues.emulator.market import Market
from venues.emulator.orders import ZERO, Fill, Order
from venues.emulator.refusals import insufficient, reduce_only_rejected
from venues.emulator.settings import EmulatorSettings
from venues.emulator.words import Board, PositionSide, Side

Key = tuple[str, PositionSide]


@dataclass(slots=True)
class Position:
    """A position: `amount` in base (negative: short), `cost` what it cost in quote (negative: short)."""

    amount: Decimal = ZERO
    cost: Decimal = ZERO
    realized: Decimal = ZERO
    updated: int = 0

    @property
    def entry(self) -> Decimal:
        return self.cost / self.amount if self.amount else ZERO

    def unrealized(self, mark: Decimal) -> Decimal:
        return mark * self.amount - self.cost

    def trade(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Trade a signed quantity; give the profit that was realized, to the last booked digit."""
        realized = ZERO
        closing = ZERO
        if self.amount * quantity < 0:
            closing = -quantity if abs(quantity) <= abs(self.amount) else self.amount
            realized = self._close(closing, price)
        opening = quantity + closing
        self.amount += opening
        self.cost += opening * price
        return realized

    def _close(self, part: Decimal, price: Decimal) -> Decimal:
        """Close a part of the position; rounding stays in the cost of what is left, so none is lost."""
        with localcontext() as context:
            context.prec = 50
            share = self.cost if part == self.amount else self.cost * part / self.amount
            realized = (part * price - share).quantize(UNIT, ROUND_HALF_EVEN)
            self.cost -= part * price - realized
        self.amount -= part
        self.realized += realized
        if self.amount == 0:
            assert self.cost == 0, "a flat position costs nothing"
        return realized


@dataclass(frozen=True, slots=True)
class Income:
    """A movement of the wallet that the account's owner can ask for; `time` in ms."""

    id: int
    symbol: str
    kind: str
    amount: Decimal
    asset: str
    time: int
    trade_id: str = ""


@dataclass(slots=True)
class UsdmAccount:
    """Wallet and positions. Losses may exceed the wallet: nobody liquidates here unless the market is marked."""

    settings: EmulatorSettings
    markets: dict[str, Market]
    bnb_price: BnbPrice
    ledger: Ledger = field(default_factory=Ledger)
    positions: dict[Key, Position] = field(default_factory=dict)
    leverages: dict[str, int] = field(default_factory=dict)
    isolated: set[str] = field(default_factory=set)
    incomes: list[Income] = field(default_factory=list)
    orders: dict[int, Order] = field(default_factory=dict)
    is_hedged: bool = False
    commission: Commission = field(init=False)

    def __post_init__(self) -> None:
        self.commission = Commission(self.settings, Board.USDM, self.ledger, self.bnb_price)
        for asset, amount in self.settings.usdm_balances.items():
            self.ledger.move(asset, amount, Place.OUTSIDE, Place.FREE, "deposit", 0)

    def position(self, symbol: str, side: PositionSide = PositionSide.BOTH) -> Position:
        return self.positions.setdefault((symbol, side), Position())

    def leverage(self, symbol: str) -> int:
        return self.leverages.get(symbol, self.settings.leverage)

    def reducible(self, order: Order) -> Decimal:
        """Say how much of the position an order could close."""
        position = self.position(order.pair.symbol, order.ticket.position_side)
        opposite = position.amount * order.side.sign < 0
        return abs(position.amount) if opposite else ZERO

    def admit(self, order: Order, cost: Decimal | None, now: int) -> None:  # noqa: ARG002
        if order.ticket.reduce_only:
            if self.reducible(order) == 0:
                raise reduce_only_rejected()
            return
        self._require(order, order.price or ZERO, order.quantity, cost)
        self.orders[order.id] = order

    def amend(self, order: Order, price: Decimal, quantity: Decimal) -> None:
        """Refuse a new price and quantity that margin does not cover."""
        if not order.ticket.reduce_only:
            self.orders.pop(order.id, None)
            try:
                self._require(order, price, quantity - order.filled, None)
            finally:
                self.orders[order.id] = order

    def affordable(self, order: Order, price: Decimal, quantity: Decimal) -> Decimal:  # noqa: ARG002
        return min(quantity, self.reducible(order)) if order.ticket.reduce_only else quantity

    def settle(self, order: Order, fill_id: int, price: Decimal, quantity: Decimal, now: int, *, maker: bool) -> Fill:
        symbol, quote = order.pair.symbol, order.pair.quote
        position = self.position(symbol, order.ticket.position_side)
        realized = position.trade(quantity * order.side.sign, price)
        position.updated = now
        if realized:
            self.ledger.move(quote, realized, Place.MARKET, Place.FREE, "profit", now)
            self.income(symbol, "REALIZED_PNL", realized, quote, now, str(fill_id))
        fee, fee_asset = self.commission.charge(order, price, quantity, now, maker=maker)
        if fee:
            self.income(symbol, "COMMISSION", -fee, fee_asset, now, str(fill_id))
        order.filled += quantity
        order.quote += price * quantity
        order.realized += realized
        if order.leaves == 0:
            self.orders.pop(order.id, None)
        return Fill(fill_id, price, quantity, price * quantity, fee, fee_asset, maker, realized, now)

    def release(self, order: Order, now: int) -> None:  # noqa: ARG002
        self.orders.pop(order.id, None)

    def fund(self, symbol: str, rate: Decimal, mark: Decimal, now: int) -> list[Income]:
        """Settle funding: a long pays a positive rate on its notional at the mark price, a short receives it."""
        quote = self.markets[symbol].pair.quote
        paid: list[Income] = []
        for (name, _), position in self.positions.items():
            if name == symbol and position.amount:
                amount = (-position.amount * mark * rate).quantize(UNIT, ROUND_HALF_EVEN)
                self.ledger.move(quote, amount, Place.FUNDING, Place.FREE, "funding", now)
                paid.append(self.income(symbol, "FUNDING_FEE", amount, quote, now))
        return paid

    def income(self, symbol: str, kind: str, amount: Decimal, asset: str, now: int, trade_id: str = "") -> Income:
        entry = Income(len(self.incomes) + 1, symbol, kind, amount, asset, now, trade_id)
        self.incomes.append(entry)
        return entry

    def unrealized(self, quote: str = "USDT") -> Decimal:
        parts = (
            position.unrealized(mark)
            for (symbol, _), position in self.positions.items()
            if self.markets[symbol].pair.quote == quote and (mark := self.markets[symbol].mark) is not None
        )
        return sum(parts, ZERO)

    def position_margin(self, symbol: str, position: Position) -> Decimal:
        mark = self.markets[symbol].mark or ZERO
        return abs(position.amount) * mark / self.leverage(symbol)

    def margins(self, quote: str = "USDT") -> tuple[Decimal, Decimal]:
        """Say the initial margin of all positions and of all open orders."""
        positions = (
            self.position_margin(symbol, position)
            for (symbol, _), position in self.positions.items()
            if self.markets[symbol].pair.quote == quote
        )
        orders = (
            order.leaves * (order.price or ZERO) / self.leverage(order.pair.symbol)
            for order in self.orders.values()
            if order.pair.quote == quote
        )
        return sum(positions, ZERO), sum(orders, ZERO)

    def available(self, quote: str = "USDT") -> Decimal:
        """What may still be put at risk."""
        return self.ledger.free(quote) + self.unrealized(quote) - sum(self.margins(quote))

    def _require(self, order: Order, price: Decimal, quantity: Decimal, cost: Decimal | None) -> None:
        """Refuse what margin does not cover; what only closes needs none."""
        notional = cost if cost is not None else price * quantity
        opening = max(quantity - self.reducible(order), ZERO) / quantity if quantity else ZERO
        if self.is_hedged and _closes(order):
            if quantity > self.reducible(order):
                raise reduce_only_rejected()
            return
        needed = notional * opening / self.leverage(order.pair.symbol) + notional * opening * self.commission.worst()
        if needed > max(self.available(order.pair.quote), ZERO):
            raise insufficient(Board.USDM)


def _closes(order: Order) -> bool:
    """In hedge mode the side of the position says whether an order opens or closes."""
    side = order.ticket.position_side
    return (side is PositionSide.LONG) == (order.side is Side.SELL)
