"""`hmm replay`: let a stretch of the record be heard again, under subjects of its own and never on the tape."""

import asyncio
import math
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache

from nats.aio.client import Client
from nats.errors import Error as NatsError

from contracts.event import EVENT_TYPES, subject_pattern
from contracts.ownership import matches, overlapping
from services.cli.errors import fail, misused
from services.cli.output import number
from services.cli.progress import Reached, progress
from services.cli.record import Original, Record, Source, chosen_span, opened, source_named
from services.cli.settings import current
from services.cli.tape import connect
from services.feed.pace import ClockPace
from tape.provision import declarations
from tape.wire import Wire

POSITION = "Hmm-Position"
AT_ONCE = 2_000
"""Messages handed to the client before it is waited for."""

_WORDS = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_PATTERN = re.compile(r"(([^\s.*>]+|\*)\.)*([^\s.*>]+|\*|>)")


@dataclass
class Replayed:
    """How far a replay has come; it can be stopped at any moment."""

    messages: int = 0
    position: int = 0
    began: float = 0.0

    def __str__(self) -> str:
        seconds = time.monotonic() - self.began if self.began else 0.0
        rate = self.messages / seconds if seconds else 0.0
        return f"{number(self.messages)} messages in {seconds:.2f} s ({rate:,.0f}/s)"


def replay(start: int | None, stop: int | None, speed: str, prefix: str, pattern: str, source: str) -> None:
    """Say what was recorded from `start` to `stop` again, under `prefix`, as fast as it happened or `speed` times."""
    times_faster = _times_faster(speed)
    _require_own_subjects(prefix)
    if not _PATTERN.fullmatch(pattern):
        misused(f"--subject {pattern}: not a NATS pattern", "use for instance 'order.>'")
    replayed = Replayed()
    pace = None if times_faster is None else ClockPace(times_faster)
    try:
        asyncio.run(_replay(start, stop, prefix, pattern, source_named(source), pace, replayed))
    except KeyboardInterrupt:
        print(f"stopped behind position {replayed.position:,}: {replayed}")
        return
    print(f"replayed up to position {replayed.position:,}: {replayed}")


def listeners(prefix: str, streams: Mapping[str, Iterable[str]]) -> list[str]:
    """Name the streams that would take what is said under `prefix`, each with the subject that it listens on."""
    return [
        f"stream {stream} listens on {subject}"
        for stream, subjects in streams.items()
        for subject in subjects
        if overlapping([f"{prefix}.>", subject])
    ]


def _times_faster(speed: str) -> float | None:
    """Read a speed; None is as fast as it goes."""
    if speed == "max":
        return None
    try:
        factor = float(speed)
    except ValueError:
        factor = math.nan
    if not (math.isfinite(factor) and factor > 0):
        misused(f"--speed {speed}: not a speed", "use 1, another number greater than 0, or max")
    return factor


def _require_own_subjects(prefix: str) -> None:
    remedy = "use for instance replay"
    if prefix.startswith("$"):
        misused(f"--to-subject-prefix {prefix}: what begins with $ is the server's own", remedy)
    if not _WORDS.fullmatch(prefix):
        misused(f"--to-subject-prefix {prefix}: not words of A-Z a-z 0-9 _ - with dots between", remedy)
    if prefix.startswith("_"):
        misused(f"--to-subject-prefix {prefix}: what begins with _ carries answers to requests", remedy)
    if prefix.partition(".")[0] == "deliver":
        misused(f"--to-subject-prefix {prefix}: there the components hear the tape", remedy)


async def _replay(
    start: int | None,
    stop: int | None,
    prefix: str,
    pattern: str,
    source: Source,
    pace: ClockPace | None,
    replayed: Replayed,
) -> None:
    stack = current()
    nc = await connect(stack)
    try:
        if taken := listeners(prefix, await _streams(nc)):
            misused(f"--to-subject-prefix {prefix}: {'; '.join(taken)}", "use for instance replay")
        async with opened(source, stack) as record:
            first, last = chosen_span(await record.extent(), start, stop, source)
            with progress(first, last) as reached:
                await _say_all(record, first, last, Speaker(nc, prefix, pattern, pace, replayed), reached)
    except NatsError as error:
        fail(f"the NATS server went away: {str(error) or type(error).__name__}")
    finally:
        await nc.close()


async def _streams(nc: Client) -> dict[str, set[str]]:
    """Give the subjects of every stream, of those that are to be as well as of those that are."""
    streams = {name: set(config.get("subjects") or ()) for name, config in declarations().items()}
    for info in await nc.jetstream(timeout=10).streams_info_iterator():
        streams.setdefault(info.config.name or "", set()).update(info.config.subjects or ())
    return streams


async def _say_all(record: Record, first: int, last: int, speaker: "Speaker", reached: Reached) -> None:
    types = [
        event_type for event_type in EVENT_TYPES.values() if overlapping([subject_pattern(event_type), speaker.pattern])
    ]
    async with aclosing(record.originals(first, last, types)) as batches:
        async for batch in batches:
            for at in range(0, len(batch), AT_ONCE):
                await speaker.say(batch[at : at + AT_ONCE])
                reached(speaker.replayed.position, speaker.replayed.messages)
    speaker.replayed.position = last


class Speaker:
    """Puts messages under a prefix and sends them in time; no stream takes them."""

    def __init__(self, nc: Client, prefix: str, pattern: str, pace: ClockPace | None, replayed: Replayed) -> None:
        self.pattern = pattern
        self.replayed = replayed
        self._nc = nc
        self._wire = Wire(nc)
        self._prefix = prefix
        self._pace = pace
        self._is_meant = lru_cache(maxsize=4096)(lambda subject: matches(subject, pattern))

    async def say(self, originals: Iterable[Original]) -> None:
        self.replayed.began = self.replayed.began or time.monotonic()
        for original in originals:
            if self._is_meant(original.subject):
                if self._pace is not None and original.ts_init:
                    await self._pace.wait(original.ts_init)
                headers = {POSITION: str(original.position), **original.headers}
                self._wire.send(f"{self._prefix}.{original.subject}", "", headers, original.payload)
                self.replayed.messages += 1
            self.replayed.position = original.position
        await self._nc.flush()
        if self._nc.last_error is not None:
            fail(f"the NATS server refused it: {self._nc.last_error}")
