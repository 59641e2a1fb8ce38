"""The gateway to real venues: an edge. It acts only on commands that are on disk, and survives its own death.

Everything it knows it has from the tape: after a crash it reads its commands and its own reports again, compares what
they say with what the venues say, and goes on. See docs/live.md.
"""

import asyncio
import logging
from collections.abc import Awaitable

from contracts.event import Event
from contracts.market import Funding
from contracts.ownership import VENUE_ACCOUNT, VENUE_COMMANDS, VENUE_REPORTS
from contracts.recorded import Recorded, Unreadable
from contracts.types import venue_of
from contracts.venue import AmendOrder, CancelOrder, InstrumentStatus, QueryOrder, SubmitOrder
from services.gateway.live_comparison import Comparison
from services.gateway.live_desk import Command, Desk, instrument_of, refusal
from services.gateway.live_memory import LiveState, Memory
from services.gateway.live_sending import Sending, now_ns
from services.gateway.live_voice import Voice
from services.gateway.settings import GatewaySettings
from tape.edge import ReadingEdge
from tape.history import History
from tape.host import HostState
from tape.ledger import LedgerWatch
from tape.provision import TAPE
from tape.reader import Reader
from tape.wire import Wire
from venues.live.client import VenueClient
from venues.live.outcomes import NotNow, Unheard
from venues.live.settings import LiveSettings, LiveVenue
from venues.reconciliation.account import AccountBook
from venues.reconciliation.book import VenueBook
from venues.reconciliation.entry import Entry

logger = logging.getLogger(__name__)

KEEP_EVERY_S = 30.0
LOOK_AGAIN_AFTER_S = 0.05
TRY_AGAIN_AFTER_S = 1.0
OWN = (*VENUE_REPORTS, *VENUE_ACCOUNT)


