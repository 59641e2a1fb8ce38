"""The two ways to run the stack stay one: compose and plain processes agree in services, variables and ports."""

import os
import re

import pytest
import yaml
from pydantic import BaseModel

from services.cli.settings import PROCESS_FILE, SERVICES, StackSettings
from services.supervisor.model import ProcessSpec, load_stack
from tape.permissions import USERS
from tests.servers import ROOT

COMPOSE_FILE = ROOT / "deploy" / "compose" / "compose.yaml"
CONDITIONS = {
    "service_started": "process_started",
    "service_healthy": "process_healthy",
    "service_completed_successfully": "process_completed_successfully",
}
# What `hmm up` tells every process by itself; containers also listen beyond loopback.
FROM_THE_STACK = {"HMM_NATS_URL", "HMM_DATABASE_URL", "HMM_HEALTH_HOST"}
KEY = "HMM_NKEY_FILE"
SERVERS = {"nats", "ledger", "postgres"}
# What only the two nats-servers use, or looks after them: a container publishes it nowhere.
AMONG_SERVERS = {"HMM_NATS_LEAF_PORT", "HMM_LEDGER_MONITOR_PORT"}
PUBLISHED = re.compile(r"127\.0\.0\.1:\$\{(?P<variable>\w+):-(?P<port>\d+)\}:(?P<inside>\d+)")


class Dependency(BaseModel):
    condition: str


class Healthcheck(BaseModel):
    test: list[str] = []
    disable: bool = False


class Secret(BaseModel):
    source: str
    target: str


class Container(BaseModel):
    image: str
    command: list[str]
    environment: dict[str, str]
    healthcheck: Healthcheck
    depends_on: dict[str, Dependency] = {}
    ports: list[str] = []
    secrets: list[Secret] = []
    networks: list[str] = []
    restart: str
    read_only: bool = False
    cap_drop: list[str] = []
    stop_signal: str = "SIGTERM"


class Compose(BaseModel):
    services: dict[str, Container]
    secrets: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def compose() -> Compose:
    return Compose.model_validate(yaml.safe_load(COMPOSE_FILE.read_text()))


@pytest.fixture(scope="module")
def containers(compose: Compose) -> dict[str, Container]:
    return compose.services


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
    assert set(SERVICES) == set(processes) - SERVERS - {"provision"}


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
    inside, outside = containers[name].environment, processes[name].variables
    assert inside.keys() - FROM_THE_STACK == outside.keys()
    assert {key: inside[key] for key in outside if key != KEY} == {key: outside[key] for key in outside if key != KEY}
    assert inside.keys() >= FROM_THE_STACK


@pytest.mark.parametrize("name", ["provision", *SERVICES])
def test_each_has_its_own_key_and_no_other(
    name: str, compose: Compose, processes: dict[str, ProcessSpec], settings: StackSettings
) -> None:
    user = "operator" if name == "provision" else name
    (secret,) = compose.services[name].secrets
    assert processes[name].variables[KEY] == str(settings.keys / f"{user}.nk")
    assert compose.services[name].environment[KEY] == f"/run/secrets/{secret.target}"
    assert secret.source == user
    assert compose.secrets[user]["file"].endswith(f"/{user}.nk")


def test_every_user_of_the_broker_is_a_process_of_the_stack_or_known_not_to_be(compose: Compose) -> None:
    assert set(USERS) - set(compose.secrets) == {"ops", "backfill", "importer"}
    assert set(compose.secrets) <= set(USERS)
    assert compose.services["ledger"].secrets == [Secret(source="ledger", target="nkey")]
    assert all(container.secrets == [] for name, container in compose.services.items() if name in {"nats", "postgres"})


@pytest.mark.parametrize("name", SERVICES)
def test_both_ask_the_same_address_for_readiness(
    name: str, containers: dict[str, Container], processes: dict[str, ProcessSpec], settings: StackSettings
) -> None:
    health = processes[name].health
    assert health is not None
    assert containers[name].environment["HMM_HEALTH_PORT"] == str(health.port) == str(settings.health_port(name))
    assert health.path in containers[name].healthcheck.test[-1]


@pytest.mark.parametrize("name", ["nats", "ledger"])
def test_both_ask_the_brokers_the_same_way(
    name: str, containers: dict[str, Container], processes: dict[str, ProcessSpec]
) -> None:
    health = processes[name].health
    assert health is not None
    assert containers[name].healthcheck.test[-1] == health.url


@pytest.mark.parametrize(("name", "config"), [("nats", "secured.conf"), ("ledger", "secured-ledger.conf")])
def test_both_let_in_only_who_has_a_key(name: str, config: str, containers: dict[str, Container]) -> None:
    assert containers[name].command == ["--config", f"/etc/hmm/{config}"]
    assert f"deploy/nats/{config}" in (ROOT / "deploy" / "local" / f"{name}.sh").read_text()


def test_the_ledger_finds_the_tape_and_is_found_by_nobody(
    containers: dict[str, Container], settings: StackSettings
) -> None:
    nats, ledger = containers["nats"], containers["ledger"]
    assert nats.environment["HMM_NATS_LEAF_PORT"] == str(settings.nats_leaf_port)
    assert ledger.environment["HMM_NATS_LEAF_URL"] == f"'nats://nats:{settings.nats_leaf_port}'"
    assert ledger.environment["HMM_LEDGER_MONITOR_PORT"] == str(settings.ledger_monitor_port)
    assert (ledger.ports, ledger.networks) == ([], ["tape"])


def test_after_a_power_cut_nothing_starts_before_provision_has_looked(containers: dict[str, Container]) -> None:
    assert {container.restart for container in containers.values()} == {"on-failure", "on-failure:5"}


def test_the_host_sees_the_same_ports_and_only_on_loopback(
    containers: dict[str, Container], settings: StackSettings
) -> None:
    matches = [PUBLISHED.fullmatch(port) for container in containers.values() for port in container.ports]
    published = {match["variable"]: int(match["port"]) for match in matches if match}
    assert len(published) == len(matches)
    ports = {name: port for name, port in settings.ports().items() if "HEALTH" not in name}
    assert published == {name: port for name, port in ports.items() if name not in AMONG_SERVERS}


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
    assert containers["ledger"].image == containers["nats"].image
    assert re.fullmatch(r"timescale/timescaledb:[\d.]+-pg17", containers["postgres"].image)
    for name, container in containers.items():
        assert container.read_only, name
        assert container.cap_drop == ["ALL"], name
