"""Params: let each strategy open positions by the preset that has earned most for its risk in such a regime."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from contracts.books import PositionClosed
from contracts.control import Alert
from contracts.event import Event
from contracts.presets import Arm, PresetPinned, PresetSelected
from contracts.regimes import UNKNOWN, RegimeInferred
from contracts.types import MAX_TEXT, InstrumentId, Severity
from quant.bandit import belief, best, learn, sample
from quant.chance import stream
from services.params.experience import Learner, Selection
from services.params.settings import ParamsSettings
from tape.component import Component, on

NAME = "params"
LARGEST_RETURN = 1e6
"""Returns on notional are cut to this, so that no books, however broken, make numbers that cannot be reckoned with."""


@dataclass(slots=True)
class ParamsState:
    """`regimes`: the last one of each instrument that was inferred with confidence."""

    learners: dict[str, Learner]
    regimes: dict[InstrumentId, str]


class Params(Component):
    """A selection is said when the preset, the regime or the operator's mind changes, and not on every observation."""

    produces: ClassVar[tuple[type[Event], ...]] = (PresetSelected, Alert)
    State = ParamsState

    def __init__(self, settings: ParamsSettings) -> None:
        super().__init__(NAME)
        self.settings = settings
        self._habits, self._unit = settings.habits, settings.unit
        self._learners: dict[str, Learner] = {}
        self._regimes: dict[InstrumentId, str] = {}
        self._meet_strategies()

    def state(self) -> ParamsState:
        return ParamsState(self._learners, self._regimes)

    def restore(self, state: ParamsState) -> None:
        """Go on from `state`; strategies and presets that the settings no longer have are forgotten."""
        self._learners, self._regimes = state.learners, state.regimes
        self._meet_strategies()

    def _meet_strategies(self) -> None:
        met = self._learners
        self._learners = {}
        for strategy in self.settings.presets:
            presets, chance = self.settings.presets_of(strategy), stream(self.settings.seed, strategy)
            learner = self._learners[strategy] = met.get(strategy) or Learner(presets, chance)
            learner.adopt(presets, chance)

    # -- the market ----------------------------------------------------------------------------------------------------

    @on(RegimeInferred)
    def on_regime(self, inferred: RegimeInferred) -> Iterator[PresetSelected] | None:
        instrument = inferred.instrument
        if inferred.confident and self._regimes.get(instrument) != inferred.regime:
            self._regimes[instrument] = inferred.regime
            return self._select_for_all(inferred, instrument)
        if any(self._is_withdrawn(learner, instrument) for learner in self._learners.values()):
            return self._select_where_withdrawn(inferred, instrument)
        return None

    def _select_for_all(self, event: Event, instrument: InstrumentId) -> Iterator[PresetSelected]:
        for strategy, learner in self._learners.items():
            yield from self._select(event, strategy, learner, instrument)

    def _select_where_withdrawn(self, event: Event, instrument: InstrumentId) -> Iterator[PresetSelected]:
        for strategy, learner in self._learners.items():
            if self._is_withdrawn(learner, instrument):
                yield from self._select(event, strategy, learner, instrument)

    def _is_withdrawn(self, learner: Learner, instrument: InstrumentId) -> bool:
        """Whether a strategy still goes by a preset that the settings no longer have, or have otherwise."""
        selection = learner.in_force(instrument)
        return selection is not None and not learner.is_offered(selection)

    # -- what came of it -----------------------------------------------------------------------------------------------

    @on(PositionClosed)
    def on_closed(self, closed: PositionClosed) -> Iterator[PresetSelected] | None:
        learner = self._learners.get(closed.strategy)
        if learner is None:
            return None
        selection = learner.in_force_at(closed.instrument, closed.opened_at)
        if selection is None or not learner.is_offered(selection):
            learner.uncredited += 1
        else:
            self._credit(learner, selection, closed)
        return self._select(closed, closed.strategy, learner, closed.instrument)

    def _credit(self, learner: Learner, selection: Selection, closed: PositionClosed) -> None:
        """Credit a trade to the preset that it was opened by, in the regime of then: its return for its risk."""
        earned = float(closed.net_pnl / (closed.quantity * closed.entry_price))
        earned = max(-LARGEST_RETURN, min(earned, LARGEST_RETURN))
        reward = learner.spread.reward(earned, self._unit, learner.arms.values())
        arms = learner.arms_in(selection.regime)
        learn(arms, selection.name, reward, self._habits)
        learner.remember(selection.regime, arms, self.settings.remembered_regimes)
        learner.credited += 1

    # -- the operator --------------------------------------------------------------------------------------------------

    @on(PresetPinned)
    def on_pinned(self, pinned: PresetPinned) -> Iterator[Event]:
        learner = self._learners.get(pinned.strategy)
        if learner is None:
            known = ", ".join(self._learners)
            yield _refused(pinned, "unknown_strategy", f"{pinned.strategy} has no presets; strategies that do: {known}")
        elif pinned.preset is not None and pinned.preset not in learner.presets:
            known = ", ".join(learner.presets)
            yield _refused(pinned, "unknown_preset", f"{pinned.strategy} has no preset {pinned.preset}; it has {known}")
        else:
            learner.pinned = pinned.preset
            for instrument in learner.selections:
                yield from self._select(pinned, pinned.strategy, learner, instrument)

    # -- selection -----------------------------------------------------------------------------------------------------

    def _select(
        self, event: Event, strategy: str, learner: Learner, instrument: InstrumentId
    ) -> Iterator[PresetSelected]:
        """Choose for a strategy and an instrument, and say so if anything changes by it."""
        regime = self._regimes.get(instrument, UNKNOWN)
        arms, pinned = learner.arms_in(regime), learner.pinned
        beliefs = {name: belief(arms, name, self._habits) for name in arms}
        if pinned is None:
            drawn = sample(arms, self._habits, learner.chance)
        else:
            drawn = {name: believed.mean for name, believed in beliefs.items()}
        name = best(drawn) if pinned is None else pinned
        chosen = Selection(event.ts_init, regime, name, learner.presets[name], pinned is not None)
        before = learner.in_force(instrument)
        if before is not None and _is_same(before, chosen):
            return
        history = learner.selections.setdefault(instrument, [])
        history.append(chosen)
        del history[: -self.settings.remembered_selections]
        yield PresetSelected(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            strategy=strategy,
            instrument=instrument,
            regime=regime,
            preset=name,
            settings=chosen.factors,
            arms=tuple(
                Arm(
                    preset=arm,
                    trades=arms[arm].trades,
                    mean=believed.mean,
                    deviation=believed.deviation,
                    sampled=drawn[arm],
                )
                for arm, believed in beliefs.items()
            ),
            pinned=chosen.pinned,
        )


def _is_same(a: Selection, b: Selection) -> bool:
    return (a.regime, a.name, a.factors, a.pinned) == (b.regime, b.name, b.factors, b.pinned)


def _refused(pinned: PresetPinned, code: str, why: str) -> Alert:
    message = f"{pinned.operator} pinned a preset, and nothing changed: {why}; see hmm presets"
    return Alert(
        ts_event=pinned.ts_event,
        ts_init=pinned.ts_init,
        component=NAME,
        severity=Severity.WARNING,
        code=code,
        message=message[:MAX_TEXT],
    )