class LiveGateway(ReadingEdge):
    """One instance. It follows the tape up to its own `LeaseTaken` in silence, then compares, then trades."""

    def __init__(self, settings: GatewaySettings, history: History | None) -> None:
        assert settings.live is not None
        super().__init__("gateway", settings, history)
        self.settings = settings
        self._live: LiveSettings = settings.live
        self._voice: Voice | None = None
        self._ledger: LedgerWatch | None = None
        self._clients: dict[str, VenueClient] = {}
        self._books: dict[str, VenueBook] = {}
        self._accounts: dict[str, AccountBook] = {}
        self._desks: dict[str, Desk] = {}
        self._known = LiveState()
        self._caught_up = asyncio.Event()
        self._last_command: tuple[str, int] | None = None
        self._owed: dict[str, list[Entry]] = {}

    @property
    def detail(self) -> str:
        venues = ", ".join(f"{name}: {len(book.live())} orders open" for name, book in self._books.items())
        return f"LIVE at {venues or 'no venue yet'}"

    async def start(self, wire: Wire) -> None:
        self._ledger = LedgerWatch(wire.nc)
        await super().start(wire)

    async def run(self) -> None:
        await self._open()  # first: it takes seconds, and a standby may do it meanwhile
        await super().run()

    async def stop(self) -> None:
        await super().stop()
        for client in self._clients.values():
            await client.close()

    # -- from nothing to live ------------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Reach every venue; one that is away is tried for ever."""
        for venue in self._live.venues:
            client = await asyncio.to_thread(VenueClient, venue, self._live)
            self._clients[client.name] = client
            while True:
                try:
                    await client.open()
                    break
                except (Unheard, NotNow) as failure:
                    logger.warning("%s cannot be reached: %s", client.name, failure)
                    await asyncio.sleep(TRY_AGAIN_AFTER_S)
            self._books[client.name] = VenueBook(client.name, adopts=self._live.adopt_foreign, replaces=client.replaces)
            spot = venue is LiveVenue.SPOT
            self._accounts[client.name] = AccountBook(client.name, client.bases() if spot else {})

    async def _serve(self) -> None:
        assert self._wire is not None and self._seat is not None and self._ledger is not None
        self.state = HostState.CATCHING_UP
        memory = Memory(self._wire.nc, self.settings.model_dump_json())
        position = await self._restore(memory)
        self._voice = Voice(self._seat.publisher, self._seat.instance)
        for name, client in self._clients.items():
            sending = Sending(
                client, self._books[name], self._accounts[name], self._live, self._voice, self._seat.lease.renew
            )
            self._desks[name] = Desk(sending, Comparison(sending, self._known.began, self._known.states))
        reader = await self._read_from(position + 1, anchored=position > 0)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._voice.run())
            tasks.create_task(self._reading())
            await self._caught_up.wait()
            if self._last_command is not None:
                await self._ledger.reached(*self._last_command)
            for name, desk in self._desks.items():
                tasks.create_task(desk.run(self._owed[name]))
            self.state = HostState.LIVE
            tasks.create_task(self._keep(memory, reader, self._voice))

    async def _restore(self, memory: Memory) -> int:
        """Take up what is known; gives the position up to which the tape is part of it."""
        assert self._wire is not None
        position, self._known = await memory.load()
        self._known.began = self._known.began or now_ns()
        for name, book in self._books.items():
            book.restore(self._known.registers.setdefault(name, book.state()))
            account = self._accounts[name]
            account.restore(self._known.accounts.setdefault(name, account.state()))
        first = (await self._wire.nc.jetstream(timeout=10).stream_info(TAPE)).state.first_seq
        if position + 1 < first:
            position = await self._read_history(position + 1, first - 1)
        return position

    async def _read_history(self, start: int, lost: int) -> int:
        """Fold from the event store what the tape no longer holds."""
        history, _ = await self._archived(
            lost,
            f"{TAPE} begins at position {lost + 1} and the live gateway has to read from {start}: set "
            "HMM_DATABASE_URL, so that it can be read from the event store",
        )
        for received in history.read(start, lost, (*VENUE_COMMANDS, *OWN)):
            if isinstance(received, Recorded):
                self._fold(received.event, received.position)
        return lost

    # -- the tape ------------------------------------------------------------------------------------------------

    def _handle(self, received: Recorded | Unreadable, trace: str) -> Awaitable[None] | None:
        """Fold what is on the tape. Our own reports of this run are folded already when they are said."""
        if self._leads_from and received.position >= self._leads_from:
            self._catch_up()
        if isinstance(received, Unreadable):
            return None
        event, position = received.event, received.position
        if isinstance(event, Funding):
            for account in self._accounts.values():
                account.fold(event)
        if not self._caught_up.is_set():
            self._fold(event, position)
            if isinstance(event, VENUE_COMMANDS):
                self._last_command = (type(event).subject_of(event), position)
        elif isinstance(event, SubmitOrder | CancelOrder | AmendOrder | QueryOrder):
            assert self._voice is not None
            self._voice.remember_trace(position, trace)
            is_new = isinstance(event, SubmitOrder) and all(
                book.entry(event.order.client_order_id) is None for book in self._books.values()
            )
            self._fold(event, position)
            return self._carry_out(event, position, is_new=is_new)
        return None

    def _catch_up(self) -> None:
        """Know that what was commanded until now, and not answered, is for us to find out about."""
        if not self._caught_up.is_set():
            self._owed = {name: book.live() for name, book in self._books.items()}
            self._caught_up.set()

    def _fold(self, event: Event, position: int) -> None:
        for name, book in self._books.items():
            book.fold(event, position)
            self._accounts[name].fold(event)
        if isinstance(event, InstrumentStatus):
            self._known.states[event.instrument] = event.state

    async def _carry_out(self, command: Command, position: int, *, is_new: bool) -> None:
        """Hand a command to its venue's desk as soon as the ledger holds it."""
        assert self._ledger is not None and self._voice is not None
        await self._ledger.reached(type(command).subject_of(command), position)
        venue = venue_of(instrument_of(command))
        desk = self._desks.get(venue)
        if desk is not None:
            desk.take(command, position, is_new=is_new)
        else:
            self._voice.say([refusal(command, f"HMM_LIVE_VENUES has no {venue}")], position)

    # -- what is kept --------------------------------------------------------------------------------------------

    async def _keep(self, memory: Memory, reader: Reader, voice: Voice) -> None:
        """Keep what is known now and then, at moments when the tape has given back all that we have said."""
        assert self._seat is not None
        publisher = self._seat.publisher
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            while not voice.is_heard or reader.position < publisher.last_position:  # noqa: ASYNC110 # it is rarely so
                await asyncio.sleep(LOOK_AGAIN_AFTER_S)
            await memory.keep(memory.written(reader.position, self._known))
