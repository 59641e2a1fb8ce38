"""What every test may ask for: real servers (started once, on first use) and the hypothesis profiles."""

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import fresh_database, nats_server, postgres_server, scratch_directory

# No deadline: the machine is shared and small, so time says nothing about an example.
settings.register_profile("default", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("default"), max_examples=100_000)
settings.load_profile("default")

_database_numbers = count(1)


@pytest.fixture(scope="session")
def nats_url() -> Iterator[str]:
    """A nats-server shared by the tests of this process: use streams of your own name, or `fresh_nats_url`."""
    with scratch_directory() as run, nats_server(run) as url:
        yield url


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """The database `hmm`, without the extension yet, on a PostgreSQL shared by the tests of this process."""
    with scratch_directory() as run, postgres_server(run) as url:
        yield url


@pytest.fixture
def fresh_nats_url() -> Iterator[str]:
    """An empty nats-server for one test."""
    with scratch_directory() as run, nats_server(run) as url:
        yield url


@pytest.fixture
def fresh_database_url(database_url: str) -> Iterator[str]:
    """An empty database with TimescaleDB for one test."""
    with fresh_database(database_url, f"test_{next(_database_numbers)}") as url:
        yield url
