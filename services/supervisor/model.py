"""The process file: a strict subset of the public process-compose format, parsed into frozen models.

Unlike process-compose: variables are substituted in values after parsing (a value can never change the structure), an
unknown key is an error, a starting process is polled quickly rather than once per period, and the back-off doubles.
"""

import re
from collections.abc import Mapping
from enum import Enum, StrEnum
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=", re.ASCII)

Seconds = Annotated[float, Field(ge=0, le=3600)]
Count = Annotated[int, Field(ge=1, le=1000)]
ProcessName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class ConfigError(Exception):
    """The process file is wrong; the message says where and how."""


class Restart(StrEnum):
    """Which exits are followed by another start."""

    NO = "no"
    ON_FAILURE = "on_failure"
    ALWAYS = "always"


class Condition(StrEnum):
    """What a process waits for in one it depends on."""

    STARTED = "process_started"
    HEALTHY = "process_healthy"
    COMPLETED = "process_completed_successfully"


class ProcessState(Enum):
    """Where a process is in its life; the values are what `hmm status` shows."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"  # up, and without a readiness probe that could say more
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    BACKING_OFF = "backing_off"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HttpGet(Strict):
    host: str = "127.0.0.1"
    scheme: Literal["http"] = "http"
    port: Annotated[int, Field(ge=1, le=65535)]
    path: str = "/"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}{self.path}"


class ExecCheck(Strict):
    command: Annotated[str, Field(min_length=1)]


class Probe(Strict):
    http_get: HttpGet | None = None
    exec: ExecCheck | None = None
    initial_delay_seconds: Seconds = 0.0
    period_seconds: Annotated[float, Field(gt=0, le=3600)] = 10.0
    timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 1.0
    success_threshold: Count = 1
    failure_threshold: Count = 3

    @model_validator(mode="after")
    def _one_check(self) -> "Probe":
        if (self.http_get is None) == (self.exec is None):
            raise ValueError("give exactly one of http_get, exec")
        return self


class Dependency(Strict):
    condition: Condition


class Availability(Strict):
    restart: Restart = Restart.NO
    backoff_seconds: Annotated[float, Field(gt=0, le=3600)] = 1.0
    max_restarts: Annotated[int, Field(ge=0)] = 0  # in a row; 0 is no limit

    @field_validator("restart", mode="before")
    @classmethod
    def _unquoted_no(cls, value: object) -> object:
        return "no" if value is False else value  # YAML reads a bare `no` as false


class Shutdown(Strict):
    signal: Annotated[int, Field(ge=1, le=31)] = 15
    timeout_seconds: Seconds = 10.0


class ProcessSpec(Strict):
    """One process: how it is started, when it counts as ready, and what happens when it ends."""

    command: Annotated[str, Field(min_length=1)]
    description: str = ""
    working_dir: str = "."
    environment: tuple[str, ...] = ()
    depends_on: dict[ProcessName, Dependency] = {}
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    availability: Availability = Availability()
    shutdown: Shutdown = Shutdown()

    @field_validator("environment")
    @classmethod
    def _assignments(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        for line in lines:
            if not _ASSIGNMENT.match(line):
                raise ValueError(f"{line!r} is not NAME=value")
        return lines

    @property
    def variables(self) -> dict[str, str]:
        return {name: value for name, _, value in (line.partition("=") for line in self.environment)}

    @property
    def first_state(self) -> ProcessState:
        return ProcessState.RUNNING if self.readiness_probe is None else ProcessState.STARTING

    @property
    def health(self) -> HttpGet | None:
        """The address that says how the process is, where it has one."""
        return self.readiness_probe.http_get if self.readiness_probe else None


class Stack(Strict):
    """All processes, known to refer only to each other and to have an order."""

    version: str = ""
    processes: Annotated[dict[ProcessName, ProcessSpec], Field(min_length=1)]

    @model_validator(mode="after")
    def _dependencies_hold(self) -> "Stack":
        for name, spec in self.processes.items():
            for other, dependency in spec.depends_on.items():
                self._check_dependency(name, other, dependency.condition)
        try:
            TopologicalSorter(self.graph).prepare()
        except CycleError as error:
            raise ValueError(f"processes wait for each other: {' -> '.join(error.args[1])}") from None
        return self

    def _check_dependency(self, name: str, other: str, condition: Condition) -> None:
        target = self.processes.get(other)
        where = f"{name} depends on {other}"
        if target is None:
            raise ValueError(f"{where}, which is no process of this file")
        if condition is Condition.HEALTHY and target.readiness_probe is None:
            raise ValueError(f"{where} being healthy, but {other} has no readiness_probe")
        if condition is Condition.COMPLETED and target.availability.restart is Restart.ALWAYS:
            raise ValueError(f"{where} being completed, but {other} is always restarted")

    @property
    def graph(self) -> dict[str, set[str]]:
        return {name: set(spec.depends_on) for name, spec in self.processes.items()}

    @property
    def one_shots(self) -> frozenset[str]:
        """The processes that are there to end, because others wait for it."""
        needs = [need for spec in self.processes.values() for need in spec.depends_on.items()]
        return frozenset(name for name, how in needs if how.condition is Condition.COMPLETED)

    def without(self, left_out: frozenset[str]) -> "Stack":
        """The same stack when somebody else runs `left_out`: nobody waits for those."""
        kept = {name: spec for name, spec in self.processes.items() if name not in left_out}
        return Stack(
            version=self.version, processes={name: _independent(spec, left_out) for name, spec in kept.items()}
        )


def _independent(spec: ProcessSpec, left_out: frozenset[str]) -> ProcessSpec:
    depends_on = {name: how for name, how in spec.depends_on.items() if name not in left_out}
    return spec.model_copy(update={"depends_on": depends_on})


def load_stack(path: Path, environment: Mapping[str, str]) -> Stack:
    """Read the process file at `path`, with `${NAME}` taken from `environment`."""
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    try:
        document: object = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    try:
        return Stack.model_validate(_substitute(document, environment, ""))
    except ValidationError as error:
        raise ConfigError(f"{path}: {'; '.join(_explain(error))}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _substitute(node: object, environment: Mapping[str, str], where: str) -> object:
    if isinstance(node, dict):
        return {key: _substitute(value, environment, f"{where}.{key}") for key, value in node.items()}
    if isinstance(node, list):
        return [_substitute(value, environment, f"{where}.{index}") for index, value in enumerate(node)]
    if not isinstance(node, str):
        return node

    def value_of(match: re.Match[str]) -> str:
        try:
            return environment[match[1]]
        except KeyError:
            raise ConfigError(f"{where.lstrip('.')}: the variable {match[1]} is not set") from None

    return _VARIABLE.sub(value_of, node)


def _explain(error: ValidationError) -> list[str]:
    """One `place: what is wrong` per finding, in the file's own words."""
    return [_finding(".".join(str(part) for part in item["loc"]), item["type"], item["msg"]) for item in error.errors()]


def _finding(where: str, kind: str, message: str) -> str:
    said = "unknown key" if kind == "extra_forbidden" else message.removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
