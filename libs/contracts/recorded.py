"""An event with its place on the tape."""

from dataclasses import dataclass

from contracts.event import Event


@dataclass(slots=True)
class Recorded:
    """What a reader of the tape gets.

    `position` is the only order there is; `cause` is the position of the event that was being handled when this one was
    produced (None: it came from outside); `msg_id` is `writer/cause/index` or an edge's own id; `ts_recorded` is when
    its writer published it (wall clock, ns), for measuring only: no decision may depend on it.
    """

    position: int
    cause: int | None
    msg_id: str
    ts_recorded: int
    event: Event


@dataclass(slots=True)
class Unreadable:
    """A message on the tape that is no event: kept as it is, with the reason."""

    position: int
    subject: str
    headers: dict[str, str]
    payload: bytes
    reason: str
