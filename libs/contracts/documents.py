"""The generated documents: a JSON Schema and a golden event for each version of each event type."""

import json
from typing import Any

from contracts.codec import CODEC, encode, type_header
from contracts.event import EVENT_TYPES, Event
from contracts.examples import examples

Document = dict[str, Any]


def json_schema(event_type: type[Event]) -> Document:
    """Describe the wire form of the current version of an event type."""
    schema = CODEC.adapter(event_type).json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "x-version": event_type.version,
        "x-subject": event_type.subject_template,
        **schema,
    }


def golden(event: Event) -> Document:
    """Show an event as it is on the tape: the type header, the subject and the payload."""
    return {
        "type": type_header(type(event)),
        "subject": type(event).subject_of(event),
        "payload": json.loads(encode(event)),
    }


def schemas() -> dict[str, Document]:
    """Make the schema of every type, by `Type.vN`."""
    return {type_header(event_type): json_schema(event_type) for event_type in EVENT_TYPES.values()}


def goldens() -> dict[str, Document]:
    """Make the golden event of every type, by `Type.vN`."""
    return {type_header(event_type): golden(event) for event_type, event in examples().items()}
