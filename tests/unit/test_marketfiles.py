"""Files of market data: what is recognised, what is refused with one line, what is repaired and counted."""

import gzip
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.codec import encode
from contracts.event import Event
from contracts.market import Bar, MarketGap, Quote, Trade
from contracts.types import Interval, Side
from eventstore.marketfiles import (
    BadFile,
    BarTime,
    DataKind,
    Fault,
    FileMapping,
    Limits,
    Market,
    Policy,
    Role,
    SizeUnit,
    read_market,
)
from tests.servers import ROOT

BEGIN = datetime(2024, 1, 31, tzinfo=UTC)
BEGIN_NS = int(BEGIN.timestamp()) * 10**9
MINUTE = 60 * 10**9
BARS_HEAD = "timestamp,open,high,low,close,volume"
QUOTES_HEAD = "timestamp,bid,bid_size,ask,ask_size"
TRADES_HEAD = "timestamp,price,size,side,id"

Row = list[str]


def stamp(minutes: float) -> str:
    return (BEGIN + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def bars(count: int = 10, first: int = 0) -> list[Row]:
    return [[stamp(first + at), "100.5", "102", "99", "101", "7.5"] for at in range(count)]


def quotes(count: int = 10, first: int = 0) -> list[Row]:
    return [[stamp(first + at), f"{100 + at}", "1", f"{100.5 + at}", "2"] for at in range(count)]


def trades(count: int = 10, first: int = 0) -> list[Row]:
    return [[stamp(first + at), f"{100 + at}", "1", "buy", str(first + at)] for at in range(count)]


def csv(path: Path, head: str | None, rows: Sequence[Row]) -> Path:
    lines = [head] if head else []
    path.write_text("".join(f"{line}\n" for line in [*lines, *(",".join(row) for row in rows)]))
    return path


def bar_file(folder: Path, rows: Sequence[Row], name: str = "BTC-1m-a.csv") -> Path:
    return csv(folder / name, BARS_HEAD, rows)


def quote_file(folder: Path, rows: Sequence[Row], name: str = "BTC-quotes-a.csv") -> Path:
    return csv(folder / name, QUOTES_HEAD, rows)


def trade_file(folder: Path, rows: Sequence[Row], name: str = "BTC-trades-a.csv") -> Path:
    return csv(folder / name, TRADES_HEAD, rows)


def parquet_file(folder: Path, bids: Sequence[float | None] = (100.0,) * 1000) -> Path:
    path = folder / "BTC-quotes-a.parquet"
    same = {"bid_size": 1.0, "ask": 101.0, "ask_size": 2.0}
    columns = {"timestamp": [BEGIN_NS + at * 10**6 for at in range(len(bids))], "bid": list(bids)}
    pq.write_table(pa.table({**columns, **{name: [value] * len(bids) for name, value in same.items()}}), path)
    return path


def read(*files: Path, policy: Policy = Policy.ERROR, **said: Any) -> tuple[list[Event], Market]:  # noqa: ANN401
    market = read_market(files, FileMapping.model_validate(said), policy)
    return list(market.events), market


def repaired(*files: Path, limits: Limits = Limits()) -> tuple[list[Event], dict[Fault, int]]:  # noqa: B008
    market = read_market(files, FileMapping(), Policy.REPAIR, limits)
    events = list(market.events)
    return events, dict(market.found.counts)


def complaint(*files: Path, policy: Policy = Policy.ERROR, **said: Any) -> str:  # noqa: ANN401
    with pytest.raises(BadFile) as bad:
        read(*files, policy=policy, **said)
    told = str(bad.value)
    assert "\n" not in told
    return told


# -- understood -------------------------------------------------------------------------------------------------------


def test_bars_are_known_when_they_close(tmp_path: Path) -> None:
    (first, *rest), market = read(bar_file(tmp_path, bars()), venue="binance")
    assert isinstance(first, Bar)
    assert (first.instrument, first.interval, len(rest)) == ("binance.BTC", Interval.M1, 9)
    assert (first.open, first.high, first.low, first.close, first.volume) == (100.5, 102.0, 99.0, 101.0, 7.5)
    assert (first.ts_open, first.ts_close, first.ts_init) == (BEGIN_NS, BEGIN_NS + MINUTE, BEGIN_NS + MINUTE)
    assert (market.instruments, market.longest_bar, market.found.total) == (("binance.BTC",), Interval.M1, 0)


@pytest.mark.parametrize("closing_s", [60, 59.999])
def test_bars_may_be_told_by_when_they_close(tmp_path: Path, closing_s: float) -> None:
    closing = [[stamp(at + closing_s / 60), *row[1:]] for at, row in enumerate(bars())]
    (first, *_), _ = read(bar_file(tmp_path, closing), bar_time=BarTime.CLOSES)
    assert isinstance(first, Bar)
    assert first.ts_open == BEGIN_NS


def test_sizes_may_count_money(tmp_path: Path) -> None:
    (bar, *_), _ = read(bar_file(tmp_path, bars()), sizes=SizeUnit.QUOTE)
    (trade, *_), _ = read(trade_file(tmp_path, trades()), sizes=SizeUnit.QUOTE)
    (quote, *_), _ = read(quote_file(tmp_path, quotes()), sizes=SizeUnit.QUOTE)
    assert isinstance(bar, Bar) and isinstance(trade, Trade) and isinstance(quote, Quote)
    assert (bar.volume, trade.size, quote.bid_size, quote.ask_size) == (7.5 / 101, 1 / 100, 1 / 100, 2 / 100.5)


def test_quotes_and_trades_are_recognised_by_their_columns(tmp_path: Path) -> None:
    (quoted, *_), _ = read(quote_file(tmp_path, quotes()))
    (traded, *_), _ = read(trade_file(tmp_path, trades()))
    assert quoted == Quote(
        ts_event=BEGIN_NS,
        ts_init=BEGIN_NS,
        instrument=quoted.instrument,  # type: ignore[attr-defined]
        bid=100.0,
        bid_size=1.0,
        ask=100.5,
        ask_size=2.0,
    )
    assert isinstance(traded, Trade)
    assert (traded.price, traded.size, traded.aggressor, traded.trade_id) == (100.0, 1.0, Side.BUY, "0")


def test_a_column_of_receive_times_is_when_it_was_known(tmp_path: Path) -> None:
    rows = [[*row, stamp(at + 0.01)] for at, row in enumerate(quotes())]
    (first, *_), _ = read(csv(tmp_path / "BTC-quotes.csv", f"{QUOTES_HEAD},local_timestamp", rows))
    assert (first.ts_event, first.ts_init) == (BEGIN_NS, BEGIN_NS + 600_000_000)


def test_who_took_is_read_off_the_maker_too(tmp_path: Path) -> None:
    rows = [[str(BEGIN_NS // 10**6), "1", "1", flag] for flag in ("true", "false", "True", "0")]
    events, _ = read(csv(tmp_path / "BTC-trades.csv", "time,price,qty,is_buyer_maker", rows))
    sides = [event.aggressor for event in events if isinstance(event, Trade)]
    assert sides == [Side.SELL, Side.BUY, Side.SELL, Side.BUY]


def test_columns_can_be_told_in_a_file_without_names(tmp_path: Path) -> None:
    rows = [[str(at), "100.5", "2", "201", str(BEGIN_NS // 10**6 + at), "true", "true"] for at in range(3)]
    told = {Role.TIME: 5, Role.PRICE: 2, Role.SIZE: 3, Role.BUYER_IS_MAKER: 6, Role.TRADE_ID: 1}
    events, _ = read(
        csv(tmp_path / "BTCUSDT-trades-2024-01.csv", None, rows),
        kind=DataKind.TRADES,
        columns={role: f"column {number}" for role, number in told.items()},
    )
    assert [(event.price, event.size, event.trade_id) for event in events if isinstance(event, Trade)] == [
        (100.5, 2.0, "0"),
        (100.5, 2.0, "1"),
        (100.5, 2.0, "2"),
    ]


def test_bars_without_names_have_the_usual_order(tmp_path: Path) -> None:
    rows = [[str(BEGIN_NS // 10**6 + at * 60_000), *row[1:]] for at, row in enumerate(bars())]
    events, _ = read(csv(tmp_path / "BTC-1m.csv", None, rows))
    assert len(events) == 10


@pytest.mark.parametrize(
    "time",
    [
        lambda at: str(int(at.timestamp())),
        lambda at: f"{at.timestamp():.3f}",
        lambda at: str(int(at.timestamp() * 1e3)),
        lambda at: str(int(at.timestamp()) * 10**6),
        lambda at: str(int(at.timestamp()) * 10**9),
        lambda at: at.strftime("%Y-%m-%d %H:%M:%S"),
        lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        lambda at: (at + timedelta(hours=2)).strftime("%Y-%m-%d %H:%M:%S+02:00"),
    ],
    ids=["s", "s with digits", "ms", "us", "ns", "date", "date in UTC", "date in another zone"],
)
def test_times_are_read_in_the_unit_they_are_in(tmp_path: Path, time: Callable[[datetime], str]) -> None:
    rows = [[time(BEGIN + timedelta(minutes=at)), *row[1:]] for at, row in enumerate(quotes())]
    events, _ = read(quote_file(tmp_path, rows))
    assert [event.ts_init for event in events] == [BEGIN_NS + at * MINUTE for at in range(10)]


def test_gzip_and_parquet_are_seen_by_their_content(tmp_path: Path) -> None:
    plain = quote_file(tmp_path, quotes())
    expected, _ = read(plain)
    packed = tmp_path / "BTC-quotes-b.csv"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    times = pa.array([BEGIN + timedelta(minutes=at) for at in range(10)], pa.timestamp("ms", "UTC"))
    numbers = {name: [float(row[at]) for row in quotes()] for at, name in enumerate(QUOTES_HEAD.split(",")) if at}
    pq.write_table(pa.table({"timestamp": times, **numbers}), tmp_path / "BTC-quotes-c.csv")
    assert read(packed)[0] == expected
    assert read(tmp_path / "BTC-quotes-c.csv")[0] == expected


def test_dates_without_a_zone_are_of_the_zone_that_is_said_or_noted_to_be_taken_as_utc(tmp_path: Path) -> None:
    naive = [[f"2024-01-31 01:0{at}:00", *row[1:]] for at, row in enumerate(quotes())]
    file = quote_file(tmp_path, naive)
    berlin, _ = read(file, zone="Europe/Berlin")
    utc, market = read(file)
    assert berlin[0].ts_init == BEGIN_NS
    assert utc[0].ts_init == BEGIN_NS + 60 * MINUTE
    assert "taken as UTC" in market.found.notes[0]


def test_a_column_of_symbols_names_the_instrument(tmp_path: Path) -> None:
    rows = [[*row, "ETHUSDT"] for row in quotes()]
    _, market = read(csv(tmp_path / "data.csv", f"{QUOTES_HEAD},symbol", rows))
    assert market.instruments == ("file.ETHUSDT",)


def test_cells_may_be_quoted(tmp_path: Path) -> None:
    rows = [[f'"{cell}"' for cell in row] for row in quotes()]
    assert read(quote_file(tmp_path, rows))[0] == read(quote_file(tmp_path, quotes(), "BTC-quotes-b.csv"))[0]


def test_a_quote_that_nobody_closes_takes_nothing_in(tmp_path: Path) -> None:
    rows = [[*row, "note"] for row in quotes()]
    rows[4][5] = '"note'
    plain = csv(tmp_path / "BTC-quotes.csv", f"{QUOTES_HEAD},note", rows)
    assert len(read(plain)[0]) == 10
    rows[0][5] = '"note"'
    assert "is not closed" in complaint(csv(plain, f"{QUOTES_HEAD},note", rows), policy=Policy.REPAIR)


def test_blank_lines_are_nothing(tmp_path: Path) -> None:
    file = quote_file(tmp_path, quotes())
    lines = file.read_text().splitlines()
    file.write_text("\n" + "\n\n".join(lines) + "\n\n")
    events, market = read(file)
    assert (len(events), market.found.total) == (10, 0)


def test_all_that_is_read_can_be_on_the_tape(tmp_path: Path) -> None:
    events, _ = read(quote_file(tmp_path, quotes()), trade_file(tmp_path, trades()))
    for event in events:
        encode(event)


# -- several files ----------------------------------------------------------------------------------------------------


def test_files_in_a_row_are_one(tmp_path: Path) -> None:
    later = bar_file(tmp_path, bars(5, first=5), "BTC-1m-b.csv")
    sooner = bar_file(tmp_path, bars(5), "BTC-1m-c.csv")
    whole, _ = read(bar_file(tmp_path, bars()))
    parts, market = read(later, sooner)
    assert parts == whole
    assert market.found.total == 0


def test_files_in_a_row_may_count_time_in_different_units(tmp_path: Path) -> None:
    seconds = [[str(BEGIN_NS // 10**9 + 60 * at), *row[1:]] for at, row in enumerate(quotes(5))]
    micros = [[str(BEGIN_NS // 10**3 + 60 * 10**6 * (5 + at)), *row[1:]] for at, row in enumerate(quotes(5, 5))]
    parts = [
        quote_file(tmp_path, seconds, "BTC-quotes-1.csv"),
        quote_file(tmp_path, micros, "BTC-quotes-2.csv"),
    ]
    assert [event.ts_init for event in read(*parts)[0]] == [BEGIN_NS + at * MINUTE for at in range(10)]


def test_files_beside_each_other_are_merged_by_time(tmp_path: Path) -> None:
    events, market = read(
        quote_file(tmp_path, quotes()), trade_file(tmp_path, trades()), quote_file(tmp_path, quotes(), "ETH-quotes.csv")
    )
    assert len(events) == 30
    assert all(before.ts_init <= after.ts_init for before, after in pairwise(events))
    assert market.instruments == ("file.BTC", "file.ETH")


def test_the_order_in_which_files_are_named_changes_nothing(tmp_path: Path) -> None:
    files = [quote_file(tmp_path, quotes()), trade_file(tmp_path, trades()), bar_file(tmp_path, bars(), "ETH-1m.csv")]
    assert read(*files)[0] == read(*reversed(files))[0]


def test_parts_that_overlap_are_refused_or_merged(tmp_path: Path) -> None:
    files = bar_file(tmp_path, bars(8)), bar_file(tmp_path, bars(7, first=3), "BTC-1m-b.csv")
    whole, _ = read(bar_file(tmp_path, bars(), "BTC-1m-whole.csv"))
    told = complaint(*files)
    assert "BTC-1m-b.csv" in told and "BTC-1m-a.csv goes on" in told
    events, counts = repaired(*files)
    assert events == whole
    assert counts == {Fault.OVERLAP: 1, Fault.REPEATED: 5}


def test_the_same_file_twice_is_told_once(tmp_path: Path) -> None:
    files = trade_file(tmp_path, trades()), trade_file(tmp_path, trades(), "BTC-trades-b.csv")
    assert "goes on after that" in complaint(*files)
    events, counts = repaired(*files)
    assert len(events) == 10
    assert counts == {Fault.OVERLAP: 1, Fault.REPEATED: 10}


def test_trades_without_ids_cannot_be_told_apart(tmp_path: Path) -> None:
    files = [
        csv(tmp_path / f"BTC-trades-{name}.csv", "timestamp,price,size,side", [row[:4] for row in trades()])
        for name in "ab"
    ]
    assert "without ids" in complaint(*files, policy=Policy.REPAIR)


def test_bars_of_two_files_that_differ_are_believed_by_nobody(tmp_path: Path) -> None:
    other = bars(7, first=3)
    other[1][4] = "100"
    events, counts = repaired(bar_file(tmp_path, bars(8)), bar_file(tmp_path, other, "BTC-1m-b.csv"))
    opens = [(event.ts_open - BEGIN_NS) // MINUTE for event in events if isinstance(event, Bar)]
    assert opens == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert counts[Fault.CONTRADICTED] == 2


def test_a_gap_between_parts_is_refused_or_told(tmp_path: Path) -> None:
    files = bar_file(tmp_path, bars(4)), bar_file(tmp_path, bars(4, first=6), "BTC-1m-b.csv")
    assert "BTC-1m-b.csv: 2 bars are missing" in complaint(*files)
    events, counts = repaired(*files)
    assert [event.missing for event in events if isinstance(event, MarketGap)] == [2 * MINUTE]
    assert counts == {Fault.GAP: 1}


def test_an_instrument_has_one_price(tmp_path: Path) -> None:
    assert "give one of them" in complaint(bar_file(tmp_path, bars()), quote_file(tmp_path, quotes()))


def test_what_is_before_a_fault_is_told_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventstore.marketdata.batches.BLOCK", 256)
    rows = quotes(60)
    rows[50][1] = "nan"
    events = read_market([quote_file(tmp_path, rows)]).events
    told: list[Event] = []
    with pytest.raises(BadFile, match="line 52"):
        told.extend(events)
    assert len(told) > 40


# -- laws -------------------------------------------------------------------------------------------------------------

MAKERS = {"1m": bars, "quotes": quotes, "trades": trades}
HEADS = {"1m": BARS_HEAD, "quotes": QUOTES_HEAD, "trades": TRADES_HEAD}
kinds = st.sampled_from(sorted(MAKERS))


@settings(max_examples=25, deadline=None)
@given(kind=kinds, count=st.integers(2, 60), cuts=st.sets(st.integers(1, 59)), block=st.integers(150, 5_000))
def test_however_a_file_is_split_and_read_it_tells_the_same(
    kind: str, count: int, cuts: set[int], block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("split")
    rows = MAKERS[kind](count)
    whole, _ = read(csv(folder / f"BTC-{kind}.csv", HEADS[kind], rows), interval=Interval.M1)
    bounds = [0, *sorted(cut for cut in cuts if cut < count), count]
    parts = [csv(folder / f"BTC-{kind}-{first}.csv", HEADS[kind], rows[first:end]) for first, end in pairwise(bounds)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eventstore.marketdata.batches.BLOCK", block)
        again, market = read(*parts, interval=Interval.M1)
    assert _without_lines(again) == _without_lines(whole)
    assert market.found.total == 0


@settings(max_examples=25, deadline=None)
@given(kind=kinds, count=st.integers(2, 60), block=st.integers(150, 5_000), data=st.data())
def test_what_a_window_holds_is_repaired_whatever_the_order(
    kind: str, count: int, block: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("order")
    rows = MAKERS[kind](count)
    whole, _ = read(csv(folder / f"BTC-{kind}.csv", HEADS[kind], rows), interval=Interval.M1)
    twice = data.draw(st.lists(st.sampled_from(rows), max_size=5))
    mixed = data.draw(st.permutations([*rows, *twice]))
    mapping = FileMapping(interval=Interval.M1)
    file = csv(folder / f"BTC-{kind}-mixed.csv", HEADS[kind], mixed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eventstore.marketdata.batches.BLOCK", block)
        patch.setattr("eventstore.marketdata.files.interval_of", lambda *_: Interval.M1)
        market = read_market([file], mapping, Policy.REPAIR)
        again = list(market.events)
    assert again == whole
    assert market.found.counts[Fault.REPEATED] == len(twice)


NUMBERS = [
    "",
    " ",
    "nan",
    "-1",
    "0",
    "1e400",
    "1",
    "100",
    "1_000",
    "0x1f",
    "-",
    "9" * 40,
    "1706659200",
    "1706659260000",
]
WORDS = ["x", "true", "buy", "None", '"', "\u00e9", "2024-13-45", "2024-01-31 00:00:00", "2024-01-31T00:01:00+02:00"]
NASTY = st.sampled_from([*NUMBERS, *WORDS])


@settings(max_examples=100, deadline=None)
@given(
    kind=kinds,
    nasty=st.lists(st.lists(NASTY, min_size=1, max_size=7), max_size=6),
    at=st.integers(0, 5),
    policy=st.sampled_from(Policy),
    zone=st.sampled_from([None, "Europe/Berlin"]),
)
def test_whatever_is_in_a_file_it_is_read_or_refused_with_one_line(
    kind: str, nasty: list[Row], at: int, policy: Policy, zone: str | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    good = MAKERS[kind](5)
    file = csv(tmp_path_factory.mktemp("nasty") / f"BTC-{kind}.csv", HEADS[kind], [*good[:at], *nasty, *good[at:]])
    try:
        events, _ = read(file, policy=policy, zone=zone)
    except BadFile as bad:
        events, told = [], str(bad)
    else:
        told = file.name
    assert "\n" not in told and told.startswith(file.name)
    for event in events:
        encode(event)
    assert all(before.ts_init <= after.ts_init for before, after in pairwise(events))


def _without_lines(events: Sequence[Event]) -> list[Event]:
    return [replace(event, trade_id="") if isinstance(event, Trade) else event for event in events]


# -- bad rows ---------------------------------------------------------------------------------------------------------

BAD_BARS = [
    (Fault.NOT_A_NUMBER, ["100.5", "nan", "99", "101", "7.5"]),
    (Fault.NOT_A_NUMBER, ["100.5", "", "99", "101", "7.5"]),
    (Fault.NOT_A_NUMBER, ["100.5", "much", "99", "101", "7.5"]),
    (Fault.NOT_A_NUMBER, ["100.5", "inf", "99", "101", "7.5"]),
    (Fault.NOT_POSITIVE, ["0", "102", "0", "101", "7.5"]),
    (Fault.NOT_POSITIVE, ["100.5", "102", "-99", "101", "7.5"]),
    (Fault.NOT_POSITIVE, ["100.5", "102", "99", "101", "-7.5"]),
    (Fault.INCONSISTENT, ["100.5", "100", "99", "101", "7.5"]),
    (Fault.SHORT_ROW, ["100.5", "102", "99", "101"]),
    (Fault.SHORT_ROW, ["100.5", "102", "99", "101", "7.5", "1"]),
]


@pytest.mark.parametrize(("fault", "cells"), BAD_BARS)
def test_a_bad_bar_is_refused_by_its_line_or_dropped_and_counted(tmp_path: Path, fault: Fault, cells: Row) -> None:
    rows = bars()
    rows[9] = [rows[9][0], *cells]
    file = bar_file(tmp_path, rows)
    told = complaint(file)
    assert told.startswith("BTC-1m-a.csv: line 11: ") and "repair" in told
    events, counts = repaired(file)
    assert len(events) == 9
    assert counts == {fault: 1}


@pytest.mark.parametrize(
    ("fault", "row"),
    [
        (Fault.CROSSED, [stamp(4), "101", "1", "100", "1"]),
        (Fault.NOT_POSITIVE, [stamp(4), "100", "-1", "101", "1"]),
        (Fault.BAD_TIME, ["yesterday", "100", "1", "101", "1"]),
        (Fault.BAD_TIME, ["", "100", "1", "101", "1"]),
        (Fault.BAD_TIME, ["1970-01-01T00:00:00Z", "100", "1", "101", "1"]),
        (Fault.ZONE, ["2024-01-31 00:04:00", "100", "1", "101", "1"]),
    ],
)
def test_a_bad_quote_is_refused_by_its_line_or_dropped_and_counted(tmp_path: Path, fault: Fault, row: Row) -> None:
    rows = quotes()
    rows[4] = row
    file = quote_file(tmp_path, rows)
    assert "line 6: " in complaint(file)
    events, counts = repaired(file)
    assert len(events) == 9
    assert counts == {fault: 1}


def test_a_first_row_without_a_time_is_a_bad_row_like_any_other(tmp_path: Path) -> None:
    rows = quotes()
    rows[0][0] = "start"
    file = quote_file(tmp_path, rows)
    assert "line 2: its time cannot be read" in complaint(file)
    assert repaired(file)[1] == {Fault.BAD_TIME: 1}


def test_nanoseconds_are_exact_whatever_stands_beside_them(tmp_path: Path) -> None:
    rows = [[str(BEGIN_NS + 1 + at), *row[1:]] for at, row in enumerate(quotes())]
    rows[3][0] = "late"
    events, _ = repaired(quote_file(tmp_path, rows))
    assert [event.ts_init - BEGIN_NS for event in events] == [1, 2, 3, 5, 6, 7, 8, 9, 10]


@pytest.mark.parametrize("unit", [10**3, 10**6, 10**9])
def test_a_time_of_another_unit_than_the_first_is_refused_or_dropped(tmp_path: Path, unit: int) -> None:
    rows = [[str(BEGIN_NS // 10**9 + 60 * at), *row[1:]] for at, row in enumerate(quotes())]
    rows[4][0] = str(int(rows[4][0]) * unit)
    file = quote_file(tmp_path, rows)
    assert "line 6: its time cannot be read, is of another unit than the first" in complaint(file)
    events, counts = repaired(file)
    assert (len(events), counts) == (9, {Fault.BAD_TIME: 1})


def test_a_trade_of_no_side_is_refused_or_dropped(tmp_path: Path) -> None:
    rows = trades()
    rows[4][3] = "unknown"
    file = trade_file(tmp_path, rows)
    assert "line 6: it does not tell who took" in complaint(file)
    assert repaired(file)[1] == {Fault.NO_SIDE: 1}


def test_bars_open_where_bars_of_their_length_do(tmp_path: Path) -> None:
    rows = bars()
    rows[9][0] = stamp(9.5)
    file = bar_file(tmp_path, rows)
    assert "no bar of this length opens then" in complaint(file)
    assert repaired(file)[1] == {Fault.OFF_GRID: 1}


def test_what_was_received_before_it_happened_is_of_another_time_zone(tmp_path: Path) -> None:
    rows = [[*row, stamp(at - 60)] for at, row in enumerate(quotes())]
    file = csv(tmp_path / "BTC-quotes.csv", f"{QUOTES_HEAD},received", rows)
    assert "another zone" in complaint(file)
    assert "nothing is left of it" in complaint(file, policy=Policy.REPAIR)


CHANGED = ("01:30", "02:30", "03:30")


def test_local_times_of_changed_clocks_are_left_open(tmp_path: Path) -> None:
    rows = [[f"2024-10-27 {time}:00", *row[1:]] for time, row in zip(CHANGED, quotes(), strict=False)]
    file = quote_file(tmp_path, rows)
    assert "clocks were changed" in complaint(file, zone="Europe/Berlin")
    events, _ = read(file, policy=Policy.REPAIR, zone="Europe/Berlin")
    assert [event for event in events if isinstance(event, Quote)] == [events[0], events[-1]]


def test_a_zone_is_not_said_of_times_that_tell_theirs(tmp_path: Path) -> None:
    assert "Europe/Berlin was said" in complaint(quote_file(tmp_path, quotes()), zone="Europe/Berlin")


def test_a_zone_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    assert "Mars/Olympus" in complaint(quote_file(tmp_path, quotes()), zone="Mars/Olympus")


# -- order ------------------------------------------------------------------------------------------------------------


def test_rows_out_of_order_are_refused_or_put_in_their_places(tmp_path: Path) -> None:
    rows = bars()
    rows[2], rows[7] = rows[7], rows[2]
    file = bar_file(tmp_path, rows)
    assert "time runs backwards" in complaint(file)
    events, counts = repaired(file)
    assert events == read(bar_file(tmp_path, bars(), "BTC-1m-b.csv"))[0]
    assert counts == {Fault.OUT_OF_ORDER: 5}


def test_a_step_back_of_whole_hours_is_said_to_be_local_time(tmp_path: Path) -> None:
    rows = quotes()
    for row, minutes in zip(rows[5:], range(-55, 0), strict=False):
        row[0] = stamp(minutes)
    rows[4][0] = stamp(5)
    assert "local time" in complaint(quote_file(tmp_path, rows))


def test_what_comes_later_than_the_window_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventstore.marketdata.batches.BLOCK", 256)
    rows = quotes(40)
    rows.append(rows.pop(0))
    events, counts = repaired(quote_file(tmp_path, rows), limits=Limits(window=3))
    assert (len(events), counts) == (39, {Fault.LATE: 1})


@pytest.mark.parametrize("make", [bar_file, quote_file, trade_file])
def test_a_row_that_is_there_twice_is_refused_or_kept_once(
    tmp_path: Path, make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.marketdata.batches.BLOCK", 200)
    rows = {bar_file: bars, quote_file: quotes, trade_file: trades}[make]()
    file = make(tmp_path, [*rows[:5], rows[4], *rows[5:]])
    assert "line 7: it is there twice" in complaint(file)
    events, counts = repaired(file)
    assert (len(events), counts) == (10, {Fault.REPEATED: 1})


def test_bars_of_one_time_that_differ_are_refused_or_dropped(tmp_path: Path) -> None:
    rows = bars()
    rows.insert(5, [*rows[4][:4], "100", "7.5"])
    file = bar_file(tmp_path, rows)
    assert "is there twice, closing at 101 and at 100" in complaint(file)
    events, counts = repaired(file)
    assert len([event for event in events if isinstance(event, Bar)]) == 9
    assert counts == {Fault.CONTRADICTED: 2, Fault.GAP: 1}


def test_several_trades_of_one_time_are_all_kept(tmp_path: Path) -> None:
    rows = [[stamp(0), "100", "1", "buy", str(number)] for number in range(5)]
    events, market = read(trade_file(tmp_path, rows))
    assert (len(events), market.found.total) == (5, 0)


def test_missing_bars_are_refused_or_told(tmp_path: Path) -> None:
    rows = bars()
    del rows[4:6]
    file = bar_file(tmp_path, rows)
    assert "line 6: 2 bars are missing" in complaint(file)
    events, counts = repaired(file)
    (gap,) = [event for event in events if isinstance(event, MarketGap)]
    assert (gap.ts_init, gap.missing) == (BEGIN_NS + 6 * MINUTE, 2 * MINUTE)
    assert (len(events), counts) == (9, {Fault.GAP: 1})


def test_a_long_silence_of_quotes_is_a_gap(tmp_path: Path) -> None:
    rows = [*quotes(2), *quotes(2, first=90)]
    file = quote_file(tmp_path, rows)
    assert "nothing for 5,340 s" in complaint(file)
    assert repaired(file)[1] == {Fault.GAP: 1}


def test_what_was_repaired_is_told_by_kind_with_the_first(tmp_path: Path) -> None:
    rows = quotes()
    rows[4][1] = rows[6][1] = "nan"
    market = read_market([quote_file(tmp_path, rows)], FileMapping(), Policy.REPAIR)
    assert len(list(market.events)) == 8
    (line,) = market.found.lines()
    assert line.startswith("2 rows with what is no number: dropped; first BTC-quotes-a.csv, line 6: ")
    assert list(market.found.by_kind().values()) == [2]
    assert market.found.rows == 10


# -- bad files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty"),
        (b"\x00\x01\x02\x03", "neither CSV"),
        (b"PAR1 and nothing else", "begins like Parquet"),
        (b"\x1f\x8bnothing else", "begins like gzip"),
        (b"x,y,z\n1,2,3\n", "neither those of bars"),
        (b"timestamp,price,size\n1,2,3\n", "who took"),
        (b"timestamp,bid,ask\n1,2,3\n", "bid_size"),
        (f"{QUOTES_HEAD}\n".encode(), "it has no rows"),
        (b"1706659200,1,2,3\n", "neither those of bars"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_one_line(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "BTC-1m.csv"
    file.write_bytes(content)
    for policy in Policy:
        said = complaint(file, policy=policy)
        assert told in said and said.startswith("BTC-1m.csv: ")


def test_a_gzip_that_ends_too_soon_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(quote_file(tmp_path, quotes(3000)).read_bytes())
    file = tmp_path / "BTC-quotes-b.csv.gz"
    file.write_bytes(whole[: len(whole) // 2])
    assert "unpacked" in complaint(file, policy=Policy.REPAIR)


def test_a_parquet_file_that_ends_too_soon_is_refused(tmp_path: Path) -> None:
    whole = parquet_file(tmp_path).read_bytes()
    for end in (len(whole) // 2, len(whole) - 1):
        file = tmp_path / "BTC-quotes-b.parquet"
        file.write_bytes(whole[:end])
        for policy in Policy:
            assert "begins like Parquet and cannot be read" in complaint(file, policy=policy)


def test_a_parquet_file_that_was_damaged_inside_is_refused_or_its_rows_are_judged(tmp_path: Path) -> None:
    whole = parquet_file(tmp_path).read_bytes()
    file = tmp_path / "BTC-quotes-b.parquet"
    file.write_bytes(whole[:40] + bytes(200) + whole[240:])
    assert complaint(file).startswith("BTC-quotes-b.parquet: ")


def test_an_empty_cell_of_parquet_is_no_number(tmp_path: Path) -> None:
    bids: list[float | None] = [100.0] * 10
    bids[3] = None
    file = parquet_file(tmp_path, bids)
    assert "row 4: a price or size is no number" in complaint(file)
    assert repaired(file)[1] == {Fault.NOT_A_NUMBER: 1}


@pytest.mark.parametrize("kind", [DataKind.QUOTES, DataKind.TRADES])
def test_rows_without_a_head_are_refused_until_their_columns_are_said(tmp_path: Path, kind: DataKind) -> None:
    rows = {DataKind.QUOTES: quotes(), DataKind.TRADES: trades()}[kind]
    file = csv(tmp_path / "BTC-quotes-a.csv", None, [[str(BEGIN_NS + at), *row[1:]] for at, row in enumerate(rows)])
    assert f"there is no column for the time of {kind.value}" in complaint(file, kind=kind)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert complaint(tmp_path / "BTC-1m.csv").startswith("BTC-1m.csv: it cannot be read")


def test_a_file_whose_name_tells_no_instrument_needs_one(tmp_path: Path) -> None:
    file = quote_file(tmp_path, quotes(), "data.csv")
    assert "say it with --symbol" in complaint(file)
    assert read(file, symbol="BTCUSDT")[1].instruments == ("file.BTCUSDT",)


def test_a_file_of_several_instruments_is_refused(tmp_path: Path) -> None:
    rows = [[*row, symbol] for row, symbol in zip(quotes(2), ("BTC", "ETH"), strict=True)]
    assert "several instruments" in complaint(csv(tmp_path / "data.csv", f"{QUOTES_HEAD},symbol", rows))


# -- how much is held -------------------------------------------------------------------------------------------------


READ_ALL = """
import gc, resource, sys
from collections import deque
from pathlib import Path
from eventstore.marketfiles import read_market
gc.disable()
for file in sys.argv[1:]:
    deque(read_market([Path(file)]).events, maxlen=0)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    files = []
    for count in (100_000, 2_000_000):
        files.append(tmp_path / f"BTC-quotes-{count}.parquet")
        bid = 100.0 + np.arange(count) % 50
        columns = {"bid": bid, "bid_size": np.ones(count), "ask": bid + 0.5, "ask_size": np.ones(count)}
        pq.write_table(pa.table({"timestamp": BEGIN_NS + np.arange(count) * 10**6, **columns}), files[-1])
    told = subprocess.run(
        [sys.executable, "-c", READ_ALL, *files], cwd=ROOT / "libs", check=True, stdout=subprocess.PIPE
    )
    small_kib, large_kib = map(int, told.stdout.split())
    assert large_kib - small_kib < 60 * 1024
