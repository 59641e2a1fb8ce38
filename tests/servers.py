"""Real servers for tests: the plain-process stack's nats-server and PostgreSQL, on free ports and scratch data."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 20.0


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory that another user may enter, unlike pytest's own: PostgreSQL does not run as root."""
    directory = Path(tempfile.mkdtemp(prefix="hmm-test-"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def nats_server(run: Path, port: int | None = None) -> Iterator[str]:
    """A nats-server that keeps its streams under `run`; yields its URL. The same `run` again is a restart."""
    port = port or free_port()
    settings = {"HMM_NATS_PORT": str(port), "HMM_NATS_MONITOR_PORT": str(free_port())}
    with _process("nats", run, settings, stop=signal.SIGTERM, ready=lambda: _greets(port)):
        yield f"nats://127.0.0.1:{port}"


@contextmanager
def postgres_server(run: Path, port: int | None = None) -> Iterator[str]:
    """A PostgreSQL with TimescaleDB that keeps its data under `run`; yields the URL of its database `hmm`."""
    port = port or free_port()
    url = f"postgresql://hmm@127.0.0.1:{port}/hmm"
    settings = {"HMM_POSTGRES_PORT": str(port)}
    with _process("postgres", run, settings, stop=signal.SIGINT, ready=lambda: _answers(url)):
        yield url


@contextmanager
def fresh_database(server_url: str, name: str) -> Iterator[str]:
    """An empty database with the TimescaleDB extension on a running server; dropped in the end, even if in use."""
    identifier = sql.Identifier(name)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(identifier))
    url = server_url.rsplit("/", 1)[0] + f"/{name}"
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET client_min_messages = error")
            connection.execute("CREATE EXTENSION timescaledb")
        yield url
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


@contextmanager
def _process(
    name: str, run: Path, settings: dict[str, str], *, stop: signal.Signals, ready: Callable[[], bool]
) -> Iterator[None]:
    """Run deploy/local/<name>.sh until the block ends; a killed test run takes it along."""
    run.mkdir(parents=True, exist_ok=True)
    log = run / f"{name}.log"
    # The script replaces itself with the server, so the process we start is the one we end.
    command = ["setpriv", f"--pdeathsig={stop.name}", "--", str(ROOT / "deploy" / "local" / f"{name}.sh")]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **settings, "HMM_RUN_DIR": str(run)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until(ready, process, log)
        yield
    finally:
        process.send_signal(stop)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.01)


def _greets(port: int) -> bool:
    """Whether a nats-server says INFO on this port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            return connection.recv(5) == b"INFO "
    except OSError:
        return False


def _answers(url: str) -> bool:
    try:
        psycopg.connect(make_conninfo(url, connect_timeout=2)).close()
    except psycopg.OperationalError:
        return False
    return True
