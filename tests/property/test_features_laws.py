"""Laws of features: the future changes nothing, a kept state goes on as if nothing had been, and all is finite."""

from dataclasses import replace
from math import isfinite

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.market import Bar
from contracts.models import Feature, FeatureSpec, Vector
from contracts.types import Interval
from quant.features import Features, FeaturesState
from tests.builders import bar
from tests.property.basic_strategies import prices, sizes

AS_JSON = TypeAdapter(FeaturesState)

usual_prices = st.floats(99.0, 101.0)


@st.composite
def bars_of(
    draw: st.DrawFn, price: st.SearchStrategy[float], volume: st.SearchStrategy[float], steps: str
) -> list[Bar]:
    """Bars with any shape; `steps` are what may follow: n(ext), r(epeated), m(issing), b(ack in time)."""
    history: list[Bar] = []
    number = draw(st.integers(0, 7))
    for _ in range(draw(st.integers(0, 40))):
        low, close, high = sorted(draw(st.lists(price, min_size=3, max_size=3)))
        history.append(replace(bar(close, number=number, high=high, low=low), volume=draw(volume)))
        number = max(0, number + {"n": 1, "r": 0, "m": 2, "b": -3}[draw(st.sampled_from(steps))])
    return history


whole = bars_of(usual_prices, st.floats(0, 100), "n")
broken = bars_of(usual_prices, st.floats(0, 100), "n" * 20 + "rmb")
extreme = bars_of(st.one_of(usual_prices, prices), st.one_of(st.floats(0, 100), sizes), "n" * 30 + "r")
histories = st.one_of(whole, broken, extreme)


@st.composite
def specs(draw: st.DrawFn) -> FeatureSpec:
    chosen = draw(st.lists(st.sampled_from(Feature), min_size=1, max_size=5, unique=True))
    window, lookback = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return FeatureSpec(interval=Interval.S5, window=window, lookback=lookback, features=tuple(chosen))


def shown(spec: FeatureSpec, history: list[Bar]) -> list[Vector | None]:
    features = Features(spec)
    return [features.update(one) for one in history]


@given(spec=specs(), history=histories)
def test_what_was_shown_is_the_same_with_and_without_the_future(spec: FeatureSpec, history: list[Bar]) -> None:
    complete = shown(spec, history)
    for cut in range(len(history)):
        assert shown(spec, history[:cut]) == complete[:cut]


@given(spec=specs(), history=histories, cut=st.integers(0, 40))
def test_a_kept_state_goes_on_as_if_nothing_had_been(spec: FeatureSpec, history: list[Bar], cut: int) -> None:
    before, after = Features(spec), Features(spec)
    for one in history[:cut]:
        before.update(one)
    after.restore(AS_JSON.validate_json(AS_JSON.dump_json(before.state())))
    assert [after.update(one) for one in history[cut:]] == shown(spec, history)[cut:]


@given(spec=specs(), history=st.one_of(extreme, whole))
def test_every_observation_is_finite(spec: FeatureSpec, history: list[Bar]) -> None:
    seen = [made for made in shown(spec, history) if made is not None]
    assert all(len(made) == len(spec.features) and all(map(isfinite, made)) for made in seen)


@given(spec=specs(), history=whole, cut=st.integers(0, 40))
def test_where_a_history_begins_does_not_move_its_windows(spec: FeatureSpec, history: list[Bar], cut: int) -> None:
    late = shown(spec, history[cut:])
    assert all(
        made is None or complete is not None for made, complete in zip(late, shown(spec, history)[cut:], strict=True)
    )


@given(window=st.integers(1, 4), history=whole, cut=st.integers(0, 40))
def test_features_without_averages_do_not_depend_on_where_a_history_begins(
    window: int, history: list[Bar], cut: int
) -> None:
    features = (Feature.LOG_RETURN, Feature.VOLATILITY)
    spec = FeatureSpec(interval=Interval.S5, window=window, lookback=3, features=features)
    late, complete = shown(spec, history[cut:]), shown(spec, history)[cut:]
    warm = Features(spec).warm_up
    assert late[warm:] == complete[warm:]


@given(spec=specs(), history=broken)
def test_after_a_break_nothing_is_left_of_what_was_before(spec: FeatureSpec, history: list[Bar]) -> None:
    complete = shown(spec, history)
    breaks = [
        place
        for place in range(1, len(history))
        if history[place].ts_open not in (history[place - 1].ts_close, history[place - 1].ts_open)
    ]
    for place in breaks:
        assert shown(spec, history[place:]) == complete[place:]
