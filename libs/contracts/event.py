"""How an event type is declared: a frozen, slotted record whose type fixes its subject and version.

Classes are frozen for the type checker and not at run time: creating a frozen dataclass costs several times more, and
one is created for every quote.
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from operator import attrgetter
from string import Formatter
from typing import Any, ClassVar, ParamSpec, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict

from contracts.types import Nanos

WIRE_CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def record(cls: type[T]) -> type[T]:
    """Declare a value that events are made of."""
    made = dataclass(slots=True, kw_only=True)(cls)
    made.__pydantic_config__ = WIRE_CONFIG  # type: ignore[attr-defined]
    return made


def maker(cls: Callable[P, T]) -> Callable[P, T]:
    """Give a function that makes instances of a slotted dataclass, for whoever makes one with every order.

    By keywords it costs less than half of what the class does: CPython up to 3.12 packs the keywords of a class
    into a dictionary and unpacks them again. With more than fifteen keywords in one call both do, and cost the same.
    What `__post_init__` would do is not done.
    """
    own = fields(cast("Any", cls))
    assert all(field.init and field.default_factory is MISSING for field in own), f"{cls} makes fields of its own"
    names = {"new": object.__new__, "cls": cls, **{f"_{field.name}": field.default for field in own}}
    given = ", ".join(field.name if field.default is MISSING else f"{field.name}=_{field.name}" for field in own)
    filled = "".join(f"    made.{field.name} = {field.name}\n" for field in own)
    exec(f"def make({given}):\n    made = new(cls)\n{filled}    return made\n", names)  # noqa: S102 # our own fields
    return cast("Callable[P, T]", names["make"])


@record
class Event:
    """A fact on the tape. `ts_event`: when it happened; `ts_init`: when we knew (ns UTC)."""

    type_name: ClassVar[str]
    version: ClassVar[int]
    subject_template: ClassVar[str]
    subject_of: ClassVar[Callable[[Any], str]]
    """The subject an event of this type is written to: `EventType.subject_of(event)`."""

    ts_event: Nanos
    ts_init: Nanos

    def contradiction(self) -> str | None:
        """Say what is wrong between fields that are each valid alone, naming the field first; None if nothing is."""
        return None


EVENT_TYPES: dict[str, type[Event]] = {}
"""Every declared event type by name: the registry that the codec, the schemas and the ownership table share."""

E = TypeVar("E", bound=Event)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def event(subject: str, *, version: int = 1) -> Callable[[type[E]], type[E]]:
    """Declare an event type whose `{field}` placeholders of `subject` are filled from its own fields.

    A placeholder may be dotted (`{order.instrument}`). An instrument fills two tokens: venue and symbol.
    """

    def declare(cls: type[E]) -> type[E]:
        made = record(cls)
        made.type_name = cls.__name__
        made.version = version
        made.subject_template = subject
        made.subject_of = staticmethod(_subject_writer(subject))
        assert made.type_name not in EVENT_TYPES, f"event type {made.type_name} is declared twice"
        EVENT_TYPES[made.type_name] = made
        return made

    return declare


def _subject_writer(template: str) -> Callable[[Any], str]:
    """Compile a template once: subjects are written and checked for every message."""
    parts = list(Formatter().parse(template))
    fields = [name for _, name, _, _ in parts if name is not None]
    if not fields:
        return lambda _event: template
    if len(fields) == 1 and template.endswith("}"):
        prefix, read = parts[0][0], attrgetter(fields[0])
        return lambda event: prefix + _token(read(event))
    literals = [literal for literal, _, _, _ in parts]
    readers = [attrgetter(name) for name in fields]

    def write(event: object) -> str:
        words = [literal + _token(read(event)) for literal, read in zip(literals, readers, strict=False)]
        return "".join(words + literals[len(readers) :])

    return write


def _token(value: str | Enum) -> str:
    return str(value.value) if isinstance(value, Enum) else value


def subject_pattern(event_type: type[Event], **fixed: str) -> str:
    """Give the NATS pattern that holds every subject of `event_type`, with some placeholders fixed.

    >>> subject_pattern(Quote)
    'md.quote.*.*'
    >>> subject_pattern(Quote, instrument="binance.BTCUSDT")
    'md.quote.binance.BTCUSDT'
    """
    words = []
    for literal, name, _, _ in Formatter().parse(event_type.subject_template):
        words.append(literal)
        if name is not None:
            field = name.rpartition(".")[2]
            words.append(fixed.get(field, "*.*" if field == "instrument" else "*"))
    return "".join(words)
