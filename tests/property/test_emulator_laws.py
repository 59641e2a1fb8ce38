"""Laws of the emulated exchange: whatever is ordered and however the market moves, its books hold."""

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from venues.emulator import Board, Emulator, EmulatorSettings, FeeAsset
from venues.emulator.orders import ZERO, Ticket
from venues.emulator.refusals import Refusal
from venues.emulator.words import (
    ALGO_KINDS,
    CONDITIONAL_ON_SPOT,
    LIMITED_ALGO,
    LIMITED_ON_SPOT,
    SPOT_KINDS,
    Kind,
    PositionSide,
    Side,
    Status,
    TimeInForce,
)

SYMBOL = "BTCUSDT"
PRICE = 60_000
Step = Callable[[Emulator, int], None]
FORCES = (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK)


def price_by(chance: Random) -> Decimal:
    return Decimal(chance.randint(PRICE - 30, PRICE + 30))


def quantity_by(chance: Random) -> Decimal:
    return Decimal(chance.randint(1, 1_500)) / 1_000


def ordered_by(chance: Random, kind: Kind) -> dict[str, object]:
    return {
        "kind": kind,
        "side": chance.choice(list(Side)),
        "client_id": f"id-{chance.randint(0, 20)}",
        "quantity": quantity_by(chance),
    }


def spot_order(chance: Random) -> Step:
    kind = chance.choice(SPOT_KINDS)
    values = {
        **ordered_by(chance, kind),
        "price": price_by(chance) if kind in LIMITED_ON_SPOT else None,
        "stop_price": price_by(chance) if kind in CONDITIONAL_ON_SPOT else None,
        "time_in_force": chance.choice(FORCES) if kind is Kind.LIMIT else TimeInForce.GTC,
    }
    return lambda emulator, now: attempt(
        lambda: emulator.books.spot_venue.place(ticket(emulator, Board.SPOT, **values), now)
    )


def usdm_order(chance: Random) -> Step:
    kind = chance.choice([Kind.LIMIT, Kind.MARKET])
    values = {
        **ordered_by(chance, kind),
        "price": price_by(chance) if kind is Kind.LIMIT else None,
        "time_in_force": chance.choice(list(TimeInForce)) if kind is Kind.LIMIT else TimeInForce.GTC,
        "reduce_only": chance.random() < 0.3,
    }
    return lambda emulator, now: attempt(
        lambda: emulator.books.usdm_venue.place(ticket(emulator, Board.USDM, **values), now)
    )


def algo_order(chance: Random) -> Step:
    kind = chance.choice(ALGO_KINDS)
    trails = kind is Kind.TRAILING_STOP_MARKET
    values = {
        **ordered_by(chance, kind),
        "price": price_by(chance) if kind in LIMITED_ALGO else None,
        "stop_price": None if trails else price_by(chance),
        "trailing": Decimal("0.0002") if trails else None,
        "reduce_only": chance.random() < 0.3,
    }
    return lambda emulator, now: attempt(
        lambda: emulator.books.usdm_venue.arm(ticket(emulator, Board.USDM, **values), now)
    )


def quote(chance: Random) -> Step:
    middle, half = price_by(chance), chance.randint(1, 5)
    bids = {middle - half - level: quantity_by(chance) for level in range(2)}
    asks = {middle + half + level: quantity_by(chance) for level in range(2)}

    def show(emulator: Emulator, now: int) -> None:
        for board in Board:
            emulator.books.venue(board).show(SYMBOL, bids, asks, now)

    return show


def trade(chance: Random) -> Step:
    price, size, side = price_by(chance), quantity_by(chance), chance.choice(list(Side))

    def print_trade(emulator: Emulator, now: int) -> None:
        for board in Board:
            emulator.books.venue(board).trade(SYMBOL, price, size, side, now)

    return print_trade


