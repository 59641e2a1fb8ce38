"""Files that were looked at before: read again whenever they may have changed, and only then."""

import os
from pathlib import Path

import pytest

from services.backtest.datafiles import DataFile, look_at
from services.backtest.settings import Unusable
from services.cli import knownfiles
from services.cli.knownfiles import KnownFiles

LONG_AFTER = 4_000_000_000 * 10**9


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read, as they are."""
    names: list[str] = []

    def noted(files: list[Path]) -> tuple[DataFile, ...]:
        names.extend(file.name for file in files)
        return look_at(files)

    monkeypatch.setattr(knownfiles, "look_at", noted)
    return names


@pytest.fixture
def known(tmp_path: Path) -> KnownFiles:
    return KnownFiles(tmp_path / "cache" / "files.json", lambda: LONG_AFTER)


def written(path: Path, text: str = "1\n2\n") -> Path:
    path.write_text(text)
    return path


def test_a_file_that_did_not_change_is_read_once(tmp_path: Path, known: KnownFiles, read: list[str]) -> None:
    files = [written(tmp_path / "a.csv"), written(tmp_path / "b.csv", "3\n")]
    assert known.look_at(files) == known.look_at(files) == look_at(files)
    assert read == ["a.csv", "b.csv"]


def test_a_file_that_changed_is_read_again(tmp_path: Path, known: KnownFiles, read: list[str]) -> None:
    file = written(tmp_path / "a.csv")
    known.look_at([file])
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    written(file, "3\n4\n")
    os.utime(file, ns=times)
    assert known.look_at([file]) == look_at([file])
    assert read == ["a.csv", "a.csv"]


def test_a_file_that_changed_lately_is_not_believed_yet(tmp_path: Path, read: list[str]) -> None:
    file = written(tmp_path / "a.csv")
    lately = KnownFiles(tmp_path / "files.json", lambda: file.stat().st_ctime_ns + 10**9)
    assert lately.look_at([file]) == lately.look_at([file])
    assert read == ["a.csv", "a.csv"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', "null"])
def test_what_cannot_be_read_is_as_if_it_were_not_there(tmp_path: Path, content: str) -> None:
    (tmp_path / "files.json").write_text(content)
    file = written(tmp_path / "a.csv")
    assert KnownFiles(tmp_path / "files.json", lambda: LONG_AFTER).look_at([file]) == look_at([file])


def test_a_file_that_is_not_there_is_named(tmp_path: Path, known: KnownFiles) -> None:
    with pytest.raises(Unusable, match=r"nowhere\.csv: No such file"):
        known.look_at([tmp_path / "nowhere.csv"])
