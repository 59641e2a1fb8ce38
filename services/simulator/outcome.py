"""What became of a simulation."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """`seconds` are simulated ones; `counts` says how often what happened."""

    seed: int
    steps: int
    failed_at: int | None
    """The step that showed a problem."""
    problems: tuple[str, ...]
    last: tuple[str, ...]
    """The last things that happened."""
    events: int
    orders: int
    seconds: float
    counts: Mapping[str, int]
    digest: str
    """A hash of the tape and of all that happened."""
