"""A component's state at a position, as it is kept: typed JSON that names its version, and a check that it is whole."""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from tape.blueprint import Blueprint
from tape.component import Component

PART_BYTES = 512 * 1024
"""The most that is kept in one message; a larger snapshot has several parts."""


class UnusableSnapshot(ValueError):
    """It is damaged, or of other code: the state has to be made anew from the tape. The text says which."""


@dataclass(frozen=True)
class Snapshot:
    """`state` and `settings` are JSON; `shape` is a hash of the state's schema, so that no change goes unnoticed."""

    component: str
    version: int
    shape: str
    position: int
    settings: str
    state: bytes


class Head(BaseModel):
    """What is kept under a component's name: all about its snapshot, or where its parts are."""

    component: str
    version: int
    shape: str
    position: int
    settings: str
    sha256: str
    parts: tuple[str, ...]
    """The keys of the parts, in order."""
    check: str = ""
    """A hash of all the rest of the head: a damaged one must not pass for another position, or other settings."""

    def sealed(self) -> "Head":
        unsealed = self.model_copy(update={"check": ""})
        return self.model_copy(update={"check": hashlib.sha256(unsealed.model_dump_json().encode()).hexdigest()})


def take_snapshot(component: Component, settings: BaseModel, position: int) -> Snapshot:
    """Write down what `component` knows after the event at `position`."""
    adapter = _adapter(component.State)
    return Snapshot(
        component.name,
        component.state_version,
        _shape(component.State),
        position,
        settings.model_dump_json(),
        adapter.dump_json(component.state()),
    )


def state_of(blueprint: Blueprint, snapshot: Snapshot) -> tuple[BaseModel, Any]:
    """Give the settings and the state of a snapshot; raises `UnusableSnapshot`."""
    try:
        settings = blueprint.settings.model_validate_json(snapshot.settings)
    except ValidationError as error:
        raise UnusableSnapshot(f"its settings are of other code: {error.error_count()} are wrong") from None
    component = blueprint.build(settings)
    if component is None:
        raise UnusableSnapshot("under its settings no component ran")
    if snapshot.version != component.state_version:
        raise UnusableSnapshot(f"it is of version {snapshot.version}, this code has {component.state_version}")
    if snapshot.shape != _shape(component.State):
        raise UnusableSnapshot("its fields are not those of this code")
    try:
        return settings, _adapter(component.State).validate_json(snapshot.state)
    except ValidationError as error:
        raise UnusableSnapshot(f"its state cannot be read: {error.errors(include_url=False)[0]['msg']}") from None


def packed(snapshot: Snapshot, generation: int) -> tuple[bytes, Sequence[tuple[str, bytes]]]:
    """Write a snapshot as a head and its parts by key; generations take turns, so that a torn write spoils nothing."""
    body = zlib.compress(snapshot.state, 1)
    cut = [body[start : start + PART_BYTES] for start in range(0, len(body), PART_BYTES)]
    parts = [(f"{snapshot.component}.{generation % 2}-{number}", part) for number, part in enumerate(cut)]
    head = Head(
        component=snapshot.component,
        version=snapshot.version,
        shape=snapshot.shape,
        position=snapshot.position,
        settings=snapshot.settings,
        sha256=hashlib.sha256(body).hexdigest(),
        parts=tuple(key for key, _ in parts),
    )
    return head.sealed().model_dump_json().encode(), parts


def read_head(head: bytes) -> Head:
    """Read what is kept under a component's name; raises `UnusableSnapshot`."""
    try:
        found = Head.model_validate_json(head)
    except ValidationError:
        raise UnusableSnapshot("it is no snapshot") from None
    if found != found.sealed():
        raise UnusableSnapshot("its head is not as it was written")
    return found


def unpacked(head: Head, parts: Sequence[bytes]) -> Snapshot:
    """Put a snapshot together again; raises `UnusableSnapshot`."""
    body = b"".join(parts)
    if hashlib.sha256(body).hexdigest() != head.sha256:
        raise UnusableSnapshot("its parts are not the ones that were written together")
    state = zlib.decompress(body)
    return Snapshot(head.component, head.version, head.shape, head.position, head.settings, state)


_adapters: dict[type[Any], TypeAdapter[Any]] = {}
_shapes: dict[type[Any], str] = {}


def _adapter(state: type[Any]) -> TypeAdapter[Any]:
    if state not in _adapters:
        _adapters[state] = TypeAdapter(state)
    return _adapters[state]


def _shape(state: type[Any]) -> str:
    if state not in _shapes:
        schema = repr(_adapter(state).json_schema(mode="validation"))
        _shapes[state] = hashlib.sha256(schema.encode()).hexdigest()[:16]
    return _shapes[state]
