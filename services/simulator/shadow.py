"""What a component has to know at a position: a fold of the tape from its beginning, kept beside the simulation."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from contracts.control import LeaseTaken
from contracts.recorded import Recorded, Unreadable
from tape.blueprint import Blueprint
from tape.component import Component
from tape.folding import Folding
from tape.snapshot import take_snapshot


@dataclass(frozen=True, slots=True)
class Known:
    """What follows from the tape up to a position: what is known there, and the last that has to be said by then."""

    state: bytes
    settings: str
    answered: tuple[int, int]
    """Cause and number of the last answer; (0, 0) if there is none."""


class Shadow:
    """Follows at its own pace: as far as somebody wants to know."""

    def __init__(self, blueprint: Blueprint, settings: BaseModel) -> None:
        self._begun = (blueprint, settings)
        self._folding = Folding(blueprint, settings)
        self._position = 0
        self._has_a_voice = False
        self._answered = (0, 0)

    def at(self, position: int, history: Sequence[Recorded | Unreadable]) -> Known:
        """Give what is known after that position of `history`."""
        if position < self._position:
            return Shadow(*self._begun).at(position, history)
        for received in history[self._position : position]:
            answers = self._folding.answer(received)
            if answers and self._has_a_voice:
                self._answered = (received.position, len(answers) - 1)
            elif isinstance(received, Recorded) and isinstance(received.event, LeaseTaken):
                self._has_a_voice |= received.event.component == self._folding.name
        self._position = position
        return Known(state_of(self._folding.component), self._folding.settings.model_dump_json(), self._answered)


class _NoSettings(BaseModel):
    """A state alone needs none."""


def state_of(component: Component) -> bytes:
    """Write down what a component knows."""
    return take_snapshot(component, _NoSettings(), 0).state