def cancel(chance: Random) -> Step:
    board, choice = chance.choice(list(Board)), chance.randint(0, 5)

    def cancel_one(emulator: Emulator, now: int) -> None:
        venue = emulator.books.venue(board)
        for order in list(venue.open.values())[choice : choice + 1]:
            venue.cancel(order, now, "by-hand")

    return cancel_one


def amendment(chance: Random) -> Step:
    price, quantity, choice = price_by(chance), quantity_by(chance), chance.randint(0, 3)

    def amend(emulator: Emulator, now: int) -> None:
        venue = emulator.books.usdm_venue
        for order in list(venue.open.values())[choice : choice + 1]:
            attempt(partial(venue.amend, order, price, quantity, now))

    return amend


def funding(chance: Random) -> Step:
    mark, rate = price_by(chance), Decimal(chance.randint(-300, 300)) / 100_000

    def fund(emulator: Emulator, now: int) -> None:
        emulator.books.usdm_venue.mark(SYMBOL, mark, None, now)
        emulator.books.usdm_venue.fund(SYMBOL, rate, now)

    return fund


MOVES = (spot_order, spot_order, usdm_order, usdm_order, algo_order, quote, quote, trade, cancel, amendment, funding)


def move_by(number: int) -> Step:
    """One number stands for one move: shrinking drops moves, and drawing is cheap."""
    chance = Random(number)  # noqa: S311 - to be the same again
    return chance.choice(MOVES)(chance)


steps = st.lists(st.integers(0, 2**32 - 1).map(move_by), min_size=10, max_size=40)


def attempt(action: Callable[[], object]) -> None:
    try:
        action()
    except Refusal:
        return


def ticket(emulator: Emulator, board: Board, **values: object) -> Ticket:
    return Ticket(pair=emulator.books.venue(board).market(SYMBOL).pair, **values)  # type: ignore[arg-type]


def opened(settings: EmulatorSettings) -> Emulator:
    """Make an emulator with a book on both boards."""
    emulator = Emulator(settings)
    for board in Board:
        size = Decimal("0.4")
        bids = {Decimal(PRICE - level): size for level in (1, 2)}
        asks = {Decimal(PRICE + level): size for level in (1, 2)}
        emulator.books.venue(board).show(SYMBOL, bids, asks, 0)
    return emulator


def played(fee_asset: FeeAsset, moves: list[Step], after_each: Callable[[Emulator], None]) -> None:
    settings = EmulatorSettings(
        fee_asset=fee_asset,
        usdm_balances={"USDT": Decimal(20_000), "BNB": Decimal("0.05")},
        spot_balances={"USDT": Decimal(70_000), "BTC": Decimal(1), "BNB": Decimal("0.05")},
    )
    emulator = opened(settings)
    for now, move in enumerate(moves, start=1):
        move(emulator, now)
        after_each(emulator)


fee_assets = st.sampled_from(FeeAsset)


@given(fee_asset=fee_assets, moves=steps)
def test_nothing_appears_from_nowhere(fee_asset: FeeAsset, moves: list[Step]) -> None:
    def check(emulator: Emulator) -> None:
        assert emulator.books.spot.imbalance() == {}
        assert emulator.books.usdm.ledger.imbalance() == {}

    played(fee_asset, moves, check)


@given(fee_asset=fee_assets, moves=steps)
def test_spot_balances_are_the_deposits_and_what_the_executions_moved(fee_asset: FeeAsset, moves: list[Step]) -> None:
    def check(emulator: Emulator) -> None:
        books = emulator.books
        expected = defaultdict(Decimal, emulator.settings.spot_balances)
        for order, fill in books.fills(Board.SPOT):
            expected["BTC"] += order.side.sign * fill.quantity
            expected["USDT"] -= order.side.sign * fill.price * fill.quantity
            expected[fill.fee_asset] -= fill.fee
        assert {asset: books.balance(asset) for asset in expected} == dict(expected)

    played(fee_asset, moves, check)


