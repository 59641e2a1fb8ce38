"""Processes that play trials. Each is a fork of this one, so that the data is decoded once and lies in memory once.

A worker hears of a trial, tells of each fold that ended, is told whether to go on, and tells how it ended. Only the
parent knows the store: a worker can be killed at any moment, and its trial is given to another one.
"""

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Thread

from services.backtest.manifest import failure
from services.backtest.sweep.staging import Played
from services.backtest.sweep.trials import Stretch

Changes = tuple[str, ...]
Closed = Callable[[int, Stretch], bool]
Perform = Callable[[Changes, Closed], Played]
"""Plays a trial; `Closed` is asked behind every fold whether to go on."""
Meanwhile = Callable[[], None]
"""Is done in a thread of the parent as soon as a core has nothing to do."""


def nothing() -> None:
    """Do nothing meanwhile."""


@dataclass(frozen=True, slots=True)
class FoldEnded:
    fold: int
    stretch: Stretch


@dataclass(frozen=True, slots=True)
class TrialEnded:
    played: Played


@dataclass(frozen=True, slots=True)
class Died:
    """The process is gone: someone killed it, or memory was short."""


Said = FoldEnded | TrialEnded | Died


@dataclass(eq=False)
class Worker:
    """One process, and the trial that it plays (None: it waits for one)."""

    process: BaseProcess
    pipe: Connection
    trial: int | None = None

    def play(self, trial: int, changes: Changes) -> None:
        self.trial = trial
        self._send(changes)

    def go_on(self, *, wanted: bool) -> None:
        self._send(wanted)

    def _send(self, message: object) -> None:
        try:
            self.pipe.send(message)
        except OSError:
            return  # it died; `heard` tells so

    def said(self) -> Said:
        try:
            said: Said = self.pipe.recv()
        except (EOFError, OSError):
            return Died()
        return said

    def end(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.join()


class Workers:
    """A number of processes; one that died is replaced."""

    def __init__(self, count: int, perform: Perform, meanwhile: Meanwhile) -> None:
        self._perform = perform
        self._meanwhile = meanwhile
        self._thread: Thread | None = None
        self._cores_left = count < (os.cpu_count() or 1)
        self._workers: list[Worker] = []
        for _ in range(count):
            self._workers.append(self._started())

    def _started(self) -> Worker:
        self._finish_meanwhile()
        context = multiprocessing.get_context("fork")
        mine, its = context.Pipe()
        others = [worker.pipe for worker in self._workers]
        process = context.Process(target=_work, args=(its, [mine, *others], self._perform), daemon=True)
        process.start()
        its.close()
        return Worker(process, mine)

    @property
    def idle(self) -> Sequence[Worker]:
        return [worker for worker in self._workers if worker.trial is None]

    def heard(self, timeout_s: float) -> Iterator[tuple[Worker, Said]]:
        """Wait until someone says something; a dead worker is replaced behind what is told of it."""
        busy = {worker.pipe: worker for worker in self._workers if worker.trial is not None}
        for pipe in wait(list(busy), timeout_s):
            assert isinstance(pipe, Connection)
            worker = busy[pipe]
            said = worker.said()
            yield worker, said
            if isinstance(said, Died):
                worker.end()
                self._workers.remove(worker)
                self._workers.append(self._started())

    def use_spare_core(self) -> None:
        """Do once what is to be done meanwhile, if processes leave a core: they are fewer, or there are no trials."""
        if self._thread is None and (self._cores_left or self.idle):
            self._thread = Thread(target=self._meanwhile, name="meanwhile")
            self._thread.start()

    def _finish_meanwhile(self) -> None:
        """Wait for the thread: a process that is forked during an import could wait for that import for ever."""
        if self._thread is not None:
            self._thread.join()

    def end(self) -> None:
        for worker in self._workers:
            worker.end()
        self._workers.clear()
        self._finish_meanwhile()


@contextmanager
def workers(count: int, perform: Perform, meanwhile: Meanwhile = nothing) -> Iterator[Workers]:
    """Fork processes, and end them whatever happens.

    What lies in memory now is taken out of the garbage collector's sight: if it looked through it, every process would
    get a copy of its own. It is not looked through before either: that takes as long as a short trial.
    """
    gc.freeze()
    started = Workers(count, perform, meanwhile)
    try:
        yield started
    finally:
        started.end()
        gc.unfreeze()


def _work(pipe: Connection, foreign: Iterable[Connection], perform: Perform) -> None:
    """Play what comes until the parent is gone; Ctrl-C is the parent's to judge."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for other in foreign:
        other.close()

    def closed(fold: int, stretch: Stretch) -> bool:
        pipe.send(FoldEnded(fold, stretch))
        return bool(pipe.recv())

    try:
        while True:
            pipe.send(TrialEnded(_played(pipe.recv(), perform, closed)))
    except (EOFError, OSError):
        return


def _played(changes: Changes, perform: Perform, closed: Closed) -> Played:
    try:
        return perform(changes, closed)
    except (EOFError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 # whatever a trial raises is its own failure, not the sweep's
        return Played(failure(error), 0, 0.0)
