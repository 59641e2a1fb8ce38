"""Where the stack is: its ports, addresses and directories, from HMM_ variables or from the stack that runs."""

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.cli.errors import misused
from services.supervisor.state import is_locked

ROOT = Path(__file__).resolve().parents[2]
PROCESS_FILE = ROOT / "deploy" / "local" / "process-compose.yaml"
LOCAL_HOST = "127.0.0.1"

# A service's health port is HMM_HEALTH_PORT_BASE + its place here, counted from 1: append, never insert.
SERVICES = (
    *("archive", "clock", "bars", "risk", "router", "gateway", "portfolio", "trend", "feed"),
    *("stops", "allocator", "depeg", "funding", "probe"),
    *("ingest", "trainer", "scheduler", "regime", "drift", "params", "hmm_ensemble"),
)

_RECORD = "stack.env"

Port = Annotated[int, Field(ge=1, le=65535)]


class StackSettings(BaseSettings):
    """The variables a person sets to move the stack elsewhere."""

    model_config = SettingsConfigDict(env_prefix="HMM_", env_ignore_empty=True, frozen=True, extra="forbid")

    nats_port: Port = 4222
    nats_monitor_port: Port = 8222
    nats_leaf_port: Port = 7422
    ledger_monitor_port: Port = 8223
    postgres_port: Port = 5433
    health_port_base: Annotated[int, Field(ge=1, le=65000)] = 9100
    run_dir: Path = ROOT / ".run"
    external_nats_url: str | None = Field(default=None, validation_alias="HMM_NATS_URL")
    external_database_url: str | None = Field(default=None, validation_alias="HMM_DATABASE_URL")
    nkey_file: Path | None = None
    """The key that commands show to the NATS server, instead of the one that `hmm keys` made."""
    process_file: Path = PROCESS_FILE
    start_timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds without any progress after which a start has failed."""

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        owners: dict[int, str] = {}
        for name, port in self.ports().items():
            if port in owners:
                raise ValueError(f"{name} is {port}, which {owners[port]} is too")
            owners[port] = name
        return self

    def ports(self) -> dict[str, int]:
        """Every port of the stack by the variable that sets it."""
        ports = {} if self.external_nats_url else self._broker_ports()
        ports |= {} if self.external_database_url else {"HMM_POSTGRES_PORT": self.postgres_port}
        health = {f"HMM_HEALTH_PORT_BASE + {SERVICES.index(name) + 1}": self.health_port(name) for name in SERVICES}
        return ports | health

    def _broker_ports(self) -> dict[str, int]:
        return {
            "HMM_NATS_PORT": self.nats_port,
            "HMM_NATS_MONITOR_PORT": self.nats_monitor_port,
            "HMM_NATS_LEAF_PORT": self.nats_leaf_port,
            "HMM_LEDGER_MONITOR_PORT": self.ledger_monitor_port,
        }

    @property
    def run(self) -> Path:
        return self.run_dir.absolute()

    @property
    def logs(self) -> Path:
        return self.run / "logs"

    @property
    def keys(self) -> Path:
        return self.run / "keys"

    @property
    def operator_key(self) -> Path | None:
        """The key that lets commands into the NATS server; None where there is none, because that server is open."""
        made = self.keys / "operator.nk"
        return self.nkey_file or (made if made.exists() else None)

    @property
    def nats_url(self) -> str:
        return self.external_nats_url or f"nats://{LOCAL_HOST}:{self.nats_port}"

    @property
    def database_url(self) -> str:
        return self.external_database_url or f"postgresql://hmm@{LOCAL_HOST}:{self.postgres_port}/hmm"

    @property
    def left_out(self) -> frozenset[str]:
        """The processes that somebody else runs for us."""
        others = {
            "nats": self.external_nats_url,
            "ledger": self.external_nats_url,
            "postgres": self.external_database_url,
        }
        return frozenset(name for name, url in others.items() if url)

    def health_port(self, service: str) -> int:
        return self.health_port_base + 1 + SERVICES.index(service)

    def environment(self) -> dict[str, str]:
        """What the processes of the stack are told, on top of the environment we were started with."""
        health = {f"HMM_HEALTH_PORT_{name.upper()}": str(self.health_port(name)) for name in SERVICES}
        return {
            **os.environ,
            **health,
            **{f"HMM_NKEY_FILE_{user.upper()}": self._key_of(user) for user in ("operator", *SERVICES)},
            **{name: str(port) for name, port in self._broker_ports().items()},
            "HMM_POSTGRES_PORT": str(self.postgres_port),
            "HMM_HEALTH_PORT_BASE": str(self.health_port_base),
            "HMM_RUN_DIR": str(self.run),
            "HMM_NATS_URL": self.nats_url,
            "HMM_DATABASE_URL": self.database_url,
            "PYTHONUNBUFFERED": "1",  # a log line is there when it is written
        }

    def _key_of(self, user: str) -> str:
        """The key file of a user; empty where somebody else's server needs none that we know of."""
        path = self.keys / f"{user}.nk"
        return str(path) if path.exists() or not self.external_nats_url else ""

    def record(self) -> None:
        """Keep them for commands in other shells, which need not have our variables."""
        urls = {"HMM_NATS_URL": self.external_nats_url, "HMM_DATABASE_URL": self.external_database_url}
        values = {
            **self._broker_ports(),
            "HMM_POSTGRES_PORT": self.postgres_port,
            "HMM_HEALTH_PORT_BASE": self.health_port_base,
            "HMM_PROCESS_FILE": self.process_file.absolute(),
            **{name: url for name, url in urls.items() if url},
        }
        self.run.mkdir(parents=True, exist_ok=True)
        (self.run / _RECORD).write_text("".join(f"{name}='{value}'\n" for name, value in values.items()))


def from_environment(record: Path | None = None) -> StackSettings:
    """The settings that this shell's variables give; where they are silent, those of `record`."""
    try:
        return StackSettings(_env_file=record)
    except ValidationError as error:
        first = error.errors()[0]
        variable = "".join(f"HMM_{part}".upper() for part in first["loc"]).replace("HMM_HMM_", "HMM_")
        complaint = first["msg"].removeprefix("Value error, ")
        misused(f"{variable}: {complaint}" if variable else complaint)


def current() -> StackSettings:
    """The settings of the stack that runs, where this shell's variables do not say otherwise."""
    here = from_environment()
    return from_environment(here.run / _RECORD) if is_locked(here.run) else here
