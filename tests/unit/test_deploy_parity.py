"""The two ways to run the stack stay one: compose and plain processes agree in services, variables and ports."""

import os
import re

import pytest
import yaml
from pydantic import BaseModel

from services.cli.settings import PROCESS_FILE, SERVICES, StackSettings
from services.supervisor.model import ProcessSpec, load_stack
from tests.servers import ROOT

COMPOSE_FILE = ROOT / "deploy" / "compose" / "compose.yaml"
CONDITIONS = {
    "service_started": "process_started",
    "service_healthy": "process_healthy",
    "service_completed_successfully": "process_completed_successfully",
}
# What `hmm up` tells every process, and compose only those that need it; containers also listen beyond loopback.
FROM_THE_STACK = {"HMM_NATS_URL", "HMM_DATABASE_URL", "HMM_HEALTH_HOST"}
NEED_THE_DATABASE = {"provision", "archive"}
PUBLISHED = re.compile(r"127\.0\.0\.1:\$\{(?P<variable>\w+):-(?P<port>\d+)\}:(?P<inside>\d+)")


class Dependency(BaseModel):
    condition: str


class Healthcheck(BaseModel):
    test: list[str] = []
    disable: bool = False


class Container(BaseModel):
    image: str
    command: list[str]
    environment: dict[str, str]
    healthcheck: Healthcheck
    depends_on: dict[str, Dependency] = {}
    ports: list[str] = []
    read_only: bool = False
    cap_drop: list[str] = []
    stop_signal: str = "SIGTERM"


class Compose(BaseModel):
    services: dict[str, Container]


@pytest.fixture(scope="module")
def containers() -> dict[str, Container]:
    return Compose.model_validate(yaml.safe_load(COMPOSE_FILE.read_text())).services


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> StackSettings:
    """The defaults, whatever this shell has set."""
    for name in [name for name in os.environ if name.startswith("HMM_")]:
        monkeypatch.delenv(name)
    return StackSettings()


@pytest.fixture
def processes(settings: StackSettings) -> dict[str, ProcessSpec]:
    return load_stack(PROCESS_FILE, settings.environment()).processes


def test_both_run_the_same_services(containers: dict[str, Container], processes: dict[str, ProcessSpec]) -> None:
    assert set(containers) == set(processes)
    assert set(SERVICES) == set(processes) - {"nats", "postgres", "provision"}


def test_both_start_in_the_same_order(containers: dict[str, Container], processes: dict[str, ProcessSpec]) -> None:
    waits = {
        name: {on: CONDITIONS[how.condition] for on, how in c.depends_on.items()} for name, c in containers.items()
    }
    assert waits == {
        name: {on: how.condition.value for on, how in spec.depends_on.items()} for name, spec in processes.items()
    }


@pytest.mark.parametrize("name", ["provision", *SERVICES])
def test_both_run_the_same_command(
    name: str, containers: dict[str, Container], processes: dict[str, ProcessSpec]
) -> None:
    assert "exec .venv/bin/" + " ".join(containers[name].command) == processes[name].command


@pytest.mark.parametrize("name", ["provision", *SERVICES])
def test_both_set_the_same_variables(
    name: str, containers: dict[str, Container], processes: dict[str, ProcessSpec]
) -> None:
    inside = containers[name].environment
    assert {key: value for key, value in inside.items() if key not in FROM_THE_STACK} == processes[name].variables
    assert ("HMM_DATABASE_URL" in inside) == (name in NEED_THE_DATABASE)


@pytest.mark.parametrize("name", SERVICES)
def test_both_ask_the_same_address_for_readiness(
    name: str, containers: dict[str, Container], processes: dict[str, ProcessSpec], settings: StackSettings
) -> None:
    health = processes[name].health
    assert health is not None
    assert containers[name].environment["HMM_HEALTH_PORT"] == str(health.port) == str(settings.health_port(name))
    assert health.path in containers[name].healthcheck.test[-1]


def test_both_ask_the_broker_the_same_way(containers: dict[str, Container], processes: dict[str, ProcessSpec]) -> None:
    health = processes["nats"].health
    assert health is not None
    assert containers["nats"].healthcheck.test[-1] == health.url


def test_the_host_sees_the_same_ports_and_only_on_loopback(
    containers: dict[str, Container], settings: StackSettings
) -> None:
    matches = [PUBLISHED.fullmatch(port) for container in containers.values() for port in container.ports]
    published = {match["variable"]: int(match["port"]) for match in matches if match}
    assert len(published) == len(matches)
    assert published == {name: port for name, port in settings.ports().items() if "HEALTH" not in name}


def test_the_broker_listens_where_its_ports_are_published(containers: dict[str, Container]) -> None:
    nats = containers["nats"]
    inside = {match["variable"]: match["inside"] for port in nats.ports if (match := PUBLISHED.fullmatch(port))}
    assert inside == {name: nats.environment[name] for name in inside}


def test_both_stop_the_database_without_waiting_for_its_clients(
    containers: dict[str, Container], processes: dict[str, ProcessSpec]
) -> None:
    assert containers["postgres"].stop_signal == "SIGINT"
    assert processes["postgres"].shutdown.signal == 2


def test_containers_are_the_named_images_and_may_do_little(containers: dict[str, Container]) -> None:
    assert re.fullmatch(r"nats:2\.\d+\.\d+-alpine", containers["nats"].image)
    assert re.fullmatch(r"timescale/timescaledb:[\d.]+-pg17", containers["postgres"].image)
    for name, container in containers.items():
        assert container.read_only, name
        assert container.cap_drop == ["ALL"], name
