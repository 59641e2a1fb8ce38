"""Recorded websocket frames: what can be read is played, what cannot is counted, reported by its line, and skipped."""

import gzip
from collections.abc import Iterable
from pathlib import Path

import pytest

from contracts.market import Funding, MarketGap, Quote, Trade
from contracts.types import GapKind, Side, instrument_id
from services.feed.frames import REASONS_KEPT, FrameKind, FrameReport, Rejected, Shown, fingerprint, read_frames
from services.feed.gaps import GapWatch
from services.feed.settings import FeedSettings
from tests.builders import BTC, ETH, SECOND, quote, trade

AT = 1_723_161_254_087_891_268
BTCUSDT = instrument_id("binance", "BTCUSDT")


def book(bid: object = "99.5", ask: object = "100.5", bid_size: object = "2", ask_size: object = "3") -> str:
    sides = ",".join(
        f'"{key}":{value if isinstance(value, int | float) else f"{chr(34)}{value}{chr(34)}"}'
        for key, value in {"b": bid, "B": bid_size, "a": ask, "A": ask_size}.items()
    )
    return f'{{"stream":"btcusdt@bookTicker","data":{{"u":1,"s":"BTCUSDT",{sides}}}}}'


def deal(price: str = "100", size: str = "0.5", *, maker_bought: str = "true", number: int = 7) -> str:
    return (
        f'{{"stream":"btcusdt@trade","data":{{"e":"trade","s":"BTCUSDT","t":{number},"p":"{price}","q":"{size}",'
        f'"T":1723161255342,"m":{maker_bought}}}}}'
    )


def recording(path: Path, frames: Iterable[str], *, start: int = AT, step: int = SECOND) -> Path:
    """Write each frame with its receive time, `step` ns apart."""
    return written(path, [f"{start + number * step} {frame}" for number, frame in enumerate(frames)])


def written(path: Path, lines: Iterable[str]) -> Path:
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    return path


def read(*files: Path) -> tuple[list[Shown | Rejected], FrameReport]:
    report = FrameReport()
    return list(read_frames(files, "binance", report)), report


def test_a_book_ticker_is_a_quote_of_the_time_it_was_received(tmp_path: Path) -> None:
    (quoted,), _ = read(recording(tmp_path / "spot.gz", [book()]))
    assert quoted == Quote(ts_event=AT, ts_init=AT, instrument=BTCUSDT, bid=99.5, bid_size=2.0, ask=100.5, ask_size=3.0)


def test_a_book_ticker_with_a_time_of_the_exchange_happened_then(tmp_path: Path) -> None:
    frame = book().replace('"u":1', '"T":1723161256313')
    (quoted,), _ = read(recording(tmp_path / "usdm.gz", [frame]))
    assert isinstance(quoted, Quote)
    assert (quoted.ts_event, quoted.ts_init) == (1_723_161_256_313_000_000, AT)


def test_a_trade_was_brought_about_by_the_side_that_did_not_wait(tmp_path: Path) -> None:
    frames = [deal(maker_bought="true"), deal(maker_bought="false")]
    (sold, bought), _ = read(recording(tmp_path / "spot.gz", frames))
    assert isinstance(sold, Trade) and isinstance(bought, Trade)
    assert (sold.aggressor, bought.aggressor) == (Side.SELL, Side.BUY)
    assert (sold.price, sold.size, sold.trade_id, sold.ts_event) == (100.0, 0.5, "7", 1_723_161_255_342_000_000)


def test_a_mark_price_frame_tells_the_funding_ahead(tmp_path: Path) -> None:
    data = '"e":"markPriceUpdate","E":1723161255342,"s":"BTCUSDT","p":"100.1","i":"100","r":"0.0001","T":1723161600000'
    frame = f'{{"stream":"btcusdt@markPrice@1s","data":{{{data}}}}}'
    (ahead,), report = read(recording(tmp_path / "usdm.gz", [frame]))
    happened, due = 1_723_161_255_342_000_000, 1_723_161_600_000_000_000
    assert ahead == Funding(
        ts_event=happened, ts_init=AT, instrument=BTCUSDT, mark=100.1, index=100.0, rate=0.0001, next_at=due
    )
    assert report.kinds == {FrameKind.FUNDING: 1}


def test_depth_and_snapshots_are_counted_and_not_played(tmp_path: Path) -> None:
    frames = ['{"lastUpdateId":1,"bids":[],"asks":[]}', '{"stream":"btcusdt@depth@100ms","data":{}}', book()]
    played, report = read(recording(tmp_path / "spot.gz", frames))
    assert len(played) == 1
    assert report.kinds == {FrameKind.SNAPSHOT: 1, FrameKind.DEPTH: 1, FrameKind.QUOTE: 1}


