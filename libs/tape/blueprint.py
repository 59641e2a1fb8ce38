"""What a host needs to make a component: its name, its settings, and how it is built from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from contracts.control import LeaseTaken
from contracts.event import Event
from contracts.ownership import Role
from tape.component import Component

Observer = Callable[[Event, float | None], None]
"""Hears each event that a component says live, and how long ago (ms) the outside fact behind it came onto the tape."""

Observers = Mapping[type[Event], Observer]


@dataclass(frozen=True)
class Blueprint:
    """A component in the making. `build` gives None for settings under which no component runs (a wall clock)."""

    name: str
    settings: type[BaseModel]
    build: Callable[[Any], Component | None]
    observe: Callable[[], Observers] = dict
    role: Role | None = None
    """Of a component that is not in the table of roles."""

    def settings_of(self, lease: LeaseTaken | None, otherwise: BaseModel) -> BaseModel:
        """Read the settings that a lease put into force; `otherwise` where there is none, or other code wrote it."""
        try:
            return otherwise if lease is None else self.settings.model_validate_json(lease.settings)
        except ValidationError:
            return otherwise
