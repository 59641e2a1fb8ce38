"""Follow an event back to what caused it, and that to what caused it, up to the outside fact it all began with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

MOST_STEPS = 64
"""A chain longer than any the system makes: something is wrong with it."""


@dataclass(frozen=True)
class Step:
    """An event in a chain of causes."""

    position: int
    subject: str
    cause: int | None


Lookup = Callable[[int], Awaitable[Step | None]]


async def causes(cause: int | None, look_up: Lookup) -> list[Step]:
    """List the chain from `cause` back to the event that nothing on the tape caused."""
    chain: list[Step] = []
    while cause is not None and len(chain) < MOST_STEPS:
        step = await look_up(cause)
        if step is None:
            break
        chain.append(step)
        cause = step.cause
    return chain
