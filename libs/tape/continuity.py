"""After a power cut or a lost store: positions go on behind the last one that anybody has seen, and none is used twice.

TAPE is synced once a second, LEDGER and the event store with every write: what is left of the tape's end is with them.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from nats.aio.client import Client

from tape.streams import (
    API_TIMEOUT_S,
    LEDGER,
    TAPE,
    ProvisionRefused,
    Stored,
    ask,
    first_from,
    joined,
    last_of_each,
    last_on,
    stored_from,
)

EVENT_STORE = "the event store"
SNAPSHOTS = "KV_snapshots"
BATCH = 1_000
LEDGER_STANDS_STILL_AFTER_S = 5.0


class Store(Protocol):
    """The permanent copy of the tape, as far as it matters here."""

    def position(self) -> int:
        """Give the last position that was archived; 0 if none."""

    def keep(self, messages: Sequence[Stored]) -> None:
        """Archive messages behind `position()`, in order, all or none."""

    def note_loss(self, position: int, why: str) -> None:
        """Archive that nothing is known of what was behind `position()`, up to this position."""


@dataclass(frozen=True)
class Ends:
    """Where the tape ends (None: there is none), and the last position of it that others hold."""

    tape: int | None
    seen: Mapping[str, int]

    @property
    def last(self) -> int:
        return max(self.tape or 0, *self.seen.values())

    @property
    def furthest(self) -> str:
        return max(self.seen, key=lambda holder: self.seen[holder])

    @property
    def cut_off(self) -> bool:
        return (self.tape or 0) < self.last


async def ends(nc: Client, archived: int) -> Ends:
    """Look where the tape ends; its followers are asked first, so that a running system is never taken for broken."""
    seen = {LEDGER: await _last_of_ledger(nc), EVENT_STORE: archived, **await _snapshots(nc)}
    info = await ask(nc, TAPE, f"STREAM.INFO.{TAPE}")
    return Ends(None if info is None else info["state"]["last_seq"], seen)


async def rescue(nc: Client, store: Store) -> list[str]:
    """Where the tape's end is gone, archive what is left of it and take the rest away; tells what was found and done.

    Provisioning then makes TAPE anew behind the last position that was seen. Killed at any point and run again it comes
    to the same: nothing is taken away before it is archived, and where to go on is known from those who saw it.
    """
    await joined(nc)
    found = await ends(nc, store.position())
    if not found.cut_off:
        return []
    notes = [] if found.tape is None else await _let_ledger_copy(nc)
    kept = await _archive(nc, store, from_tape=found.tape is not None)
    await _drop_snapshots(nc, max(found.tape or 0, kept.behind))
    said = _in_words(found, kept)
    if store.position() < found.last:  # whoever reads the past waits until the archive has all of it
        await asyncio.to_thread(store.note_loss, found.last, said)
    if found.tape is not None:
        await ask(nc, TAPE, f"STREAM.DELETE.{TAPE}")
    return [*notes, said]


async def _last_of_ledger(nc: Client) -> int:
    info = await ask(nc, LEDGER, f"STREAM.INFO.{LEDGER}")
    if info is None or not info["state"]["messages"]:
        return 0
    last = await first_from(nc, LEDGER, info["state"]["last_seq"])
    return last.position if last else 0


async def _snapshots(nc: Client) -> dict[str, int]:
    """Give the position of each component's snapshot: like the tape's end they may have been on disk by chance."""
    if await ask(nc, SNAPSHOTS, f"STREAM.INFO.{SNAPSHOTS}") is None:
        return {}
    heads = await last_of_each(nc, SNAPSHOTS, "$KV.snapshots.*")
    positions = {f"the snapshot of {head.subject.rpartition('.')[2]}": _position_in(head.payload) for head in heads}
    return {holder: position for holder, position in positions.items() if position}


async def _drop_snapshots(nc: Client, whole_until: int) -> None:
    """Delete the snapshots that know inputs which are gone: what is made anew knows what is on record, and no more."""
    if await ask(nc, SNAPSHOTS, f"STREAM.INFO.{SNAPSHOTS}") is None:
        return
    for head in await last_of_each(nc, SNAPSHOTS, "$KV.snapshots.*"):
        if _position_in(head.payload) > whole_until:
            await nc.jetstream(timeout=API_TIMEOUT_S).publish(head.subject, b"", headers={"KV-Operation": "DEL"})


def _position_in(head: bytes) -> int:
    """Read the position in whatever form of head, also one that this code would not restore from."""
    try:
        document = json.loads(head)
    except ValueError:
        return 0
    position = document.get("position") if isinstance(document, dict) else None
    return position if isinstance(position, int) else 0


# -- archiving what is left -------------------------------------------------------------------------------------------


@dataclass
class _Kept:
    """What was archived, by where it was found, and where the archive had been."""

    behind: int
    from_tape: int = 0
    from_ledger: int = 0


async def _archive(nc: Client, store: Store, *, from_tape: bool) -> _Kept:
    """Archive what TAPE and LEDGER hold behind the archive's position."""
    kept = _Kept(behind=store.position())
    batch: list[Stored] = []
    async with aclosing(_left_behind(nc, kept, from_tape=from_tape)) as messages:
        async for message in messages:
            batch.append(message)
            if len(batch) == BATCH:
                await asyncio.to_thread(store.keep, batch)
                batch = []
    if batch:
        await asyncio.to_thread(store.keep, batch)
    return kept


