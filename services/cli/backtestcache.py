"""The cache of decoded events of this machine: `cache` in the run directory, or nowhere with `--no-cache`."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from eventstore.marketdata.decodedcache import DecodedCache
from services.backtest.datafiles import DataFile, look_at
from services.backtest.kept import kept, key_of
from services.backtest.settings import BacktestSettings, DataKind
from services.backtest.sources import Keep, Reading, as_read
from services.cli.knownfiles import KnownFiles
from services.cli.settings import from_environment


class CacheSettings(BaseSettings):
    """Set by HMM_CACHE_ variables."""

    model_config = SettingsConfigDict(env_prefix="HMM_CACHE_", env_ignore_empty=True, frozen=True, extra="forbid")

    limit_mb: int = Field(
        default=4_096, ge=1, le=1_000_000, description="of all files together; those not used for longest go"
    )


def looked_at(files: Sequence[Path], asked: BacktestSettings) -> tuple[DataFile, ...]:
    """Say what is in files; raises `Unusable`."""
    return KnownFiles(_directory() / "files.json").look_at(files) if asked.cache else look_at(files)


def _directory() -> Path:
    return from_environment().run / "cache"


@contextmanager
def keeping(kind: DataKind, files: Sequence[DataFile], record: str | None, asked: BacktestSettings) -> Iterator[Keep]:
    """Give what lets a reading be kept; what was read by the end of the block is in the cache then."""
    if not asked.cache:
        yield as_read
        return
    cache = DecodedCache(_directory(), CacheSettings().limit_mb << 20, _say)
    key = key_of(kind, files, record, asked)
    given: list[Reading] = []

    def keep(reading: Reading) -> Reading:
        given.append(kept(reading, cache, key, asked))
        return given[-1]

    try:
        yield keep
    finally:
        for reading in given:
            reading.close()


def _say(line: str) -> None:
    print(f"hmm: note: {line}", file=sys.stderr)
