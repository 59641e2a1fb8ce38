"""What a run of the past needs from this machine: the data that was named, and the settings that hold here."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import BaseModel

from services.backtest import sources
from services.backtest.datafiles import DataFile, look_at
from services.backtest.settings import BacktestSettings, DataSource
from services.backtest.sources import Source
from services.backtest.wiring import ORDER
from services.catalog import BLUEPRINTS
from services.cli.errors import misused
from tape.settings import load


@dataclass(frozen=True)
class Opened:
    """Data that can be played once; it is opened again for another run."""

    source: Source
    files: tuple[DataFile, ...]
    positions: str | None
    """Of a record; files have none."""
    rows: int
    """How much there is in all, as the source counts."""


@contextmanager
def opened(data: DataSource, asked: BacktestSettings) -> Iterator[Opened]:
    """Open files or a record; raises `Unusable`."""
    if data.kind.is_record:
        from services.cli.backtestrecord import recorded  # noqa: PLC0415 # no server is needed for files

        with recorded(data) as (source, first, last):
            yield Opened(source, (), f"{first}-{last}", last - first + 1)
        return
    files = look_at(data.files)
    yield Opened(sources.files(data, asked), files, None, sum(file.rows for file in files))


def usual() -> Mapping[str, BaseModel]:
    """Give the settings that the components would run with here, or leave with a line that names what is wrong."""
    try:
        return {name: load(BLUEPRINTS[name].settings, name) for name in ORDER}
    except SystemExit as refusal:
        misused(str(refusal.code))
