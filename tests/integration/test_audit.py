"""`hmm audit` and `hmm replay` on real servers: what is wrong is named, and what was is heard again."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from typer.testing import CliRunner

from contracts.codec import encode, type_header
from contracts.ownership import matches
from contracts.recorded import Recorded, Unreadable
from contracts.types import TradingState
from eventstore.archive import Archive
from eventstore.extent import Extent, extent_of
from eventstore.migrate import migrate
from eventstore.reader import read_messages
from services.catalog import BLUEPRINTS
from services.cli.main import app
from tape.headers import MSG_ID, new_trace, write_headers
from tests.builders import trading
from tests.live import PATIENCE_S, tape, until
from tests.played import SETTINGS, Message, Stage, market
from tests.servers import fresh_database

pytestmark = pytest.mark.integration

HMM = Path(sys.executable).with_name("hmm")


def history() -> list[Message]:
    """Tell of a market in which a component was restarted, another joined late, and not all was understood."""
    stage = Stage()
    stage.enter(*(name for name in SETTINGS if name != "portfolio"))
    events = market(600)
    stage.play(islice(events, 200))
    stage.enter("portfolio")
    stage.babble("md.quote.binance.BTCUSDT", b"nonsense")
    stage.play(islice(events, 200))
    stage.play([trading(TradingState.HALTED), trading(TradingState.ACTIVE)])
    stage.enter("trend")
    stage.play(events)
    return stage.tape


TAPE = history()
END = len(TAPE)


def archived(url: str, messages: list[Message]) -> None:
    migrate(url)
    archive = Archive(url)
    for at in range(0, len(messages), 500):
        archive.write(messages[at : at + 500])
    archive.close()


@pytest.fixture(scope="module")
def kept_url(database_url: str) -> Iterator[str]:
    """A store that holds `TAPE`, for tests that only read."""
    with fresh_database(database_url, "audited_store") as url:
        archived(url, TAPE)
        yield url


@pytest.fixture
def store_url(fresh_database_url: str) -> str:
    """The same, for one test to damage."""
    archived(fresh_database_url, TAPE)
    return fresh_database_url


class Shell:
    """The `hmm` command beside servers that are not its own."""

    def __init__(self, directory: Path) -> None:
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("HMM_")} | {
            "HMM_RUN_DIR": str(directory / "run"),
            "HMM_DATABASE_URL": "postgresql://hmm@127.0.0.1:1/nowhere",
            "HMM_NATS_URL": "nats://127.0.0.1:1",
        }

    def __call__(self, *arguments: str, code: int = 0, **variables: str) -> str:
        """Run it, expect an exit code, and give what it printed; of a complaint, its one line."""
        done = subprocess.run(
            [HMM, *arguments],
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=4 * PATIENCE_S,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr if code > 1 or not done.stdout else done.stdout

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            HMM, *arguments, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )


def refusal(shell: Shell, *arguments: str) -> str:
    """Run it in this process, which is quicker, and give its complaint about what it was asked."""
    result = CliRunner(env=shell.environment).invoke(app, arguments)
    assert result.exit_code == 2, result.output
    return result.stderr


@pytest.fixture
def hmm(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def audit(hmm: Shell, kept_url: str) -> Shell:
    hmm.environment["HMM_DATABASE_URL"] = kept_url
    return hmm


def sql(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def components(document: str) -> dict[str, dict[str, Any]]:
    return {found["component"]: found for found in json.loads(document)["components"]}


def outputs(name: str) -> list[Recorded]:
    return [told for told in TAPE if isinstance(told, Recorded) and told.msg_id.startswith(f"{name}/") and told.cause]


# -- audit -------------------------------------------------------------------------------------------------------------


def test_all_that_was_said_is_found_right(audit: Shell) -> None:
    document = json.loads(audit("audit", "--all", "--json"))
    assert (document["from"], document["to"], document["diverging"], document["notes"]) == (1, END, 0, [])
    found = components(json.dumps(document))
    assert list(found) == list(BLUEPRINTS)
    for name, verdict in found.items():
        assert (name, verdict["divergences"]) == (name, {"different": 0, "missing": 0, "unexpected": 0})
        assert (verdict["compared"], verdict["pending"], verdict["unverifiable"]) == (len(outputs(name)), 0, 0)
        assert verdict["events_per_second"] > 0
    assert found["portfolio"]["silent"] > 0
    assert found["trend"]["others"] == 2


def test_one_component_is_judged_alone_and_in_any_stretch(audit: Shell) -> None:
    whole = audit("audit", "bars")
    assert f"{len(outputs('bars'))} outputs compared: 0 divergences" in whole
    assert len(whole.splitlines()) == 1
    part = components(audit("audit", "bars", "--from", "100", "--to", "300", "--json"))["bars"]
    assert part["compared"] == len([told for told in outputs("bars") if 100 <= told.position <= 300])
    assert part["divergences"] == {"different": 0, "missing": 0, "unexpected": 0}


def test_a_row_that_was_tampered_with_is_named(hmm: Shell, store_url: str) -> None:
    hmm.environment["HMM_DATABASE_URL"] = store_url
    changed, gone, twice = outputs("bars")[20], outputs("router")[-9], outputs("portfolio")[-1]
    sql(store_url, f"UPDATE bars SET volume = volume + 1 WHERE seq = {changed.position}")
    sql(store_url, f"DELETE FROM events WHERE seq = {gone.position}")
    columns = "ts, subject, type, version, msg_id, cause, ts_recorded, payload"
    sql(
        store_url,
        f"INSERT INTO events (seq, {columns}) SELECT {END + 1}, {columns} FROM events WHERE seq = {twice.position}",
    )
    sql(store_url, f"UPDATE checkpoints SET position = {END + 1} WHERE name = 'archive'")
    document = hmm("audit", "--all", "--json", code=1)
    found = components(document)
    (different,) = found["bars"]["first"]
    assert (different["kind"], different["position"], different["cause"]) == (
        "different",
        changed.position,
        changed.cause,
    )
    (volume,) = different["differences"]
    assert (volume["field"], float(volume["recorded"])) == ("volume", different["computed"]["volume"] + 1)
    (missing,) = found["router"]["first"]
    assert (missing["kind"], missing["cause"], missing["recorded"]) == ("missing", gone.cause, None)
    (unexpected,) = found["portfolio"]["first"]
    assert (unexpected["kind"], unexpected["position"], unexpected["computed"]) == ("unexpected", END + 1, None)
    assert json.loads(document)["notes"] == [f"not on record, and no power cut explains it: {gone.position:,}"]
    shown = hmm("audit", "bars", code=1)
    assert f"bars: different Bar at position {changed.position}, output 0 of cause {changed.cause}" in shown
    assert "DIVERGES: 1 different" in shown


def test_a_row_that_is_no_event_any_more_ends_it(hmm: Shell, store_url: str) -> None:
    hmm.environment["HMM_DATABASE_URL"] = store_url
    damaged = outputs("trend")[-1].position
    sql(store_url, f"UPDATE events SET payload = payload - 'order' WHERE seq = {damaged}")
    assert f"position {damaged} of the event store: " in hmm("audit", "trend", code=1)


def test_other_settings_are_a_question_and_no_failure(audit: Shell) -> None:
    answer = json.loads(audit("audit", "trend", "--set", "fast=2", "--set", "slow=7", "--json"))
    assert answer["what_if"]
    assert answer["diverging"] > 0
    said = audit("audit", "--all", "--set", "bars.source=mid", "--set", 'bars.intervals=["1s"]')
    assert "what-if: " in said
    assert " outputs would differ" in said
    assert said.count(": 0 divergences") == len(BLUEPRINTS) - 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "name a component, or --all; there are clock, bars, "),
        (["nobody"], "there is no component 'nobody'; there are clock, bars, "),
        (["archive"], "archive is an edge: it acts on the outside world, which cannot be judged again"),
        (["bars", "--all"], "bars and --all: give one of them"),
        (["bars", "--source", "memory"], "--source memory: not a record; use store or tape"),
        (["bars", "--from", "99999"], f"--from 99999: the event store ends at position {END}"),
        (["bars", "--from", "20", "--to", "10"], "--from 20 --to 10: nothing lies between"),
        (["bars", "--set", "source"], "--set source: not of the form key=value"),
        (["--all", "--set", "source=mid"], "--set source=mid: not of the form component.key=value"),
        (["--all", "--set", "feed.source=mid"], "--set feed.source=mid: there is no component 'feed'"),
        (["bars", "--set", "sauce=mid"], "--set sauce: bars has no such setting; its settings are intervals, source"),
        (["bars", "--set", "source=middle"], "--set: bars.source: Input should be 'trades' or 'mid'"),
        (["bars", "--set", "intervals=[1s]"], "--set intervals=[1s]: "),
        (["trend", "--set", "fast=12"], "--set: trend: Value error, fast (12) must be below slow (12)"),
    ],
)
def test_what_cannot_be_meant_is_refused(audit: Shell, arguments: list[str], complaint: str) -> None:
    assert complaint in refusal(audit, "audit", *arguments)


def test_without_a_store_it_says_what_is_missing(hmm: Shell, fresh_database_url: str) -> None:
    assert "no answer from the database" in hmm("audit", "bars", code=3)
    assert "no answer from nats://" in hmm("audit", "bars", "--source", "tape", code=3)
    assert "make it: hmm provision" in hmm("audit", "bars", code=1, HMM_DATABASE_URL=fresh_database_url)
    migrate(fresh_database_url)
    assert "the event store holds nothing yet" in hmm("audit", "bars", code=1, HMM_DATABASE_URL=fresh_database_url)


# -- what the store holds ----------------------------------------------------------------------------------------------


def extent(url: str) -> Extent:
    with psycopg.connect(url, autocommit=True) as connection:
        return extent_of(connection)


def test_events_and_nonsense_come_back_in_one_order(kept_url: str) -> None:
    types = frozenset(type(told.event) for told in TAPE if isinstance(told, Recorded))
    with psycopg.connect(kept_url, autocommit=True) as connection:
        for batch in (7, 5_000):
            assert [m for messages in read_messages(connection, 1, END, types, batch) for m in messages] == TAPE
        nothing_else = [m for messages in read_messages(connection, 1, END, (), 10) for m in messages]
    assert nothing_else == [message for message in TAPE if isinstance(message, Unreadable)]


def test_a_whole_store_is_known_as_such(kept_url: str) -> None:
    assert extent(kept_url) == Extent(1, END, 1)


def test_a_hole_is_a_power_cut_only_if_all_took_their_leases_after_it(fresh_database_url: str) -> None:
    lease = next(told.position for told in TAPE[100:] if isinstance(told, Recorded) and "/lease/" in told.msg_id)
    lost = {*range(lease - 4, lease), 300}
    archived(fresh_database_url, [message for message in TAPE if message.position not in lost])
    cut, hole = range(lease - 4, lease), range(300, 301)
    assert extent(fresh_database_url) == Extent(1, END, 1, tuple(sorted((cut, hole), key=min)), (cut,))


def test_a_store_that_let_its_old_market_data_go_is_whole_from_there_on(
    fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.extent.MOST_HOLES", 20)
    bars = [told.position for told in TAPE if matches(_subject(told), "md.bar.>")]
    old = bars[len(bars) // 2]
    archived(fresh_database_url, [m for m in TAPE if m.position >= old or not matches(_subject(m), "md.>")])
    assert extent(fresh_database_url) == Extent(1, END, old)


def test_a_store_that_begins_amidst_says_so(fresh_database_url: str, hmm: Shell) -> None:
    archived(fresh_database_url, TAPE[99:])
    assert extent(fresh_database_url) == Extent(100, END, 100)
    said = hmm("audit", "clock", HMM_DATABASE_URL=fresh_database_url)
    assert "note: inputs before position 100 are not on record: state is made from there" in said
    assert "edge, nothing to re-judge, " in said  # no lease on record says otherwise
    assert " unverifiable" in said
    by_market = hmm("audit", "clock", HMM_DATABASE_URL=fresh_database_url, HMM_CLOCK_SOURCE="market", code=1)
    assert "DIVERGES: 1 " in by_market  # a second had begun before the record did


def _subject(message: Message) -> str:
    return message.subject if isinstance(message, Unreadable) else type(message.event).subject_of(message.event)


# -- the tape ----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def recorded_tape(url: str) -> AsyncIterator[Client]:
    """A server whose TAPE holds `TAPE`."""
    async with tape(url) as nc:
        for message in TAPE:
            if isinstance(message, Unreadable):
                subject, payload, headers = message.subject, message.payload, dict[str, str]()
            else:
                subject, payload = _subject(message), encode(message.event)
                headers = write_headers(message.event, message.msg_id, message.cause, 1, new_trace(1, 1))
            ack = await nc.jetstream(timeout=30).publish(subject, payload, headers=headers)
            assert ack.seq == message.position
        yield nc


async def test_the_tape_is_judged_like_the_store(fresh_nats_url: str, audit: Shell) -> None:
    async with recorded_tape(fresh_nats_url):
        run = asyncio.to_thread(audit, "audit", "--all", "--source", "tape", "--json", HMM_NATS_URL=fresh_nats_url)
        by_tape = components(await run)
    by_store = components(audit("audit", "--all", "--json"))
    for found in (*by_tape.values(), *by_store.values()):
        del found["events_per_second"]
    assert by_tape == by_store


# -- replay ------------------------------------------------------------------------------------------------------------


class Ear:
    """A plain subscriber."""

    def __init__(self) -> None:
        self.heard: list[Msg] = []

    async def hear(self, message: Msg) -> None:
        self.heard.append(message)

    def positions(self) -> list[int]:
        return [int((message.headers or {})["Hmm-Position"]) for message in self.heard]


@pytest.mark.parametrize("source", ["store", "tape"])
async def test_what_was_recorded_is_heard_again_and_does_not_get_onto_the_tape(
    fresh_nats_url: str, audit: Shell, source: str
) -> None:
    audit.environment["HMM_NATS_URL"] = fresh_nats_url
    ear = Ear()
    async with recorded_tape(fresh_nats_url) as nc:
        await nc.subscribe("again.>", cb=ear.hear)
        await nc.flush()
        arguments = ("--from", "3", "--speed", "max", "--to-subject-prefix", "again", "--source", source)
        said = await asyncio.to_thread(audit, "replay", *arguments)
        assert f"replayed up to position {END:,}: {END - 2:,} messages in " in said
        await until(lambda: len(ear.heard) == END - 2)
        assert (await nc.jetstream(timeout=30).stream_info("TAPE")).state.last_seq == END
    assert ear.positions() == list(range(3, END + 1))
    for message, original in zip(ear.heard, TAPE[2:], strict=True):
        headers = message.headers or {}
        assert message.subject == f"again.{_subject(original)}"
        assert MSG_ID not in headers
        if isinstance(original, Unreadable):
            assert message.data == original.payload
            continue
        assert json.loads(message.data) == json.loads(encode(original.event))
        assert headers["Hmm-Type"] == type_header(type(original.event))
        assert headers.get("Hmm-Cause") == (None if original.cause is None else str(original.cause))
        assert ("traceparent" in headers) is (source == "tape")
        assert "Hmm-Ts" in headers


async def test_only_the_subjects_asked_for_are_heard_in_the_time_they_took(fresh_nats_url: str, audit: Shell) -> None:
    audit.environment["HMM_NATS_URL"] = fresh_nats_url
    ear = Ear()
    async with tape(fresh_nats_url) as nc:
        await nc.subscribe(">", cb=ear.hear)
        await nc.flush()
        began = time.monotonic()
        arguments = ("--to", "300", "--speed", "20", "--to-subject-prefix", "a.b", "--subject", "order.*.binance.*")
        await asyncio.to_thread(audit, "replay", *arguments)
        took = time.monotonic() - began
    heard = [message for message in ear.heard if message.subject.startswith("a.b.")]
    wanted = [told for told in TAPE[:300] if matches(_subject(told), "order.*.binance.*")]
    assert [int((message.headers or {})["Hmm-Position"]) for message in heard] == [told.position for told in wanted]
    first, last = wanted[0], wanted[-1]
    assert isinstance(first, Recorded) and isinstance(last, Recorded)
    assert took > (last.event.ts_init - first.event.ts_init) / 1e9 / 20


async def test_it_can_be_stopped_at_any_moment(fresh_nats_url: str, audit: Shell) -> None:
    audit.environment["HMM_NATS_URL"] = fresh_nats_url
    ear = Ear()
    async with tape(fresh_nats_url) as nc:
        await nc.subscribe("again.>", cb=ear.hear)
        await nc.flush()
        replaying = await audit.start("replay", "--to-subject-prefix", "again")
        await until(lambda: len(ear.heard) > 20)
        replaying.send_signal(signal.SIGINT)
        said, complaints = await asyncio.wait_for(replaying.communicate(), PATIENCE_S)
    assert said.decode().startswith("stopped behind position ")
    assert (complaints, replaying.returncode) == (b"", 0)


REFUSED = {
    "md": "--to-subject-prefix md: stream TAPE listens on md.>",
    "order.again": "stream TAPE listens on order.>",
    "mine.x": "stream MINE listens on mine.*.md.quote.>",
    "$JS.API": "what begins with $ is the server's own",
    "_INBOX": "what begins with _ carries answers to requests",
    "deliver": "there the components hear the tape",
    "a..b": "not words of",
    "a b": "not words of",
    "a.>": "not words of",
    "": "not words of",
}


async def test_no_stream_can_be_reached(fresh_nats_url: str, audit: Shell) -> None:
    audit.environment["HMM_NATS_URL"] = fresh_nats_url
    async with tape(fresh_nats_url) as nc:
        await nc.jetstream(timeout=30).add_stream(name="MINE", subjects=["mine.*.md.quote.>"])
        for prefix, complaint in REFUSED.items():
            said = await asyncio.to_thread(refusal, audit, "replay", "--to-subject-prefix", prefix)
            assert complaint in said
            assert said.endswith("use for instance replay\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--speed", "0"], "--speed 0: not a speed"),
        (["--subject", "a..b"], "--subject a..b: not a NATS pattern"),
        (["--source", "x"], "--source x: not a record"),
    ],
)
def test_a_replay_that_cannot_be_meant_is_refused(audit: Shell, arguments: list[str], complaint: str) -> None:
    assert complaint in refusal(audit, "replay", "--to-subject-prefix", "again", *arguments)
