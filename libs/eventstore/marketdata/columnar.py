"""Events of any type as bytes and back, the same to the last bit: market data by columns, all else as on the tape."""

import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import compress, pairwise, repeat
from operator import attrgetter
from typing import Any

import numpy as np

from contracts.codec import CODEC, type_header
from contracts.event import Event
from contracts.market import Bar, Funding, MarketGap, Quote, Trade
from contracts.types import GapKind, InstrumentId, Interval, Side
from eventstore.marketdata.events import made

IN_COLUMNS: Sequence[type[Event]] = (Quote, Trade, Bar, Funding, MarketGap)
"""Types that come by the million; a place here is what stands for a type in a file."""

_REST = len(IN_COLUMNS)
_PLACES: Mapping[type[Event], int] = {event_type: place for place, event_type in enumerate(IN_COLUMNS)}

_WORDS: Mapping[str, Callable[[str], object]] = {
    "instrument": InstrumentId,
    "aggressor": Side,
    "interval": Interval,
    "kind": GapKind,
}
"""Fields that say one of a few words, and what a word becomes."""
_TEXTS = ("trade_id",)

_LEVEL = 1
_END = b"\x00"
"""Is in no text of an event."""
_value_of = attrgetter("_value_")
"""Of a member of an enum: half of what asking for `value` costs."""

Parts = list[bytes]
Encoded = tuple[str, bytes]
"""How a column is written, and its bytes."""


def to_parts(events: Sequence[Event]) -> tuple[tuple[int, ...], Parts]:
    """Write events; gives which types they are of, and a part for each. With several their order is the first part."""
    places = [_PLACES.get(event_type, _REST) for event_type in map(type, events)]
    there = tuple(sorted(set(places)))
    if len(there) == 1:
        return there, [_written(there[0], events)]
    its_events = (list(compress(events, map(place.__eq__, places))) for place in there)
    return there, [zlib.compress(bytes(places), _LEVEL), *map(_written, there, its_events)]


def from_parts(there: Sequence[int], parts: Sequence[bytes]) -> list[Event]:
    """Read what `to_parts` wrote."""
    if len(there) == 1:
        return _read(there[0], parts[0])
    places = np.frombuffer(zlib.decompress(parts[0]), np.uint8)
    events = np.empty(len(places), dtype=object)
    for place, part in zip(there, parts[1:], strict=True):
        events[places == place] = _read(place, part)
    ordered: list[Event] = events.tolist()
    return ordered


def _written(place: int, events: Sequence[Event]) -> bytes:
    if place == _REST:
        names = [type_header(type(event)) for event in events]
        documents = [CODEC.adapter(type(event)).serializer.to_json(event) for event in events]
        return _packed(len(events), {"type": _words(names), "document": ("texts", _END.join(documents))})
    event_type = IN_COLUMNS[place]
    columns = {name: list(map(attrgetter(name), events)) for name in _names(event_type)}
    return _packed(len(events), {name: _encoded(name, values) for name, values in columns.items()})


def _encoded(name: str, values: Sequence[Any]) -> Encoded:
    if name in _WORDS:
        return _words(values if name == "instrument" else [*map(_value_of, values)])
    if name in _TEXTS:
        return _texts(values)
    return ("floats", np.array(values, "<f8").tobytes()) if isinstance(values[0], float) else _whole(values)


def _whole(values: Sequence[int]) -> Encoded:
    """Write whole numbers as their distances, which take less room; those may wrap around, and do so back."""
    return "whole", np.diff(np.array(values, "<i8"), prepend=np.int64(0)).tobytes()


def _words(values: Sequence[str]) -> Encoded:
    places = {word: place for place, word in enumerate(dict.fromkeys(values))}
    if len(places) == 1:
        return f"word {values[0]}", b""
    return f"words {' '.join(places)}", np.array([*map(places.__getitem__, values)], "<u2").tobytes()


def _texts(values: Sequence[str]) -> Encoded:
    """Write texts as they are, or, if they are numbers as one writes them, as these."""
    try:
        numbers = [*map(int, values)]
        if [*map(str, numbers)] == values:
            return "numbers", _whole(numbers)[1]
    except (ValueError, OverflowError):
        pass
    return "texts", _END.join(value.encode() for value in values)


def _read(place: int, part: bytes) -> list[Event]:
    count, columns = _unpacked(part)
    if place == _REST:
        readers = map(CODEC.reader, _decoded(columns["type"], str, count))
        return [read(document) for read, document in zip(readers, columns["document"][1].split(_END), strict=True)]
    event_type = IN_COLUMNS[place]
    values = {name: _decoded(columns[name], _WORDS.get(name, str), count) for name in _names(event_type)}
    return [*made(event_type, count, values)]


def _decoded(column: Encoded, make: Callable[[str], object], count: int) -> Iterable[Any]:
    how, content = column
    match how.split(" "):
        case ["floats"]:
            floats: list[float] = np.frombuffer(content, "<f8").tolist()
            return floats
        case ["whole"]:
            return _counted(content)
        case ["numbers"]:
            return map(str, _counted(content))
        case ["texts"]:
            return content.decode().split("\x00")
        case ["word", word]:
            return repeat(make(word), count)
        case ["words", *words]:
            return map([*map(make, words)].__getitem__, np.frombuffer(content, "<u2").tolist())
        case _:
            raise ValueError(f"a column is written as {how}, which this code does not know")


def _counted(content: bytes) -> list[int]:
    whole: list[int] = np.frombuffer(content, "<i8").cumsum().tolist()
    return whole


def _names(event_type: type[Event]) -> list[str]:
    return [field.name for field in fields(event_type)]


def _packed(count: int, columns: Mapping[str, Encoded]) -> bytes:
    told = {name: [how, len(content)] for name, (how, content) in columns.items()}
    head = json.dumps([count, told]).encode()
    return zlib.compress(b"\n".join([head, b"".join(content for _, content in columns.values())]), _LEVEL)


def _unpacked(part: bytes) -> tuple[int, dict[str, Encoded]]:
    unpacked = zlib.decompress(part)
    begin = unpacked.index(b"\n") + 1
    count, told = json.loads(unpacked[:begin])
    ends = np.cumsum([begin, *(length for _, length in told.values())]).tolist()
    contents = [unpacked[since:until] for since, until in pairwise(ends)]
    return count, {name: (how, content) for (name, (how, _)), content in zip(told.items(), contents, strict=True)}
