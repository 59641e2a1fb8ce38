"""A backtest: one order of events, a log that is the tape of it, the same each time, and what the live system says."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from contracts.control import LeaseTaken
from contracts.event import Event
from contracts.market import Bar, Quote, Trade
from contracts.orders import OrderFilled
from services.backtest.log import LogWriter, read_log
from services.backtest.run import Run
from services.backtest.wiring import ORDER
from services.catalog import BLUEPRINTS
from tape.audit import Audit, Audits
from tape.verdict import Span
from tests.backtested import USUAL, Heard, Played, events_of, played, waves, wired
from tests.servers import ROOT

QUOTES = 3_000


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return waves(tmp_path_factory.mktemp("frames"), QUOTES, ("BTCUSDT", "ETHUSDT"))


@pytest.fixture(scope="module")
def run(market: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Played:
    return played(events_of(market), tmp_path_factory.mktemp("run"))


def test_the_whole_system_trades_the_files(run: Played) -> None:
    said = {type(recorded.event) for recorded in run.log}
    assert {Quote, Trade, Bar, OrderFilled} <= said
    assert {recorded.event.strategy for recorded in run.log if isinstance(recorded.event, OrderFilled)} == {"trend"}


def test_the_log_holds_every_position_once_and_in_order(run: Played) -> None:
    assert [recorded.position for recorded in run.log] == list(range(1, run.run.position + 1))


def test_the_log_begins_with_the_settings_of_every_component(run: Played) -> None:
    leases = [recorded.event for recorded in run.log[: len(ORDER)]]
    assert all(isinstance(lease, LeaseTaken) for lease in leases)
    assert {
        lease.component: BLUEPRINTS[lease.component].settings.model_validate_json(lease.settings)
        for lease in leases
        if isinstance(lease, LeaseTaken)
    } == wired().settings


def test_each_answer_names_its_cause_and_what_came_from_outside_has_none(run: Played) -> None:
    by_position = {recorded.position: recorded for recorded in run.log}
    for recorded in run.log:
        if recorded.cause is None:
            assert recorded.msg_id.startswith("feed/") or isinstance(recorded.event, LeaseTaken)
        else:
            assert recorded.cause < recorded.position
            assert by_position[recorded.cause].event.ts_init == recorded.event.ts_init


def test_a_fill_leads_back_to_the_quote_that_it_was_decided_on(run: Played) -> None:
    by_position = {recorded.position: recorded for recorded in run.log}
    fill = next(recorded for recorded in run.log if isinstance(recorded.event, OrderFilled))
    while fill.cause is not None:
        fill = by_position[fill.cause]
    assert isinstance(fill.event, Quote | Trade)


def test_an_audit_of_the_log_finds_that_every_component_said_what_it_says_live(run: Played) -> None:
    audits = Audits([Audit(BLUEPRINTS[name], USUAL[name], Span(1, run.run.position)) for name in ORDER])
    audits.take(run.log)
    verdicts = audits.verdicts()
    assert [verdict.component for verdict in verdicts if verdict.diverging or verdict.pending or verdict.silent] == []
    answers = sum(recorded.cause is not None for recorded in run.log)
    assert sum(verdict.compared for verdict in verdicts) == answers


def test_an_audit_under_other_settings_finds_what_would_have_been_otherwise(run: Played) -> None:
    other = USUAL["trend"].model_copy(update={"slow": 30})
    audit = Audit(BLUEPRINTS["trend"], other, Span(1, run.run.position), keep_settings=True)
    Audits([audit]).take(run.log)
    assert audit.verdict().diverging


def test_others_hear_all_but_single_quotes_and_trades(run: Played) -> None:
    told = [recorded for recorded in run.log if not isinstance(recorded.event, Quote | Trade)]
    assert run.heard == told


def test_the_same_run_has_the_same_log(run: Played, market: list[Path], tmp_path: Path) -> None:
    again = played(events_of(market), tmp_path)
    assert (again.sha256, again.log) == (run.sha256, run.log)


def test_it_does_not_matter_in_which_pieces_the_events_come(run: Played, market: list[Path], tmp_path: Path) -> None:
    events = iter(events_of(market))
    with LogWriter(tmp_path / "log") as log:
        other = Run(wired(), log, Heard())
        while other.take(islice(events, 97)):
            pass
        assert log.sha256 == run.sha256


def test_another_process_with_other_hashes_has_the_same_log(run: Played, market: list[Path], tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.backtested import *; "
        "print(played(events_of([Path(name) for name in sys.argv[2:]]), Path(sys.argv[1])).sha256)"
    )
    command = [sys.executable, "-c", program, str(tmp_path), *map(str, market)]
    environment = {"PYTHONHASHSEED": "12345", "PYTHONPATH": f"{ROOT}:{ROOT / 'libs'}", "TZ": "Asia/Tokyo"}
    answer = subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == run.sha256


def test_another_setting_has_another_log(run: Played, market: list[Path], tmp_path: Path) -> None:
    assert played(events_of(market), tmp_path, wired("trend.slow=20")).sha256 != run.sha256


def test_one_that_is_stopped_is_the_beginning_of_the_whole(run: Played, market: list[Path], tmp_path: Path) -> None:
    def stopping(events: list[Event]) -> Iterator[Event]:
        for number, event in enumerate(events):
            part.stopping = number == 1_000
            yield event

    with LogWriter(tmp_path / "log") as log:
        part = Run(wired(), log, Heard())
        part.take(stopping(events_of(market)))
    log_of_it = list(read_log(tmp_path / "log"))
    assert part.events == 1_000
    assert log_of_it == run.log[: len(log_of_it)]
    assert len(log_of_it) == part.position


def test_without_a_log_it_says_the_same(run: Played, market: list[Path]) -> None:
    heard = Heard()
    Run(wired(), None, heard).take(events_of(market))
    assert heard.recorded == run.heard


def test_bad_data_ends_it_behind_all_that_was_good(run: Played, market: list[Path], tmp_path: Path) -> None:
    def breaking(events: list[Event]) -> Iterator[Event]:
        yield from events[:500]
        raise ValueError("row 501")

    with LogWriter(tmp_path / "log") as log, pytest.raises(ValueError, match="row 501"):
        Run(wired(), log, Heard()).take(breaking(events_of(market)))
    kept = list(read_log(tmp_path / "log"))
    assert kept == run.log[: len(kept)]
    assert sum(recorded.msg_id.startswith("feed/") for recorded in kept) == 500
