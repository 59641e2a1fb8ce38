"""Laws of the books, whatever is bought, sold, paid and funded, and however positions are kept."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar, cast

from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.books import EquityMarked, PortfolioMarked, PositionChanged, PositionClosed
from contracts.codec import encode
from contracts.control import Alert
from contracts.event import Event
from contracts.laws import Law
from contracts.laws.books import Books
from contracts.market import Funding
from contracts.orders import OrderFilled, OrderInitialized
from contracts.recorded import Recorded
from contracts.types import InstrumentId, PositionSide, Side
from contracts.venue import FundingPaid
from services.portfolio.bookable import LARGEST, divided, objection_to_fill
from services.portfolio.ledger import Account, AccountKind, Entry, Ledger, Unbalanced
from services.portfolio.position import CENT_OF_COST, Position
from services.portfolio.rules import Portfolio
from services.portfolio.settings import CostMethod, PortfolioSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, START, filled, quote, terms, tick

E = TypeVar("E", bound=Event)

CAPITAL = Decimal(100_000)
BNB = InstrumentId("sim.BNBUSDT")
PRICES = st.decimals(Decimal("0.01"), Decimal(100_000), places=2)
QUANTITIES = st.decimals(Decimal("0.00001"), Decimal(1000), places=5)
FEES = st.decimals(Decimal(-5), Decimal(50), places=8)
INSTRUMENTS = st.sampled_from([BTC, ETH])
STRATEGIES = st.sampled_from(["trend", "scalper"])
REDUCING = [f"trend-2-{number}" for number in range(4)]
FEE_CURRENCIES = st.sampled_from([None, None, "USDT", "BNB", "BTC"])

METHODS = st.sampled_from(CostMethod)
SETTINGS = st.builds(
    PortfolioSettings,
    capital=st.just(CAPITAL),
    cost=METHODS,
    hedging=st.sampled_from([(), ("trend",), ("trend", "scalper")]),
)


@st.composite
def fills(draw: st.DrawFn) -> OrderFilled:
    order = terms(
        draw(st.sampled_from(Side)),
        str(draw(QUANTITIES)),
        order_id=draw(st.sampled_from(["trend-1-0", *REDUCING])),
        strategy=draw(STRATEGIES),
        instrument=draw(INSTRUMENTS),
    )
    fill = filled(order, price=str(draw(PRICES)), fee=str(draw(FEES)))
    return replace(fill, fee_currency=draw(FEE_CURRENCIES))


@st.composite
def quotes(draw: st.DrawFn) -> Event:
    bid, ask = sorted((float(draw(PRICES)), float(draw(PRICES))))
    return quote(bid, ask, instrument=draw(st.sampled_from([BTC, ETH, BNB])))


def reducing_order(order_id: str) -> OrderInitialized:
    return OrderInitialized(ts_event=START, ts_init=START, order=terms(order_id=order_id, reduce_only=True))


REDUCING_ORDERS = st.sampled_from(REDUCING).map(reducing_order)
FUNDING_PAID = st.builds(
    FundingPaid,
    ts_event=st.just(START),
    ts_init=st.just(START),
    instrument=INSTRUMENTS,
    strategy=st.one_of(st.none(), STRATEGIES),
    amount=FEES,
    currency=st.just("USDT"),
    rate=st.just(0.0001),
    quantity=st.just(Decimal(1)),
    funding_id=st.integers(0, 9).map(str),
)
MARKS = st.builds(
    Funding,
    ts_event=st.just(START),
    ts_init=st.just(START),
    instrument=INSTRUMENTS,
    mark=PRICES.map(float),
    index=st.just(1.0),
    rate=st.just(0.0001),
    next_at=st.just(START),
)
HISTORIES = st.lists(
    st.one_of(fills(), fills(), fills(), quotes(), st.just(tick(1.0)), REDUCING_ORDERS, FUNDING_PAID, MARKS),
    max_size=16,
)


def kept(history: Sequence[Event], settings: PortfolioSettings) -> tuple[Portfolio, MemoryTape]:
    portfolio = Portfolio(settings)
    tape = MemoryTape([portfolio])
    tape.play(history)
    return portfolio, tape


def last_quantities(tape: MemoryTape) -> dict[tuple[str, str, PositionSide], Decimal]:
    said = tape.of_type(PositionChanged)
    return {(changed.strategy, changed.instrument, changed.position_side): changed.quantity for changed in said}


def of_type(history: Sequence[Event], event_type: type[E]) -> list[E]:
    return [event for event in history if isinstance(event, event_type)]


@given(HISTORIES, SETTINGS)
def test_the_ledger_sums_to_zero_in_every_unit(history: list[Event], settings: PortfolioSettings) -> None:
    portfolio, _ = kept(history, settings)
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for account, amount in portfolio.ledger.balances.items():
        sums[account.unit] += amount
    assert all(total == 0 for total in sums.values())


@given(HISTORIES, SETTINGS)
def test_equity_is_exactly_what_is_there_and_exactly_capital_and_what_was_earned(
    history: list[Event], settings: PortfolioSettings
) -> None:
    _, tape = kept(history, settings)
    for marked in tape.of_type(EquityMarked):
        values = [one.value for one in marked.positions] + [one.value for one in marked.balances]
        assert marked.equity == marked.cash + sum(values)
        earned = marked.realized_pnl + marked.unrealized_pnl - marked.fees + marked.funding
        assert marked.equity == CAPITAL + earned
        assert all(position.value == position.quantity * position.mark for position in marked.positions)
        assert all(balance.value == balance.amount * balance.rate for balance in marked.balances)


@given(HISTORIES, SETTINGS)
def test_the_ledger_and_the_positions_hold_the_same(history: list[Event], settings: PortfolioSettings) -> None:
    portfolio, tape = kept(history, settings)
    last = last_quantities(tape)
    balance = portfolio.ledger.balance
    assert last == {
        (strategy, instrument, side): balance(AccountKind.POSITION, strategy, instrument, side)
        for strategy, instrument, side in last
    }
    assert all(quantity >= 0 for (*_, side), quantity in last.items() if side is PositionSide.LONG)
    assert all(quantity <= 0 for (*_, side), quantity in last.items() if side is PositionSide.SHORT)


@given(HISTORIES, SETTINGS)
def test_what_is_held_is_what_was_bought_less_what_was_sold(history: list[Event], settings: PortfolioSettings) -> None:
    _, tape = kept(history, settings)
    traded: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for fill in of_type(history, OrderFilled):
        traded[fill.strategy, fill.instrument] += fill.side.sign * fill.quantity
    last = {
        (said.strategy, said.instrument, said.position_side): said.quantity for said in tape.of_type(PositionChanged)
    }
    held: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for (strategy, instrument, _), quantity in last.items():
        held[strategy, instrument] += quantity
    assert held == traded


@given(HISTORIES, METHODS)
def test_netting_is_the_sum_of_hedging(history: list[Event], cost: CostMethod) -> None:
    """Funding aside, which is divided by position: kept apart or not, nobody is richer or poorer by it."""
    priced = [quote(), quote(instrument=ETH)]
    traded = [*priced, *(event for event in history if not isinstance(event, FundingPaid))]
    netting, hedging = (
        kept(traded, PortfolioSettings(capital=CAPITAL, cost=cost, hedging=names))[1].of_type(EquityMarked)
        for names in ((), ("trend", "scalper"))
    )
    assert worth(netting) == worth(hedging)


def worth(marks: list[EquityMarked]) -> dict[str, tuple[object, ...]]:
    """Give what each strategy had at last."""
    return {marked.strategy: (marked.cash, marked.fees, marked.balances, marked.equity) for marked in marks}


@given(HISTORIES, SETTINGS)
def test_cash_is_the_capital_and_what_every_fill_and_funding_moved(
    history: list[Event], settings: PortfolioSettings
) -> None:
    portfolio, tape = kept(history, settings)
    booked = [-fill.side.sign * fill.quantity * fill.price for fill in of_type(history, OrderFilled)]
    booked += [-fill.fee for fill in of_type(history, OrderFilled) if fill.fee_currency in (None, "USDT")]
    refused = {said.cause for said in tape.recorded if isinstance(said.event, Alert) and "funding" in said.event.code}
    for position, event in zip(places(history, tape), history, strict=True):
        if isinstance(event, FundingPaid) and position not in refused:
            booked.append(event.amount)
    cash = sum(portfolio.ledger.balance(AccountKind.CASH, strategy, "USDT") for strategy in portfolio.books)
    assert cash == CAPITAL * len(portfolio.books) + sum(booked)


def places(history: Sequence[Event], tape: MemoryTape) -> list[int]:
    """Give the positions that played events got: those that nothing said by the portfolio has."""
    said = {recorded.position for recorded in tape.recorded}
    free = (position for position in range(1, tape.position + 1) if position not in said)
    return [position for position, _ in zip(free, history, strict=True)]


@given(HISTORIES, SETTINGS)
def test_a_venue_got_what_the_strategies_lost_to_it(history: list[Event], settings: PortfolioSettings) -> None:
    portfolio, _ = kept(history, settings)
    for currency in ("USDT", "BNB", "BTC"):
        cash = sum(portfolio.ledger.balance(AccountKind.CASH, name, currency) for name in portfolio.books)
        brought = CAPITAL * len(portfolio.books) if currency == "USDT" else 0
        assert portfolio.ledger.at_venue("sim", currency) == cash - brought


@given(HISTORIES, SETTINGS)
def test_all_that_the_books_say_can_be_written_to_the_tape_and_peaks_never_fall(
    history: list[Event], settings: PortfolioSettings
) -> None:
    _, tape = kept(history, settings)
    peaks: dict[str, Decimal] = {}
    for recorded in tape.recorded:
        assert encode(recorded.event)
        if isinstance(recorded.event, EquityMarked):
            marked = recorded.event
            assert marked.peak == max(peaks.get(marked.strategy, CAPITAL), marked.equity)
            peaks[marked.strategy] = marked.peak


@given(HISTORIES, SETTINGS)
def test_all_together_are_the_sum_of_each(history: list[Event], settings: PortfolioSettings) -> None:
    portfolio, tape = kept([*history, tick(2.0)], settings)
    last = {marked.strategy: marked for marked in tape.of_type(EquityMarked)}
    for total in tape.of_type(PortfolioMarked)[-1:]:
        assert set(last) == set(portfolio.books)
        for name in ("equity", "realized_pnl", "unrealized_pnl", "fees", "funding"):
            assert getattr(total, name) == sum(getattr(marked, name) for marked in last.values())
        assert total.net == sum(position.value for marked in last.values() for position in marked.positions)
        assert abs(total.net) <= total.gross
        assert total.peak >= total.equity


@given(HISTORIES, SETTINGS)
def test_ended_trades_and_the_open_ones_are_all_that_was_realized(
    history: list[Event], settings: PortfolioSettings
) -> None:
    portfolio, tape = kept(history, settings)
    closed = tape.of_type(PositionClosed)
    for strategy, books in portfolio.books.items():
        open_trips = [position.trip for *_, position in books.held()]
        ended = [trade for trade in closed if trade.strategy == strategy]
        assert books.realized_pnl == sum(trip.realized_pnl for trip in (*ended, *open_trips) if trip)
        assert sum(trip.fees for trip in (*ended, *open_trips) if trip) == sum(
            position.fees for side in PositionSide for position in books.of_side(side).values()
        )


def whole(history: Sequence[Event], settings: PortfolioSettings) -> list[Recorded]:
    """Give all positions of the tape on which these books were kept."""
    _, tape = kept([*history, tick(2.0)], settings)
    played = zip(places([*history, tick(2.0)], tape), [*history, tick(2.0)], strict=True)
    outside = [Recorded(position, None, "", 0, event) for position, event in played]
    return sorted([*outside, *tape.recorded], key=lambda recorded: recorded.position)


def violations(tape: Sequence[Recorded]) -> list[tuple[Law, str]]:
    books = Books()
    found: list[tuple[Law, str]] = []
    for recorded in tape:
        check = books.checks.get(type(recorded.event))
        found += (check and check(recorded, recorded.event)) or ()
    return [*found, *books.missing()]


@given(HISTORIES, SETTINGS)
def test_any_books_keep_the_laws_of_the_tape(history: list[Event], settings: PortfolioSettings) -> None:
    assert violations(whole(history, settings)) == []


@given(HISTORIES, SETTINGS, st.sampled_from(["quantity", "fees", "funding"]), st.data())
def test_a_position_that_is_told_wrong_breaks_them(
    history: list[Event], settings: PortfolioSettings, wrong: str, data: st.DataObject
) -> None:
    tape = whole(history, settings)
    changes = [recorded for recorded in tape if isinstance(recorded.event, PositionChanged)]
    foreign = any(fill.fee_currency not in (None, "USDT") for fill in of_type(history, OrderFilled))
    assume(changes and not (wrong == "fees" and foreign))
    last: dict[tuple[str, str, PositionSide], Recorded] = {}
    for recorded in changes:
        said = recorded.event
        assert isinstance(said, PositionChanged)
        last[said.strategy, said.instrument, said.position_side] = recorded
    chosen = data.draw(st.sampled_from(sorted(last.values(), key=lambda recorded: recorded.position)))
    before = getattr(chosen.event, wrong)
    lie = replace(chosen.event, **{wrong: before + 1})
    assert violations([replace(r, event=lie) if r is chosen else r for r in tape])


@given(HISTORIES, SETTINGS)
def test_a_fill_that_is_passed_over_breaks_them(history: list[Event], settings: PortfolioSettings) -> None:
    tape = whole(history, settings)
    fills = [recorded for recorded in tape if isinstance(recorded.event, OrderFilled)]
    assume(fills)
    assert violations([recorded for recorded in tape if recorded.cause != fills[-1].position])


TRADES = st.lists(st.tuples(st.sampled_from(Side), QUANTITIES, PRICES, FEES), max_size=14)
Trades = list[tuple[Side, Decimal, Decimal, Decimal]]


def position_after(trades: Trades, method: CostMethod) -> Position:
    position = Position()
    for side, quantity, price, fee in trades:
        position.trade(side.sign * quantity, price, fee=fee, method=method)
    return position


@given(TRADES, PRICES, METHODS)
def test_a_position_keeps_all_that_its_trades_brought(trades: Trades, mark: Decimal, method: CostMethod) -> None:
    position = position_after(trades, method)
    brought = sum(side.sign * quantity * (mark - price) for side, quantity, price, _ in trades)
    assert position.realized_pnl + position.unrealized_pnl(mark) == brought
    assert position.fees == sum(fee for *_, fee in trades)


@given(TRADES, PRICES)
def test_first_in_first_out_and_average_agree_when_flat(trades: Trades, price: Decimal) -> None:
    average, fifo = (position_after(trades, method) for method in CostMethod)
    assert average.quantity == fifo.quantity
    if average.quantity:
        for position, method in zip((average, fifo), CostMethod, strict=True):
            position.trade(-position.quantity, price, method=method)
    assert average.realized_pnl == fifo.realized_pnl
    assert [average.cost, fifo.cost, fifo.lots, fifo.trip] == [0, 0, [], None]


@given(TRADES)
def test_lots_are_what_is_held_at_what_it_cost(trades: Trades) -> None:
    position = position_after(trades, CostMethod.FIFO)
    assert sum(lot.quantity for lot in position.lots) == position.quantity
    assert sum(lot.quantity * lot.price for lot in position.lots) == position.cost
    assert all((lot.quantity > 0) is (position.quantity > 0) for lot in position.lots)


@given(TRADES, METHODS)
def test_an_average_price_lies_between_the_prices_that_were_paid(trades: Trades, method: CostMethod) -> None:
    position = Position()
    for side, quantity, price, _ in trades:
        position.trade(side.sign * quantity, price, method=method)
        average = position.average_price
        assert (average is None) is (position.quantity == 0)
        lowest, highest = min(p for _, _, p, _ in trades), max(p for _, _, p, _ in trades)
        assert average is None or lowest - CENT_OF_COST <= average <= highest + CENT_OF_COST


@given(FEES, st.lists(QUANTITIES | QUANTITIES.map(lambda quantity: -quantity), min_size=1, max_size=6))
def test_shares_sum_to_what_is_divided(amount: Decimal, weights: list[Decimal]) -> None:
    if sum(weights):
        assert sum(divided(amount, weights, CENT_OF_COST)) == amount


AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-1e13"), max_value=Decimal("1e13"))
AMOUNTS |= st.builds(
    Decimal.scaleb, st.integers(1, 999).map(Decimal), st.sampled_from([-20, -18, -15, -13, -12, -3, 0, 9, 12])
)


def fits(amount: Decimal, places: int) -> bool:
    return abs(amount) < LARGEST and cast("int", amount.as_tuple().exponent) >= -places


@given(AMOUNTS.map(abs), AMOUNTS.map(abs), AMOUNTS)
def test_a_fill_is_booked_when_each_of_its_amounts_can_be_kept(quantity: Decimal, price: Decimal, fee: Decimal) -> None:
    fill = replace(filled(terms()), quantity=quantity, price=price, fee=fee)
    can_be_kept = quantity > 0 and price > 0 and fits(quantity, 12) and fits(price, 18) and fits(fee, 12)
    assert (objection_to_fill(fill, "USDT") is None) is can_be_kept


@given(HISTORIES, SETTINGS)
def test_what_is_found_once_is_what_would_be_found_each_time(history: list[Event], settings: PortfolioSettings) -> None:
    keeps, begins_anew = Portfolio(settings), Portfolio(settings)
    for event in history:
        begins_anew.restore(begins_anew.state())
        said, anew = (list(books.handlers()[type(event)](event) or ()) for books in (keeps, begins_anew))
        assert repr(said) == repr(anew)
    assert repr(keeps.state()) == repr(begins_anew.state())


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
