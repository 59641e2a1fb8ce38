"""The named consumers of the tape: through them every reader's position and lag is there for all to see."""

from collections.abc import Sequence

from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from contracts.event import EVENT_TYPES, subject_pattern
from contracts.ownership import ROLES, EventTypes
from tape.provision import TAPE

UNACKED = 8192
"""How far the server may run ahead of a reader: the most messages that wait in its process."""
ACK_WAIT_S = 600.0
"""Redelivery is never needed: a reader that lost something starts again behind what it has handled."""
HEARTBEAT_S = 1.0


def consumer_config(name: str, subjects: Sequence[str], start: int, deliver_to: str) -> ConsumerConfig:
    """Describe the consumer of a reader that begins at position `start`."""
    return ConsumerConfig(
        durable_name=name,
        deliver_subject=deliver_to,
        filter_subjects=list(subjects),
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=start,
        ack_policy=AckPolicy.ALL,
        ack_wait=ACK_WAIT_S,
        max_ack_pending=UNACKED,
        mem_storage=True,  # its reader knows where to begin; a file would be fsynced at every acknowledgement
        idle_heartbeat=HEARTBEAT_S,
    )


def read_subjects(reads: EventTypes) -> list[str]:
    """Give the patterns that hold these types; everything is one pattern."""
    return [">"] if set(reads) == set(EVENT_TYPES.values()) else [subject_pattern(event_type) for event_type in reads]


async def provision_consumers(nc: Client) -> list[str]:
    """Make a consumer for each reader of the ownership table that has none yet, and name those that were made.

    A reader makes its own anew wherever it begins; until it first runs, this one shows what waits for it.
    """
    js = nc.jetstream(timeout=10)
    made = []
    for role in ROLES.values():
        if not role.reads:
            continue
        try:
            await js.consumer_info(TAPE, role.name)
        except NotFoundError:
            await js.add_consumer(TAPE, consumer_config(role.name, read_subjects(role.reads), 1, nc.new_inbox()))
            made.append(role.name)
    return made
