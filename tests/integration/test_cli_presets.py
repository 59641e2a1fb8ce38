"""`hmm presets` and `hmm calibrate`: what params has said is shown with its reasons, what an operator says is said."""

from pathlib import Path

import pytest
from nats.js import JetStreamContext

from contracts.event import Event
from contracts.presets import PresetPinned, PresetSelected
from contracts.recorded import Recorded
from contracts.regimes import CalibrationSet
from eventstore.archive import Archive
from eventstore.migrate import migrate
from services.params.rules import Params
from services.params.settings import ParamsSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH
from tests.commands import Hmm, command_on
from tests.integration.test_cli_orders import document, in_order, on_tape, one_line, said
from tests.unit.test_params import closed, pinned, regime

pytestmark = pytest.mark.integration

CALIBRATED = [(None, 0.9, 0.5, 2.0), (BTC, 1.0, 1.0, 1.0), (BTC, 1.5, 0.25, 1.0)]


def calibration(instrument: str | None, gain: float, multiplier: float, scale: float) -> CalibrationSet:
    return CalibrationSet(
        ts_event=1,
        ts_init=1,
        instrument=instrument,  # type: ignore[arg-type] # of the right form
        confidence_gain=gain,
        quote_multiplier=multiplier,
        cooldown_scale=scale,
        operator="alice",
        reason="a quiet week",
    )


def told() -> list[Recorded]:
    """Regimes and trades, what params says to them, and the operator's words: a pin of one strategy."""
    outside: list[Event] = [
        regime("calm", at=0),
        regime("calm", at=0, instrument=ETH),
        *(closed(5.0, opened=1 + 2 * number) for number in range(20)),
        regime("wild", at=50),
        pinned("bold", strategy="hmm_ensemble", at=60),
        *(calibration(*values) for values in CALIBRATED),
    ]
    tape = MemoryTape([Params(ParamsSettings())])
    positions = []
    for event in outside:
        positions.append(tape.position + 1)
        tape.play([event])
    heard = [Recorded(at, None, f"m/{at}", 0, event) for at, event in zip(positions, outside, strict=True)]
    return sorted((*heard, *tape.recorded), key=lambda recorded: recorded.position)


@pytest.fixture
def hmm(fresh_database_url: str, tmp_path: Path) -> Hmm:
    """The command on a store that is filled, and on no tape unless a test names one."""
    migrate(fresh_database_url)
    archive = Archive(fresh_database_url)
    archive.write(told())
    archive.close()
    return command_on(fresh_database_url, tmp_path)


@pytest.fixture
def empty(fresh_database_url: str, tmp_path: Path) -> Hmm:
    migrate(fresh_database_url)
    return command_on(fresh_database_url, tmp_path)


@pytest.fixture
def tape_url(fresh_nats_url: str) -> str:
    async def make(js: JetStreamContext) -> None:
        await js.add_stream(name="TAPE", subjects=["control.>"], first_seq=101)

    on_tape(fresh_nats_url, make)
    return fresh_nats_url


def test_what_is_in_force_is_shown_with_its_factors_and_why(hmm: Hmm) -> None:
    rows = {(row["strategy"], row["instrument"]): row for row in document(hmm("presets", "--json"))["in_force"]}
    last = {
        (said.event.strategy, said.event.instrument): said for said in told() if isinstance(said.event, PresetSelected)
    }
    assert rows.keys() == last.keys()
    for key, row in rows.items():
        event = last[key].event
        assert isinstance(event, PresetSelected)
        assert (row["preset"], row["regime"], row["position"]) == (event.preset, event.regime, last[key].position)
        assert row["settings"]["size"] == event.settings.size
    assert rows["hmm_ensemble", BTC]["why"] == "pinned by alice: test"
    assert rows["trend", BTC]["why"].startswith("drew ")


def test_what_is_believed_is_shown_per_strategy_and_regime(hmm: Hmm) -> None:
    believed = document(hmm("presets", "--json"))["believed"]
    assert {(row["strategy"], row["regime"]) for row in believed} == {
        (strategy, name) for strategy in ("trend", "hmm_ensemble") for name in ("calm", "wild")
    }
    (calm,) = (row for row in believed if (row["strategy"], row["regime"]) == ("trend", "calm"))
    assert {arm["preset"] for arm in calm["arms"]} == {"cautious", "balanced", "bold"}
    assert sum(arm["trades"] for arm in calm["arms"]) > 1


