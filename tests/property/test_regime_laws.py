"""Laws of regime and drift: what was said stays said, a restart or an audit finds the same, and nobody is ever certain
of what was not seen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.codec import encode
from contracts.event import Event
from contracts.models import Artifact, Feature
from contracts.recorded import Recorded
from contracts.regimes import UNKNOWN, CalibrationSet, RegimeInferred
from contracts.types import Interval
from services.drift.blueprint import BLUEPRINT as DRIFT
from services.drift.rules import Drift, DriftState
from services.drift.settings import DriftSettings
from services.regime.blueprint import BLUEPRINT as REGIME
from services.regime.hysteresis import Hysteresis
from services.regime.rules import Regime, RegimeState
from services.regime.settings import RegimeSettings
from tape.audit import Audit, Audits
from tape.component import Component
from tape.memory import MemoryTape
from tape.verdict import Span, Verdict
from tests.builders import BTC, ETH
from tests.played import lease
from tests.property.event_strategies import events
from tests.regime_builders import (
    artifact,
    calibrated,
    direction_model,
    moving,
    promoted,
    published,
    regime_model,
    retired,
    slow_model,
    spec,
)

REGIMES = RegimeSettings(
    kept_bars=60, burn_in=4, shadows=2, dwell=2, improbable_needed=2, probable_needed=2, silent_after_s=60
)
DRIFTS = DriftSettings(observations=20, stays=0, least=4, loss=4, stays_lost=0, again_s=60)

MODELS: Sequence[Artifact] = (
    artifact(regime_model()),
    artifact(regime_model(exponent=0.4, improbable_below=-4.0)),
    artifact(regime_model(slow=slow_model(every=3))),
    artifact(regime_model(of=spec(Feature.LOG_RETURN, Feature.TREND, window=2, lookback=3))),
    artifact(regime_model(of=spec(interval=Interval.M1)), ETH),
    artifact(regime_model(), ETH),
    artifact(direction_model()),
    artifact(direction_model(of=spec(Feature.VOLATILITY, Feature.IMBALANCE, window=3, lookback=2)), ETH),
)

INSTRUMENTS = st.sampled_from([BTC, ETH])
MOVES = st.lists(st.sampled_from([-9.0, -2.0, -1.0, 0.0, 0.5, 2.0, 9.0]), min_size=1, max_size=12)
WORDS = st.one_of(
    st.sampled_from(MODELS).map(promoted),
    st.sampled_from(MODELS).map(published),
    st.sampled_from(MODELS).map(retired),
    st.builds(calibrated, st.floats(0.1, 10), st.none() | INSTRUMENTS),
)
"""What is said of models, and by the operator."""


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Two markets, with promotions in between; bars go missing now and then."""
    first = {BTC: 0, ETH: 0}
    told: list[Event] = [promoted(MODELS[0])]
    for _ in range(draw(st.integers(1, 8))):
        if draw(st.booleans()):
            told.append(draw(WORDS))
        instrument = draw(INSTRUMENTS)
        first[instrument] += draw(st.sampled_from([0, 0, 0, 0, 2]))
        bars = moving(draw(MOVES), first=first[instrument], instrument=instrument)
        first[instrument] += len(bars)
        told += bars
    return told


def said(history: Iterable[Event]) -> list[Recorded]:
    tape = MemoryTape([Regime(REGIMES), Drift(DRIFTS)])
    tape.play(history)
    return tape.recorded


@given(histories(), st.data())
def test_the_future_cannot_change_what_was_said(history: list[Event], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(history)))
    before = said(history[:cut])
    assert said(history)[: len(before)] == before


@given(histories())
def test_whatever_is_said_can_be_read_and_makes_sense(history: list[Event]) -> None:
    for recorded in said(history):
        encode(recorded.event)
        if isinstance(recorded.event, RegimeInferred):
            assert abs(sum(recorded.event.probabilities) - 1) < 1e-9
            assert not (recorded.event.confident and recorded.event.regime == UNKNOWN)


OF_REGIME, OF_DRIFT = TypeAdapter(RegimeState), TypeAdapter(DriftState)


def reborn(component: Component) -> Component:
    """Give what a restart makes of a component."""
    if isinstance(component, Regime):
        regime = Regime(REGIMES)
        regime.restore(OF_REGIME.validate_json(OF_REGIME.dump_json(component.state())))
        return regime
    drift = Drift(DRIFTS)
    drift.restore(OF_DRIFT.validate_json(OF_DRIFT.dump_json(component.state())))
    return drift


def events_of(tape: MemoryTape) -> list[Event]:
    return [recorded.event for recorded in tape.recorded]


@given(histories(), st.data())
def test_a_restart_anywhere_changes_nothing(history: list[Event], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(history)))
    components: list[Component] = [Regime(REGIMES), Drift(DRIFTS)]
    first = MemoryTape(components)
    first.play(history[:cut])
    second = MemoryTape([reborn(component) for component in components])
    second.play(history[cut:])
    assert events_of(first) + events_of(second) == [recorded.event for recorded in said(history)]


ANYTHING = st.lists(events((*Regime.consumes(), *Drift.consumes())), max_size=15)


@given(ANYTHING)
def test_nothing_that_the_codec_lets_through_stops_them_or_makes_them_unreadable(history: list[Event]) -> None:
    for recorded in said(history):
        encode(recorded.event)


