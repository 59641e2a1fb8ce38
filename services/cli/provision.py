"""`hmm provision`: streams, consumers, buckets and migrations, brought to what this code needs."""

import asyncio

import psycopg

from eventstore.migrate import MigrationRefused, migrate
from services.cli import broker
from services.cli.database import connect, reason
from services.cli.errors import fail, not_running
from services.cli.settings import StackSettings, current
from tape.consumers import provision_consumers
from tape.provision import ProvisionRefused, provision

_CONNECT_SECONDS = 5


def provision_servers() -> None:
    """Make what is missing on the servers; refuses a change that would lose data."""
    settings = current()
    applied = _migrate(settings.database_url)
    print(f"event store: {'applied ' + ', '.join(applied) if applied else 'up to date'}")
    for line in asyncio.run(_provision_tape(settings)):
        print(line)


def _migrate(database_url: str) -> list[str]:
    try:
        return migrate(database_url)
    except MigrationRefused as refusal:
        fail(str(refusal))
    except psycopg.OperationalError as error:
        not_running(reason(error))


async def _provision_tape(settings: StackSettings) -> list[str]:
    try:
        client = await broker.connect(settings.nats_url, timeout_seconds=_CONNECT_SECONDS)
    except broker.Unreachable as error:
        not_running(str(error))
    try:
        streams = await provision(client, lambda: _last_known(settings.database_url))
        made = await provision_consumers(client)
    except ProvisionRefused as refusal:
        fail(str(refusal))
    finally:
        await client.close()
    return [
        *(f"{stream.stream}: {stream.outcome.value}, {stream.detail}" for stream in streams),
        f"consumers: {'created ' + ', '.join(made) if made else 'all there'}",
    ]


def _last_known(database_url: str) -> int:
    """The last position the event store has seen: a tape made anew goes on after it."""
    with connect(database_url) as connection:
        (position,) = connection.execute("SELECT coalesce(max(position), 0) FROM checkpoints").fetchone() or (0,)
        return int(position)