def test_people_see_both_as_tables(hmm: Hmm) -> None:
    shown = hmm("presets").stdout
    assert in_order(shown, "in force", "hmm_ensemble", "bold", "1.5", "pinned by alice: test")
    assert in_order(shown, "believed of each preset", "trades", "deviation", "cautious", "balanced", "bold")


def test_a_store_without_selections_says_what_they_take(empty: Hmm) -> None:
    shown = empty("presets")
    assert shown.returncode == 0, shown.stderr
    assert "no preset was selected yet" in shown.stdout


def test_an_operator_pins_and_unpins_a_preset(hmm: Hmm, tape_url: str) -> None:
    done = hmm("presets", "pin", "trend", "cautious", "--reason", "a holiday", HMM_NATS_URL=tape_url)
    assert "trend opens positions by cautious from position 101 on" in done.stdout, done.stderr
    event = said(tape_url, 101)
    assert isinstance(event, PresetPinned)
    assert (event.strategy, event.preset, event.reason) == ("trend", "cautious", "a holiday")
    freed = hmm("presets", "unpin", "trend", HMM_NATS_URL=tape_url)
    assert "left to experience from position 102 on" in freed.stdout, freed.stderr
    event = said(tape_url, 102)
    assert isinstance(event, PresetPinned)
    assert event.preset is None


def test_what_cannot_be_pinned_is_refused_with_what_can(hmm: Hmm) -> None:
    assert "it has cautious, balanced, bold" in one_line(hmm("presets", "pin", "trend", "huge"), 1)
    line = one_line(hmm("presets", "pin", "scalper", "bold"), 1)
    assert "hmm_ensemble, trend" in line
    assert "no preset was ever selected for scalper" in one_line(hmm("presets", "unpin", "scalper"), 1)


def test_before_any_selection_a_pin_is_said_and_params_decides(empty: Hmm, tape_url: str) -> None:
    done = empty("presets", "pin", "trend", "bold", HMM_NATS_URL=tape_url)
    assert "if params knows both" in done.stdout, done.stderr
    assert isinstance(said(tape_url, 101), PresetPinned)


def test_an_operator_calibrates_one_instrument_or_all(hmm: Hmm, tape_url: str) -> None:
    factors = ("--confidence-gain", "0.8", "--quote-multiplier", "0.5", "--cooldown-scale", "3")
    done = hmm("calibrate", "--instrument", BTC, *factors, "--reason", "a quiet week", HMM_NATS_URL=tape_url)
    assert done.stdout == f"confidence x0.8, size x0.5, pause x3 for {BTC} from position 101 on\n", done.stderr
    event = said(tape_url, 101)
    assert isinstance(event, CalibrationSet)
    assert (event.instrument, event.confidence_gain, event.quote_multiplier) == (BTC, 0.8, 0.5)
    assert (event.cooldown_scale, event.reason) == (3.0, "a quiet week")
    every = hmm("calibrate", *factors, HMM_NATS_URL=tape_url)
    assert "for every instrument without its own from position 102 on" in every.stdout, every.stderr
    event = said(tape_url, 102)
    assert isinstance(event, CalibrationSet)
    assert event.instrument is None


def test_a_calibration_is_given_whole_and_within_its_bounds(hmm: Hmm) -> None:
    assert "is set as a whole" in one_line(hmm("calibrate", "--confidence-gain", "2"), 2)
    beyond = ("--confidence-gain", "0", "--quote-multiplier", "1", "--cooldown-scale", "1")
    assert "confidence_gain" in one_line(hmm("calibrate", *beyond), 2)
    inside = ("--confidence-gain", "1", "--quote-multiplier", "1", "--cooldown-scale", "1")
    assert "instrument" in one_line(hmm("calibrate", "--instrument", "BTC", *inside), 2)


def test_what_is_calibrated_is_shown(hmm: Hmm) -> None:
    rows = document(hmm("calibrate", "--json"))["calibrations"]
    assert [(row["instrument"], row["confidence_gain"], row["quote_multiplier"]) for row in rows] == [
        ("*", 0.9, 0.5),
        (BTC, 1.5, 0.25),
    ]
    assert in_order(hmm("calibrate", "--instrument", BTC).stdout, "*", "0.9", BTC, "1.5", "alice")
    assert BTC not in hmm("calibrate", "--instrument", ETH).stdout
