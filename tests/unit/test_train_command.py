"""What `hmm train` waits for: the end of its own trainings, not of others."""

import pytest
from typer import Exit

from contracts.data import DataChunk
from contracts.event import Event
from contracts.models import ModelFamily, ModelPromoted, ModelPublished, TrainFailed, TrainStarted
from contracts.recorded import Recorded
from contracts.types import InstrumentId, Interval
from eventstore.chunkledger import ChunkLedger
from services.cli.knowledge import find_instrument, find_interval
from services.cli.train import Wanted
from tests.recordings import example

OURS = example(TrainStarted).request
PASSED = example(ModelPublished, passed=True)


def wanted(*events: Event) -> Wanted:
    one = Wanted(ModelFamily.REGIME, OURS)
    for position, event in enumerate(events, start=OURS + 1):
        one.hear(Recorded(position, None, "m", 0, event))
    return one


@pytest.mark.parametrize(
    ("events", "done"),
    [
        ([], False),
        ([example(TrainStarted)], False),
        ([example(TrainStarted), example(TrainFailed)], True),
        ([example(TrainStarted), example(TrainFailed, request=OURS + 1)], False),
        ([example(ModelPublished, passed=False)], True),
        ([PASSED], False),
        ([PASSED, example(ModelPromoted)], True),
        ([example(ModelPromoted), PASSED], False),
        ([PASSED, example(ModelPromoted, model_id="another")], False),
    ],
)
def test_a_training_has_ended_when_its_own_model_is_judged_or_it_failed(events: list[Event], done: bool) -> None:  # noqa: FBT001
    assert wanted(*events).is_done is done


def test_a_promotion_that_does_not_follow_is_not_waited_for_for_ever() -> None:
    one = wanted(PASSED)
    one.judged -= 60
    assert one.is_done


def test_the_stage_tells_what_is_waited_for() -> None:
    assert wanted().stage.startswith("regime: waiting for the trainer")
    assert wanted(example(TrainStarted)).stage.startswith("regime: training on 720 bars")
    assert PASSED.model_id in wanted(PASSED).stage


def ledger(*names: str) -> ChunkLedger:
    made = ChunkLedger()
    for name in names:
        instrument, interval = name.split()
        of = {"instrument": InstrumentId(instrument), "interval": Interval(interval)}
        made.hear(example(DataChunk, **of, first=0, last=0, rows=1, missing=0))
    return made


def test_the_only_instrument_need_not_be_named() -> None:
    assert find_instrument(ledger("file.BTC-PERP 1m"), None) == "file.BTC-PERP"


@pytest.mark.parametrize("name", ["BTC-PERP", "file.BTC-PERP"])
def test_an_instrument_is_found_by_its_symbol_and_by_its_name(name: str) -> None:
    assert find_instrument(ledger("file.BTC-PERP 1m", "binance.ETHUSDT 1m"), name) == "file.BTC-PERP"


@pytest.mark.parametrize(
    ("there", "symbol", "said"),
    [
        ((), "BTC", "there is no market history; bring some in: hmm import"),
        (("a.BTC 1m", "b.ETH 1m"), None, "say which: --symbol a.BTC | b.ETH"),
        (
            ("a.BTC 1m", "b.BTC 1m"),
            "BTC",
            "BTC is the symbol of several instruments; say which: --symbol a.BTC |",
        ),
        (("a.BTC 1m",), "DOGE", "there is no history of DOGE: there is of a.BTC"),
    ],
)
def test_who_is_not_found_is_told_what_there_is(
    there: tuple[str, ...], symbol: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exit):
        find_instrument(ledger(*there), symbol)
    assert said in capsys.readouterr().err


def test_of_several_lengths_of_bars_one_has_to_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    known, instrument = ledger("a.BTC 5s", "a.BTC 1m"), InstrumentId("a.BTC")
    assert find_interval(known, instrument, "1m") is Interval.M1
    for wrong in (None, "1h"):
        with pytest.raises(Exit):
            find_interval(known, instrument, wrong)
        assert "--interval 5s | 1m" in capsys.readouterr().err
