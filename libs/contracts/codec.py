"""How events are written on the wire and read back: strict JSON, checked field by field on both ways."""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, from_json

from contracts import books, clock, control, market, orders, venue
from contracts.event import EVENT_TYPES, Event

FAMILIES = (market, clock, orders, venue, books, control)

Document = dict[str, Any]
Upcaster = Callable[[Document], Document]

UPCASTERS: Mapping[tuple[str, int], Upcaster] = {}
"""For each (type, version) that is no longer written: how its document becomes one of the next version."""


_VERSION = re.compile("[1-9][0-9]{0,5}")
_UNLIFTABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What an upcaster may raise on a document that never was one of its version."""


class Undecodable(ValueError):
    """The message is not an event: the text names the type, the field and what is wrong with it."""


def type_header(event_type: type[Event]) -> str:
    """Name type and version as the `Hmm-Type` header does: `Quote.v1`."""
    return f"{event_type.type_name}.v{event_type.version}"


class Codec:
    """Reads and writes the events of a registry, lifting older versions to the current ones."""

    def __init__(self, types: Mapping[str, type[Event]], upcasters: Mapping[tuple[str, int], Upcaster]) -> None:
        self._types = types
        self._upcasters = upcasters
        self._adapters: dict[type[Event], TypeAdapter[Event]] = {}
        self._readers: dict[str, Callable[[bytes], Event]] = {}
        self._writers: dict[type[Event], Callable[[Event], bytes]] = {}

    def encode(self, event: Event) -> bytes:
        """Write `event` as JSON.

        Raises `Undecodable` when no reader would take it: nothing unreadable gets onto the tape.
        """
        try:
            payload = self.write(event)
            self.adapter(type(event)).validator.validate_json(payload)
        except ValidationError as error:
            raise Undecodable(_explain(type(event).type_name, error)) from None
        except PydanticSerializationError as error:  # half a character, for instance
            raise Undecodable(f"{type(event).type_name}: {error}") from None
        if problem := event.contradiction():
            raise Undecodable(f"{type(event).type_name}.{problem}")
        return payload

    def write(self, event: Event) -> bytes:
        """Write an event that was checked before."""
        write = self._writers.get(type(event))
        if write is None:
            write = partial(self.adapter(type(event)).serializer.to_json, warnings=False, exclude_defaults=True)
            self._writers[type(event)] = write
        return write(event)

    def decode(self, header: str, subject: str, payload: bytes) -> Event:
        """Read the event that was written to `subject` with the type header `header`; raises `Undecodable`."""
        try:
            event = self.reader(header)(payload)
        except ValidationError as error:
            raise Undecodable(_explain(header, error)) from None
        expected = type(event).subject_of(event)
        if expected != subject:
            raise Undecodable(f"{header}: subject {subject!r} is foreign to this event, its fields say {expected!r}")
        if problem := event.contradiction():
            raise Undecodable(f"{header}.{problem}")
        return event

    def reader(self, header: str) -> Callable[[bytes], Event]:
        """Give what reads payloads with the type header `header` that were decoded before, when they were kept.

        It checks the fields but not what they say together; what it raises is a `ValueError`.
        """
        read = self._readers.get(header)
        if read is None:
            read = self._readers[header] = self._reader(header)
        return read

    def adapter(self, event_type: type[Event]) -> TypeAdapter[Event]:
        """Give pydantic's view of a type; built on first use, since a process needs only a few of them."""
        adapter = self._adapters.get(event_type)
        if adapter is None:
            adapter = self._adapters[event_type] = TypeAdapter(event_type)
        return adapter

    def _reader(self, header: str) -> Callable[[bytes], Event]:
        name, _, number = header.rpartition(".v")
        event_type = self._types.get(name)
        if event_type is None or not _VERSION.fullmatch(number):
            raise Undecodable(f"Hmm-Type: {header!r} is no event type that this code knows")
        version = int(number)
        if version > event_type.version:
            raise Undecodable(f"Hmm-Type: {header!r} is newer than this code, which knows {type_header(event_type)}")
        read: Callable[[bytes], Event] = self.adapter(event_type).validator.validate_json
        if version == event_type.version:
            return read
        lifts = [self._upcasters.get((name, old)) for old in range(version, event_type.version)]
        if None in lifts:
            raise Undecodable(
                f"Hmm-Type: {header!r} cannot be lifted to {type_header(event_type)}: an upcaster is missing"
            )

        def read_older(payload: bytes) -> Event:
            try:
                document = from_json(payload)
                for lift in filter(None, lifts):
                    document = lift(document)
            except _UNLIFTABLE as error:
                raise Undecodable(f"{header}: cannot be lifted ({type(error).__name__}: {error})") from None
            return read(json.dumps(document).encode())

        return read_older


def _explain(type_name: str, error: ValidationError) -> str:
    """Name each wrong field with what came and what was wanted, in one line."""
    problems = []
    for problem in error.errors(include_url=False):
        place = ".".join([type_name, *map(str, problem["loc"])])
        came = repr(problem["input"])
        problems.append(f"{place}: {problem['msg']} (got {came[:60]})")
    return "; ".join(problems)


CODEC = Codec(EVENT_TYPES, UPCASTERS)
encode = CODEC.encode
write = CODEC.write
decode = CODEC.decode