@given(ANYTHING, st.data())
def test_a_restart_amidst_anything_changes_nothing(history: list[Event], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(history)))
    components: list[Component] = [Regime(REGIMES), Drift(DRIFTS)]
    first = MemoryTape(components)
    first.play(history[:cut])
    second = MemoryTape([reborn(component) for component in components])
    second.play(history[cut:])
    assert events_of(first) + events_of(second) == [recorded.event for recorded in said(history)]


@given(histories())
def test_a_calibration_never_touches_probabilities(history: list[Event]) -> None:
    plain = [event for event in history if not isinstance(event, CalibrationSet)]
    with_it, without = (
        [(e.instrument, e.regime, e.probabilities) for r in said(h) if isinstance(e := r.event, RegimeInferred)]
        for h in (history, plain)
    )
    assert with_it == without


# -- when a model comes ------------------------------------------------------------------------------------------------

LONG = st.lists(st.sampled_from([-3.0, -2.0, -0.5, 0.0, 1.0, 2.0, 3.0]), min_size=30, max_size=60)


@given(LONG, st.data())
def test_what_a_model_says_hardly_depends_on_when_it_was_promoted(moves: list[float], data: st.DataObject) -> None:
    model, bars = MODELS[0], moving(moves)
    settings = REGIMES.model_copy(update={"burn_in": 20})
    at = data.draw(st.integers(25, len(bars) - 1))

    def last(*history: Event) -> RegimeInferred:
        tape = MemoryTape([Regime(settings)])
        tape.play(history)
        return tape.of_type(RegimeInferred)[-1]

    early, late = last(promoted(model), *bars), last(*bars[:at], promoted(model), *bars[at:])
    assert max(abs(a - b) for a, b in zip(early.probabilities, late.probabilities, strict=True)) < 1e-4


# -- hysteresis --------------------------------------------------------------------------------------------------------

SEEN = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60)


@given(SEEN, st.floats(0.5, 0.9), st.integers(1, 5))
def test_a_regime_never_changes_without_its_reasons(seen: list[tuple[float, bool]], enter: float, dwell: int) -> None:
    settings = RegimeSettings(enter=enter, dwell=dwell, improbable_needed=3, probable_needed=2)
    hysteresis = Hysteresis()
    settled: list[str | None] = []
    for probability, improbable in seen:
        hysteresis.observe(("a", "b"), (1 - probability, probability), settings, improbable=improbable)
        settled.append(hysteresis.settled)
    share = {"a": lambda p: 1 - p, "b": lambda p: p}
    for number, (before, now) in enumerate(pairwise(settled), start=1):
        if before is not None and now != before:
            assert now is not None
            certain = share[now](seen[number][0]) > settings.certain
            probable = [share[now](p) > enter for p, odd in seen[: number + 1] if not odd][-dwell:]
            assert certain or (len(probable) == dwell and all(probable))


@given(SEEN)
def test_a_regime_is_unknown_after_a_row_of_improbable_ones_and_until_a_row_of_probable_ones(
    seen: list[tuple[float, bool]],
) -> None:
    settings = RegimeSettings(improbable_needed=3, probable_needed=2)
    hysteresis = Hysteresis()
    odds: list[bool] = []
    for probability, improbable in seen:
        regime = hysteresis.observe(("a", "b"), (1 - probability, probability), settings, improbable=improbable)
        odds.append(improbable)
        if odds[-3:] == [True] * 3:
            assert regime == UNKNOWN
        if odds[-2:] == [False] * 2:
            assert regime != UNKNOWN


# -- audits ------------------------------------------------------------------------------------------------------------


def on_record(history: Sequence[Event]) -> list[Recorded]:
    """Give all positions of a tape on which both have answered."""
    leases = [lease("regime", "regime-1", REGIMES), lease("drift", "drift-1", DRIFTS)]
    ids = ["regime/lease/regime-1-1", "drift/lease/drift-1-1", *(f"sim/{number}" for number in range(len(history)))]
    tape = MemoryTape([Regime(REGIMES), Drift(DRIFTS)])
    tape.play([*leases, *history])
    answers = {recorded.position: recorded for recorded in tape.recorded}
    outside = zip([*leases, *history], ids, strict=True)
    return [answers.get(place) or _from_outside(place, *next(outside)) for place in range(1, tape.position + 1)]


def _from_outside(position: int, event: Event, msg_id: str) -> Recorded:
    return Recorded(position, None, msg_id, 0, event)


def trial(record: Sequence[Recorded]) -> list[Verdict]:
    span = Span(1, record[-1].position)
    audits = Audits([Audit(REGIME, REGIMES, span), Audit(DRIFT, DRIFTS, span)])
    audits.take(record)
    return audits.verdicts()


@given(histories())
def test_an_audit_is_clean_across_every_switch(history: list[Event]) -> None:
    record = on_record(history)
    regime, drift = trial(record)
    assert (regime.diverging, regime.pending, drift.diverging, drift.pending) == (0, 0, 0, 0)
    written = [recorded for recorded in record if recorded.msg_id.startswith("regime/") and recorded.cause]
    assert regime.compared == len(written)


def test_an_audit_finds_a_regime_that_was_not_inferred_from_its_bars() -> None:
    record = on_record([promoted(MODELS[0]), *moving([2.0] * 9), promoted(MODELS[1]), *moving([2.0] * 9, first=9)])
    assert [verdict.diverging for verdict in trial(record)] == [0, 0]
    number, told = next((n, r) for n, r in enumerate(record) if isinstance(r.event, RegimeInferred) and n > 20)
    assert isinstance(told.event, RegimeInferred)
    record[number] = replace(told, event=replace(told.event, confidence=told.event.confidence / 2))
    assert [verdict.diverging for verdict in trial(record)] == [1, 0]
