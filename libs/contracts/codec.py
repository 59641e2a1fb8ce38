"""How events are written on the wire and read back: strict JSON, checked field by field on both ways."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from contracts import books, clock, control, market, orders, venue
from contracts.event import EVENT_TYPES, Event

FAMILIES = (market, clock, orders, venue, books, control)

Document = dict[str, Any]
Upcaster = Callable[[Document], Document]

UPCASTERS: Mapping[tuple[str, int], Upcaster] = {}
"""For each (type, version) that is no longer written: how its document becomes one of the next version."""


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
        self._writers: dict[type[Event], tuple[Callable[[Event], bytes], Callable[[bytes], Event]]] = {}

    def encode(self, event: Event) -> bytes:
        """Write `event` as JSON.

        Raises `Undecodable` when no reader would take it: nothing unreadable gets onto the tape.
        """
        writer = self._writers.get(type(event))
        if writer is None:
            adapter = self.adapter(type(event))
            writer = self._writers[type(event)] = (adapter.serializer.to_json, adapter.validator.validate_json)
        write, read = writer
        payload = write(event)
        try:
            read(payload)
        except ValidationError as error:
            raise Undecodable(_explain(type(event).type_name, error)) from None
        if problem := event.contradiction():
            raise Undecodable(f"{type(event).type_name}.{problem}")
        return payload

    def decode(self, header: str, subject: str, payload: bytes) -> Event:
        """Read the event that was written to `subject` with the type header `header`; raises `Undecodable`."""
        read = self._readers.get(header)
        if read is None:
            read = self._readers[header] = self._reader(header)
        try:
            event = read(payload)
        except ValidationError as error:
            raise Undecodable(_explain(header, error)) from None
        expected = type(event).subject_of(event)
        if expected != subject:
            raise Undecodable(f"{header}: subject {subject!r} is foreign to this event, its fields say {expected!r}")
        if problem := event.contradiction():
            raise Undecodable(f"{header}.{problem}")
        return event

    def adapter(self, event_type: type[Event]) -> TypeAdapter[Event]:
        """Give pydantic's view of a type; built on first use, since a process needs only a few of them."""
        adapter = self._adapters.get(event_type)
        if adapter is None:
            adapter = self._adapters[event_type] = TypeAdapter(event_type)
        return adapter

    def _reader(self, header: str) -> Callable[[bytes], Event]:
        name, _, number = header.rpartition(".v")
        event_type = self._types.get(name)
        if event_type is None or not number.isdecimal():
            raise Undecodable(f"Hmm-Type: {header!r} is no event type that this code knows")
        version = int(number)
        if version > event_type.version:
            raise Undecodable(f"Hmm-Type: {header!r} is newer than this code, which knows {type_header(event_type)}")
        read: Callable[[bytes], Event] = self.adapter(event_type).validator.validate_json
        if version == event_type.version:
            return read
        lifts = [self._upcasters[name, old] for old in range(version, event_type.version)]

        def read_older(payload: bytes) -> Event:
            try:
                document = json.loads(payload)
            except ValueError as error:
                raise Undecodable(f"{header}: not JSON ({error})") from None
            for lift in lifts:
                document = lift(document)
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
decode = CODEC.decode
