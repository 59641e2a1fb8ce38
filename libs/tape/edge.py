"""The base of an edge that reads: in silence up to its own `LeaseTaken`, and at work from there on."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable

from pydantic import BaseModel

from contracts.recorded import Recorded, Unreadable
from tape.headers import Fence
from tape.history import History, HistoryMissing
from tape.host import HostState
from tape.reader import Reader
from tape.seat import Seat
from tape.wire import Wire

logger = logging.getLogger(__name__)

TRY_AGAIN_AFTER_S = 1.0


class ReadingEdge(ABC):
    """One instance. What it does while it has its place is `_serve`; what it reads goes to `_handle`."""

    def __init__(self, name: str, settings: BaseModel, history: History | None) -> None:
        self.name = name
        self.state = HostState.STARTING
        self._said_settings = settings.model_dump_json()
        self._history = history
        self._wire: Wire | None = None
        self._seat: Seat | None = None
        self._reader: Reader | None = None
        self._leads_from = 0
        """The position of our own first `LeaseTaken`; 0: we have not taken our place yet."""

    @abstractmethod
    async def _serve(self) -> None:
        """Work for ever; raises what ends it."""

    @abstractmethod
    def _handle(self, received: Recorded | Unreadable, trace: str) -> Awaitable[None] | None:
        """Take what stands next on the tape."""

    @property
    def position(self) -> int:
        return self._reader.position if self._reader else 0

    @property
    def lag(self) -> int:
        return self._reader.lag if self._reader else 0

    @property
    def handled(self) -> int:
        return self._reader.handled if self._reader else 0

    async def start(self, wire: Wire) -> None:
        self._wire = wire
        self._seat = Seat(wire, self.name, self._said_settings, on_fence=self._fenced)
        await self._seat.start()
        self.state = HostState.STANDBY

    async def run(self) -> None:
        assert self._seat is not None
        await self._seat.take()
        await self._seat.while_held(self._serve())

    async def stop(self) -> None:
        if self._reader is not None:
            await self._reader.stop()
        if self._seat is not None:
            await self._seat.leave()

    async def _read_from(self, position: int, *, anchored: bool = False) -> Reader:
        """Begin to read; `anchored` as the reader has it."""
        assert self._wire is not None and self._seat is not None
        renew = self._seat.lease.renew
        self._reader = Reader(self._wire, self.name, position, self._handle, renew, anchored=anchored)
        await self._reader.start()
        return self._reader

    async def _reading(self) -> None:
        """Raise what ends the reading."""
        assert self._reader is not None
        await asyncio.shield(self._reader.failure)

    async def _archived(self, lost: int, missing: str) -> tuple[History, int]:
        """Wait until the event store holds the positions up to `lost`; gives it, and up to where it goes.

        Raises `HistoryMissing`, which says `missing`, where there is none.
        """
        if self._history is None:
            raise HistoryMissing(missing)
        while (kept := await asyncio.to_thread(self._history.last)) < lost:
            logger.warning("%s waits for the archive: it has %s of %s positions", self.name, kept, lost)
            await asyncio.sleep(TRY_AGAIN_AFTER_S)
        return self._history, kept

    def _fenced(self, fence: Fence) -> None:
        """Know from which position on we write."""
        self._leads_from = self._leads_from or fence.position
