"""What one address of the exchange takes: who may ask, what it weighs, who answers."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, unique

from venues.emulator.params import Params
from venues.emulator.words import Board

Handler = Callable[[Params], object]
"""Gives what is rendered as JSON, or raises a refusal."""


@unique
class Security(Enum):
    """What a request must bring."""

    NONE = "nothing"
    KEY = "the API key"
    SIGNED = "the API key, a timestamp and a signature"


@dataclass(frozen=True, slots=True)
class Endpoint:
    board: Board
    handler: Handler
    weight: int = 1
    weight_of_all: int = 0
    security: Security = Security.NONE
    is_order: bool = False

    def weighs(self, params: Params) -> int:
        """Weigh a request: some weigh more when they do not name a symbol."""
        return self.weight_of_all if self.weight_of_all and not params.has("symbol") else self.weight


Endpoints = dict[tuple[str, str], Endpoint]
"""By method and path."""
