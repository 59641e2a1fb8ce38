"""Laws of the audit: what components themselves said of any history is found right, and nothing else is."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel

from contracts.recorded import Recorded
from contracts.types import Interval, TradingState
from services.bars.settings import BarsSettings, PriceSource
from services.catalog import BLUEPRINTS
from services.gateway.settings import GatewaySettings
from services.portfolio.settings import PortfolioSettings
from services.risk.settings import RiskSettings
from services.stops.settings import StopsSettings
from services.trend.settings import TrendSettings
from tape.audit import Audit, Audits
from tape.verdict import Kind, Span, Verdict
from tests.builders import trading
from tests.played import SETTINGS, Message, Stage, first_lease, market

SHOWN = 120

OTHERS: Mapping[str, BaseModel] = {
    **SETTINGS,
    "bars": BarsSettings(intervals=(Interval.S1, Interval.S15), source=PriceSource.MID),
    "trend": TrendSettings(interval=Interval.S1, fast=2, slow=4, rsi=3, rsi_min=0, rsi_max=100, atr=3, stop_atr=0.3),
    "risk": RiskSettings(max_order_notional=200),
    "gateway": GatewaySettings(latency_ms=400),
    "portfolio": PortfolioSettings(mark_every_s=2),
    "stops": StopsSettings(stop_bps=50),
}

NAMES = st.sampled_from(list(SETTINGS))
DEEDS = st.one_of(
    st.tuples(st.just("enter"), NAMES),
    st.tuples(st.just("change"), NAMES),
    st.tuples(st.just("leave"), NAMES),
    st.tuples(st.just("babble"), st.sampled_from(["md.quote.binance.BTCUSDT", "order.filled.x.y", "dead.bars"])),
    st.sampled_from(TradingState).map(lambda state: ("control", state.value)),
)
PLOTS = st.dictionaries(st.integers(0, SHOWN - 1), st.lists(DEEDS, min_size=1, max_size=3), max_size=12)
Plot = dict[int, list[tuple[str, str]]]


def staged(seed: int, plot: Plot, late: set[str]) -> list[Message]:
    """Play a market while components come, go and change, and people and nonsense interfere."""
    stage = Stage()
    stage.enter(*(name for name in SETTINGS if name not in late))
    for number, event in enumerate(market(SHOWN, seed)):
        stage.play([event])
        for deed, what in plot.get(number, ()):
            do(stage, deed, what)
    return stage.tape


def do(stage: Stage, deed: str, what: str) -> None:
    match deed:
        case "enter":
            stage.enter(what)
        case "change":
            stage.enter(**{what: OTHERS[what]})
        case "leave":
            stage.leave(what)
        case "babble":
            stage.babble(what)
        case _:
            assert deed == "control"
            stage.play([trading(TradingState(what))])


def verdicts(tape: list[Message], start: int = 1) -> dict[str, Verdict]:
    span = Span(start, tape[-1].position)
    audits = Audits(
        [
            Audit(blueprint, blueprint.settings_of(first_lease(tape, name), SETTINGS[name]), span)
            for name, blueprint in BLUEPRINTS.items()
        ]
    )
    audits.take(tape)
    return {verdict.component: verdict for verdict in audits.verdicts()}


def outputs(tape: list[Message]) -> list[Recorded]:
    return [told for told in tape if isinstance(told, Recorded) and told.cause is not None]


STAGED = st.builds(staged, st.integers(0, 99), PLOTS, st.sets(NAMES, max_size=3))


@given(STAGED, st.floats(0.01, 1), st.floats(0, 1))
def test_what_components_said_of_any_history_is_right_in_any_stretch_of_it(
    tape: list[Message], part: float, begin: float
) -> None:
    tape = tape[: max(1, round(part * len(tape)))]
    found = verdicts(tape, start=1 + round(begin * (len(tape) - 1)))
    assert {name: verdict.first for name, verdict in found.items() if verdict.diverging or verdict.unverifiable} == {}


@given(STAGED, st.data())
def test_any_output_that_was_changed_is_found(tape: list[Message], data: st.DataObject) -> None:
    assume(outputs(tape))
    told = data.draw(st.sampled_from(outputs(tape)))
    forged = replace(told, event=replace(told.event, ts_event=told.event.ts_event + 1))
    found = verdicts([*tape[: told.position - 1], forged, *tape[told.position :]])[writer(told)]
    assert (found.divergences[Kind.DIFFERENT], found.first[0].position) == (1, told.position)


@given(STAGED, st.data())
def test_any_output_that_was_taken_away_is_missed(tape: list[Message], data: st.DataObject) -> None:
    assume(outputs(tape))
    told = data.draw(st.sampled_from(outputs(tape)))
    followed = any(writer(later) == writer(told) for later in outputs(tape) if later.position > told.position)
    found = verdicts([*tape[: told.position - 1], *tape[told.position :]])[writer(told)]
    before = verdicts(tape)[writer(told)]
    assert found.divergences[Kind.MISSING] == followed
    assert found.pending == before.pending + (not followed)


@given(STAGED, st.data())
def test_any_output_that_was_said_again_is_unexpected(tape: list[Message], data: st.DataObject) -> None:
    assume(outputs(tape))
    told = data.draw(st.sampled_from(outputs(tape)))
    found = verdicts([*tape, replace(told, position=len(tape) + 1)])[writer(told)]
    assert (found.diverging, found.divergences[Kind.UNEXPECTED]) == (1, 1)


def writer(told: Recorded) -> str:
    return told.msg_id.partition("/")[0]


def test_the_other_settings_change_what_is_said() -> None:
    """The laws above are worth what the changes they were tried on change."""
    for name in ("bars", "trend", "risk", "gateway", "portfolio"):
        stage = Stage()
        stage.enter(*SETTINGS)
        events = market(400)
        stage.play(islice(events, 100))
        stage.enter(**{name: OTHERS[name]})
        stage.play(events)
        span = Span(1, len(stage.tape))
        kept = Audits([Audit(BLUEPRINTS[name], SETTINGS[name], span, keep_settings=True)])
        kept.take(stage.tape)
        assert kept.verdicts()[0].diverging > 0, name
