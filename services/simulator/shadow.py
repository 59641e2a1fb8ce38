"""What a component has to know at a position: a fold of the tape from its beginning, kept beside the simulation."""

from collections.abc import Sequence

from pydantic import BaseModel

from contracts.recorded import Recorded, Unreadable
from tape.blueprint import Blueprint
from tape.component import Component
from tape.folding import Folding
from tape.snapshot import Snapshot, take_snapshot


class Shadow:
    """Follows at its own pace: as far as somebody wants to know."""

    def __init__(self, blueprint: Blueprint, settings: BaseModel) -> None:
        self._begun = (blueprint, settings)
        self._folding = Folding(blueprint, settings)
        self._position = 0

    def at(self, position: int, history: Sequence[Recorded | Unreadable]) -> Snapshot:
        """Give what is known after that position of `history`."""
        if position < self._position:
            return Shadow(*self._begun).at(position, history)
        for received in history[self._position : position]:
            self._folding.answer(received)
        self._position = position
        return take_snapshot(self._folding.component, self._folding.settings, position)


class _NoSettings(BaseModel):
    """A state alone needs none."""


def state_of(component: Component) -> bytes:
    """Write down what a component knows."""
    return take_snapshot(component, _NoSettings(), 0).state
