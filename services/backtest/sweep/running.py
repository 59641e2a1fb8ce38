"""A sweep from its first trial to its last: trials are given to processes, and what comes back is kept."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from services.backtest.settings import Unusable
from services.backtest.sweep.objective import Objective, value_of
from services.backtest.sweep.space import Parameters, Space
from services.backtest.sweep.staging import Played
from services.backtest.sweep.store import Store
from services.backtest.sweep.trials import Fate, Stretch, Trial, best_of, joined
from services.backtest.sweep.workers import Changes, Died, FoldEnded, TrialEnded, Worker, Workers

LOOK_S = 0.5
"""How long to wait before looking whether someone wants to stop."""
MOST_DEATHS = 2
"""Processes that may die over one trial before it counts as failed."""

Require = Callable[[Changes], object]
"""Raises `Unusable` where no such settings can be."""


@dataclass
class _Open:
    """A trial that is played."""

    parameters: Parameters
    changes: Changes
    stretches: list[Stretch] = field(default_factory=list)
    deaths: int = 0
    pruned: bool = False


@dataclass
class Progress:
    """How far a sweep has come; `trials` ended, of which `own` were played by this command."""

    trials: int
    own: int = 0
    best: float | None = None


class Sweep:
    """Hands out `trials` trials in all, those of earlier commands among them."""

    def __init__(
        self, store: Store, space: Space, require: Require, objective: Objective, scale: float, trials: int
    ) -> None:
        self.stopping = False
        """Set it, and no more is waited for; what is played now is taken up again by the same command."""
        self._store = store
        self._space = space
        self._require = require
        self._objective = objective
        self._scale = scale
        self._trials = trials
        self._playing: dict[int, _Open] = {}
        self._waiting: list[int] = []
        """Trials whose process died."""
        self._known = {trial.changes: trial for trial in store.trials() if trial.is_own}
        best = best_of(store.trials())
        self.progress = Progress(len(store.trials()), best=None if best is None else best.value)

    def run(self, workers: Workers, shown: Callable[[Progress], None]) -> None:
        """Go on until all is played or `stopping` is set."""
        while not self.stopping:
            for worker in workers.idle:
                self._give(worker)
            self._store.keep()  # behind what is given out: no process waits for the disk
            workers.use_spare_core()
            shown(self.progress)
            if not self._playing:
                return
            for worker, said in workers.heard(LOOK_S):
                self._hear(worker, said)

    def _give(self, worker: Worker) -> None:
        """Give out the next trial that has to be played."""
        if self._waiting:
            number = self._waiting.pop(0)
            worker.play(number, self._playing[number].changes)
            return
        while self._store.begun < self._trials:
            found = self._store.next()
            if found is None:
                return
            number, parameters = found
            changes = self._space.changes(parameters)
            if self._settled(number, parameters, changes):
                continue
            self._playing[number] = _Open(parameters, changes)
            worker.play(number, changes)
            return

    def _settled(self, number: int, parameters: Parameters, changes: Changes) -> bool:
        """End a trial at once that needs no run: it cannot be, or it was."""
        known = self._known.get(changes)
        if known is not None:
            self._end(replace(known, number=number, fate=Fate.REPEATED, why=f"as trial {known.number}", seconds=0.0))
            return True
        try:
            self._require(changes)
        except Unusable as refusal:
            self._end(Trial(number, parameters, changes, Fate.REFUSED, None, (), str(refusal)))
            return True
        return False

    def _hear(self, worker: Worker, said: FoldEnded | TrialEnded | Died) -> None:
        number = worker.trial
        assert number is not None, "it has a trial until that one ended"
        playing = self._playing[number]
        match said:
            case FoldEnded(fold, stretch):
                playing.stretches.append(stretch)
                if not self._store.prunes:
                    worker.go_on(wanted=True)
                wanted = self._store.fold_ended(number, fold, stretch, self._value(playing))
                playing.pruned = not wanted
                if self._store.prunes:
                    worker.go_on(wanted=wanted)
            case TrialEnded(played):
                worker.trial = None
                self._end(self._judged(number, playing, played))
            case Died():
                worker.trial = None
                self._again(number, playing)

    def _again(self, number: int, playing: _Open) -> None:
        """Let a trial whose process died be played anew, unless it is the trial that kills."""
        playing.deaths += 1
        if playing.deaths >= MOST_DEATHS:
            why = f"its process died, {playing.deaths} times"
            self._end(Trial(number, playing.parameters, playing.changes, Fate.FAILED, None, (), why))
            return
        playing.stretches.clear()
        self._waiting.append(number)

    def _judged(self, number: int, playing: _Open, played: Played) -> Trial:
        fate = Fate.FAILED if played.why else Fate.PRUNED if playing.pruned else Fate.COMPLETE
        return Trial(
            number=number,
            parameters=playing.parameters,
            changes=playing.changes,
            fate=fate,
            value=None if played.why else self._value(playing),
            stretches=tuple(playing.stretches),
            why=played.why,
            seconds=played.seconds,
            events=played.events,
        )

    def _value(self, playing: _Open) -> float:
        return value_of(self._objective, joined(playing.stretches), self._scale)

    def _end(self, trial: Trial) -> None:
        self._playing.pop(trial.number, None)
        self._store.ended(trial)
        self.progress.trials += 1
        self.progress.own += 1
        if trial.is_own:
            self._known.setdefault(trial.changes, trial)
        if trial.fate is Fate.COMPLETE and trial.value is not None:
            self.progress.best = trial.value if self.progress.best is None else max(self.progress.best, trial.value)
