"""Files of rows as a market: read as the options of the command say, and told what was made of them."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from contracts.event import Event
from contracts.market import Bar, Quote, Trade
from services.backtest.datafiles import is_table
from services.backtest.settings import BacktestSettings, DataKind, DataSource, Unusable
from services.backtest.sources import Reading, Source, files
from services.bars.settings import PriceSource
from services.cli.backtestdata import opened

BARS = "timestamp,open,high,low,close,volume"
ROWS = [f"2024-01-31T00:{minute:02}:00Z,100,110,90,105,1050" for minute in range(10)]


def table(folder: Path, rows: Sequence[str] = ROWS, head: str = BARS, name: str = "BTCUSDT-1m-a.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([head, *rows, ""]))
    return path


def source(file: Path, kind: DataKind = DataKind.BARS, **said: object) -> Source:
    return files(DataSource(kind, (file,)), BacktestSettings.model_validate(said))


def told(file: Path, **said: object) -> list[Event]:
    """What the rows say, before anything is assumed between them."""
    readings: list[Reading] = []

    def keep(reading: Reading) -> Reading:
        readings.append(reading)
        return reading

    files(DataSource(DataKind.BARS, (file,)), BacktestSettings.model_validate(said), keep=keep)
    return [event for events in readings[0].lists for event in events]


def test_columns_of_other_names_are_said(tmp_path: Path) -> None:
    file = table(tmp_path, head="ts,first,top,bottom,last,traded")
    columns = {"open": "first", "high": "top", "low": "bottom", "close": "last", "volume": "traded"}
    first = told(file, columns=columns)[0]
    assert isinstance(first, Bar)
    assert (first.open, first.high, first.low, first.close, first.volume) == (100.0, 110.0, 90.0, 105.0, 1050.0)
    with pytest.raises(Unusable, match="no column for the open of bars"):
        source(file)


def test_bars_of_quotes_are_of_their_mid_since_there_are_no_trades(tmp_path: Path) -> None:
    rows = [f"2024-01-31T00:{minute:02}:00Z,100,2,101,3" for minute in range(3)]
    file = table(tmp_path, rows, "timestamp,bid,bid_size,ask,ask_size", "BTCUSDT-quotes.csv")
    assert source(file, DataKind.QUOTES).nature.prices is PriceSource.MID
    assert source(table(tmp_path)).nature.prices is None


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="it has no column 'first' for the open; it has timestamp, open"):
        source(table(tmp_path), columns={"open": "first"})


def test_a_file_whose_name_does_not_say_is_of_the_symbol_that_is_said(tmp_path: Path) -> None:
    file = table(tmp_path, name="january.csv")
    with pytest.raises(Unusable, match="say it with --symbol"):
        source(file)
    first = told(file, symbol="ETHUSDT")[0]
    assert isinstance(first, Bar)
    assert first.instrument == "binance.ETHUSDT"


def test_volume_in_money_is_divided_by_the_close(tmp_path: Path) -> None:
    file = table(tmp_path)
    coins, money = told(file)[0], told(file, sizes="quote")[0]
    assert isinstance(coins, Bar) and isinstance(money, Bar)
    assert (coins.volume, money.volume) == (1050.0, 10.0)


def test_dates_are_of_the_zone_that_is_said_or_noted_to_be_taken_as_utc(tmp_path: Path) -> None:
    file = table(tmp_path, [row.replace("Z", "") for row in ROWS])
    utc, berlin = told(file)[0], told(file, zone="Europe/Berlin")[0]
    assert utc.ts_init - berlin.ts_init == 3_600 * 10**9
    assert "BTCUSDT-1m-a.csv: dates without a time zone are taken as UTC" in source(file).assumptions
    assert not any("taken as UTC" in line for line in source(file, zone="Europe/Berlin").assumptions)


def test_a_zone_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="time zone 'Mars/Base' is unknown") as refused:
        source(table(tmp_path), zone="Mars/Base")
    assert refused.value.remedy == ""


def test_the_time_of_a_bar_may_be_its_end(tmp_path: Path) -> None:
    file = table(tmp_path)
    opens, closes = told(file)[0], told(file, bar_time="closes")[0]
    assert opens.ts_init - closes.ts_init == 60 * 10**9


@pytest.mark.parametrize(
    ("path", "prices"),
    [
        ("adverse", [100.0, 90.0, 110.0, 105.0]),
        ("open_high_low_close", [100.0, 110.0, 90.0, 105.0]),
        ("open_low_high_close", [100.0, 90.0, 110.0, 105.0]),
    ],
)
def test_the_path_inside_a_bar_is_chosen_and_told(tmp_path: Path, path: str, prices: list[float]) -> None:
    market = source(table(tmp_path), path=path)
    trades = [event for event in market.events if isinstance(event, Trade)]
    assert [trade.price for trade in trades[:4]] == prices
    assert any("optimistic for" in line for line in market.assumptions) is (path != "adverse")


def test_the_adverse_path_shows_the_whole_bar_at_once(tmp_path: Path) -> None:
    shown = [(event.bid, event.ask) for event in source(table(tmp_path)).events if isinstance(event, Quote)]
    assert (90.0, 110.0) in shown


def test_parquet_tells_what_csv_does(tmp_path: Path) -> None:
    file = table(tmp_path)
    parquet = tmp_path / "BTCUSDT-1m-b.parquet"
    pq.write_table(pa.csv.read_csv(file), parquet)
    assert told(parquet) == told(file)
    assert (is_table(parquet), is_table(file)) == (True, False)


def test_what_is_repaired_is_counted_with_its_place(tmp_path: Path) -> None:
    rows = [*ROWS[:3], ROWS[3].replace("110", "nan"), *ROWS[4:]]
    with pytest.raises(Unusable, match=r"line 5: .*choose the policy repair") as refused:
        list(source(table(tmp_path, rows)).events)
    assert refused.value.remedy == "that policy is --repair"
    market = source(table(tmp_path, rows), repair=True)
    list(market.events)
    assert [(what.partition(":")[0], count) for what, count in market.repairs().items()] == [
        ("rows with what is no number", 1),
        ("gaps", 1),
    ]
    assert all("first BTCUSDT-1m-a.csv, line" in what for what in market.repairs())


@pytest.mark.parametrize(
    ("kind", "said", "message"),
    [
        (DataKind.FRAMES, {"columns": {"time": "t"}}, "--columns: frames have no rows of columns"),
        (DataKind.FRAMES, {"sizes": "quote"}, "--sizes"),
        (DataKind.FRAMES, {"zone": "UTC"}, "--zone"),
        (DataKind.FRAMES, {"symbol": "X"}, "--symbol"),
        (DataKind.QUOTES, {"path": "open_high_low_close"}, "--path: quotes have no bars"),
        (DataKind.TRADES, {"bar_time": "closes"}, "--bar-time: trades have no bars"),
    ],
)
def test_what_cannot_be_said_of_such_data_is_refused(
    tmp_path: Path, kind: DataKind, said: dict[str, object], message: str
) -> None:
    with pytest.raises(Unusable, match=message):
        source(table(tmp_path), kind, **said)


def test_the_cache_changes_nothing_and_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HMM_RUN_DIR", str(tmp_path / "run"))
    data = DataSource(DataKind.BARS, (table(tmp_path),))

    def played(**said: object) -> tuple[list[Event], int]:
        with opened(data, BacktestSettings.model_validate(said)) as there:
            return list(there.source.events), there.source.rows_done()

    without = played(cache=False)
    assert not (tmp_path / "run").exists()
    assert played() == without
    (kept,) = (tmp_path / "run" / "cache").glob("*.events")
    before = kept.read_bytes()
    assert played() == without
    assert kept.read_bytes() == before
