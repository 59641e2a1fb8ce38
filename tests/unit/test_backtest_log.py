"""The event log on disk: every event comes back as it was, and a bad file says where it is bad."""

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis.strategies import lists

from contracts.event import Event
from contracts.recorded import Recorded
from services.backtest.log import BadLog, LogWriter, read_log
from tests.builders import quote
from tests.property.event_strategies import events


def written(path: Path, *said: Event) -> str:
    with LogWriter(path) as log:
        for position, event in enumerate(said, start=1):
            log.said(Recorded(position, position, f"risk/{position}/0", 0, event))
        return log.sha256


@settings(max_examples=50)
@given(said=lists(events(), max_size=5))
def test_what_was_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, said: list[Event]) -> None:
    path = tmp_path_factory.mktemp("log") / "log.gz"
    written(path, *said)
    assert [recorded.event for recorded in read_log(path)] == said


def test_the_hash_is_of_the_lines_and_not_of_the_file(tmp_path: Path) -> None:
    sha256 = written(tmp_path / "log.gz", quote(), quote())
    assert hashlib.sha256(gzip.decompress((tmp_path / "log.gz").read_bytes())).hexdigest() == sha256


def test_two_files_of_the_same_log_are_the_same_bytes(tmp_path: Path) -> None:
    written(tmp_path / "one", quote())
    written(tmp_path / "other", quote())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_nothing_gets_into_the_log_that_nobody_could_read(tmp_path: Path) -> None:
    with LogWriter(tmp_path / "log") as log, pytest.raises(ValueError, match="Quote"):
        log.said(Recorded(2, 1, "feed/1/0", 0, quote(bid=float("nan"))))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: gzip.compress(gzip.decompress(content) + b"nonsense\n"),
        lambda content: gzip.compress(gzip.decompress(content).replace(b'"Quote.v1"', b'"Trade.v1"')),
        lambda _content: b"no gzip",
    ],
)
def test_a_damaged_log_says_where_it_ends(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "log.gz"
    written(path, quote(), quote())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadLog, match=r"log\.gz, behind line \d"):
        list(read_log(path))
