"""Params: each strategy opens by the preset that has earned most in such a regime, unless the operator knows better."""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from contracts.books import PositionClosed
from contracts.control import Alert
from contracts.event import Event
from contracts.ownership import ROLES
from contracts.presets import Arm, Preset, PresetPinned, PresetSelected
from contracts.regimes import UNKNOWN, RegimeInferred
from contracts.types import InstrumentId, Severity, Side
from services.params.metrics import MEAN, SELECTIONS, observe
from services.params.rules import Params, ParamsState
from services.params.settings import USUAL, ParamsSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, ns
from tests.servers import ROOT

STATE: TypeAdapter[ParamsState] = TypeAdapter(ParamsState)
PAIR: dict[str, dict[str, dict[str, float]]] = {"trend": {"small": {"size": 0.5}, "large": {"size": 2.0}}}
FEW: dict[str, Any] = {"presets": PAIR}


def regime(
    name: str = "calm", *, at: float = 0.0, confident: bool = True, instrument: InstrumentId = BTC
) -> RegimeInferred:
    states = ("calm", "wild")
    return RegimeInferred(
        ts_event=ns(at),
        ts_init=ns(at),
        instrument=instrument,
        model_id="m",
        regime=name,
        states=states,
        probabilities=(0.9, 0.1),
        entropy=0.4,
        confidence=0.9,
        confident=confident,
        log_likelihood=-1.0,
        observation=(0.0,),
        close=100.0,
    )


def closed(
    net: float = 1.0,
    *,
    opened: float = 0.0,
    at: float | None = None,
    fees: float = 0.0,
    strategy: str = "trend",
    instrument: InstrumentId = BTC,
) -> PositionClosed:
    """Close a position of 1000 that brought `net` after `fees`."""
    moment = ns(opened + 1 if at is None else at)
    return PositionClosed(
        ts_event=moment,
        ts_init=moment,
        strategy=strategy,
        instrument=instrument,
        side=Side.BUY,
        quantity=Decimal(10),
        entry_price=Decimal(100),
        exit_price=Decimal(101),
        realized_pnl=Decimal(repr(net)) + Decimal(repr(fees)),
        fees=Decimal(repr(fees)),
        funding=Decimal(0),
        opened_at=ns(opened),
        closed_at=moment,
        closed_by="trend-9-0",
        stopped=False,
    )


def pinned(preset: str | None, *, strategy: str = "trend", at: float = 0.0) -> PresetPinned:
    return PresetPinned(
        ts_event=ns(at), ts_init=ns(at), strategy=strategy, preset=preset, operator="alice", reason="test"
    )


def params(**settings: Any) -> MemoryTape:  # noqa: ANN401 (settings are of any kind)
    return MemoryTape([Params(ParamsSettings.model_validate({**FEW, **settings}))])


def selections(events: Iterable[Event], **settings: Any) -> list[PresetSelected]:  # noqa: ANN401
    tape = params(**settings)
    tape.play(events)
    return tape.of_type(PresetSelected)


def arms_of(selected: PresetSelected) -> dict[str, Arm]:
    return {arm.preset: arm for arm in selected.arms}


def said_after(tape: MemoryTape, *events: Event) -> list[PresetSelected]:
    before = len(tape.recorded)
    tape.play(events)
    return [recorded.event for recorded in tape.recorded[before:] if isinstance(recorded.event, PresetSelected)]


def taught(tape: MemoryTape, preset: str, net: float, trades: int, *, name: str = "calm", at: float = 0.0) -> float:
    """Let trades that were opened by `preset` in a regime bring `net` on average; give the time after them."""
    tape.play([pinned(preset, at=at), regime(name, at=at)])
    for number in range(trades):
        tape.play([closed(net + (-4, 4)[number % 2], opened=at + 2 * number + 1)])
    end = at + 2 * trades + 2
    tape.play([pinned(None, at=end)])
    return end


def test_it_hears_and_says_what_its_role_may() -> None:
    role = ROLES["params"]
    assert set(Params.consumes()) == set(role.reads)
    assert set(Params.produces) == {*role.writes, Alert}


