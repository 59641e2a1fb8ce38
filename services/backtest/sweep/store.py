"""The local store of a sweep: an Optuna study in a journal, written by one process, so that any may be killed.

Chance begins anew with every trial from the seed and the trial's number: a sweep that was interrupted goes on as if it
had not been.
"""

import fcntl
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quant.chance import stream
from services.backtest.settings import Unusable
from services.backtest.sweep.space import Choice, Parameters, Space, Whole
from services.backtest.sweep.trials import Fate, Stretch, Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from services.backtest.sweep.journal import Journal

FILE = "sweep.journal"
LOCK = "sweep.lock"
_NAME = "sweep"
_IDENTITY = "identity"
MOST_GRID = 100_000


class Sampler(Enum):
    TPE = "tpe"
    """Tree-structured Parzen estimators (Bergstra et al. 2011): what was good is tried around."""
    RANDOM = "random"
    GRID = "grid"
    """Every combination once, in a drawn order."""
    CMAES = "cmaes"
    """Covariance matrix adaptation (Hansen, Ostermeier 2001): of numbers only."""


class Pruner(Enum):
    NONE = "none"
    MEDIAN = "median"
    """Given up where it is below the median of earlier trials at that fold, from the sixth trial on."""
    HYPERBAND = "hyperband"
    """Successive halving over several brackets (Li et al. 2018)."""


@dataclass(frozen=True)
class Search:
    """How the space is searched."""

    space: Space
    sampler: Sampler
    pruner: Pruner
    seed: int
    folds: int
    processes: int

    def require(self) -> None:
        """Refuse what cannot be meant; raises `Unusable`."""
        points = self.space.points
        if self.sampler is Sampler.GRID:
            endless = [one.place for one in self.space.dimensions if one.values is None]
            if endless:
                raise Unusable(f"--sampler grid: {endless[0]} has no step", f"write {endless[0]}=LOW..HIGH:STEP")
            if points is not None and points > MOST_GRID:
                raise Unusable(f"--sampler grid: {points:,} combinations, more than {MOST_GRID:,}", "take larger steps")
        if self.sampler is Sampler.CMAES:
            words = [one.place for one in self.space.dimensions if isinstance(one, Choice)]
            if words or len(self.space.dimensions) < 2:
                why = f"{words[0]} is no range of numbers" if words else "it needs two ranges at least"
                raise Unusable(f"--sampler cmaes: {why}", "take --sampler tpe")
        if self.pruner is Pruner.HYPERBAND and self.folds < 3:
            raise Unusable("--pruner hyperband: it needs three folds at least", "take --folds 3, or --pruner median")


class Store:
    """All trials so far. Numbers begin at 0 and have no gaps."""

    def __init__(self, study: "Study", search: Search, journal: "Journal") -> None:
        self._study = study
        self._journal = journal
        self._search = search
        self._open: dict[int, Any] = {}
        """Trials that are played, as Optuna knows them."""
        self._kept: dict[int, int] = {}
        """Folds of them that are kept already."""
        self._unkept = False
        """A trial ended that the machine may still forget."""
        frozen = self._frozen()
        self._given = len(frozen)
        self._interrupted = [one for one in frozen if not one.state.is_finished()]
        self._order = _order(search) if search.sampler is Sampler.GRID else ()

    def _frozen(self) -> "Sequence[FrozenTrial]":
        return self._study.get_trials(deepcopy=False)

    @property
    def begun(self) -> int:
        """Trials that were given out, in this process or another one; those to be taken up again are not among them."""
        return self._given - len(self._interrupted)

    @property
    def prunes(self) -> bool:
        """Whether a trial may be given up behind a fold."""
        return self._search.pruner is not Pruner.NONE

    def next(self) -> tuple[int, Parameters] | None:
        """Give out a trial: first those that were interrupted; None when there are no more combinations."""
        from optuna.trial import Trial as Asked  # noqa: PLC0415 # slow to import

        if self._interrupted:
            frozen = self._interrupted.pop(0)
            self._study.sampler = self._sampler(frozen.number)
            asked = Asked(self._study, frozen._trial_id)  # noqa: SLF001 # Optuna has no other way to go on with a trial
            for place, distribution in _distributions(self._search.space).items():
                asked._suggest(place, distribution)  # noqa: SLF001
        else:
            if self._search.sampler is Sampler.GRID and self._given >= len(self._order):
                return None
            self._study.sampler = self._sampler(self._given)
            asked = self._study.ask(_distributions(self._search.space))
            self._given += 1
        self._open[asked.number] = asked
        return asked.number, dict(asked.params)

    def _sampler(self, number: int) -> "BaseSampler":
        from optuna import samplers  # noqa: PLC0415

        seed = stream(self._search.seed, "sweep", str(number)).word() % 2**32
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that parts of Optuna may change
            match self._search.sampler:
                case Sampler.TPE:
                    return samplers.TPESampler(seed=seed, constant_liar=self._search.processes > 1)
                case Sampler.RANDOM:
                    return samplers.RandomSampler(seed=seed)
                case Sampler.GRID:
                    point = dict(self._search.space.point(self._order[number]))
                    return samplers.PartialFixedSampler(point, samplers.RandomSampler(seed=seed))
                case Sampler.CMAES:
                    return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)

    def fold_ended(self, number: int, fold: int, stretch: Stretch, value: float) -> bool:
        """Keep what a fold brought, `value` being that of all so far; says whether to go on."""
        asked = self._open[number]
        asked.set_user_attr(f"fold-{fold}", stretch.document())
        self._kept[number] = fold + 1
        if not self.prunes:
            return True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an interrupted trial reports its first folds again
            asked.report(value, fold + 1)
        return fold + 1 == self._search.folds or not asked.should_prune()

    def ended(self, trial: Trial) -> None:
        """Keep what became of a trial that was given out; from here on it outlives this process."""
        from optuna.trial import TrialState  # noqa: PLC0415

        asked = self._open.pop(trial.number)
        for fold in range(self._kept.pop(trial.number, 0), len(trial.stretches)):
            asked.set_user_attr(f"fold-{fold}", trial.stretches[fold].document())
        outcome = {"fate": trial.fate.value, "why": trial.why, "seconds": trial.seconds, "events": trial.events}
        asked.set_user_attr("outcome", {**outcome, "changes": trial.changes, "value": trial.value})
        told = trial.value is not None and trial.fate in (Fate.COMPLETE, Fate.PRUNED, Fate.REPEATED)
        if not told:
            self._study.tell(asked, state=TrialState.FAIL)
        elif len(trial.stretches) < self._search.folds:
            self._study.tell(asked, state=TrialState.PRUNED)
        else:
            self._study.tell(asked, trial.value)
        self._unkept = True

    def keep(self) -> None:
        """Let all trials that ended outlive the machine."""
        if self._unkept:
            self._journal.keep()
            self._unkept = False

    def trials(self) -> list[Trial]:
        """Give all trials that ended, in the order of their numbers."""
        return [_trial(one) for one in self._frozen() if "outcome" in one.user_attrs and one.state.is_finished()]

    def importance(self) -> Mapping[str, float]:
        """Say how much of the spread of values each setting explains (0..1); empty where that cannot be told."""
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances  # noqa: PLC0415

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return get_param_importances(self._study, evaluator=PedAnovaImportanceEvaluator())
            except (ValueError, RuntimeError, ZeroDivisionError):
                return {}


