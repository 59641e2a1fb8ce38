"""The parts of the emulated exchange that need no network: faults, limits, triggers, candles, frames, positions."""

import gzip
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from venues.emulator import Board, Emulator, EmulatorSettings, Fault, FaultKind, Faults, Pair, Recording, Side
from venues.emulator.book import Book
from venues.emulator.candles import INTERVALS, Candles, opened
from venues.emulator.frames import MarkFrame, QuoteFrame, TradeFrame, read
from venues.emulator.ledger import Ledger, Place
from venues.emulator.limits import Limits
from venues.emulator.orders import Ticket
from venues.emulator.params import Params
from venues.emulator.refusals import Refusal
from venues.emulator.triggers import Trigger
from venues.emulator.usdm_account import Position
from venues.emulator.words import Kind

MINUTE = 60_000


def strikes(faults: Faults, site: str, times: int) -> list[bool]:
    return [bool(faults.strike(site, now)) for now in range(times)]


def test_a_fault_strikes_from_the_nth_time_on_and_as_often_as_it_may() -> None:
    faults = Faults(seed=1)
    faults.add(Fault(kind=FaultKind.HOLD, at="POST *", nth=3, times=2))
    assert strikes(faults, "POST /api/v3/order", 6) == [False, False, True, True, False, False]


def test_only_sites_that_match_are_counted() -> None:
    faults = Faults(seed=1)
    faults.add(Fault(kind=FaultKind.HOLD, at="POST /api/*", nth=2))
    assert strikes(faults, "POST /fapi/v1/order", 3) == [False] * 3
    assert strikes(faults, "POST /api/v3/order", 2) == [False, True]


def test_chance_is_the_same_by_the_same_seed_and_lines_do_not_disturb_each_other() -> None:
    line = Fault(kind=FaultKind.LOSE, at="user *", probability=0.5, times=None)
    alone, beside, other = Faults(seed=1), Faults(seed=1), Faults(seed=2)
    alone.add(line)
    beside.add(line, Fault(kind=FaultKind.REPEAT, at="user usdm *", probability=0.5, times=None))
    other.add(line)
    first = strikes(alone, "user spot x", 50)
    beside.strike("user usdm y", 0)
    assert first[1:] == strikes(beside, "user spot x", 49)
    assert first != strikes(other, "user spot x", 50)
    assert 10 < sum(first) < 40


def test_what_was_done_is_logged_and_what_is_left_is_told() -> None:
    faults = Faults(seed=1)
    once, later = Fault(kind=FaultKind.HOLD, at="GET *"), Fault(kind=FaultKind.HOLD, at="POST *")
    faults.add(once, later)
    faults.strike("GET /x", 42)
    (struck,) = faults.log
    assert (struck.number, struck.fault, struck.site, struck.time) == (1, once, "GET /x", 42)
    assert faults.pending == [later]
    faults.clear()
    assert faults.pending == []


