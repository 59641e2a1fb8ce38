"""The named consumers of the tape: through them every reader's position and lag is there for all to see.

They are made by whoever provisions the server, each with the subjects that its role may hear. A reader can only rewind
its own: it cannot hear more than that, and two instances never share one.
"""

from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy
from nats.js.errors import NotFoundError

from contracts.event import EVENT_TYPES
from contracts.ownership import ROLES, Role
from tape.provision import TAPE
from tape.subjects import followed_subjects

UNACKED = 8192
"""How far the server may run ahead of a reader: the most messages that wait in its process."""
ACK_WAIT_S = 600.0
"""Redelivery is never needed: a reader that lost something starts again behind what it has handled."""
HEARTBEAT_S = 1.0


def standby(name: str) -> str:
    """Name the consumer, and the lease, of the instance that waits to take over."""
    return f"{name}-standby"


def deliver_subject(consumer: str) -> str:
    return f"deliver.{consumer}"


def consumer_config(name: str, subjects: list[str]) -> ConsumerConfig:
    """Describe the consumer `name` that brings `subjects`."""
    return ConsumerConfig(
        durable_name=name,
        deliver_subject=deliver_subject(name),
        filter_subjects=subjects,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.ALL,
        ack_wait=ACK_WAIT_S,
        max_ack_pending=UNACKED,
        idle_heartbeat=HEARTBEAT_S,
    )


def consumers_of(role: Role) -> list[ConsumerConfig]:
    """Describe what a role reads through: one consumer for whoever leads, one for whoever stands by."""
    if not role.reads:
        return []
    if set(role.reads) == set(EVENT_TYPES.values()):
        return [consumer_config(role.name, [">"])]
    subjects = followed_subjects(role)
    return [consumer_config(name, subjects) for name in (role.name, standby(role.name))]


async def provision_consumers(nc: Client) -> list[str]:
    """Make or mend the consumers of every reader in the ownership table, and name those that were touched."""
    js = nc.jetstream(timeout=10)
    touched = []
    for wanted in (config for role in ROLES.values() for config in consumers_of(role)):
        name = wanted.durable_name or ""
        try:
            found = await js.consumer_info(TAPE, name)
        except NotFoundError:
            await js.add_consumer(TAPE, wanted)
            touched.append(name)
            continue
        if not _same(found, wanted):
            await js.delete_consumer(TAPE, name)
            await js.add_consumer(TAPE, wanted)
            touched.append(name)
    return touched


def _same(found: ConsumerInfo, wanted: ConsumerConfig) -> bool:
    has = found.config
    subjects = set(has.filter_subjects or [has.filter_subject or ">"])
    return subjects == set(wanted.filter_subjects or ()) and has.deliver_subject == wanted.deliver_subject
