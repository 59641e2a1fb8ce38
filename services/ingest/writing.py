"""Write chunks for the length of a command: one at a time under a name, knowing what there is."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from nats.aio.client import Client
from nats.js.errors import NotFoundError
from pydantic import ValidationError

from contracts.codec import Undecodable, decode
from contracts.data import DataChunk
from contracts.event import subject_pattern
from contracts.recorded import Recorded
from eventstore.chunkledger import ChunkLedger
from services.ingest.gathering import Piece
from services.ingest.keeping import Keeper
from tape.headers import TYPE
from tape.history import History, HistoryMissing
from tape.lease import EXPIRES_AFTER_S, LOOK_AGAIN_AFTER_S, Hold, Lease
from tape.lookup import age_s
from tape.seat import Seat
from tape.streams import TAPE, ask, stored_from
from tape.wire import Wire

CHUNKS = subject_pattern(DataChunk)
PATIENCE_S = 20.0


class Busy(RuntimeError):
    """Another instance writes under that name at present; the text names it."""


@dataclass
class Known:
    """The ledger of chunks, as far as the tape was read; a command asks for the rest when it needs it."""

    nc: Client
    ledger: ChunkLedger = field(default_factory=ChunkLedger)
    _read: int = 0

    async def refresh(self, history: History | None = None) -> None:
        """Read what was told since; `history` is needed for what the tape no longer holds. Raises `HistoryMissing`."""
        if not self._read:
            self._read = await self._read_what_the_tape_lost(history)
        async for stored in stored_from(self.nc, TAPE, self._read + 1, CHUNKS):
            self._read = stored.sequence
            try:
                event = decode(stored.headers.get(TYPE, ""), stored.subject, stored.payload)
            except Undecodable:
                continue  # every reader passes over it
            if isinstance(event, DataChunk):
                self.ledger.hear(event)

    async def _read_what_the_tape_lost(self, history: History | None) -> int:
        info = await ask(self.nc, TAPE, f"STREAM.INFO.{TAPE}")
        if info is None:
            raise HistoryMissing(f"there is no {TAPE}: hmm provision makes it")
        lost = int(info["state"]["first_seq"]) - 1
        if lost <= 0:
            return 0
        if history is None or history.last() < lost:
            raise HistoryMissing(f"{TAPE} begins at position {lost + 1}, and the event store does not reach so far")
        for received in history.read(1, lost, (DataChunk,)):
            if isinstance(received, Recorded) and isinstance(received.event, DataChunk):
                self.ledger.hear(received.event)
        return lost


@dataclass
class Writing:
    """What a command writes with."""

    keeper: Keeper
    known: Known

    async def keep(self, piece: Piece, source: str) -> int:
        """Keep what of a piece no chunk covers at this moment; gives the number of its bars."""
        await self.known.refresh()
        return await self.keeper.keep_uncovered(piece, source, self.known.ledger)


async def _taken(lease: Lease) -> bool:
    """Try, and wait as long as one who was killed still counts as alive: whoever lives renews the lease meanwhile."""
    if await lease.try_take():
        return True
    await asyncio.sleep(EXPIRES_AFTER_S + LOOK_AGAIN_AFTER_S)
    return await lease.try_take()


async def write(
    nc: Client, by: str, settings: str, history: History | None, work: Callable[[Writing], Awaitable[None]]
) -> None:
    """Do `work` as the one writer of the name `by`. Raises `Busy` if there is one, and whatever ends the work."""
    wire = Wire(nc)
    seat = Seat(wire, by, settings)
    if not await _taken(seat.lease):
        raise Busy(await holder(nc, by) or "another one")
    await seat.start()
    try:
        await seat.hold()
        known = Known(nc)
        await known.refresh(history)
        writing = Writing(Keeper(wire, seat.publisher, by, PATIENCE_S), known)

        async def working() -> None:
            await work(writing)

        await seat.while_held(working())
    finally:
        await seat.leave()


async def holder(nc: Client, name: str) -> str | None:
    """Name who holds the lease of `name` at present; None if nobody does."""
    try:
        found = await nc.jetstream(timeout=5).get_last_msg("KV_leases", f"$KV.leases.{name}", direct=True)
        hold = Hold.model_validate_json(found.data or b"")
    except (NotFoundError, ValidationError):
        return None
    return hold.instance if age_s(found.headers or {}) < EXPIRES_AFTER_S else None