@pytest.mark.parametrize(
    ("kind", "at", "named"),
    [
        (FaultKind.LOSE, "POST *", "events"),
        (FaultKind.HOLD, "user *", "requests"),
        (FaultKind.PARTIAL, "POST *", "executions"),
    ],
)
def test_a_fault_at_a_site_where_it_cannot_strike_is_refused(kind: FaultKind, at: str, named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Fault(kind=kind, at=at)


def test_weight_is_refused_above_the_limit_then_banned_and_forgiven_in_the_next_minute() -> None:
    limits = Limits(EmulatorSettings(spot_weight_per_minute=10, strikes=2, ban_s=90), Board.SPOT)
    limits.request(10, 1_000)
    answers = [refusal(limits, 2_000).status for _ in range(3)]
    assert answers == [429, 429, 418]
    assert refusal(limits, 91_000).retry_after_s == 1
    limits.request(10, 92_000)
    assert refusal(limits, 119_500).retry_after_s == 1


def refusal(limits: Limits, now: int) -> Refusal:
    with pytest.raises(Refusal) as caught:
        limits.request(1, now)
    return caught.value


@pytest.mark.parametrize(
    ("trigger", "prices", "reached"),
    [
        (Trigger(rising=True, level=Decimal(10)), [9, 10], [False, True]),
        (Trigger(rising=False, level=Decimal(10)), [11, 10], [False, True]),
        (Trigger(rising=False, trail=Decimal("0.1")), [100, 200, 181, 180], [False, False, False, True]),
        (Trigger(rising=True, trail=Decimal("0.1")), [100, 50, 54, 55], [False, False, False, True]),
        (
            Trigger(rising=False, trail=Decimal("0.1"), activation=Decimal(150)),
            [100, 80, 150, 135],
            [False] * 3 + [True],
        ),
        (Trigger(rising=True, trail=Decimal("0.1"), activation=Decimal(90)), [100, 120, 90, 99], [False] * 3 + [True]),
    ],
)
def test_a_trigger_goes_off_at_its_level_or_behind_the_best_price(
    trigger: Trigger, prices: list[int], reached: list[bool]
) -> None:
    assert [trigger.reached(Decimal(price)) for price in prices] == reached


def test_update_ids_of_a_book_have_no_gaps_and_replay_to_the_book() -> None:
    book, replayed = Book(), Book()
    replayed.update_id = book.update_id
    one, two = Decimal(1), Decimal(2)
    updates = [
        book.show({Decimal(99): one, Decimal(98): two}, {Decimal(101): one}),
        book.take(Side.BUY, [(Decimal(101), Decimal("0.4"))]),
        book.show({Decimal(99): two}, {Decimal(101): one, Decimal(102): one}),
        book.show({Decimal(99): two}, {Decimal(101): one, Decimal(102): one}),
    ]
    assert updates[-1] is None
    for update in updates[:-1]:
        assert update is not None
        assert (update.before, update.first) == (replayed.update_id, replayed.update_id + 1)
        bids, asks = {**replayed.bids, **update.bids}, {**replayed.asks, **update.asks}
        replayed.show(bids, asks)
        replayed.update_id = update.last
    assert (replayed.bids, replayed.asks, replayed.update_id) == (book.bids, book.asks, book.update_id)


def test_candles_are_cut_by_the_clock_and_weeks_begin_on_mondays() -> None:
    monday = 1_700_438_400_000
    assert opened(monday + 3 * INTERVALS["1d"], INTERVALS["1w"]) == monday
    candles = Candles(kept=10)
    for minute, price in ((0, 10), (0, 12), (1, 8), (4, 9)):
        candles.add(monday + minute * MINUTE, Decimal(price), Decimal(2), taker_buys=price > 9)
    (candle,) = candles.read("5m", None, None, 10)
    assert [candle.open, candle.high, candle.low, candle.close, candle.volume] == [10, 12, 8, 9, 8]
    assert candle.trades == 4
    assert [candle.taker_volume, candle.quote_volume] == [4, 78]
    assert [part.open_time for part in candles.read("1m", monday + 1, monday + MINUTE, 10)] == [monday + MINUTE]
    assert candles.current("1m").open_time == monday + 4 * MINUTE


def test_only_so_many_candles_are_kept() -> None:
    candles = Candles(kept=3)
    for minute in range(5):
        candles.add(minute * MINUTE, Decimal(1), Decimal(1), taker_buys=True)
    assert [candle.open_time // MINUTE for candle in candles.read("1m", None, None, 10)] == [2, 3, 4]


def test_a_position_closes_at_its_average_cost_and_turns_at_the_new_price() -> None:
    position = Position()
    position.trade(Decimal(1), Decimal(100))
    position.trade(Decimal(2), Decimal(130))
    realized = position.trade(Decimal(-4), Decimal(150))
    assert [realized, position.amount, position.entry] == [90, -1, 150]


def test_what_rounding_takes_from_a_profit_comes_back_when_the_position_is_closed() -> None:
    position = Position()
    position.trade(Decimal(3), Decimal("0.00000333"))
    parts = [position.trade(Decimal(-1), Decimal("0.00000334")) for _ in range(3)]
    assert sum(parts) == 3 * Decimal("0.00000001")
    assert position.cost == 0


def test_a_ledger_moves_both_ways_and_stays_balanced() -> None:
    ledger = Ledger()
    ledger.move("USDT", Decimal(10), Place.OUTSIDE, Place.FREE, "deposit", 1)
    ledger.move("USDT", Decimal(-3), Place.MARKET, Place.FREE, "loss", 2)
    assert ledger.free("USDT") == 7
    assert ledger.imbalance() == {}
    assert [posting.amount for posting in ledger.postings] == [10, 3]
    assert [posting.why for posting in ledger.postings] == ["deposit", "loss"]


def test_a_pair_whose_amounts_need_more_digits_than_are_booked_is_refused() -> None:
    with pytest.raises(ValidationError, match="more than 8 decimals"):
        Pair(board=Board.SPOT, base="X", tick=Decimal("0.00001"), lot=Decimal("0.0001"))


LINES = (
    b'1 {"stream":"btcusdt@bookTicker","data":{"s":"BTCUSDT","b":"100.0","B":"1","a":"100.1","A":"2"}}\n',
    b'3 {"stream":"btcusdt@depth@100ms","data":{"s":"BTCUSDT"}}\n',
    b'5 {"stream":"btcusdt@trade","data":{"s":"BTCUSDT","p":"100.1","q":"0.5","m":false}}\n',
)
MARK = b'4 {"stream":"btcusdt@markPrice","data":{"s":"BTCUSDT","p":"100.2","i":"100.3","r":"0.0001","T":9}}\n'


def test_recorded_frames_are_merged_by_time_packed_or_not(tmp_path: Path) -> None:
    packed, text = tmp_path / "spot.gz", tmp_path / "usdm"
    packed.write_bytes(gzip.compress(b"".join(LINES)))
    text.write_bytes(MARK)
    frames = list(read([Recording.parse(str(packed)), Recording.parse(f"usdm:{text}")]))
    assert [type(frame) for frame in frames] == [QuoteFrame, MarkFrame, TradeFrame]
    assert [frame.board for frame in frames] == [Board.SPOT, Board.USDM, Board.SPOT]


def test_a_line_that_is_no_frame_is_named(tmp_path: Path) -> None:
    file = tmp_path / "bad"
    file.write_bytes(LINES[0] + b"nonsense\n")
    with pytest.raises(ValueError, match=r"bad:2: no frame"):
        list(read([Recording.parse(str(file))]))


async def test_played_frames_move_the_market_of_their_board(tmp_path: Path) -> None:
    file = tmp_path / "spot"
    file.write_bytes(b"".join(LINES))
    emulator = Emulator()
    played = await emulator.play([Recording.parse(str(file))])
    spot, usdm = (emulator.books.venue(board).market("BTCUSDT") for board in Board)
    assert (played, spot.last, usdm.last) == (2, Decimal("100.1"), None)
    assert spot.book.best(Side.BUY) == (Decimal("100.10"), Decimal(2))


@pytest.mark.parametrize("text", ["²", "-1", "1.5", "9" * 19, "x"])
def test_a_malformed_integer_is_refused_by_name(text: str) -> None:
    with pytest.raises(Refusal, match="'orderId'"):
        Params({"orderId": text}, now=0).integer("orderId")


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "1e", "9" * 31, "x"])
def test_a_malformed_number_is_refused_by_name(text: str) -> None:
    with pytest.raises(Refusal, match="'price'"):
        Params({"price": text}, now=0).decimal("price")


@pytest.mark.parametrize("quote", ["1", "1e30"])
def test_an_amount_of_quote_that_buys_nothing_or_everything_is_refused_for_lack_of_funds(quote: str) -> None:
    emulator = Emulator()
    venue = emulator.books.spot_venue
    venue.show("BTCUSDT", {Decimal(59_999): Decimal(9)}, {Decimal(200_000): Decimal(9)}, 0)
    ticket = Ticket(venue.market("BTCUSDT").pair, Side.BUY, Kind.MARKET, "q", Decimal(0), quote_quantity=Decimal(quote))
    with pytest.raises(Refusal, match="insufficient balance"):
        venue.place(ticket, 1)