@given(fee_asset=fee_assets, moves=steps)
def test_spot_never_owes_and_locks_what_its_open_orders_may_cost(fee_asset: FeeAsset, moves: list[Step]) -> None:
    def check(emulator: Emulator) -> None:
        ledger = emulator.books.spot
        reserved: defaultdict[str, Decimal] = defaultdict(Decimal)
        for order in emulator.books.open_orders(Board.SPOT):
            reserved["USDT" if order.side is Side.BUY else "BTC"] += order.reserved
        for asset in ledger.assets:
            assert ledger.free(asset) >= 0
            assert ledger.locked(asset) == reserved[asset]

    played(fee_asset, moves, check)


@given(fee_asset=fee_assets, moves=steps)
def test_a_usdm_wallet_is_the_deposit_and_every_income(fee_asset: FeeAsset, moves: list[Step]) -> None:
    def check(emulator: Emulator) -> None:
        account = emulator.books.usdm
        fills = emulator.books.fills(Board.USDM)
        expected = defaultdict(Decimal, emulator.settings.usdm_balances)
        for income in account.incomes:
            expected[income.asset] += income.amount
        paid = sum((fill.fee for _, fill in fills if fill.fee_asset == "USDT"), ZERO)
        realized = sum((fill.realized for _, fill in fills), ZERO)
        funded = sum((income.amount for income in account.incomes if income.kind == "FUNDING_FEE"), ZERO)
        assert {asset: account.ledger.free(asset) for asset in expected} == dict(expected)
        assert account.ledger.free("USDT") == Decimal(20_000) + realized + funded - paid

    played(fee_asset, moves, check)


@given(moves=steps)
def test_a_position_is_its_executions_and_no_digit_of_its_profit_is_lost(moves: list[Step]) -> None:
    def check(emulator: Emulator) -> None:
        position = emulator.books.usdm.position(SYMBOL, PositionSide.BOTH)
        fills = emulator.books.fills(Board.USDM)
        assert position.amount == sum((order.side.sign * fill.quantity for order, fill in fills), ZERO)
        spent = sum((order.side.sign * fill.quote for order, fill in fills), ZERO)
        assert position.cost == spent + position.realized
        assert position.amount != 0 or position.cost == 0

    played(FeeAsset.QUOTE, moves, check)


@given(moves=steps)
def test_an_order_is_open_until_it_is_filled_or_ended_and_never_overfilled(moves: list[Step]) -> None:
    def check(emulator: Emulator) -> None:
        for board in Board:
            venue = emulator.books.venue(board)
            for order in venue.orders.values():
                assert sum((fill.quantity for fill in order.fills), ZERO) == order.filled <= order.quantity
                assert order.status.is_open == (order.id in venue.open)
                assert (order.status is Status.FILLED) == (order.filled == order.quantity)
            client_ids = [order.ticket.client_id for order in venue.open.values()]
            assert len(set(client_ids)) == len(client_ids)

    played(FeeAsset.QUOTE, moves, check)


@given(moves=steps)
def test_limit_orders_trade_at_their_price_or_better(moves: list[Step]) -> None:
    def check(emulator: Emulator) -> None:
        for board in Board:
            for order, fill in emulator.books.fills(board):
                limit = order.ticket.price
                if limit is not None and order.price == limit:
                    assert (limit - fill.price) * order.side.sign >= 0

    played(FeeAsset.QUOTE, moves, check)


@given(moves=steps)
def test_the_same_moves_give_the_same_books(moves: list[Step]) -> None:
    def final() -> list[tuple[int, Status, Decimal, Decimal]]:
        emulator = opened(EmulatorSettings())
        for now, move in enumerate(moves, start=1):
            move(emulator, now)
        orders = [order for board in Board for order in emulator.books.orders(board)]
        return [(order.id, order.status, order.filled, order.quote) for order in orders]

    assert final() == final()