BROKEN = {
    "cut": (book()[:40], "not JSON"),
    "empty": ("", "not JSON"),
    "list": ("[1, 2]", "not a JSON object"),
    "no stream": ('{"data":{}}', "stream, data"),
    "no data": ('{"stream":"btcusdt@trade"}', "stream, data"),
    "unknown stream": ('{"stream":"btcusdt@kline_1m","data":{}}', "btcusdt@kline_1m"),
    "crossed book": (book(bid="101", ask="100"), "crossed book"),
    "negative size": (book(bid_size="-1"), "bid_size"),
    "zero price": (book(bid="0"), "bid"),
    "infinite price": (book(ask="Infinity"), "ask"),
    "no number": (book(ask_size="much"), "data.A"),
    "NaN": (deal(price="NaN"), "price"),
    "missing price": (deal().replace('"p":"100",', ""), "data.p: is missing"),
    "missing symbol": (deal().replace('"s":"BTCUSDT",', ""), "data.s: is missing"),
    "foreign symbol": (deal().replace("BTCUSDT", "BTC.USDT>"), "instrument"),
    "time in words": (deal().replace("1723161255342", '"noon"'), "data.T"),
    "time below zero": (deal().replace("1723161255342", "-1"), "data.T"),
    "side in words": (deal(maker_bought='"false"'), "data.m"),
}


@pytest.mark.parametrize(("frame", "why"), BROKEN.values(), ids=BROKEN)
def test_a_broken_frame_is_counted_reported_by_its_line_and_skipped(tmp_path: Path, frame: str, why: str) -> None:
    played, report = read(recording(tmp_path / "spot.gz", [book(), frame, deal()]))
    before, rejected, after = played
    assert isinstance(before, Quote) and isinstance(after, Trade)
    assert isinstance(rejected, Rejected)
    assert rejected.source == "spot.gz:2"
    assert why in rejected.reason
    assert rejected.excerpt == frame[:120]
    assert report.rejected == [rejected]
    assert report.kinds == {FrameKind.QUOTE: 1, FrameKind.BAD: 1, FrameKind.TRADE: 1}


def test_the_beginning_of_a_broken_frame_is_shown_as_text_that_can_be_kept(tmp_path: Path) -> None:
    (rejected,), _ = read(recording(tmp_path / "spot.gz", ["\x00\x01"]))
    assert isinstance(rejected, Rejected)
    assert rejected.excerpt == "\N{REPLACEMENT CHARACTER}\x01"


@pytest.mark.parametrize("line", ["", "noon {}", f"-1 {book()}", book(), f"{'9' * 20} {book()}"])
def test_a_line_without_a_receive_time_is_skipped_with_its_number(tmp_path: Path, line: str) -> None:
    file = written(tmp_path / "spot.gz", [f"{AT} {book()}", line, f"{AT} {deal()}"])
    (_, rejected, _), report = read(file)
    assert isinstance(rejected, Rejected)
    assert rejected.source == "spot.gz:2"
    assert "receive time" in rejected.reason
    assert report.lines == 3


def test_a_time_that_runs_backwards_is_skipped_and_time_goes_on_from_before(tmp_path: Path) -> None:
    times = [AT, AT - 2 * SECOND, AT - SECOND, AT]
    file = written(tmp_path / "spot.gz", [f"{time} {book()}" for time in times])
    played, report = read(file)
    reasons = {item.source: item.reason for item in played if isinstance(item, Rejected)}
    assert reasons == {
        "spot.gz:2": "time runs backwards by 2.000 s",
        "spot.gz:3": "time runs backwards by 1.000 s",
    }
    assert report.kinds == {FrameKind.QUOTE: 2, FrameKind.BAD: 2}


def bad_files(directory: Path) -> dict[str, Path]:
    whole = recording(directory / "whole.gz", [book()] * 100).read_bytes()
    contents = {"empty.gz": b"", "no-lines.gz": gzip.compress(b""), "plain.gz": b"hello", "cut.gz": whole[:-20]}
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    return {name: directory / name for name in (*contents, "missing.gz")}


@pytest.mark.parametrize("name", ["empty.gz", "no-lines.gz", "plain.gz", "cut.gz", "missing.gz"])
def test_a_file_that_is_no_recording_is_reported_and_the_others_are_played(tmp_path: Path, name: str) -> None:
    good = recording(tmp_path / "good.gz", [book(), deal()])
    played, report = read(bad_files(tmp_path)[name], good)
    (rejected,) = [item for item in played if isinstance(item, Rejected)]
    assert rejected.source.startswith(f"{name}:")
    assert rejected.reason.startswith("the file ")
    assert report.kinds[FrameKind.TRADE] == 1


