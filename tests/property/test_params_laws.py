"""Laws of presets: only what is offered is selected, nothing is said twice, and a restart changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.event import Event
from contracts.presets import PresetSelected
from contracts.regimes import UNKNOWN
from services.params.rules import Params, ParamsState
from services.params.settings import ParamsSettings, PresetFactors
from tape.memory import MemoryTape
from tests.builders import BTC, ETH
from tests.unit.test_params import closed, pinned, regime

STATE: TypeAdapter[ParamsState] = TypeAdapter(ParamsState)
STRATEGIES = ("trend", "hmm_ensemble", "scalper")
PRESETS = ("cautious", "balanced", "bold", "huge")
INSTRUMENTS = (BTC, ETH)

strategies = st.sampled_from(STRATEGIES)
instruments = st.sampled_from(INSTRUMENTS)


@dataclass(frozen=True)
class Inferred:
    regime: str
    confident: bool
    instrument: int


@dataclass(frozen=True)
class Closed:
    """Opened some seconds before it is closed."""

    strategy: str
    ago: int
    net: float
    instrument: int


@dataclass(frozen=True)
class Pinned:
    strategy: str
    preset: str | None


Step = Inferred | Closed | Pinned
places = st.integers(0, 1)
steps = st.one_of(
    st.builds(Inferred, st.sampled_from(["calm", "wild", UNKNOWN]), st.sampled_from([True, True, False]), places),
    st.builds(Closed, strategies, st.integers(0, 12), st.integers(-50, 50).map(float), places),
    st.builds(Closed, strategies, st.integers(0, 12), st.integers(-50, 50).map(float), places),
    st.builds(Pinned, strategies, st.sampled_from([None, None, *PRESETS])),
)
plans = st.lists(steps, max_size=60)
all_settings = st.builds(
    ParamsSettings,
    seed=st.integers(0, 5),
    discount=st.sampled_from([0.9, 1.0]),
    change_alarm=st.sampled_from([1.0, 11.0]),
    remembered_selections=st.sampled_from([1, 3, 200]),
    remembered_regimes=st.sampled_from([1, 32]),
)


def events(plan: Sequence[Step], begun: int = 0) -> list[Event]:
    """A step a second."""
    return [_event(step, float(at)) for at, step in enumerate(plan, start=begun)]


def _event(step: Step, at: float) -> Event:
    match step:
        case Inferred():
            return regime(step.regime, at=at, confident=step.confident, instrument=INSTRUMENTS[step.instrument])
        case Closed():
            opened, instrument = max(0.0, at - step.ago), INSTRUMENTS[step.instrument]
            return closed(step.net, opened=opened, at=at, strategy=step.strategy, instrument=instrument)
        case Pinned():
            return pinned(step.preset, strategy=step.strategy, at=at)


def played(component: Params, plan: Sequence[Step]) -> list[PresetSelected]:
    tape = MemoryTape([component])
    tape.play(events(plan))
    return tape.of_type(PresetSelected)


@given(all_settings, plans)
def test_only_what_is_offered_is_selected_with_the_factors_it_is_offered_with(
    settings: ParamsSettings, plan: list[Step]
) -> None:
    for said in played(Params(settings), plan):
        offered = settings.presets_of(said.strategy)
        assert said.settings == offered[said.preset]
        assert [arm.preset for arm in said.arms] == list(offered)
        assert said.pinned or said.preset == max(said.arms, key=lambda arm: arm.sampled).preset


@given(all_settings, plans)
def test_nothing_is_said_twice_in_a_row(settings: ParamsSettings, plan: list[Step]) -> None:
    last: dict[tuple[str, str], tuple[str, str, bool]] = {}
    for said in played(Params(settings), plan):
        where, what = (said.strategy, said.instrument), (said.regime, said.preset, said.pinned)
        assert last.get(where) != what
        last[where] = what


@given(all_settings, plans)
def test_the_regime_is_the_last_one_that_was_inferred_with_confidence(
    settings: ParamsSettings, plan: list[Step]
) -> None:
    component, known = Params(settings), {}
    tape = MemoryTape([component])
    for step, event in zip(plan, events(plan), strict=True):
        if isinstance(step, Inferred) and step.confident:
            known[INSTRUMENTS[step.instrument]] = step.regime
        before = len(tape.recorded)
        tape.play([event])
        for recorded in tape.recorded[before:]:
            if isinstance(recorded.event, PresetSelected):
                assert recorded.event.regime == known.get(recorded.event.instrument, UNKNOWN)


@given(all_settings, plans)
def test_a_pinned_preset_is_never_left_before_it_is_unpinned(settings: ParamsSettings, plan: list[Step]) -> None:
    pins: dict[str, str | None] = {}
    tape = MemoryTape([Params(settings)])
    for step, event in zip(plan, events(plan), strict=True):
        offered = settings.presets.get(step.strategy, ()) if isinstance(step, Pinned) else ()
        if isinstance(step, Pinned) and (step.preset is None or step.preset in offered):
            pins[step.strategy] = step.preset
        before = len(tape.recorded)
        tape.play([event])
        for recorded in tape.recorded[before:]:
            if isinstance(recorded.event, PresetSelected):
                pin = pins.get(recorded.event.strategy)
                assert recorded.event.pinned is (pin is not None)
                assert pin in (None, recorded.event.preset)


@given(all_settings, plans)
def test_every_closed_position_of_a_known_strategy_is_credited_once_or_counted(
    settings: ParamsSettings, plan: list[Step]
) -> None:
    unforgetting = {"discount": 1.0, "change_alarm": 10_000.0, "remembered_regimes": 32}
    component = Params(settings.model_copy(update=unforgetting))
    played(component, plan)
    for name, learner in component.state().learners.items():
        closes = [step for step in plan if isinstance(step, Closed) and step.strategy == name]
        assert learner.credited + learner.uncredited == len(closes)
        known = sum(arm.trades for arms in learner.arms.values() for arm in arms.values())
        assert known == learner.credited


@given(all_settings, plans)
def test_what_one_strategy_does_is_of_no_concern_to_another(settings: ParamsSettings, plan: list[Step]) -> None:
    both = [said for said in played(Params(settings), plan) if said.strategy == "trend"]
    alone = settings.model_copy(update={"presets": {"trend": settings.presets["trend"]}})
    assert played(Params(alone), plan) == both


@given(all_settings, plans, st.integers(0, 60))
def test_a_restart_anywhere_changes_nothing(settings: ParamsSettings, plan: list[Step], cut: int) -> None:
    whole = Params(settings)
    said = played(whole, plan)
    first, second = Params(settings), Params(settings)
    before = played(first, plan[:cut])
    kept = STATE.validate_json(STATE.dump_json(first.state()))
    assert kept == first.state()
    second.restore(kept)
    tape = MemoryTape([second])
    tape.play(events(plan[cut:], begun=len(plan[:cut])))
    assert before + tape.of_type(PresetSelected) == said
    assert second.state() == whole.state()


@given(all_settings, plans, st.sets(st.sampled_from(PRESETS), min_size=1))
def test_other_presets_forget_what_is_gone_and_keep_the_rest(
    settings: ParamsSettings, plan: list[Step], names: set[str]
) -> None:
    before, usual = Params(settings), settings.presets["trend"]
    played(before, plan)
    kept = STATE.validate_json(STATE.dump_json(before.state()))
    offered = {name: usual.get(name, PresetFactors(size=3)) for name in sorted(names)}
    after = Params(settings.model_copy(update={"presets": {"trend": offered}}))
    after.restore(kept)
    assert list(after.state().learners) == ["trend"]
    learner, old = after.state().learners["trend"], before.state().learners["trend"]
    assert learner.pinned in (None, *names)
    for regime_name, arms in old.arms.items():
        known = learner.arms[regime_name]
        assert list(known) == list(offered)
        assert all(known[name] == arms[name] for name in offered if name in arms)
        assert all(known[name].trades == 0 for name in offered if name not in arms)
