"""Files of candles: understood as what they are, or refused with one line that says where and what to do."""

import gzip
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.types import Interval
from eventstore.marketdata.forms import BadFile, Form
from eventstore.marketdata.times import TimeUnit
from services.cli.importing import cut
from services.ingest.gathering import Cutting
from services.ingest.imports import Imported, Wanted, read_candles
from services.ingest.rules import Flaw, OutlierPolicy
from tests.servers import ROOT

BEGIN = datetime(2024, 1, 31, tzinfo=UTC)
FOUND_OUT = Wanted("file", None, None)
NAMES = "timestamp,open,high,low,close,volume"
SHARED = ROOT.parent / "shared" / "data" / "bars"

Row = list[str]


def rows(count: int = 120, step_s: int = 60, time: Callable[[datetime], str] = str) -> list[Row]:
    return [[time(BEGIN + timedelta(seconds=step_s * at)), "100.5", "102", "99", "101", "7.5"] for at in range(count)]


def text(row: Sequence[Row], head: str | None = NAMES, separator: str = ",") -> str:
    lines = ([head.replace(",", separator)] if head else []) + [separator.join(cells) for cells in row]
    return "\n".join(lines) + "\n"


def file(tmp_path: Path, content: str | bytes, name: str = "BTC-PERP-1m-202401.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(tmp_path: Path, content: str | bytes, name: str = "BTC-PERP-1m-202401.csv") -> Imported:
    return read_candles(file(tmp_path, content, name), FOUND_OUT)


def complaint(tmp_path: Path, content: str | bytes, name: str = "BTC-PERP-1m-202401.csv") -> str:
    with pytest.raises(BadFile) as bad:
        read(tmp_path, content, name)
    said = str(bad.value)
    assert "\n" not in said
    return said


# -- understood -------------------------------------------------------------------------------------------------------


def test_instrument_and_interval_come_from_name_and_steps(tmp_path: Path) -> None:
    found = read(tmp_path, text(rows()))
    assert (found.instrument, found.interval, len(found.bars)) == ("file.BTC-PERP", Interval.M1, 120)
    assert (found.bars[0].open, found.bars[0].high, found.bars[0].volume) == (100.5, 102.0, 7.5)
    assert found.bars[0].ts_open == int(BEGIN.timestamp()) * 10**9


@pytest.mark.parametrize(
    ("time", "unit"),
    [
        (lambda at: str(int(at.timestamp())), TimeUnit.SECONDS),
        (lambda at: f"{at.timestamp():.1f}", TimeUnit.SECONDS),
        (lambda at: str(int(at.timestamp() * 1e3)), TimeUnit.MILLISECONDS),
        (lambda at: str(int(at.timestamp()) * 10**6), TimeUnit.MICROSECONDS),
        (lambda at: str(int(at.timestamp()) * 10**9), TimeUnit.NANOSECONDS),
        (lambda at: at.strftime("%Y-%m-%d %H:%M:%S.000000"), TimeUnit.TEXT),
        (lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ"), TimeUnit.TEXT),
        (lambda at: (at + timedelta(hours=2)).strftime("%Y-%m-%d %H:%M:%S+02:00"), TimeUnit.TEXT),
    ],
    ids=["s", "s with digits", "ms", "us", "ns", "date", "date in UTC", "date in another zone"],
)
def test_times_are_read_in_the_unit_they_are_in(
    tmp_path: Path, time: Callable[[datetime], str], unit: TimeUnit
) -> None:
    found = read(tmp_path, text(rows(time=time)))
    assert found.unit is unit
    assert found.bars[0].ts_open == int(BEGIN.timestamp()) * 10**9
    assert unit.value in str(found)


def test_a_date_without_a_zone_is_said_to_be_taken_as_utc(tmp_path: Path) -> None:
    assert "taken as UTC" in str(read(tmp_path, text(rows(time=lambda at: at.strftime("%Y-%m-%d %H:%M:%S")))))
    assert "taken as" not in str(read(tmp_path, text(rows())))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("head", [NAMES, "Date,Open,High,Low,Close,Volume", "open_time,o,h,l,c,v"])
def test_columns_are_known_by_many_names_and_separators(tmp_path: Path, head: str, separator: str) -> None:
    assert len(read(tmp_path, text(rows(), head, separator)).bars) == 120


def test_columns_may_stand_in_any_order_among_others(tmp_path: Path) -> None:
    shuffled = [[cells[5], "x", *cells[:5], "17"] for cells in rows()]
    found = read(tmp_path, text(shuffled, "volume,note,time,open,high,low,close,trades"))
    assert (found.bars[0].close, found.bars[0].volume, found.bars[0].trades) == (101.0, 7.5, 17)


def test_a_download_of_an_exchange_needs_no_names(tmp_path: Path) -> None:
    bare = [[*cells, "9", "9", "33", "1", "1", "0"] for cells in rows(time=lambda at: str(int(at.timestamp() * 1e3)))]
    found = read(tmp_path, text(bare, head=None), "BTCUSDT-1m-2024-01.csv")
    assert (found.instrument, len(found.bars), found.bars[0].trades) == ("file.BTCUSDT", 120, 33)


def test_gzip_is_seen_by_its_content(tmp_path: Path) -> None:
    assert len(read(tmp_path, gzip.compress(text(rows()).encode())).bars) == 120


def test_parquet_is_seen_by_its_content(tmp_path: Path) -> None:
    numbers = {name: [float(cells[at]) for cells in rows()] for at, name in enumerate(NAMES.split(",")) if at}
    times = pa.array([BEGIN + timedelta(minutes=at) for at in range(120)], pa.timestamp("ms", "UTC"))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"timestamp": times, **numbers}), sink)
    found = read(tmp_path, bytes(sink.getvalue().to_pybytes()))
    assert (found.form, len(found.bars), found.bars[0].ts_open) == (Form.PARQUET, 120, int(BEGIN.timestamp()) * 10**9)