def test_a_first_regime_selects_a_preset_for_every_strategy() -> None:
    both = selections([regime()], presets={**PAIR, "scalper": {"only": {}}})
    assert [(one.strategy, one.instrument, one.regime) for one in both] == [
        ("trend", BTC, "calm"),
        ("scalper", BTC, "calm"),
    ]
    assert both[1].preset == "only"


def test_what_is_said_holds_the_factors_and_why_they_were_chosen() -> None:
    (selected,) = selections([regime()])
    drawn = {name: arm.sampled for name, arm in arms_of(selected).items()}
    assert set(drawn) == {"small", "large"}
    assert selected.preset == max(drawn, key=drawn.__getitem__)
    assert selected.settings == Preset(size={"small": 0.5, "large": 2.0}[selected.preset])
    assert selected.pinned is False


def test_nothing_is_said_while_the_regime_stays() -> None:
    assert len(selections(regime(at=at) for at in range(50))) == 1


def test_a_regime_that_is_not_sure_changes_nothing() -> None:
    assert selections([regime(confident=False)]) == []
    assert len(selections([regime("calm"), regime("wild", confident=False)])) == 1


def test_every_change_of_regime_is_said() -> None:
    said = selections([regime("calm"), regime("wild"), regime("calm")])
    assert [one.regime for one in said] == ["calm", "wild", "calm"]


def test_regimes_are_those_of_each_instrument() -> None:
    said = selections([regime("calm"), regime("wild", instrument=ETH), regime("calm")])
    assert [(one.instrument, one.regime) for one in said] == [(BTC, "calm"), (ETH, "wild")]


def test_a_trade_is_credited_to_the_preset_and_the_regime_that_it_was_opened_in() -> None:
    tape = params()
    (first,) = said_after(tape, regime("calm", at=0))
    tape.play([regime("wild", at=10), closed(5.0, opened=5, at=15)])
    (again,) = said_after(tape, regime("calm", at=20))
    assert {name: arm.trades for name, arm in arms_of(again).items()} == {
        "small": float(first.preset == "small"),
        "large": float(first.preset == "large"),
    }
    (wild,) = said_after(tape, regime("wild", at=30))
    assert all(arm.trades == 0 for arm in wild.arms)


def test_a_trade_adds_to_what_is_known_of_the_regime_it_was_opened_in() -> None:
    tape = params(discount=1)
    tape.play([pinned("small"), regime("calm", at=0), closed(opened=1, at=2)])
    tape.play([regime("wild", at=10), closed(opened=3, at=11), closed(opened=12, at=13)])
    (calm, wild) = said_after(tape, regime("calm", at=20), regime("wild", at=21))
    assert arms_of(calm)["small"].trades == 2
    assert arms_of(wild)["small"].trades == 1


def test_the_reward_is_the_return_after_fees_in_units_of_the_deviation_of_returns() -> None:
    tape = params(typical_return=0.01, typical_trades=1e4, boldness=0.01, prior_trades=1e-6)
    tape.play([pinned("large"), regime("calm")])
    tape.play([closed(20.0, opened=1, fees=7.0)])
    (selected,) = said_after(tape, regime("wild", at=5), pinned(None, at=5))[-1:]
    (calm,) = said_after(tape, regime("calm", at=6))
    assert selected.regime == "wild"
    assert arms_of(calm)["large"].mean == pytest.approx(0.02 / 0.01, rel=1e-3)


def test_one_enormous_trade_counts_as_a_large_one() -> None:
    tape = params(farthest_return=3, prior_trades=1e-6)
    tape.play([pinned("large"), regime("calm"), closed(1e9, opened=1), closed(1e-9, opened=3)])
    (calm,) = said_after(tape, regime("wild", at=6), regime("calm", at=7))[-1:]
    assert arms_of(calm)["large"].mean <= 3


def test_a_trade_that_was_opened_before_all_selections_is_counted_and_not_credited() -> None:
    component = Params(ParamsSettings.model_validate(FEW))
    tape = MemoryTape([component])
    tape.play([regime(at=10), closed(opened=5, at=12)])
    learner = component.state().learners["trend"]
    assert (learner.credited, learner.uncredited) == (0, 1)


