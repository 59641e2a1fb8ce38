"""Bring an order to a venue exactly once, although a venue may take it and never say so."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from contracts.control import Alert
from contracts.event import Event
from contracts.orders import OrderTerms
from contracts.types import Severity
from contracts.venue import VenueFilled
from services.gateway.live_voice import Voice
from venues.live.client import Permit, VenueClient
from venues.live.outcomes import Duplicate, NotFound, NotNow, Unheard, VenueFailure
from venues.live.settings import LiveSettings
from venues.reconciliation.account import AccountBook
from venues.reconciliation.book import VenueBook
from venues.reconciliation.entry import Entry
from venues.reconciliation.findings import reconcile_order

LONGEST_PAUSE_S = 5.0
NOT_NOW_PAUSE_S = 0.05


class NotSent(VenueFailure):
    """It was not sent, and must not be any more."""


@dataclass(frozen=True)
class Wanted:
    """An order as it is to stand at the venue under `name`; not to be sent any more after `deadline` (ns)."""

    entry: Entry
    terms: OrderTerms
    name: str
    quantity: Decimal
    price: Decimal | None
    deadline: int

    @property
    def is_unknown(self) -> bool:
        """Whether nothing was heard of it yet."""
        return self.entry.is_live and (self.entry.venue_order_id is None or self.entry.name_at_venue != self.name)


class Sending:
    """One venue's client, books and voice. `began_at` (loop time): what an earlier instance sent, it sent before."""

    def __init__(
        self,
        client: VenueClient,
        book: VenueBook,
        account: AccountBook,
        settings: LiveSettings,
        voice: Voice,
        permit: Permit,
    ) -> None:
        self.client = client
        self.book = book
        self.account = account
        self.settings = settings
        self.began_at = loop_time()
        self._voice = voice
        self._permit = permit

    def say(self, events: Iterable[Event], cause: int | None) -> None:
        said = list(events)
        for event in said:
            if isinstance(event, VenueFilled):
                self.account.fold(event)
        self._voice.say(said, cause)

    def say_of(self, entry: Entry, events: Iterable[Event]) -> None:
        """Say what happened to an order: the command that brought it is its cause."""
        self.say(events, entry.position)

    def alert(self, code: str, message: str, severity: Severity = Severity.WARNING) -> None:
        now = now_ns()
        self._voice.say(
            [
                Alert(
                    ts_event=now,
                    ts_init=now,
                    component="gateway",
                    severity=severity,
                    code=code,
                    message=message.replace("\x00", "")[:2000],
                )
            ],
            None,
        )

    async def send(self, wanted: Wanted) -> VenueFailure | None:
        """Send until the venue has it, or its end is known; gives why it certainly has it not, and will not."""
        while True:
            try:
                view = await self.client.submit(
                    wanted.terms, wanted.name, wanted.quantity, wanted.price, lambda: self._may_send(wanted)
                )
            except NotNow:
                await asyncio.sleep(NOT_NOW_PAUSE_S)
            except (Unheard, Duplicate) as failure:
                if await self.resolved(wanted, str(failure), loop_time()):
                    return None
            except VenueFailure as failure:
                return failure
            else:
                self.say_of(wanted.entry, self.book.heard_order(view, now_ns()))
                return None

    async def resolved(self, wanted: Wanted, why: str, sent_at: float) -> bool:
        """Find out whether what was sent until `sent_at` has arrived; False: it certainly has not, and will not.

        The venue takes nothing older than the receive window: not found after the settle time means that it never came.
        """
        pause = self.settings.look_again_after_s
        while wanted.is_unknown:
            looked_at = loop_time()
            try:
                view = await self.client.look_up(wanted.terms.instrument, wanted.name)
            except NotFound:
                if looked_at - sent_at >= self.settings.settle_s:
                    return False
            except VenueFailure:
                pass
            else:
                self.say_of(wanted.entry, reconcile_order(self.book, view, now_ns(), why))
                return True
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)
        return True

    async def may_write(self) -> None:
        """Return when we are still the one who writes; raises what the permit raises."""
        await self._permit()

    async def _may_send(self, wanted: Wanted) -> None:
        """Return when the order may be sent at this moment. Raises `NotSent`, and what the permit raises."""
        if not wanted.entry.is_live:
            raise NotSent("its end is known")
        if wanted.entry.cancel is not None:
            raise NotSent("it was canceled before it was sent")
        if now_ns() > wanted.deadline:
            raise NotSent(f"it never reached the venue within {self.settings.submit_within_s:g} s")
        await self._permit()


def now_ns() -> int:
    return time.time_ns()


def loop_time() -> float:
    return asyncio.get_running_loop().time()
