"""The laws of who writes: places, causes, numbers and leases."""

from dataclasses import dataclass

from contracts.control import LeaseTaken
from contracts.laws.law import Found, Law
from contracts.recorded import Recorded

RUNS_KEPT = 1_000
"""Runs of edges that are remembered, for those that go on after another."""


@dataclass(slots=True)
class _Writer:
    """How far a writer got, and since when (wall clock, ns) who speaks now has the lease."""

    cause: int = 0
    index: int = -1
    leased_ns: int = 0
    instance: str | None = None


class Writers:
    """Each writer's order. The id of an answer names its writer, its cause and its number among their answers."""

    def __init__(self) -> None:
        self._writers: dict[str, _Writer] = {}
        self._runs: dict[str, int] = {}

    def look(self, recorded: Recorded) -> Found:
        name, _, rest = recorded.msg_id.partition("/")
        writer = self._writers.get(name)
        if isinstance(recorded.event, LeaseTaken):
            writer = self._writers.setdefault(name, _Writer())
            if writer.instance != recorded.event.instance:  # else it is renewed, and what waited for that is older
                writer.leased_ns, writer.instance = recorded.ts_recorded, recorded.event.instance
            return
        if writer is not None and recorded.ts_recorded < writer.leased_ns:
            yield Law.LEASE, f"{recorded.msg_id} was written before {writer.instance} took the lease"
        if recorded.cause is None:
            yield from self._look_at_number(recorded.msg_id)
        elif writer is None:
            yield Law.LEASE, f"{recorded.msg_id} was said before anybody took the lease of {name}"
        else:
            yield from _look_at_answer(recorded, recorded.cause, rest, writer)

    def _look_at_number(self, msg_id: str) -> Found:
        run, _, text = msg_id.rpartition("/")
        number = _number(text)
        if number is None or run.count("/") != 1:
            return
        last = self._runs.pop(run, -1)
        if number != last + 1:
            yield Law.NUMBERS, f"{msg_id} comes after number {last}"
        self._runs[run] = max(last, number)
        if len(self._runs) > RUNS_KEPT:
            del self._runs[next(iter(self._runs))]


def _look_at_answer(recorded: Recorded, cause: int, rest: str, writer: _Writer) -> Found:
    named, _, text = rest.partition("/")
    index = _number(text)
    if index is None or named != str(cause):
        yield Law.ONCE, f"{recorded.msg_id} does not name the cause {cause}"
        return
    if cause >= recorded.position:
        yield Law.PLACES, f"{recorded.msg_id} comes before its cause"
    expected = writer.index + 1 if cause == writer.cause else 0
    if cause < writer.cause or index < expected:
        yield Law.ONCE, f"{recorded.msg_id} comes again, or too late: {writer.cause}/{writer.index} was said before"
    elif index > expected:
        yield Law.ONCE, f"{recorded.msg_id} comes without the one before it"
    writer.cause, writer.index = max((writer.cause, writer.index), (cause, index))


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
