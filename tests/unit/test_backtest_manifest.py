"""The manifest names all that a log follows from and nothing else, and is read again; a bad one says what is wrong."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.control import DeadLetter
from contracts.event import Event
from services.backtest.datafiles import look_at
from services.backtest.manifest import Manifest, failure, manifest_of, read, require_same_data, text_of
from services.backtest.settings import BacktestSettings, Unusable
from services.backtest.sources import frames, within
from tests.backtested import wired
from tests.builders import quote
from tests.framefiles import market, write

ENDED = {"ending": "complete", "log_sha256": "ab" * 32}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "BTCUSDT.gz", market("BTCUSDT", 50))


@pytest.fixture
def made(data: Path) -> Manifest:
    return manifest_of("frames", look_at([data]), None, BacktestSettings(seed=3), wired("trend.slow=20"))


def test_a_manifest_is_read_again_as_it_was(made: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text_of(made, ENDED))
    past = read(path)
    assert past.manifest == made
    assert list(past.manifest.settings) == list(made.settings)
    assert past.manifest.run_id == made.run_id
    assert (past.complete, past.log_sha256) == (True, ENDED["log_sha256"])


def test_the_same_data_elsewhere_is_the_same_run(made: Manifest, data: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    copy = tmp_path / "other" / data.name
    copy.write_bytes(data.read_bytes())
    other = manifest_of("frames", look_at([copy]), None, BacktestSettings(seed=3), wired("trend.slow=20"))
    assert other.run_id == made.run_id


@pytest.mark.parametrize(
    "change",
    [
        lambda made: replace(made, settings=wired("trend.slow=21").settings),
        lambda made: replace(made, data=(replace(made.data[0], sha256="0" * 64),)),
        lambda made: replace(made, code=replace(made.code, sha256="0" * 64)),
        lambda made: replace(made, asked=BacktestSettings(seed=3, ends_at=5)),
    ],
)
def test_whatever_the_log_follows_from_makes_it_another_run(
    made: Manifest, change: Callable[[Manifest], Manifest]
) -> None:
    assert change(made).run_id != made.run_id


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda document: document.pop("run"), "no manifest of a backtest"),
        (lambda document: document["run"].update(format=9), "it is of format 9, and this code reads 1"),
        (lambda document: document["run"]["components"]["trend"].update(slo=5), "TrendSettings.slo: Extra inputs"),
        (lambda document: document["run"]["components"].update(trent={}), "no manifest of a backtest"),
        (lambda document: document["run"]["data"].update(files=[{"name": "x"}]), "no manifest of a backtest"),
    ],
)
def test_a_bad_manifest_says_what_is_wrong(
    made: Manifest, tmp_path: Path, damage: Callable[[dict[str, Any]], object], message: str
) -> None:
    document = json.loads(text_of(made, ENDED))
    damage(document)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(document))
    with pytest.raises(Unusable, match=message):
        read(path)


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "3"])
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(Unusable, match=r"manifest\.json"):
        read(path)


def test_a_manifest_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"nowhere\.json: No such file"):
        read(tmp_path / "nowhere.json")


def test_other_data_is_not_the_same_run(made: Manifest, tmp_path: Path) -> None:
    other = look_at([write(tmp_path / "other.gz", market("BTCUSDT", 51))])
    with pytest.raises(Unusable, match=r"other\.gz is not the BTCUSDT\.gz of the manifest"):
        require_same_data(made, other, None)
    with pytest.raises(Unusable, match="of 1 files, and these are 2"):
        require_same_data(made, (*made.data, *other), None)
    with pytest.raises(Unusable, match="positions"):
        require_same_data(made, (), "1-5")
    require_same_data(made, made.data, None)


def test_files_are_counted_in_rows(data: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.csv"
    plain.write_text("a,b\n1,2\n3,4\n")
    assert [file.rows for file in look_at([data, plain])] == [63, 3]


def test_a_file_that_ends_badly_is_for_its_reader_to_judge(tmp_path: Path) -> None:
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(b"x\n" * 1000)[:-6])
    (looked_at,) = look_at([cut])
    assert looked_at.octets == cut.stat().st_size
    assert looked_at.rows <= 1000


def test_bad_frames_are_dead_letters_and_counted(tmp_path: Path) -> None:
    lines = [*market("BTCUSDT", 4), "1723089700000000000 nonsense"]
    source = frames([write(tmp_path / "x.gz", lines)], "binance")
    letters = [event for event in source.events if isinstance(event, DeadLetter)]
    assert [letter.component for letter in letters] == ["feed"]
    assert list(source.repairs().values()) == [1]
    assert source.rows_done() == len(lines)


def test_only_what_is_known_within_the_span_is_played() -> None:
    events: list[Event] = [quote(at=at) for at in range(10)]
    asked = BacktestSettings(begins_at=events[3].ts_init, ends_at=events[7].ts_init)
    assert list(within(iter(events), asked)) == events[3:7]


def test_what_a_component_raises_is_told_with_its_place() -> None:
    def broken() -> None:
        raise KeyError("price")

    with pytest.raises(KeyError) as raised:
        broken()
    assert failure(raised.value).startswith("KeyError: 'price' (unit/test_backtest_manifest.py:")
