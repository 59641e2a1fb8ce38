"""Models at work: what each of them knows of its instrument, and how it is written down."""

from dataclasses import dataclass

from contracts.market import Bar
from contracts.models import DirectionModel, RegimeModel
from quant.direction import DirectionScorer
from quant.features import FeaturesState
from quant.regime import Inference, RegimeFilter, RegimeState
from services.regime.hysteresis import Hysteresis
from services.regime.settings import RegimeSettings


@dataclass(slots=True)
class Attendance:
    """When a bar of a model's interval came last, or the model itself (ns of event time)."""

    heard_at: int
    is_told: bool = False
    """An operator knows that bars are missing."""

    def hear(self, now: int) -> None:
        self.heard_at = now
        self.is_told = False


@dataclass(slots=True)
class RegimeWorkState:
    model_id: str
    model: RegimeModel
    attendance: Attendance
    filter: RegimeState
    hysteresis: Hysteresis
    since: int
    """Since when bars follow each other, of those that `hysteresis` is of."""


@dataclass(slots=True)
class DirectionWorkState:
    model_id: str
    model: DirectionModel
    attendance: Attendance
    features: FeaturesState


class RegimeWork:
    """A regime model with its filter, and which regime holds by it."""

    def __init__(self, model_id: str, model: RegimeModel, attendance: Attendance) -> None:
        self.model_id = model_id
        self.model = model
        self.attendance = attendance
        self.hysteresis = Hysteresis()
        self._filter = RegimeFilter(model)
        self._since = -1

    @classmethod
    def restored(cls, state: RegimeWorkState) -> "RegimeWork":
        work = cls(state.model_id, state.model, state.attendance)
        work.hysteresis = state.hysteresis
        work._filter.restore(state.filter)
        work._since = state.since
        return work

    def state(self) -> RegimeWorkState:
        return RegimeWorkState(
            self.model_id, self.model, self.attendance, self._filter.state(), self.hysteresis, self._since
        )

    @property
    def warm_up(self) -> int:
        """Bars after which the slow state is known too, wherever they begin."""
        return self._filter.warm_up

    @property
    def bars_per_observation(self) -> int:
        """Of the slow model, if there is one."""
        slow = self.model.slow
        return self.model.spec.window * (1 if slow is None else slow.every)

    def update(self, bar: Bar, settings: RegimeSettings) -> Inference | None:
        """Take in a bar of its interval; after a break no regime holds until one is seen."""
        found = self._filter.update(bar)
        if found is None:
            return None
        if (since := self._filter.state().since) != self._since:
            self._since = since
            self.hysteresis = Hysteresis()
        labels = self.model.fast.labels
        self.hysteresis.observe(labels, found.probabilities, settings, improbable=found.improbable)
        return found


class DirectionWork:
    """A direction model with its scorer."""

    def __init__(self, model_id: str, model: DirectionModel, attendance: Attendance) -> None:
        self.model_id = model_id
        self.model = model
        self.attendance = attendance
        self._scorer = DirectionScorer(model)

    @classmethod
    def restored(cls, state: DirectionWorkState) -> "DirectionWork":
        work = cls(state.model_id, state.model, state.attendance)
        work._scorer.restore(state.features)
        return work

    def state(self) -> DirectionWorkState:
        return DirectionWorkState(self.model_id, self.model, self.attendance, self._scorer.state())

    @property
    def warm_up(self) -> int:
        return self._scorer.warm_up

    @property
    def bars_per_observation(self) -> int:
        return self.model.spec.window

    def update(self, bar: Bar, _settings: RegimeSettings) -> float | None:
        """Give the probability that the price will be higher, when `bar` closes a window."""
        return self._scorer.update(bar)


Work = RegimeWork | DirectionWork
