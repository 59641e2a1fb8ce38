"""A backtest of a made-up market, small enough for a test."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from contracts.event import Event
from contracts.recorded import Recorded
from services.backtest.log import LogWriter, read_log
from services.backtest.run import Run
from services.backtest.settings import BacktestSettings
from services.backtest.sources import frames
from services.backtest.wiring import SETTINGS, Nature, Wiring, wire
from tests.framefiles import market, write
from venues.instruments import LISTING

USUAL = {name: settings() for name, settings in SETTINGS.items()}


@dataclass
class Heard:
    """Keeps what a run lets others hear."""

    recorded: list[Recorded] = field(default_factory=list)

    def hear(self, recorded: Recorded) -> None:
        self.recorded.append(recorded)


@dataclass(frozen=True)
class Played:
    run: Run
    heard: list[Recorded]
    log: list[Recorded]
    sha256: str


def waves(folder: Path, quotes: int = 3_000, symbols: Sequence[str] = ("BTCUSDT",)) -> list[Path]:
    """Write recorded frames of markets that go up and down, in which `trend` trades."""
    return [write(folder / f"{symbol}.gz", market(symbol, quotes)) for symbol in symbols]


def wired(*changes: str, strategies: Sequence[str] = ("all",)) -> Wiring:
    return wire(BacktestSettings(strategies=tuple(strategies), changes=changes), USUAL, LISTING, Nature())


def events_of(files: Sequence[Path]) -> list[Event]:
    return list(frames(files, "binance").events)


def played(events: Iterable[Event], folder: Path, wiring: Wiring | None = None) -> Played:
    heard, path = Heard(), folder / "log.jsonl.gz"
    with LogWriter(path) as log:
        run = Run(wiring or wired(), log, heard)
        run.take(events)
        sha256 = log.sha256
    return Played(run, heard.recorded, list(read_log(path)), sha256)
