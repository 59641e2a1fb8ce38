"""The AsyncAPI document: every writer and reader of the ownership table, described by FastStream."""

import json
from typing import Any

from faststream.nats import NatsBroker
from faststream.specification import AsyncAPI

from contracts.event import Event, subject_pattern
from contracts.ownership import ROLES, Role

VERSION = "1.0.0"


def asyncapi() -> dict[str, Any]:
    """Make the AsyncAPI 3.0 document of the whole system, in a stable order."""
    broker = NatsBroker("nats://localhost:4222")
    for role in ROLES.values():
        for event_type in role.all_writes:
            _describe_write(broker, role, event_type)
        for event_type in role.reads:
            _describe_read(broker, role, event_type)
    specification = AsyncAPI(
        broker,
        title="Nautilus HMM",
        version=VERSION,
        description="Who says what on the tape, and who hears it.",
        schema_version="3.0.0",
    )
    document: dict[str, Any] = json.loads(specification.to_specification().to_json())
    return document


def _first_line(event_type: type[Event]) -> str:
    return (event_type.__doc__ or event_type.type_name).strip().splitlines()[0]


def _describe_write(broker: NatsBroker, role: Role, event_type: type[Event]) -> None:
    broker.publisher(
        role.subject(event_type),
        title=f"{role.name}-writes-{event_type.type_name}",
        description=_first_line(event_type),
        schema=event_type,
    )


def _describe_read(broker: NatsBroker, role: Role, event_type: type[Event]) -> None:
    async def read(event: Event) -> None: ...

    read.__annotations__["event"] = event_type
    broker.subscriber(
        subject_pattern(event_type),
        title=f"{role.name}-reads-{event_type.type_name}",
        description=_first_line(event_type),
    )(read)
