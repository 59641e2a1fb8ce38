"""Real servers for tests: the plain-process stack's nats-servers and PostgreSQL, on free ports and scratch data."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from services.cli.ports import is_free

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 20.0


# Below what the kernel gives to outgoing connections, which could take a port before its server listens, and below the
# ports of `services/chaos`. Processes with neighbouring numbers begin a thousand ports apart.
PORTS = range(10_000, 24_000)
_begin = os.getpid() * 1_009 % len(PORTS)
_offered: Iterator[int] = cycle((*PORTS[_begin:], *PORTS[:_begin]))


def free_port() -> int:
    """A port nobody listens on, and that this process was not given lately."""
    return next(port for port in _offered if is_free(port))


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that nobody listens on."""
    row: list[int] = []
    while len(row) < count:
        port = free_port()
        row = [*row, port] if row and port == row[-1] + 1 else [port]
    return row[0]


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory that another user may enter, unlike pytest's own: PostgreSQL does not run as root."""
    directory = Path(tempfile.mkdtemp(prefix="hmm-test-"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@dataclass(frozen=True)
class Ports:
    """Where a pair of nats-servers listens."""

    client: int = field(default_factory=free_port)
    leaf: int = field(default_factory=free_port)


@contextmanager
def nats_server(run: Path, port: int | None = None) -> Iterator[str]:
    """A pair of nats-servers, for TAPE and for LEDGER, that keep their streams under `run` and let everybody in.

    Yields the URL. The same `run` again is a restart.
    """
    ports = Ports(client=port or free_port())
    with tape_server(run, ports), ledger_server(run, ports):
        yield f"nats://127.0.0.1:{ports.client}"


@dataclass(frozen=True)
class Secured:
    """A pair of nats-servers that let in only who has a key."""

    run: Path
    ports: Ports
    ledger_monitor: int

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.ports.client}"

    def key(self, user: str) -> Path:
        return self.run / "keys" / f"{user}.nk"


@contextmanager
def secured_nats_server(run: Path) -> Iterator[Secured]:
    """A pair of nats-servers as the stack runs them: with keys and permissions."""
    server = Secured(run, Ports(), free_port())
    settings = {
        "HMM_NATS_PORT": str(server.ports.client),
        "HMM_NATS_MONITOR_PORT": str(free_port()),
        "HMM_NATS_LEAF_PORT": str(server.ports.leaf),
        "HMM_LEDGER_MONITOR_PORT": str(server.ledger_monitor),
    }
    with (
        _script("nats", run, settings, ready=lambda: _greets(server.ports.client)),
        _script("ledger", run, settings, ready=lambda: _listens(server.ledger_monitor)),
    ):
        yield server


@contextmanager
def leaf_server(run: Path, server: Secured, seed: str) -> Iterator[Path]:
    """A nats-server that tries to join as the ledger does, with a key of its choice; yields its log."""
    monitor = free_port()
    settings = {
        "HMM_LEDGER_SEED": seed,
        "HMM_LEDGER_MONITOR_PORT": str(monitor),
        "HMM_LEDGER_STORE": f"'{run / 'ledger'}'",
        "HMM_NATS_LEAF_URL": f"'nats://127.0.0.1:{server.ports.leaf}'",
        "HMM_NKEY_OPERATOR": (server.run / "keys" / "operator.pub").read_text().strip(),
    }
    with _nats("secured-ledger.conf", run, settings, ready=lambda: _listens(monitor)):
        yield run / "secured-ledger.conf.log"


@contextmanager
def tape_server(run: Path, ports: Ports) -> Iterator[subprocess.Popen[bytes]]:
    """The open nats-server of TAPE and the buckets."""
    settings = {
        "HMM_NATS_HOST": "127.0.0.1",
        "HMM_NATS_PORT": str(ports.client),
        "HMM_NATS_MONITOR_PORT": str(free_port()),
        "HMM_NATS_LEAF_PORT": str(ports.leaf),
        "HMM_NATS_STORE": f"'{run / 'nats'}'",
    }
    with _nats("server.conf", run, settings, ready=lambda: _greets(ports.client)) as process:
        yield process


@contextmanager
def ledger_server(run: Path, ports: Ports) -> Iterator[subprocess.Popen[bytes]]:
    """The open nats-server of LEDGER, which joins that of TAPE."""
    monitor = free_port()
    settings = {
        "HMM_LEDGER_MONITOR_PORT": str(monitor),
        "HMM_LEDGER_STORE": f"'{run / 'ledger'}'",
        "HMM_NATS_LEAF_URL": f"'nats://127.0.0.1:{ports.leaf}'",
    }
    with _nats("ledger.conf", run, settings, ready=lambda: _listens(monitor)) as process:
        yield process


@contextmanager
def postgres_server(run: Path, port: int | None = None) -> Iterator[str]:
    """A PostgreSQL with TimescaleDB that keeps its data under `run`; yields the URL of its database `hmm`."""
    port = port or free_port()
    url = f"postgresql://hmm@127.0.0.1:{port}/hmm"
    settings = {"HMM_POSTGRES_PORT": str(port)}
    with _script("postgres", run, settings, stop=signal.SIGINT, ready=lambda: _answers(url)):
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
            _drop(connection, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


def _drop(connection: psycopg.Connection, statement: sql.Composed, patience_s: float = 30.0) -> None:
    """Drop a database; while the server's own vacuum is in it, which no ordinary role may end, that is waited for."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def _nats(
    config: str, run: Path, settings: dict[str, str], ready: Callable[[], bool]
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    command = [str(ROOT / ".venv" / "bin" / "nats-server"), "-c", str(ROOT / "deploy" / "nats" / config)]
    return _process(config, command, run, settings, stop=signal.SIGTERM, ready=ready)


def _script(
    name: str,
    run: Path,
    settings: dict[str, str],
    *,
    stop: signal.Signals = signal.SIGTERM,
    ready: Callable[[], bool],
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Run deploy/local/<name>.sh, which replaces itself with the server: what we start is what we end."""
    command = [str(ROOT / "deploy" / "local" / f"{name}.sh")]
    return _process(name, command, run, settings, stop=stop, ready=ready)


@contextmanager
def _process(
    name: str,
    command: list[str],
    run: Path,
    settings: dict[str, str],
    *,
    stop: signal.Signals,
    ready: Callable[[], bool],
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; a killed test run takes it along."""
    run.mkdir(parents=True, exist_ok=True)
    log = run / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["setpriv", f"--pdeathsig={stop.name}", "--", *command],
            env={**os.environ, **settings, "HMM_RUN_DIR": str(run)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until(ready, process, log)
        yield process
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


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _answers(url: str) -> bool:
    try:
        psycopg.connect(make_conninfo(url, connect_timeout=2)).close()
    except psycopg.OperationalError:
        return False
    return True