def test_symbol_and_interval_may_be_said(tmp_path: Path) -> None:
    path = file(tmp_path, text(rows()), "candles.csv")
    found = read_candles(path, Wanted("mine", "SOLUSDT", Interval.M1))
    assert found.instrument == "mine.SOLUSDT"


def test_a_line_that_is_there_twice_is_repaired(tmp_path: Path) -> None:
    doubled = rows()
    found = read(tmp_path, text([*doubled[:5], doubled[4], *doubled[5:]]))
    assert len(found.bars) == 120
    assert [finding.flaw for finding in found.repeated] == [Flaw.REPEATED]


def test_a_file_is_cut_at_the_same_places_wherever_it_begins(tmp_path: Path) -> None:
    cutting = Cutting(50, 100, 25.0, OutlierPolicy.KEEP)
    whole = cut(read(tmp_path, text(rows(300))), cutting)
    part = cut(read(tmp_path, text(rows(300)[70:])), cutting)
    assert [piece.bars for piece in part[1:]] == [piece.bars for piece in whole[-len(part) + 1 :]]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared bars are not here")
def test_a_file_as_downloaded_is_understood() -> None:
    found = read_candles(SHARED / "ADABTC-5m-201801.csv.gz", FOUND_OUT)
    assert (found.instrument, found.interval, len(found.bars)) == ("file.ADABTC", Interval.M5, 5_720)


# -- refused ----------------------------------------------------------------------------------------------------------


def changed(line: int, **cells: str) -> list[Row]:
    """Good rows with some cells of one line of the file replaced."""
    made = rows()
    for name, value in cells.items():
        made[line - 2][NAMES.split(",").index(name)] = value
    return made


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it is empty: fetch it again"),
        ("  \n\n", "it is empty"),
        (text(rows(3)), "it has 3 rows: at least 100 are a history"),
        (text([]), "it has 0 rows"),
        ("hello\nworld\n", "line 1 is no line of a table: it has 1 columns (hello)"),
        ("<html><body>404</body></html>", "line 1 is no line of a table"),
        (b"\x7fELF\x02\x01\x01\x00\xff\xfe\x80", "neither CSV, gzipped CSV nor Parquet"),
        (gzip.compress(text(rows()).encode())[:-20], "begins like gzip and cannot be unpacked"),
        (b"PAR1 and no more", "begins like Parquet and cannot be read"),
        (text(rows(), "timestamp,open,high,low,last,volume"), "there is no column for the close (such as close, c"),
        (text(rows(), "timestamp,open,high,low,close,close"), "a column name is there twice"),
        (text(rows()[::-1]), "line 3: time runs backwards everywhere, here from 2024-01-31 01:59:00Z to"),
        (text([*rows()[:9], rows()[5], *rows()[9:]]), "line 11: time runs backwards in 1 places"),
        (text(changed(7, close="nan")), "line 7, the bar of 2024-01-31 00:05:00Z: close: not a number"),
        (text(changed(7, close="")), "line 7, the bar of 2024-01-31 00:05:00Z: close: not a number"),
        (text(changed(7, close="soon")), "line 7: close: 'soon' is no number: mend or remove the line"),
        (text(changed(7, low="0")), "line 7, the bar of 2024-01-31 00:05:00Z: a price is not above zero"),
        (text(changed(7, high="100")), "line 7, the bar of 2024-01-31 00:05:00Z: open 100.5 and close 101 do not lie"),
        (text(changed(7, volume="-1")), "line 7, the bar of 2024-01-31 00:05:00Z: the volume is -1"),
        (text(changed(7, timestamp="2024-01-31 00:05:01")), "line 7, the bar of 2024-01-31 00:05:01Z: no bar of 1m"),
        (text(changed(7, timestamp="yesterday")), "line 7: 'yesterday' is no date: write it as"),
        (text(changed(7, timestamp="1971-01-31 00:05:00")), "line 7: 1971-01-31 00:05:00 is no time in dates"),
        (text(rows(time=lambda at: str(at.hour * 60 + at.minute))), "line 2: 0 is no time between 2009 and 2100"),
        (text(rows(step_s=1800)), "its bars are 1800 s apart, and bars are of 1s, 5s"),
        (text(rows(step_s=300)), "its name says 1m, but its bars are 5m apart"),
        (text(rows(step_s=0)), "every row has the same time"),
        (text(rows()) + "1,2,3\n", "line 122: it has 3 columns and line 1 has 6"),
    ],
)
def test_what_cannot_be_imported_is_named_with_its_place_and_a_remedy(
    tmp_path: Path, content: str | bytes, said: str
) -> None:
    assert said in complaint(tmp_path, content)


def test_two_lines_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    doubled = [*rows()[:5], changed(6, close="100")[4], *rows()[5:]]
    assert "line 7, the bar of 2024-01-31 00:04:00Z: it is there twice, closing at 101 and at 100" in complaint(
        tmp_path, text(doubled)
    )


def test_a_name_that_tells_no_symbol_needs_an_option(tmp_path: Path) -> None:
    assert "say it with --symbol" in complaint(tmp_path, text(rows()), "candles.csv")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="it cannot be read: No such file"):
        read_candles(tmp_path / "none.csv", FOUND_OUT)
    with pytest.raises(BadFile, match="it cannot be read: Is a directory"):
        read_candles(tmp_path, FOUND_OUT)


def test_an_interval_that_is_said_and_wrong_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="--interval says 5m, but its bars are 1m apart"):
        read_candles(file(tmp_path, text(rows())), Wanted("file", None, Interval.M5))
