"""`hmm provision`: streams, consumers, buckets and migrations, brought to what this code needs."""

import asyncio
from collections.abc import Sequence
from contextlib import closing

import psycopg

from contracts.recorded import Unreadable
from eventstore.archive import Archive, CheckpointMoved
from eventstore.migrate import MigrationRefused, migrate
from services.cli import broker
from services.cli.database import reason
from services.cli.errors import fail, not_running
from services.cli.settings import StackSettings, current
from tape.consumers import provision_consumers
from tape.continuity import rescue
from tape.provision import provision
from tape.reader import received
from tape.streams import ProvisionRefused, Stored

_CONNECT_SECONDS = 5


class ArchiveStore:
    """The event store as what a broken tape is saved into."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def position(self) -> int:
        return self._archive.position()

    def keep(self, messages: Sequence[Stored]) -> None:
        self._archive.write(
            [received(message.position, message.subject, message.payload, message.headers) for message in messages]
        )

    def note_loss(self, position: int, why: str) -> None:
        self._archive.write([Unreadable(position, "lost", {}, b"", why)])


def provision_servers() -> None:
    """Make what is missing on the servers; refuses a change that would lose data."""
    settings = current()
    applied = _migrate(settings.database_url)
    print(f"event store: {'applied ' + ', '.join(applied) if applied else 'up to date'}")
    asyncio.run(_provision_tape(settings))


def _migrate(database_url: str) -> list[str]:
    try:
        return migrate(database_url)
    except MigrationRefused as refusal:
        fail(str(refusal))
    except psycopg.OperationalError as error:
        not_running(reason(error))


async def _provision_tape(settings: StackSettings) -> None:
    try:
        client = await broker.connect(settings, timeout_seconds=_CONNECT_SECONDS)
    except broker.Unreachable as error:
        not_running(str(error))
    try:
        with closing(Archive(settings.database_url)) as archive:
            for line in await rescue(client, ArchiveStore(archive)):
                print(line, flush=True)
            for stream in await provision(client, archive.position):
                print(f"{stream.stream}: {stream.outcome.value}, {stream.detail}")
        made = await provision_consumers(client)
        print(f"consumers: {'made ' + ', '.join(made) if made else 'all there'}")
    except (ProvisionRefused, CheckpointMoved) as refusal:
        fail(str(refusal))
    finally:
        await client.close()
