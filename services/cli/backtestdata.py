"""What a run of the past needs from this machine: the data that was named, and the settings that hold here."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from pydantic import BaseModel

from services.backtest import sources
from services.backtest.datafiles import DataFile, is_table
from services.backtest.prequentialmodels import causal
from services.backtest.settings import BacktestSettings, DataSource
from services.backtest.sources import Change, Source, as_read, as_told
from services.backtest.wiring import settings_types
from services.cli.backtestcache import keeping, looked_at
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
def opened(data: DataSource, asked: BacktestSettings, change: Change = as_told) -> Iterator[Opened]:
    """Open files or a record; raises `Unusable`."""
    if data.kind.is_record:
        from services.cli.backtestrecord import recorded  # noqa: PLC0415 # no server is needed for files

        causally = change if asked.train else lambda events: causal(change(events))
        with recorded(data, asked, causally) as (source, first, last):
            yield Opened(source, (), f"{first}-{last}", last - first + 1)
        return
    files = looked_at(data.files, asked)
    with keeping(data.kind, files, None, asked) if _is_slow(data) else nullcontext(as_read) as keep:
        yield Opened(sources.files(data, asked, change, keep), files, None, sum(file.rows for file in files))


def _is_slow(data: DataSource) -> bool:
    """Say whether reading takes longer than reading it from a cache would: of Parquet it does not."""
    return not all(map(is_table, data.files))


def usual(strategies: Sequence[str] = ()) -> Mapping[str, BaseModel]:
    """Give the settings that components, and strategies of the user's own, would run with here.

    Leaves with a line that names what is wrong; raises `Unusable`.
    """
    try:
        return {name: load(settings, name) for name, settings in settings_types(strategies).items()}
    except SystemExit as refusal:
        misused(str(refusal.code))
