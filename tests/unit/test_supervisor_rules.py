"""The supervisor's decisions and its process file, without a process."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.supervisor.logs import LINE_BYTES, LineSplitter, LogFile
from services.supervisor.model import Availability, ConfigError, ProcessState, Restart, Stack, load_stack
from services.supervisor.rules import (
    BACKOFF_CAP_SECONDS,
    Again,
    Ending,
    Finished,
    GiveUp,
    after_end,
    backoff,
    is_settled,
    start_order,
    stop_waves,
    unmet,
)

ROOT = Path(__file__).resolve().parents[2]

PROBED = {"http_get": {"port": 1}}
HEALTHY = {"condition": "process_healthy"}


def stack(**needs: list[str]) -> Stack:
    """A stack of processes that wait for each other being healthy."""
    return Stack.model_validate(
        {
            "processes": {
                name: {"command": "true", "readiness_probe": PROBED, "depends_on": dict.fromkeys(needed, HEALTHY)}
                for name, needed in needs.items()
            }
        }
    )


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, list[str]]:
    names = [f"p{number}" for number in range(draw(st.integers(1, 8)))]
    needs = {}
    for position, name in enumerate(names):
        earlier = st.lists(st.sampled_from(names[:position]), unique=True) if position else st.just([])
        needs[name] = draw(earlier)
    return {name: needs[name] for name in draw(st.permutations(names))}


@given(needs=acyclic())
def test_everything_starts_after_what_it_needs(needs: dict[str, list[str]]) -> None:
    order = start_order(stack(**needs))
    assert sorted(order) == sorted(needs)
    assert all(order.index(other) < order.index(name) for name in needs for other in needs[name])


@given(needs=acyclic())
def test_nothing_is_stopped_before_all_that_need_it(needs: dict[str, list[str]]) -> None:
    waves = stop_waves(stack(**needs))
    when = {name: number for number, wave in enumerate(waves) for name in wave}
    assert sorted(when) == sorted(needs)
    assert all(when[name] < when[other] for name in needs for other in needs[name])


def test_a_process_waits_exactly_for_what_is_not_healthy_yet() -> None:
    spec = stack(a=[], b=[], c=["a", "b"]).processes["c"]
    states = {"a": ProcessState.HEALTHY, "b": ProcessState.STARTING, "c": ProcessState.WAITING}
    assert unmet(spec, states) == ["b"]


def test_a_job_that_others_wait_for_is_settled_when_done_and_a_server_when_up() -> None:
    needs_job = {"command": "x", "depends_on": {"job": {"condition": "process_completed_successfully"}}}
    one_shots = Stack.model_validate({"processes": {"job": {"command": "x"}, "app": needs_job}}).one_shots
    assert one_shots == {"job"}
    assert not is_settled(ProcessState.RUNNING, one_shot=True)
    assert is_settled(ProcessState.COMPLETED, one_shot=True)
    assert is_settled(ProcessState.RUNNING, one_shot=False)
    assert not is_settled(ProcessState.UNHEALTHY, one_shot=False)


def test_what_somebody_else_runs_is_not_waited_for() -> None:
    rest = stack(nats=[], store=[], app=["nats", "store"]).without(frozenset({"nats"}))
    assert set(rest.processes) == {"store", "app"}
    assert set(rest.processes["app"].depends_on) == {"store"}


@given(base=st.floats(0.01, 100), failures=st.integers(1, 10_000))
def test_the_back_off_doubles_up_to_its_cap_and_never_shrinks(base: float, failures: int) -> None:
    availability = Availability(backoff_seconds=base)
    delay, next_delay = backoff(availability, failures), backoff(availability, failures + 1)
    cap = max(base, BACKOFF_CAP_SECONDS)
    assert delay <= next_delay <= cap
    assert next_delay == cap or next_delay == pytest.approx(2 * delay)
    assert backoff(availability, 1) == base


@pytest.mark.parametrize(
    ("restart", "ending", "failures", "expected"),
    [
        (Restart.NO, Ending(0), 0, Finished()),
        (Restart.NO, Ending(3), 0, GiveUp("exited with 3")),
        (Restart.ON_FAILURE, Ending(0), 0, Finished()),
        (Restart.ON_FAILURE, Ending(0, unresponsive=True), 0, Again(0.5)),
        (Restart.ON_FAILURE, Ending(-9), 1, Again(1.0)),
        (Restart.ON_FAILURE, Ending(-9), 2, GiveUp("ended by signal 9, after 2 restarts in a row")),
        (Restart.ALWAYS, Ending(0), 0, Again(0.5)),
        (Restart.ALWAYS, Ending(1), 2, GiveUp("exited with 1, after 2 restarts in a row")),
    ],
)
def test_what_follows_an_end(restart: Restart, ending: Ending, failures: int, expected: object) -> None:
    availability = Availability(restart=restart, backoff_seconds=0.5, max_restarts=2)
    assert after_end(availability, ending, failures) == expected


def test_without_a_limit_it_never_gives_up() -> None:
    assert after_end(Availability(restart=Restart.ALWAYS), Ending(1), 999) == Again(BACKOFF_CAP_SECONDS)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("processes: {a: {command: x, comand: y}}", "processes.a.comand: unknown key"),
        ("processes: {a: {}}", "processes.a.command: Field required"),
        ("processes: {}", "processes: Dictionary should have at least 1 item"),
        ("processes: {a: {command: x, readiness_probe: {}}}", "give exactly one of http_get, exec"),
        ("processes: {a: {command: x, readiness_probe: {http_get: {port: 0}}}}", "readiness_probe.http_get.port"),
        ("processes: {a: {command: x, environment: [NOPE]}}", "'NOPE' is not NAME=value"),
        ("processes: {a: {command: x, availability: {restart: often}}}", "processes.a.availability.restart"),
        ("processes: {a: {command: '${NOWHERE}'}}", "processes.a.command: the variable NOWHERE is not set"),
        ("processes: {A b: {command: x}}", "processes.A b"),
        ("processes: [", "not YAML"),
        ("[]", "valid dictionary"),
        ("processes: {a: {command: x, depends_on: {b: {condition: process_started}}}}", "no process of this file"),
        (
            "processes: {a: {command: x}, b: {command: x, depends_on: {a: {condition: process_healthy}}}}",
            "b depends on a being healthy, but a has no readiness_probe",
        ),
        (
            """processes: {a: {command: x, availability: {restart: always}},
            b: {command: x, depends_on: {a: {condition: process_completed_successfully}}}}""",
            "b depends on a being completed, but a is always restarted",
        ),
        (
            """processes: {a: {command: x, depends_on: {b: {condition: process_started}}},
            b: {command: x, depends_on: {a: {condition: process_started}}}}""",
            "processes wait for each other",
        ),
    ],
)
def test_a_wrong_process_file_is_refused_by_place_and_reason(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "stack.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refusal:
        load_stack(file, {})
    assert complaint in str(refusal.value)
    assert str(refusal.value).startswith(str(file))
    assert "\n" not in str(refusal.value)


def test_a_bare_no_means_no_and_variables_are_values_never_structure(tmp_path: Path) -> None:
    file = tmp_path / "stack.yaml"
    file.write_text("processes: {a: {command: 'echo ${WORD}', availability: {restart: no}}}")
    process = load_stack(file, {"WORD": "}, b: {command: evil"}).processes["a"]
    assert process.command == "echo }, b: {command: evil"
    assert process.availability.restart is Restart.NO


def test_the_stack_we_ship_starts_the_servers_first_and_the_feed_last() -> None:
    order = start_order(load_stack(ROOT / "deploy/local/process-compose.yaml", AnyVariable()))
    assert set(order[:3]) == {"nats", "ledger", "postgres"}
    assert order[3] == "provision"
    assert order[-1] == "feed"


class AnyVariable(dict[str, str]):
    """An environment in which every variable is set, to a port."""

    def __missing__(self, name: str) -> str:
        return "1"


@given(data=st.binary(max_size=3000), cuts=st.lists(st.integers(0, 3000)))
def test_lines_are_the_same_however_the_pipe_cuts_them(data: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    splitter = LineSplitter()
    lines = [line for start, end in pairwise(places) for line in splitter.feed(data[start:end])]
    lines += splitter.end()
    assert b"\n".join(lines) == data.removesuffix(b"\n")


def test_a_line_without_end_is_cut() -> None:
    splitter = LineSplitter()
    lines = [line for _ in range(5) for line in splitter.feed(b"x" * LINE_BYTES)]
    assert {len(line) for line in lines} == {LINE_BYTES}


def test_a_log_file_never_outgrows_its_limit_and_keeps_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    log = LogFile(path, limit=100, old_files=2)
    for number in range(100):
        log.write(f"line {number:04}\n".encode())
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["a.log", "a.log.1", "a.log.2"]
    assert all(file.stat().st_size <= 100 for file in files)
    kept = "".join((tmp_path / name).read_text() for name in ("a.log.2", "a.log.1", "a.log")).splitlines()
    assert kept == [f"line {number:04}" for number in range(100 - len(kept), 100)]