async def _left_behind(nc: Client, kept: _Kept, *, from_tape: bool) -> AsyncGenerator[Stored, None]:
    """Merge both by position; what both hold is the same message."""
    start = kept.behind + 1
    async with (
        aclosing(stored_from(nc, TAPE, start) if from_tape else _nothing()) as on_tape,
        aclosing(_ledger_from(nc, start)) as in_ledger,
    ):
        one, other = await anext(on_tape, None), await anext(in_ledger, None)
        while one is not None or other is not None:
            if one is not None and (other is None or one.position <= other.position):
                if other is not None and other.position == one.position:
                    _require_same(one, other)
                    other = await anext(in_ledger, None)
                kept.from_tape += 1
                yield one
                one = await anext(on_tape, None)
            elif other is not None:
                kept.from_ledger += 1
                yield other
                other = await anext(in_ledger, None)


async def _nothing() -> AsyncGenerator[Stored, None]:
    return
    yield


async def _ledger_from(nc: Client, position: int) -> AsyncGenerator[Stored, None]:
    """Give what LEDGER holds from this position of the tape on: its own numbers are others, in the same order."""
    info = await ask(nc, LEDGER, f"STREAM.INFO.{LEDGER}")
    if info is None or not info["state"]["messages"]:
        return
    low, high = info["state"]["first_seq"], info["state"]["last_seq"] + 1
    while low < high:
        middle = (low + high) // 2
        found = await first_from(nc, LEDGER, middle)
        if found is None or found.position >= position:
            high = middle
        else:
            low = found.sequence + 1
    async with aclosing(stored_from(nc, LEDGER, low)) as messages:
        async for message in messages:
            yield message


def _require_same(one: Stored, other: Stored) -> None:
    if (one.subject, one.payload) != (other.subject, other.payload):
        raise ProvisionRefused(
            f"position {one.position} is {one.subject} on {TAPE} and {other.subject} in {LEDGER}: these are not of one "
            f"tape. Nothing was changed. Keep both stores, and start with the one that belongs to this event store"
        )


async def _let_ledger_copy(nc: Client) -> list[str]:
    """Wait until LEDGER has copied what this tape still holds for it: nobody could copy it later."""
    consumer = await ask(nc, TAPE, f"CONSUMER.INFO.{TAPE}.{LEDGER}")
    if consumer is None:
        return []
    last = 0
    for pattern in consumer["config"]["filter_subjects"]:
        found = await last_on(nc, TAPE, pattern)
        last = max(last, found.position if found else 0)
    reached, moved = await _last_of_ledger(nc), time.monotonic()
    while reached < last:
        if time.monotonic() - moved > LEDGER_STANDS_STILL_AFTER_S:
            return [
                f"{LEDGER} has not copied positions {reached + 1:,} to {last:,} of {TAPE}: the event store has them"
            ]
        await asyncio.sleep(0.05)
        before, reached = reached, await _last_of_ledger(nc)
        if reached > before:
            moved = time.monotonic()
    return []


def _in_words(found: Ends, kept: _Kept) -> str:
    lost_from = max(found.tape or 0, kept.behind) + 1
    if lost_from > found.last:
        lost = "the event store has what is left of it"
    else:
        lost = f"positions {lost_from:,} to {found.last:,} are lost, but for {kept.from_ledger:,} events of {LEDGER}"
    return (
        f"{TAPE} {'was gone' if found.tape is None else f'ended at {found.tape:,}'} but {found.furthest} holds "
        f"{found.last:,}: {lost}; {kept.from_tape + kept.from_ledger:,} events were archived from {TAPE} and {LEDGER}; "
        f"{TAPE} continues at {found.last + 1:,}"
    )