def test_what_comes_before_the_cut_of_a_file_is_played(tmp_path: Path) -> None:
    frames = [deal(price=f"{100 + number * 7919 % 1000}.{number}", number=number) for number in range(2000)]
    whole = recording(tmp_path / "whole.gz", frames)
    half = whole.read_bytes()[: whole.stat().st_size // 2]
    (tmp_path / "half.gz").write_bytes(half)
    played, report = read(tmp_path / "half.gz")
    assert 500 < report.kinds[FrameKind.TRADE] < 1500
    assert isinstance(played[-1], Rejected)
    assert played[-1].source == f"half.gz:{len(played)}"


def test_files_are_merged_by_receive_time(tmp_path: Path) -> None:
    first = recording(tmp_path / "a.gz", [book(bid="1"), book(bid="3")], start=AT, step=2)
    second = recording(tmp_path / "b.gz", [book(bid="2"), book(bid="4")], start=AT + 1, step=2)
    played, _ = read(first, second)
    assert [quoted.bid for quoted in played if isinstance(quoted, Quote)] == [1.0, 2.0, 3.0, 4.0]


def test_at_the_same_time_the_file_named_first_goes_first(tmp_path: Path) -> None:
    first, second = recording(tmp_path / "a.gz", [book(bid="1")]), recording(tmp_path / "b.gz", [book(bid="2")])
    played, _ = read(second, first)
    assert [quoted.bid for quoted in played if isinstance(quoted, Quote)] == [2.0, 1.0]


def test_every_line_is_accounted_for_but_only_the_first_reasons_are_kept(tmp_path: Path) -> None:
    _, report = read(recording(tmp_path / "spot.gz", ["broken"] * (REASONS_KEPT + 50)))
    assert report.lines == report.kinds[FrameKind.BAD] == REASONS_KEPT + 50
    assert len(report.rejected) == REASONS_KEPT
    assert "150 frames" in str(report)
    assert "150 bad" in str(report)


def test_the_fingerprint_is_of_what_is_in_the_files_and_not_of_their_names(tmp_path: Path) -> None:
    first, second = recording(tmp_path / "a.gz", [book()]), recording(tmp_path / "b.gz", [deal()])
    renamed = tmp_path / "renamed.gz"
    renamed.write_bytes(first.read_bytes())
    assert fingerprint([first, second]) == fingerprint([renamed, second])
    assert fingerprint([first, second]) != fingerprint([second, first])
    assert fingerprint([first]) != fingerprint([first, second])


def watched(*events: Quote | Trade, stale_after_s: float = 10) -> list[MarketGap]:
    watch = GapWatch(round(stale_after_s * SECOND))
    return [gap for event in events for gap in watch.look(event)]


def test_skipped_trade_ids_are_a_gap_of_as_many_trades() -> None:
    (gap,) = watched(trade(1.0, trade_id="5"), trade(1.0, trade_id="6"), trade(1.0, trade_id="9"))
    assert (gap.kind, gap.missing) == (GapKind.MISSING_TRADES, 2)


def test_a_trade_that_comes_late_makes_no_gap_of_those_that_came_before_it() -> None:
    ids = ["5", "7", "6", "8"]
    assert len(watched(*(trade(1.0, trade_id=number) for number in ids))) == 1


def test_trade_ids_that_are_no_numbers_cannot_be_missed() -> None:
    assert watched(trade(1.0, trade_id="a-1"), trade(1.0, trade_id="a-9")) == []


def test_the_trades_of_each_instrument_are_numbered_for_themselves() -> None:
    assert watched(trade(1.0, trade_id="5"), trade(1.0, trade_id="900", instrument=ETH)) == []


def test_an_instrument_that_was_silent_for_too_long_is_a_gap_of_that_time() -> None:
    (gap,) = watched(quote(at=0.0), quote(at=10.0), quote(at=20.001))
    assert (gap.kind, gap.missing) == (GapKind.SILENCE, 10_001_000_000)


def test_one_instrument_does_not_speak_for_another() -> None:
    (gap,) = watched(quote(at=0.0), quote(at=8.0, instrument=ETH), quote(at=15.0))
    assert gap.instrument == BTC


def test_the_watch_knows_when_it_last_heard_of_each_instrument() -> None:
    watch = GapWatch(SECOND)
    for event in (quote(at=0.0), trade(1.0, at=2.0), quote(at=1.0, instrument=ETH)):
        watch.look(event)
    assert watch.last_heard() == {BTC: trade(1.0, at=2.0).ts_init, ETH: quote(at=1.0).ts_init}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source", "frames:"),
        ("source", "binance"),
        ("speed", "fast"),
        ("speed", "0"),
        ("speed", "-1"),
        ("speed", "nan"),
        ("speed", "inf"),
        ("stale_after_s", 0),
        ("quotes_per_s", 0),
        ("quotes_per_s", 1e9),
        ("symbols", ()),
        ("venue", "bin.ance"),
        ("colour", "blue"),
    ],
)
def test_settings_refuse_nonsense_and_name_it(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        FeedSettings.model_validate({name: value})


def test_settings_name_the_files_and_the_speed() -> None:
    settings = FeedSettings(source="frames:a.gz,b.gz", speed="max")
    assert settings.files == [Path("a.gz"), Path("b.gz")]
    assert settings.times_faster is None
    assert FeedSettings(speed="20").times_faster == 20.0
