"""The servers under all integration tests: real, separate from each other, and indifferent to kill -9."""

import os
import signal
import subprocess
from pathlib import Path

import nats
import psycopg
import pytest

from tests.servers import nats_server, postgres_server, scratch_directory

pytestmark = pytest.mark.integration


async def test_the_broker_has_jetstream(fresh_nats_url: str) -> None:
    client = await nats.connect(fresh_nats_url)
    try:
        jetstream = client.jetstream(timeout=30)
        await jetstream.add_stream(name="S", subjects=["s.>"])
        assert (await jetstream.publish("s.a", b"x")).seq == 1
    finally:
        await client.close()


async def test_a_restarted_broker_still_has_its_streams() -> None:
    with scratch_directory() as run:
        for expected in (1, 2):
            with nats_server(run) as url:
                client = await nats.connect(url)
                jetstream = client.jetstream(timeout=30)
                if expected == 1:
                    await jetstream.add_stream(name="S", subjects=["s.>"])
                assert (await jetstream.publish("s.a", b"x")).seq == expected
                await client.close()


@pytest.mark.parametrize("_turn", [1, 2])
def test_every_test_gets_an_empty_database_with_timescaledb(fresh_database_url: str, _turn: int) -> None:
    with psycopg.connect(fresh_database_url) as connection:
        connection.execute("CREATE TABLE events (seq bigint PRIMARY KEY)")
        connection.execute("SELECT create_hypertable('events', by_range('seq', 1000000))")


def test_the_superuser_cannot_come_in_over_the_network(database_url: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="rejects connection"):
        psycopg.connect(database_url.replace("hmm@", "postgres@"))


def test_a_killed_database_starts_again_with_what_was_committed() -> None:
    with scratch_directory() as run:
        with postgres_server(run) as url:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE TABLE kept AS SELECT 1 AS x")
            os.kill(_postmaster(run), signal.SIGKILL)
        assert (run / "postgres" / "postmaster.pid").exists()
        with postgres_server(run) as url, psycopg.connect(url) as connection:
            assert connection.execute("SELECT x FROM kept").fetchall() == [(1,)]


def test_a_second_database_server_on_the_same_data_is_refused_in_one_line() -> None:
    with scratch_directory() as run, postgres_server(run):
        refusal = rf"already runs .*; stop it first: kill -INT {_postmaster(run)}"
        with pytest.raises(RuntimeError, match=refusal), postgres_server(run):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a server as another user")
def test_the_database_runs_below_a_directory_its_user_may_not_enter(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with postgres_server(closed / "run") as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        owner = subprocess.check_output(["stat", "-c", "%U", closed / "run" / "postgres"], text=True)
        assert owner.strip() == "postgres"


def _postmaster(run: Path) -> int:
    return int((run / "postgres" / "postmaster.pid").read_text().split()[0])
