"""Write the tape into the event store: the archive edge.

Reading goes on while a batch is being written. What was written is known to the database alone, so nothing has to be
acknowledged: after any failure the archive asks the database where it was, and reads the tape again from there.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable
from itertools import islice

import psycopg
from prometheus_client import Counter, Histogram
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.recorded import Recorded, Unreadable
from eventstore.archive import Archive
from eventstore.retention import apply_retention
from services.archive.room import RoomWatch
from services.archive.settings import ArchiveSettings
from tape.host import HostState
from tape.reader import Reader
from tape.seat import Seat
from tape.service import serve_edge
from tape.settings import load
from tape.tasks import end
from tape.wire import Wire

logger = logging.getLogger(__name__)

ROWS = Counter("archive_events_total", "Events written to the event store")
BATCH_SECONDS = Histogram("archive_batch_seconds", "Time to write one batch", buckets=(0.005, 0.02, 0.1, 0.5, 2, 10))
RETRY_AFTER_S = 0.5
TIDY_EVERY_S = 3600.0
LEAVE_WITHIN_S = 2.0


class DatabaseSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="HMM_", frozen=True)

    database_url: str = Field(description="the event store")


class StoreWentBack(RuntimeError):
    """The event store has forgotten what it had confirmed (a backup was restored): it has to be read in again."""


class ArchiveEdge:
    """Gathers what the reader brings and writes it batch by batch."""

    def __init__(self, settings: ArchiveSettings, database_url: str) -> None:
        self.settings = settings
        self.state = HostState.STARTING
        self.position = 0
        self._database_url = database_url
        self._waiting: deque[Recorded | Unreadable] = deque()
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._reader: Reader | None = None
        self._wire: Wire | None = None
        self._seat: Seat | None = None
        self._archive: Archive | None = None
        self._work: list[asyncio.Task[None]] = []
        self._stopping = False

    @property
    def lag(self) -> int:
        return (self._reader.lag if self._reader else 0) + len(self._waiting)

    @property
    def handled(self) -> int:
        return self._reader.handled if self._reader else 0

    @property
    def detail(self) -> str:
        return f"{len(self._waiting)} waiting to be written"

    async def start(self, wire: Wire) -> None:
        self._wire = wire
        self._seat = Seat(wire, "archive", self.settings.model_dump_json())
        await self._seat.start()
        self.state = HostState.STANDBY

    async def run(self) -> None:
        assert self._seat is not None and self._wire is not None
        await self._seat.take()
        self._archive = await asyncio.to_thread(Archive, self._database_url)
        self.position = self._archive.position()
        self._reader = Reader(self._wire, "archive", self.position + 1, self._gather, self._seat.lease.renew)
        await self._reader.start()
        self.state = HostState.LIVE
        watch = RoomWatch(self._wire.nc, self._seat.publisher, self.settings, lambda: self.position)
        await self._seat.while_held(self._keep_writing(self._reader, watch))

    async def _keep_writing(self, reader: Reader, watch: RoomWatch) -> None:
        works = (self._write_for_ever(), self._tidy_for_ever(), watch.run())
        self._work = [asyncio.create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait({*self._work, reader.failure}, return_when=asyncio.FIRST_COMPLETED)
            self.state = HostState.FAILED
            for task in done:
                task.result()
        finally:
            await end(self._work[1:])

    async def stop(self) -> None:
        """Write what others have said before they left, then leave."""
        if self._reader is not None:
            await self._read_to_the_end(self._reader)
            await self._reader.stop()
        self._stopping = True
        self._arrived.set()
        await end(self._work[1:])
        try:
            await asyncio.gather(*self._work, return_exceptions=True)
        finally:
            if self._archive is not None:
                self._archive.close()
            if self._seat is not None:
                await self._seat.leave()

    async def _read_to_the_end(self, reader: Reader) -> None:
        """Take what is still on its way, but not for ever: who deletes the tape next shall find it archived."""
        until = time.monotonic() + LEAVE_WITHIN_S
        while reader.lag and not reader.failure.done() and time.monotonic() < until:  # noqa: ASYNC110 # it ends soon
            await asyncio.sleep(0.02)

    def _gather(self, received: Recorded | Unreadable, _trace: str) -> Awaitable[None] | None:
        self._waiting.append(received)
        self._arrived.set()
        return self._make_room() if len(self._waiting) >= 2 * self.settings.batch else None

    async def _make_room(self) -> None:
        while len(self._waiting) >= 2 * self.settings.batch:
            self._taken.clear()
            await self._taken.wait()

    async def _write_for_ever(self) -> None:
        while not (self._stopping and not self._waiting):
            self._arrived.clear()
            if not self._waiting:
                await self._arrived.wait()
            if len(self._waiting) < self.settings.batch and not self._stopping:
                await asyncio.sleep(self.settings.linger_ms / 1000)
            await self._write(list(islice(self._waiting, self.settings.batch)))

    async def _write(self, batch: list[Recorded | Unreadable]) -> None:
        """Write a batch, whatever the database does meanwhile; it stays waiting until it is written."""
        if not batch:
            return
        try:
            assert self._archive is not None
            with BATCH_SECONDS.time():
                await asyncio.to_thread(self._archive.write, batch)
        except psycopg.OperationalError as error:
            logger.warning("the event store is away (%s): trying again", str(error).strip().splitlines()[0])
            await asyncio.sleep(RETRY_AFTER_S)
            await self._reopen()
            return
        self._forget(batch[-1].position)

    async def _reopen(self) -> None:
        """Ask the database anew where it stands: the batch whose outcome was not heard may be there or not."""
        try:
            if self._archive is not None:
                self._archive.close()
            self._archive = await asyncio.to_thread(Archive, self._database_url)
        except psycopg.OperationalError:
            return
        found = self._archive.position()
        if found < self.position:
            raise StoreWentBack(f"the event store had confirmed position {self.position} and is back at {found}")
        self._forget(found)

    async def _tidy_for_ever(self) -> None:
        while True:
            try:
                dropped = await asyncio.to_thread(self._tidy)
                logger.info("retention: %s old chunks of market data dropped", dropped)
            except psycopg.OperationalError as error:
                logger.warning("retention has to wait: %s", str(error).strip().splitlines()[0])
            await asyncio.sleep(TIDY_EVERY_S)

    def _tidy(self) -> int:
        with psycopg.connect(self._database_url, autocommit=True) as connection:
            return apply_retention(connection, self.settings.keep_market_data)

    def _forget(self, position: int) -> None:
        while self._waiting and self._waiting[0].position <= position:
            self._waiting.popleft()
            ROWS.inc()
        self.position = max(self.position, position)
        self._taken.set()


if __name__ == "__main__":
    serve_edge("archive", ArchiveEdge(load(ArchiveSettings, "archive"), DatabaseSettings().database_url))