def test_what_is_no_longer_remembered_is_not_guessed() -> None:
    component = Params(ParamsSettings.model_validate({**FEW, "remembered_selections": 2}))
    names = ("calm", "wild") * 3
    MemoryTape([component]).play([*(regime(name, at=at) for at, name in enumerate(names)), closed(opened=1, at=9)])
    learner = component.state().learners["trend"]
    assert len(learner.selections[BTC]) <= 2
    assert learner.uncredited == 1


def test_without_any_regime_it_learns_what_pays_on_the_whole() -> None:
    said = selections([closed(opened=number, at=number + 0.5) for number in range(40)])
    assert {one.regime for one in said} == {UNKNOWN}
    assert {one.preset for one in said} == {"small", "large"}


def test_trades_of_a_strategy_without_presets_are_of_no_concern() -> None:
    assert selections([closed(strategy="scalper"), closed(strategy="external")]) == []


def test_the_preset_that_earns_more_in_a_regime_is_preferred_there_and_not_elsewhere() -> None:
    tape = params()
    end = taught(tape, "large", 5.0, 20)
    end = taught(tape, "small", -5.0, 20, at=end)
    end = taught(tape, "large", -5.0, 20, name="wild", at=end)
    end = taught(tape, "small", 5.0, 20, name="wild", at=end)
    said = said_after(tape, *(regime(("calm", "wild")[n % 2], at=end + n) for n in range(1, 41)))
    chosen = {name: [one.preset for one in said if one.regime == name] for name in ("calm", "wild")}
    assert chosen["calm"].count("large") >= 18
    assert chosen["wild"].count("small") >= 18


def test_a_close_selects_anew_and_is_silent_if_nothing_changes_by_it() -> None:
    tape = params()
    end = taught(tape, "large", 5.0, 30)
    end = taught(tape, "small", -5.0, 30, at=end)
    tape.play([regime(at=end)])
    said = said_after(tape, *(closed(4.0, opened=end + 2 * n) for n in range(1, 30)))
    assert len(said) <= 2


# -- the operator ------------------------------------------------------------------------------------------------------


def test_a_pinned_preset_is_in_force_until_it_is_unpinned() -> None:
    tape = params()
    tape.play([regime("calm"), regime("wild", instrument=ETH)])
    said = said_after(tape, pinned("large", at=1))
    assert [(one.instrument, one.preset, one.pinned) for one in said] == [(BTC, "large", True), (ETH, "large", True)]
    later = said_after(tape, *(regime(("wild", "calm")[n % 2], at=2 + n) for n in range(20)))
    assert {(one.preset, one.pinned) for one in later} == {("large", True)}
    freed = said_after(tape, pinned(None, at=50))
    assert [one.pinned for one in freed] == [False, False]


def test_learning_goes_on_while_a_preset_is_pinned() -> None:
    tape = params()
    tape.play([pinned("small"), regime("calm"), *(closed(5.0, opened=2 * n + 1) for n in range(10))])
    (calm,) = said_after(tape, regime("wild", at=40), regime("calm", at=41))[-1:]
    assert arms_of(calm)["small"].trades > 9
    assert arms_of(calm)["small"].sampled == arms_of(calm)["small"].mean


@pytest.mark.parametrize(
    ("word", "code", "told"),
    [
        (pinned("large", strategy="scalper"), "unknown_strategy", "trend"),
        (pinned(None, strategy="scalper"), "unknown_strategy", "trend"),
        (pinned("huge"), "unknown_preset", "small, large"),
    ],
)
def test_a_pin_of_what_there_is_not_is_refused_and_changes_nothing(word: PresetPinned, code: str, told: str) -> None:
    tape = params()
    tape.play([regime(), word])
    (alert,) = tape.of_type(Alert)
    assert (alert.code, alert.severity) == (code, Severity.WARNING)
    assert told in alert.message
    assert "alice" in alert.message
    assert not any(one.pinned for one in said_after(tape, regime("wild", at=2)))


# -- other settings ----------------------------------------------------------------------------------------------------


def changed(before: Params, **settings: Any) -> tuple[Params, MemoryTape]:  # noqa: ANN401
    after = Params(ParamsSettings.model_validate({**FEW, **settings}))
    after.restore(STATE.validate_json(STATE.dump_json(before.state())))
    return after, MemoryTape([after])


def learned() -> Params:
    component = Params(ParamsSettings.model_validate(FEW))
    taught(MemoryTape([component]), "large", 5.0, 10)
    return component