@contextmanager
def opened(out: Path, identity: Mapping[str, object], search: Search) -> Iterator[Store]:
    """Open the store in `out`, or begin one; raises `Unusable` if it is of another sweep, or someone writes to it."""
    import optuna  # noqa: PLC0415 # slow to import
    from optuna.storages import JournalStorage  # noqa: PLC0415

    from services.backtest.sweep.journal import Journal  # noqa: PLC0415

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    search.require()
    with (out / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unusable(f"--out {out}: a sweep goes on there", "wait for it, or name another directory") from None
        path = out / FILE
        if not path.exists():
            _begin(path, identity)
        with Journal(path) as journal:
            study = optuna.load_study(study_name=_NAME, storage=JournalStorage(journal), pruner=_pruner(search))
            _require_same(study.user_attrs.get(_IDENTITY), identity, out)
            yield Store(study, search, journal)


def _begin(path: Path, identity: Mapping[str, object]) -> None:
    """Make a store beside and put it in place at once: half a store would be none."""
    import optuna  # noqa: PLC0415
    from optuna.storages import JournalStorage  # noqa: PLC0415

    from services.backtest.sweep.journal import Journal  # noqa: PLC0415

    made = path.with_suffix(".new")
    made.unlink(missing_ok=True)
    with Journal(made) as journal:
        study = optuna.create_study(study_name=_NAME, storage=JournalStorage(journal), direction="maximize")
        study.set_user_attr(_IDENTITY, json.loads(json.dumps(identity)))
    made.rename(path)


def _pruner(search: Search) -> "BasePruner":
    from optuna import pruners  # noqa: PLC0415

    match search.pruner:
        case Pruner.NONE:
            return pruners.NopPruner()
        case Pruner.MEDIAN:
            return pruners.MedianPruner()
        case Pruner.HYPERBAND:
            return pruners.HyperbandPruner(min_resource=1, max_resource=search.folds)


def _distributions(space: Space) -> "dict[str, BaseDistribution]":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: PLC0415

    found: dict[str, BaseDistribution] = {}
    for one in space.dimensions:
        if isinstance(one, Choice):
            found[one.place] = CategoricalDistribution(one.words)
        elif isinstance(one, Whole):
            found[one.place] = IntDistribution(one.low, one.high, log=one.log, step=one.step)
        else:
            high = one.high if one.values is None else one.values[-1]
            found[one.place] = FloatDistribution(one.low, high, log=one.log, step=one.step)
    return found


def _order(search: Search) -> Sequence[int]:
    """Draw the order of all combinations (Fisher, Yates): what is there is then a fair sample at any time."""
    points = search.space.points
    assert points is not None, "looked at before"
    order, chance = list(range(points)), stream(search.seed, "sweep", "grid")
    for place in range(points - 1, 0, -1):
        other = chance.word() % (place + 1)
        order[place], order[other] = order[other], order[place]
    return order


def _require_same(then: object, now: Mapping[str, object], out: Path) -> None:
    """Refuse to go on with anything but the sweep that was begun; raises `Unusable`."""
    assert isinstance(then, dict), "a store is put in place with its identity"
    now = json.loads(json.dumps(now))
    for key, value in now.items():
        if then.get(key) != value:
            remedy = "name another --out, or give what it was begun with"
            raise Unusable(f"--out {out}: a sweep with another {key} was begun there: {_told(then.get(key))}", remedy)


def _told(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 300 else f"{text[:300]}..."


def _trial(frozen: "FrozenTrial") -> Trial:
    outcome = frozen.user_attrs["outcome"]
    stretches: list[Stretch] = []
    while (kept := frozen.user_attrs.get(f"fold-{len(stretches)}")) is not None:
        stretches.append(Stretch(**{**kept, "returns": tuple(kept["returns"])}))
    return Trial(
        number=frozen.number,
        parameters=dict(frozen.params),
        changes=tuple(outcome["changes"]),
        fate=Fate(outcome["fate"]),
        value=outcome["value"],
        stretches=tuple(stretches),
        why=outcome["why"],
        seconds=outcome["seconds"],
        events=outcome["events"],
    )
