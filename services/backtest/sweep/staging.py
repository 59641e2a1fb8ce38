"""One trial played: the data of the sweep, under the settings of the trial, told fold by fold."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

from pydantic import BaseModel

from contracts.event import Event
from services.backtest.playing import play
from services.backtest.run import Ending, Run
from services.backtest.settings import BacktestSettings, Unusable
from services.backtest.sources import Source, within
from services.backtest.sweep.folds import Folds
from services.backtest.sweep.hearing import Closed, FoldHearer
from services.backtest.wiring import Nature, Wiring, wire
from venues.instruments import Listing

MOST_HELD = 1_000_000
"""Events that are kept in memory for all trials (some 300 bytes each); longer data is read anew for each."""

Opening = Callable[[], AbstractContextManager[Source]]
"""Opens the data of the sweep; it can be played once."""


@dataclass(frozen=True)
class Material:
    """The data of a sweep, looked through once."""

    opening: Opening
    listing: Listing
    nature: Nature
    first: int
    last: int
    events: int
    held: tuple[Event, ...] | None
    """All events, if they are few enough."""

    @contextmanager
    def opened(self) -> Iterator[Source]:
        if self.held is None:
            with self.opening() as source:
                yield source
            return
        yield Source(iter(self.held), self.listing, self.nature, lambda: 0, dict)


def look_through(opening: Opening, asked: BacktestSettings, most_held: int = MOST_HELD) -> Material:
    """Read the data once, and keep it if it is short enough; raises `Unusable`."""
    held: list[Event] | None = []
    first = last = None
    count = 0
    with opening() as source:
        for event in within(source.events, asked):
            count += 1
            first = event.ts_init if first is None else first
            last = event.ts_init
            if held is not None:
                held.append(event)
                if count > most_held:
                    held = None
        if first is None or last is None:
            raise Unusable("there are no events in that time", "look at --from and --to")
        events = None if held is None else tuple(held)
        return Material(opening, source.listing, source.nature, first, last, count, events)


@dataclass(frozen=True)
class Stage:
    """Everything that all trials have in common."""

    material: Material
    asked: BacktestSettings
    usual: Mapping[str, BaseModel]
    folds: Folds

    def wiring(self, changes: tuple[str, ...]) -> Wiring:
        """Wire a trial; raises `Unusable` where no such settings can be."""
        asked = self.asked.model_copy(update={"changes": (*self.asked.changes, *changes)})
        return wire(asked, self.usual, self.material.listing, self.material.nature)


@dataclass(frozen=True, slots=True)
class Played:
    """How a trial ended: `why` it failed, if it did."""

    why: str
    events: int
    seconds: float


def perform(stage: Stage, changes: tuple[str, ...], closed: Closed) -> Played:
    """Play a trial until its folds are over, or `closed` wants no more."""
    began = time.perf_counter()
    hearer = FoldHearer(stage.folds, closed)
    run = Run(stage.wiring(changes), None, hearer)
    until = stage.folds.folds[-1].ends_at

    def shown(source: Source) -> Iterator[Event]:
        for event in source.events:
            if hearer.stopped or event.ts_init > until:
                return
            yield event

    with stage.material.opened() as source:
        ending, why = play(run, replace(source, events=shown(source)), stage.asked, lambda _rows, _events: None)
    if ending is Ending.COMPLETE:
        hearer.finish()
    return Played("" if ending is Ending.COMPLETE else why, run.events, time.perf_counter() - began)