def test_presets_that_are_gone_are_forgotten_and_the_others_keep_their_experience() -> None:
    after, tape = changed(
        learned(), presets={"trend": {"large": {"size": 2.0}, "new": {"stop": 0.5}}, "scalper": {"only": {}}}
    )
    known = after.state().learners["trend"].arms["calm"]
    assert known["large"].trades > 9
    assert known["new"].trades == 0
    assert set(known) == {"large", "new"}
    assert [one.strategy for one in said_after(tape, regime("wild", at=99))] == ["trend", "scalper"]


def test_a_preset_with_other_factors_is_another_one() -> None:
    after, _ = changed(learned(), presets={"trend": {"small": {"size": 0.5}, "large": {"size": 3.0}}})
    assert after.state().learners["trend"].arms["calm"]["large"].trades == 0


def test_a_strategy_does_not_go_on_with_a_preset_that_is_no_longer_offered() -> None:
    before = Params(ParamsSettings.model_validate(FEW))
    MemoryTape([before]).play([pinned("large"), regime()])
    _, tape = changed(before, presets={"trend": {"small": {"size": 0.5}, "new": {}}})
    (selected,) = said_after(tape, regime(at=1, confident=False))
    assert selected.preset in {"small", "new"}
    assert selected.pinned is False


def test_another_seed_chooses_otherwise() -> None:
    history = [regime(("calm", "wild")[n % 2], at=n) for n in range(30)]
    one, same, other = (selections(history, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert [said.preset for said in one] != [said.preset for said in other]


def test_regimes_that_nobody_has_traded_in_for_long_are_forgotten() -> None:
    component = Params(ParamsSettings.model_validate({**FEW, "remembered_regimes": 2}))
    tape = MemoryTape([component])
    for number, name in enumerate(("calm", "wild", UNKNOWN, "calm")):
        tape.play([regime(name, at=10 * number), closed(opened=10 * number + 1)])
    assert list(component.state().learners["trend"].arms) == [UNKNOWN, "calm"]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"presets": {"trend": {"bold": {"size": 5.1}}}}, r"trend\.bold\.size: .*less than or equal to 5"),
        ({"presets": {"trend": {"bold": {"stop": 0.05}}}}, r"trend\.bold\.stop: .*greater than or equal to 0\.1"),
        ({"presets": {"trend": {"bold": {"colour": 1}}}}, r"trend\.bold\.colour: Extra inputs"),
        ({"presets": {"trend": {}}}, "trend: "),
        ({"presets": {}}, "strategies: "),
        ({"presets": {"tr end": {"bold": {}}}}, "tr end"),
        ({"discount": 0}, "discount"),
        ({"boldness": 0}, "boldness"),
        ({"typical_return": 0}, "typical_return"),
        ({"seed": -1}, "seed"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_settings_refuse_nonsense_and_name_it(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        ParamsSettings.model_validate(settings)


def test_settings_come_back_from_what_is_written_of_them() -> None:
    settings = ParamsSettings()
    assert ParamsSettings.model_validate_json(settings.model_dump_json()) == settings
    assert ParamsSettings.model_validate(settings.model_dump()) == settings


def test_what_is_selected_is_counted_and_what_is_believed_is_shown() -> None:
    (selected,) = selections([regime("calm")])
    labels = ("trend", "calm", selected.preset)
    before = SELECTIONS.labels(*labels)._value.get()
    observe()[PresetSelected](selected, None)
    assert SELECTIONS.labels(*labels)._value.get() == before + 1
    assert MEAN.labels(*labels)._value.get() == arms_of(selected)[selected.preset].mean


def test_the_document_tells_every_setting_and_the_usual_presets() -> None:
    told = (ROOT / "docs/presets.md").read_text()
    defaults = json.loads(ParamsSettings().model_dump_json())
    rows = [
        f"| `{name}` | {'the table above' if name == 'presets' else f'`{json.dumps(defaults[name])}`'} "
        f"| {field.description} |"
        for name, field in ParamsSettings.model_fields.items()
    ]
    assert "\n".join(rows) in told
    for name, preset in USUAL.items():
        factors = " | ".join(f"{factor:g}" for factor in preset.model_dump().values())
        assert f"| `{name}` | {factors} |" in told
