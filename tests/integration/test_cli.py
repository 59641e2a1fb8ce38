"""`hmm` as a person meets it: a stack of puppets started, looked at and stopped, and all that can go wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.supervisor import state
from tape.permissions import USERS, key_variable
from tests.puppets import Spec, alive, port_of, puppet
from tests.servers import free_port, scratch_directory, secured_nats_server

HMM = Path(sys.executable).with_name("hmm")
PATIENCE = 40.0

Result = subprocess.CompletedProcess[str]


class Shell:
    """A run directory of its own, with a stack of puppets, and the `hmm` command on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.run = directory / "run"
        self.file = directory / "stack.yaml"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("HMM_")} | {
            "HMM_RUN_DIR": str(self.run),
            "HMM_PROCESS_FILE": str(self.file),
            "HMM_NATS_PORT": str(free_port()),
            "HMM_NATS_LEAF_PORT": str(free_port()),
            "HMM_LEDGER_MONITOR_PORT": str(free_port()),
            "HMM_POSTGRES_PORT": str(free_port()),
            "XDG_CONFIG_HOME": str(directory / "config"),
        }

    def stack(self, **processes: Spec) -> None:
        self.file.write_text(yaml.safe_dump({"processes": processes}))

    def __call__(self, *arguments: str, **variables: str) -> Result:
        environment = self.environment | variables
        return subprocess.run(
            [HMM, *arguments], env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`hmm` in the foreground; killed when the test waits for it in vain."""
        process = subprocess.Popen(
            [HMM, *arguments], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.daemon = True
        watchdog.start()
        return process

    @property
    def running(self) -> bool:
        return state.running(self.run) is not None if self.run.exists() else False

    def processes(self) -> dict[str, dict[str, Any]]:
        document = json.loads(self("status", "--json").stdout)
        return {process["name"]: process for process in document["processes"]}


@pytest.fixture
def hmm(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    try:
        yield shell
    finally:
        shell("down")


def one_line(result: Result, code: int) -> str:
    """The complaint of a command that failed as it should: one line, no traceback."""
    assert result.returncode == code, result.stdout + result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("hmm: ")
    return line


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    seen = ""
    while text not in seen:
        line = process.stdout.readline()
        assert line, seen
        seen += line
    return seen


def finish(process: subprocess.Popen[str]) -> str:
    rest, errors = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in errors, errors
    return rest


def test_up_is_seen_and_stopped_from_another_shell(hmm: Shell) -> None:
    hmm.stack(app=puppet("--ready-after", "0.3"), feed=puppet(needs=("app",)))
    up = hmm("up", "--detach")
    assert up.returncode == 0, up.stderr
    assert up.stdout.index("app   healthy after") < up.stdout.index("feed  healthy after")
    assert "healthy after" in up.stdout.splitlines()[3]

    nats_port = hmm.environment.pop("HMM_NATS_PORT")  # the other shell was told only where the run directory is
    processes = hmm.processes()
    assert list(processes) == ["app", "feed"]
    assert processes["app"] | {"since": 0, "reason": "", "pid": 0} == {
        "name": "app",
        "pid": 0,
        "state": "healthy",
        "restarts": 0,
        "since": 0,
        "reason": "",
        "phase": "live",
        "position": 42,
        "lag": 0,
        "events_per_second": 1.5,
        "detail": "-",
    }
    status = hmm("status")
    assert status.returncode == 0
    assert f"tape: no answer from nats://127.0.0.1:{nats_port}: Connection refused" in status.stdout

    second = one_line(hmm("up"), 1)
    assert "it is running since" in second
    assert "hmm down" in second
    pids = [process["pid"] for process in processes.values()]
    assert hmm("restart", "app").stdout == "app is healthy\n"
    assert hmm.processes()["app"]["restarts"] == 1
    assert "there is no process 'nobody'" in one_line(hmm("restart", "nobody"), 1)
    assert hmm("down").stdout.startswith("stopped after")
    assert not hmm.running
    assert not any(map(alive, pids))


def test_when_nothing_runs_every_command_says_so(hmm: Shell) -> None:
    status = hmm("status")
    assert (status.returncode, status.stderr) == (3, "")
    assert "nothing is running" in status.stdout
    document = hmm("status", "--json")
    assert document.returncode == 3
    assert json.loads(document.stdout)["running"] is False
    assert json.loads(document.stdout)["processes"] == []
    assert hmm("down").stdout == "nothing is running\n"
    assert "Connection refused; start it: hmm up" in one_line(hmm("sql", "SELECT 1"), 3)
    assert "start it: hmm up" in one_line(hmm("provision"), 3)
    assert "nothing is running" in one_line(hmm("restart", "app"), 3)
    assert "there is no log of 'app'" in one_line(hmm("logs", "app"), 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_in_the_foreground_it_shows_the_log_and_a_signal_stops_everything(hmm: Shell, number: signal.Signals) -> None:
    hmm.stack(app=puppet())
    up = hmm.start("up")
    shown = read_until(up, "hmm down")
    assert "app        | puppet" in shown
    assert "supervisor | app healthy" in shown
    pid = hmm.processes()["app"]["pid"]
    up.send_signal(number)
    assert finish(up).endswith("stopped\n")
    assert up.returncode == 0
    assert not alive(pid)
    assert not hmm.running


def test_an_impatient_second_signal_kills(hmm: Shell) -> None:
    stubborn = {**puppet("--deaf"), "shutdown": {"timeout_seconds": 60}}
    hmm.stack(app=stubborn)
    up = hmm.start("up")
    read_until(up, "hmm down")
    up.send_signal(signal.SIGINT)
    read_until(up, "stopping")
    up.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert finish(up).endswith("stopped\n")
    assert time.monotonic() - began < 10


def test_it_stops_when_nobody_reads_its_output_any_more(hmm: Shell) -> None:
    chatty = {"command": "while sleep 0.1; do echo still here; done"}
    hmm.stack(app=chatty)
    up = hmm.start("up")
    read_until(up, "hmm down")
    assert up.stdout is not None
    up.stdout.close()
    assert up.wait(PATIENCE) == 0
    assert up.stderr is not None
    assert up.stderr.read() == ""
    up.stderr.close()
    assert not hmm.running


def test_down_in_another_shell_ends_the_one_in_the_foreground(hmm: Shell) -> None:
    hmm.stack(app=puppet())
    up = hmm.start("up")
    read_until(up, "hmm down")
    hmm("down")
    assert finish(up).endswith("the stack was stopped\n")
    assert up.returncode == 0


def test_a_replay_returns_when_it_is_finished_and_leaves_the_stack_up(hmm: Shell, tmp_path: Path) -> None:
    frames = tmp_path / "frames.gz"
    frames.touch()
    hmm.stack(app=puppet(), feed=puppet("--finish-after", "1.5", needs=("app",)))
    up = hmm("up", "--feed", f"frames:{frames}", "--speed", "max")
    assert up.returncode == 0, up.stderr
    assert "the replay is finished and everything has caught up" in up.stdout
    assert "the stack is left up" in up.stdout
    assert hmm.running
    assert hmm.processes()["feed"]["phase"] == "finished"


def test_services_are_told_where_everything_is(hmm: Shell, tmp_path: Path) -> None:
    frames = tmp_path / "frames.gz"
    frames.touch()
    seen = tmp_path / "seen"
    teller = {"command": f"env > {seen}; exec sleep 60"}
    hmm.stack(teller=teller)
    started = hmm("up", "--detach", "--feed", f"frames:{frames},{frames}", "--speed", "10.0")
    assert started.returncode == 0, started.stderr
    told = dict(line.split("=", 1) for line in seen.read_text().splitlines() if line.startswith("HMM_"))
    assert told["HMM_FEED_SOURCE"] == f"frames:{frames},{frames}"
    assert told["HMM_FEED_SPEED"] == "10"
    assert told["HMM_CLOCK_SOURCE"] == "market"
    assert told["HMM_NKEY_FILE_RISK"] == str(hmm.run / "keys" / "risk.nk")
    assert told["HMM_NATS_URL"] == f"nats://127.0.0.1:{hmm.environment['HMM_NATS_PORT']}"
    assert told["HMM_DATABASE_URL"] == f"postgresql://hmm@127.0.0.1:{hmm.environment['HMM_POSTGRES_PORT']}/hmm"


def test_servers_of_others_are_left_out_of_the_stack(hmm: Shell) -> None:
    teller = {"command": f"env > {hmm.directory / 'seen'}; exec sleep 60"}
    hmm.stack(nats=puppet(), ledger=puppet(needs=("nats",)), app=puppet(needs=("nats", "ledger")), teller=teller)
    assert hmm("up", "--detach", HMM_NATS_URL="nats://elsewhere:4222").returncode == 0
    assert list(hmm.processes()) == ["app", "teller"]
    assert "HMM_NKEY_FILE_RISK=\n" in (hmm.directory / "seen").read_text(), "we have no key for that server"
    assert not (hmm.run / "keys").exists()


def test_a_process_that_fails_ends_the_start_with_its_last_words(hmm: Shell) -> None:
    bad = {"command": "echo the reason is this; exit 7"}
    hmm.stack(app=puppet(), bad=bad)
    up = hmm("up")
    assert "bad failed: exited with 7; its log:" in one_line(up, 1)
    assert "the reason is this" in up.stdout
    assert not hmm.running


def test_a_process_that_never_gets_ready_ends_the_start(hmm: Shell) -> None:
    hmm.stack(slow=puppet("--ready-after", "600"))
    assert "slow is still starting after 1 s" in one_line(hmm("up", "--detach", HMM_START_TIMEOUT="1"), 1)
    assert not hmm.running


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--feed", "nowhere"], "--feed nowhere: not a feed; use sim, or frames:FILE"),
        (["--feed", "frames:"], "a file name is empty"),
        (["--feed", "frames:/nowhere/at/all.gz"], "there is no file /nowhere/at/all.gz"),
        (["--feed", "frames:/"], "/ is not a file"),
        (["--speed", "0"], "--speed 0: not a speed"),
        (["--speed", "nan"], "--speed nan: not a speed"),
        (["--speed", "quick"], "--speed quick: not a speed"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_starts(hmm: Shell, arguments: list[str], complaint: str) -> None:
    assert complaint in one_line(hmm("up", *arguments), 2)
    assert not hmm.run.exists()


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"HMM_NATS_PORT": "many"}, "HMM_NATS_PORT: "),
        ({"HMM_NATS_PORT": "8222"}, "HMM_NATS_MONITOR_PORT is 8222, which HMM_NATS_PORT is too"),
        ({"HMM_NATS_LEAF_PORT": "8222"}, "HMM_NATS_LEAF_PORT is 8222, which HMM_NATS_MONITOR_PORT is too"),
        ({"HMM_HEALTH_PORT_BASE": "8221"}, "HMM_HEALTH_PORT_BASE + 1 is 8222, which HMM_NATS_MONITOR_PORT is too"),
    ],
)
def test_wrong_settings_are_refused_by_name(hmm: Shell, variables: dict[str, str], complaint: str) -> None:
    assert complaint in one_line(hmm("up", **variables), 2)


def test_a_run_directory_that_cannot_be_is_one_line(hmm: Shell, tmp_path: Path) -> None:
    hmm.stack(app=puppet())
    (tmp_path / "file").touch()
    impossible = str(tmp_path / "file" / "run")
    assert "Not a directory; set HMM_RUN_DIR" in one_line(hmm("up", HMM_RUN_DIR=impossible), 1)
    assert hmm("status", HMM_RUN_DIR=impossible).returncode == 3


def test_a_taken_port_names_its_owner(hmm: Shell) -> None:
    app = puppet()
    hmm.stack(app=app)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port_of(app)))
        taken.listen()
        complaint = one_line(hmm("up"), 1)
    assert f"port {port_of(app)}, which app needs, is taken by " in complaint
    assert f"(pid {os.getpid()})" in complaint


def test_a_wrong_process_file_is_one_line(hmm: Shell) -> None:
    hmm.file.write_text("processes: {app: {comand: x}}")
    assert "processes.app.command: Field required; processes.app.comand: unknown key" in one_line(hmm("up"), 1)


def test_fresh_deletes_tape_and_store_and_nothing_else(hmm: Shell) -> None:
    hmm.stack(app=puppet())
    for name in ("nats", "ledger", "postgres", "other"):
        (hmm.run / name).mkdir(parents=True)
    assert "was never used by hmm up" in one_line(hmm("up", "--fresh"), 1)  # HMM_RUN_DIR may point anywhere
    hmm("up", "--detach")
    assert "it is running" in one_line(hmm("up", "--fresh"), 1)
    hmm("down")
    up = hmm("up", "--detach", "--fresh")
    assert f"--fresh: deleted {hmm.run / 'nats'}, {hmm.run / 'ledger'}, {hmm.run / 'postgres'}" in up.stdout
    assert sorted(path.name for path in hmm.run.iterdir() if path.is_dir()) == ["keys", "logs", "other"]


def test_fresh_does_not_touch_the_servers_of_others(hmm: Shell) -> None:
    assert "HMM_NATS_URL" in one_line(hmm("up", "--fresh", HMM_NATS_URL="nats://elsewhere:4222"), 2)


def test_logs_shows_the_last_lines_and_goes_on(hmm: Shell) -> None:
    counter = {"command": "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.1; done"}
    hmm.stack(app=counter)
    hmm("up", "--detach")
    time.sleep(0.5)
    lines = hmm("logs", "app", "--lines", "2").stdout.split("\n")
    assert len(lines) == 3
    assert int(lines[1].removeprefix("line ")) == int(lines[0].removeprefix("line ")) + 1
    following = hmm.start("logs", "app", "--follow", "--lines", "1")
    assert following.stdout is not None
    numbers = [int(following.stdout.readline().removeprefix("line ")) for _ in range(10)]
    assert numbers == list(range(numbers[0], numbers[0] + 10))
    following.send_signal(signal.SIGINT)
    finish(following)
    assert following.returncode == 0
    hmm("down")
    assert hmm("logs", "app", "-n", "100000").stdout.startswith("line 1\n")


def test_the_nats_tool_is_told_where_the_tape_is(hmm: Shell) -> None:
    assert "nkey" not in json.loads(Path(hmm("nats-context").stdout.strip()).read_text())
    hmm("keys")
    path = Path(hmm("nats-context").stdout.strip())
    assert path == hmm.directory / "config" / "nats" / "context" / "hmm.json"
    context = json.loads(path.read_text())
    assert context["url"] == f"nats://127.0.0.1:{hmm.environment['HMM_NATS_PORT']}"
    assert context["nkey"] == str(hmm.run / "keys" / "operator.nk")
    assert (path.parents[1] / "context.txt").read_text() == "hmm"


def test_keys_are_made_once_and_for_their_owners_eyes_only(hmm: Shell) -> None:
    keys = hmm.run / "keys"
    made = hmm("keys").stdout
    assert made.startswith(f"{keys}: made the keys of feed, clock, bars, ")
    assert keys.stat().st_mode & 0o777 == 0o700
    seeds = {path: path.read_text() for path in keys.glob("*.nk")}
    assert {path.stem for path in seeds} == set(USERS) == {path.stem for path in keys.glob("*.pub")}
    assert {path.stat().st_mode & 0o777 for path in seeds} == {0o600}
    assert all(seed.startswith("SU") for seed in seeds.values())
    public = dict(line.split("=") for line in (keys / "public.env").read_text().splitlines())
    assert public == {key_variable(user): (keys / f"{user}.pub").read_text().strip() for user in USERS}
    assert len(set(public.values())) == len(USERS)

    assert hmm("keys").stdout == f"{keys}: all keys are there\n"
    (keys / "risk.nk").unlink()
    (keys / "feed.nk").unlink()
    (keys / "feed.pub").unlink()
    assert hmm("keys").stdout == f"{keys}: made the keys of feed\n", "the seed of risk is kept elsewhere"
    again = {path: path.read_text() for path in keys.glob("*.nk")}
    assert {path for path, seed in again.items() if seeds[path] != seed} == {keys / "feed.nk"}
    (keys / "bars.nk").write_text("no key")
    assert f"{keys / 'bars.nk'} is no key; delete it" in one_line(hmm("keys"), 1)


def test_what_does_not_let_us_in_is_said_with_the_key_and_the_remedy(hmm: Shell) -> None:
    with scratch_directory() as run, secured_nats_server(run) as server:
        for path in (hmm.directory / "nowhere.nk", server.key("operator"), None):
            said = hmm("tape", HMM_NATS_URL=server.url, **({"HMM_NKEY_FILE": str(path)} if path else {}))
            if path == server.key("operator"):
                assert "the server has no TAPE stream; make it: hmm provision" in one_line(said, 1)
            elif path is None:
                assert f"{server.url} does not let us in without a key" in one_line(said, 3)
            else:
                assert f"the key {path}, which would let us into {server.url}, is not there" in one_line(said, 3)
        hmm("keys")
        wrong = one_line(hmm("control", "halted", HMM_NATS_URL=server.url), 3)
        assert f"does not let us in as operator with the key {hmm.run / 'keys' / 'operator.nk'}" in wrong
        assert "Make what is missing with hmm keys, and start the server again" in wrong


def test_sql_reads_and_only_reads(hmm: Shell, database_url: str) -> None:
    def sql(*arguments: str) -> Result:
        return hmm("sql", *arguments, HMM_DATABASE_URL=database_url)

    exact = sql(
        "SELECT 1.10::numeric AS price, 'a%b' AS x, NULL AS x, '2026-01-02T03:04:05Z'::timestamptz AS t", "--json"
    )
    assert json.loads(exact.stdout) == [{"price": "1.10", "x": "a%b", "x_2": None, "t": "2026-01-02T03:04:05+00:00"}]
    assert "1 row" in sql("SELECT 1 AS one").stdout
    assert json.loads(sql("SELECT 1 WHERE false", "--json").stdout) == []
    assert "read-only transaction" in one_line(sql("CREATE TABLE t (a int)"), 1)
    assert "one statement at a time" in one_line(sql("COMMIT; CREATE TABLE t (a int)"), 1)
    assert 'relation "nowhere" does not exist' in one_line(sql("SELECT * FROM nowhere"), 1)
    assert "syntax error" in one_line(sql("SELEC 1"), 1)


def test_help_is_quick_and_names_every_command(hmm: Shell) -> None:
    said = hmm("--help").stdout
    assert all(f"\n  {command} " in said for command in ("up", "down", "status", "logs", "sql", "provision", "doctor"))
    imported = subprocess.run(
        [sys.executable, "-c", "import services.cli.main, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"pydantic", "psycopg", "nats", "rich", "yaml"} & set(imported)
