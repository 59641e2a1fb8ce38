"""What is said on the tape after a position, for commands that ask for something and wait for the answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import psycopg
from nats.aio.client import Client
from nats.errors import TimeoutError as NothingCame
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from contracts.recorded import Recorded, Unreadable
from services.cli.database import connect
from services.cli.settings import StackSettings
from services.cli.tape import connect as tape_connect
from tape.reader import received
from tape.streams import TAPE

_QUIET_SECONDS = 0.5
_POLL_SECONDS = 0.1
_ARCHIVE_SECONDS = 10.0


async def follow(nc: Client, patterns: Sequence[str], after: int) -> AsyncIterator[Recorded | Unreadable | None]:
    """Give what is said on subjects that match `patterns`, which must not overlap; None where nothing is for a while.

    Without end: whoever has heard enough leaves.
    """
    js = nc.jetstream(timeout=10)
    inbox = nc.new_inbox()
    messages = await nc.subscribe(inbox)
    config = ConsumerConfig(
        filter_subjects=list(patterns),
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=after + 1,
        deliver_subject=inbox,
        ack_policy=AckPolicy.NONE,
        inactive_threshold=30.0,
        mem_storage=True,
        flow_control=True,
        idle_heartbeat=1.0,
    )
    await js.add_consumer(TAPE, config)
    while True:
        try:
            message = await messages.next_msg(timeout=_QUIET_SECONDS)
        except NothingCame:
            yield None
            continue
        if message.reply.startswith("$JS.ACK"):
            position = int(message.reply.split(".")[-4])
            yield received(position, message.subject, message.data, message.headers or {})
            continue
        if message.reply:  # flow control: the server waits for a word
            await nc.publish(message.reply)
        yield None


def wait_for_archive(settings: StackSettings) -> None:
    """Wait until the event store holds what the tape holds now, or for as long as a person would."""
    asyncio.run(_await_archive(settings))


async def _await_archive(settings: StackSettings) -> None:
    nc = await tape_connect(settings)
    try:
        last = (await nc.jetstream(timeout=10).stream_info(TAPE)).state.last_seq
    finally:
        await nc.close()
    deadline = time.monotonic() + _ARCHIVE_SECONDS
    with connect(settings.database_url) as store:
        while time.monotonic() < deadline and _archived(store) < last:  # noqa: ASYNC110 # a database sends no event
            await asyncio.sleep(_POLL_SECONDS)


def _archived(store: psycopg.Connection) -> int:
    row = store.execute("SELECT position FROM checkpoints WHERE name = 'archive'").fetchone()
    return 0 if row is None else int(row[0])
