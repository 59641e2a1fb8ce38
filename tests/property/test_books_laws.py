"""Laws of the books, whatever is bought and sold."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from contracts.books import EquityMarked, PositionChanged
from contracts.codec import encode
from contracts.event import Event
from contracts.orders import OrderFilled
from contracts.types import Side
from services.portfolio.ledger import Account, AccountKind, Entry, Ledger, Unbalanced
from services.portfolio.position import Position
from services.portfolio.rules import Portfolio
from services.portfolio.settings import PortfolioSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, filled, quote, terms, tick

CAPITAL = Decimal(100_000)
PRICES = st.decimals(Decimal("0.01"), Decimal(100_000), places=2)
QUANTITIES = st.decimals(Decimal("0.00001"), Decimal(1000), places=5)
FEES = st.decimals(Decimal(-5), Decimal(50), places=8)


@st.composite
def fills(draw: st.DrawFn) -> OrderFilled:
    order = terms(
        draw(st.sampled_from(Side)),
        str(draw(QUANTITIES)),
        strategy=draw(st.sampled_from(["trend", "scalper"])),
        instrument=draw(st.sampled_from([BTC, ETH])),
    )
    return filled(order, price=str(draw(PRICES)), fee=str(draw(FEES)))


@st.composite
def quotes(draw: st.DrawFn) -> Event:
    bid, ask = sorted((float(draw(PRICES)), float(draw(PRICES))))
    return quote(bid, ask, instrument=draw(st.sampled_from([BTC, ETH])))


HISTORIES = st.lists(st.one_of(fills(), fills(), quotes(), st.just(tick(1.0))), max_size=14)


def kept(history: Sequence[Event]) -> tuple[Portfolio, MemoryTape]:
    portfolio = Portfolio(PortfolioSettings(capital=CAPITAL))
    tape = MemoryTape([portfolio])
    tape.play(history)
    return portfolio, tape


@given(HISTORIES)
def test_the_ledger_sums_to_zero_in_every_unit(history: list[Event]) -> None:
    portfolio, _ = kept(history)
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for account, amount in portfolio.ledger.balances.items():
        sums[account.unit] += amount
    assert all(total == 0 for total in sums.values())


@given(HISTORIES)
def test_equity_is_exactly_cash_and_positions_and_exactly_capital_and_what_was_earned(history: list[Event]) -> None:
    _, tape = kept(history)
    for marked in tape.of_type(EquityMarked):
        assert marked.equity == marked.cash + sum(position.value for position in marked.positions)
        assert marked.equity == CAPITAL + marked.realized_pnl + marked.unrealized_pnl - marked.fees
        assert marked.unrealized_pnl == sum(position.unrealized_pnl for position in marked.positions)
        assert all(position.value == position.quantity * position.mark for position in marked.positions)


@given(HISTORIES)
def test_the_ledger_and_the_positions_hold_the_same(history: list[Event]) -> None:
    portfolio, tape = kept(history)
    held: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for fill in history:
        if isinstance(fill, OrderFilled):
            held[fill.strategy, fill.instrument] += fill.side.sign * fill.quantity
    last = {(said.strategy, said.instrument): said.quantity for said in tape.of_type(PositionChanged)}
    booked = {at: portfolio.ledger.balance(AccountKind.POSITION, *at) for at in held}
    assert held == last == booked


@given(HISTORIES)
def test_cash_is_the_capital_and_what_every_fill_moved(history: list[Event]) -> None:
    portfolio, _ = kept(history)
    mine = [fill for fill in history if isinstance(fill, OrderFilled) and fill.strategy == "trend"]
    moved = sum(-fill.side.sign * fill.quantity * fill.price - fill.fee for fill in mine)
    assert portfolio.ledger.balance(AccountKind.CASH, "trend", "USDT") == (CAPITAL + moved if mine else 0)


@given(HISTORIES)
def test_all_that_the_books_say_can_be_written_to_the_tape_and_peaks_never_fall(history: list[Event]) -> None:
    _, tape = kept(history)
    peaks: dict[str, Decimal] = {}
    for recorded in tape.recorded:
        assert encode(recorded.event)
        if isinstance(recorded.event, EquityMarked):
            marked = recorded.event
            assert marked.peak == max(peaks.get(marked.strategy, CAPITAL), marked.equity)
            peaks[marked.strategy] = marked.peak


@given(st.lists(st.tuples(st.sampled_from(Side), QUANTITIES, PRICES), max_size=14), PRICES)
def test_a_position_keeps_all_that_its_trades_brought(
    trades: list[tuple[Side, Decimal, Decimal]], mark: Decimal
) -> None:
    position = Position()
    for side, quantity, price in trades:
        position.trade(side.sign * quantity, price)
    brought = sum(side.sign * quantity * (mark - price) for side, quantity, price in trades)
    assert position.realized_pnl + position.unrealized_pnl(mark) == brought


@given(st.lists(st.tuples(st.sampled_from(Side), QUANTITIES, PRICES), min_size=1, max_size=14))
def test_an_average_price_lies_between_the_prices_that_were_paid(
    trades: list[tuple[Side, Decimal, Decimal]],
) -> None:
    position = Position()
    for side, quantity, price in trades:
        position.trade(side.sign * quantity, price)
        average = position.average_price
        assert (average is None) is (position.quantity == 0)
        assert average is None or min(p for *_, p in trades) <= average <= max(p for *_, p in trades)


ACCOUNTS = st.builds(
    Account, st.sampled_from(AccountKind), st.sampled_from(["trend", "scalper"]), st.sampled_from(["USDT", BTC])
)
ENTRIES = st.builds(Entry, ACCOUNTS, st.decimals(-10, 10, places=1))


@given(st.lists(ENTRIES, max_size=6))
def test_a_posting_is_booked_whole_or_not_at_all(entries: list[Entry]) -> None:
    ledger = Ledger()
    try:
        ledger.post(entries)
    except Unbalanced:
        assert ledger.balances == {}
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for account, amount in ledger.balances.items():
        sums[account.unit] += amount
    assert all(total == 0 for total in sums.values())
