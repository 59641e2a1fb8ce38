"""One venue of the live gateway: commands in turn, streams watched, comparisons made when they are due."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from contracts.event import Event
from contracts.types import InstrumentId, Severity
from contracts.venue import (
    AmendOrder,
    CancelOrder,
    QueryOrder,
    SubmitOrder,
    VenueAmendRejected,
    VenueCancelRejected,
    VenueRejected,
)
from services.gateway.live_comparison import PERIODIC, RECONNECT, SETTLED, START, Comparison
from services.gateway.live_orders import Orders
from services.gateway.live_sending import Sending, loop_time, now_ns
from tape.lease import LeaseLost
from tape.publisher import PublishFailed
from venues.live.outcomes import VenueFailure
from venues.reconciliation.entry import Entry, Phase

logger = logging.getLogger(__name__)

Refusal = VenueRejected | VenueCancelRejected | VenueAmendRejected
Command = SubmitOrder | CancelOrder | AmendOrder | QueryOrder

CHASE_AFTER_S = 1.0
"""So long the streams have for trades that the venue has counted."""
LOOK_AGAIN_AFTER_S = 0.25
STREAM_SETTLES_S = 0.5
"""So long a broken stream takes to stand again, before what it missed is looked for."""
TROUBLES_TOLD = 5
"""Failures of one stream in a row before somebody is told."""


class Desk:
    """Takes commands from the beginning on, and carries them out while it runs."""

    def __init__(self, sending: Sending, comparison: Comparison) -> None:
        self.sending = sending
        self.compared = asyncio.Event()
        """Set when the venue was compared for the first time: before that nothing is sent."""
        self._client = sending.client
        self._book = sending.book
        self._orders = Orders(sending)
        self._comparison = comparison
        self._turns: dict[str, asyncio.Lock] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._early: list[tuple[Entry, Callable[[], Awaitable[None]]]] = []
        self._due = asyncio.Event()
        self._account_due = asyncio.Event()
        self._why = START
        self._lacking_since: dict[str, float] = {}

    async def run(self, owed: Sequence[Entry]) -> None:
        """Serve the venue for ever; raises what ends the gateway. `owed`: what an earlier instance left unanswered."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._resume(owed)
            for entry, work in self._early:
                self._in_turn(entry, work)
            for watch in (self._watch_orders, self._watch_trades, self._watch_balance):
                tasks.create_task(self._watch(watch))
            tasks.create_task(self._compare_for_ever())
            tasks.create_task(self._chase_for_ever())
            tasks.create_task(self._look_at_the_account())
            tasks.create_task(self._look_at_markets())

    # -- commands ------------------------------------------------------------------------------------------------

    def _resume(self, owed: Sequence[Entry]) -> None:
        for entry in owed:
            if entry.phase is Phase.ASKED:
                self._in_turn(entry, partial(self._orders.submit, entry, sent_before=True))
            if entry.amend is not None:
                self._in_turn(entry, partial(self._orders.amend, entry))
            if entry.cancel is not None:
                self._in_turn(entry, partial(self._orders.cancel, entry))

    def take(self, command: Command, position: int, *, is_new: bool) -> None:
        """Carry out a command that is on disk; `is_new`: the book did not know the order before."""
        match command:
            case SubmitOrder(order=order):
                entry = self._book.entry(order.client_order_id)
                if entry is not None and is_new:
                    self._in_turn(entry, partial(self._orders.submit, entry, sent_before=False))
            case CancelOrder(client_order_id=name):
                self._for_known(name, command, position, self._orders.cancel)
            case AmendOrder(amendment=amendment):
                self._for_known(amendment.client_order_id, command, position, self._orders.amend)
            case QueryOrder(client_order_id=name):
                self._for_known(name, command, position, self._answer)

    async def _answer(self, entry: Entry) -> None:
        await self._orders.look(entry, "the router has heard nothing of it")
        if entry.cancel is not None:
            await self._orders.cancel(entry)

    def _for_known(self, name: str, command: Command, position: int, work: Callable[[Entry], Awaitable[None]]) -> None:
        entry = self._book.entry(name)
        if entry is None:
            self.sending.say([refusal(command, "the gateway knows no such order")], position)
        else:
            self._in_turn(entry, partial(work, entry))

    def _in_turn(self, entry: Entry, work: Callable[[], Awaitable[None]]) -> None:
        """Do it when all that was asked before of this order is done."""
        if self._tasks is None:
            self._early.append((entry, work))
            return
        turn = self._turns.setdefault(entry.id, asyncio.Lock())
        self._tasks.create_task(self._guarded(entry, turn, work))

    async def _guarded(self, entry: Entry, turn: asyncio.Lock, work: Callable[[], Awaitable[None]]) -> None:
        await self.compared.wait()
        async with turn:
            try:
                await work()
            except (LeaseLost, PublishFailed):
                raise
            except Exception as error:
                logger.exception("%s could not be carried out", entry.id)
                self.sending.alert(
                    "gateway_error",
                    f"{entry.id} at {self._client.name}: {error!r}; the next comparison finds out what became of it",
                    Severity.CRITICAL,
                )
        if not entry.is_live:
            self._turns.pop(entry.id, None)

    # -- streams -------------------------------------------------------------------------------------------------

    async def _watch_orders(self) -> None:
        for view in await self._client.next_orders():
            entry = self._book.entry_of(view)
            self.sending.say(self._book.heard_order(view, now_ns()), None if entry is None else entry.position)

    async def _watch_trades(self) -> None:
        for trade in await self._client.next_trades():
            entry = self._book.entry_of_trade(trade)
            self.sending.say(self._book.heard_trade(trade, now_ns()), None if entry is None else entry.position)

    async def _watch_balance(self) -> None:
        await self._client.next_balance()
        self._account_due.set()

    async def _watch(self, listen: Callable[[], Awaitable[None]]) -> None:
        """Listen for ever; when the stream breaks, build it anew and look for what it has missed."""
        failures = 0
        while True:
            try:
                await listen()
                failures = 0
            except VenueFailure as failure:
                failures += 1
                logger.warning("a stream of %s has broken: %s", self._client.name, failure)
                if failures == TROUBLES_TOLD:
                    self.sending.alert("stream_broken", f"{self._client.name}: {failure}; trying again for ever")
                self._client.forget_listen_key()
                self.compare(RECONNECT)
                await asyncio.sleep(self.sending.settings.reconnect_after_s)

    # -- comparisons ---------------------------------------------------------------------------------------------

    def compare(self, why: str) -> None:
        """Have everything compared as soon as possible."""
        self._why = why
        self._due.set()

    async def _compare_for_ever(self) -> None:
        settings = self.sending.settings
        self._due.set()
        while True:
            try:
                async with asyncio.timeout(settings.reconcile_every_s):
                    await self._due.wait()
            except TimeoutError:
                self._why = PERIODIC
            why, grace_s = self._why, settings.grace_s if self._why == PERIODIC else 0.0
            self._due.clear()
            if why in {SETTLED, RECONNECT}:
                await asyncio.sleep(settings.reconnect_after_s + STREAM_SETTLES_S)
            corrections = await self._comparison.run(why, grace_s=grace_s)
            if corrections is None:
                self.compare(why)
                await asyncio.sleep(settings.reconnect_after_s)
                continue
            self.compared.set()
            if why == START:  # the streams may have stood only after we looked: what came in between is found now
                self.compare(SETTLED)
            if corrections and why in {SETTLED, PERIODIC}:
                logger.warning("the streams of %s have missed something: they are built anew", self._client.name)
                self._client.renew_streams()

    async def _chase_for_ever(self) -> None:
        """Fetch trades that are overdue."""
        while True:
            await asyncio.sleep(LOOK_AGAIN_AFTER_S)
            lacking = {entry.id: entry for entry in self._book.lacking_trades()}
            now = loop_time()
            self._lacking_since = {name: self._lacking_since.get(name, now) for name in lacking}
            for name, since in self._lacking_since.items():
                if now - since >= CHASE_AFTER_S:
                    await self._quietly(self._comparison.chase(lacking[name]))

    async def _look_at_the_account(self) -> None:
        """Compare the account when the venue says that something has moved."""
        await self.compared.wait()
        while True:
            await self._account_due.wait()
            await asyncio.sleep(CHASE_AFTER_S)
            self._account_due.clear()
            await self._quietly(self._comparison.account())

    async def _look_at_markets(self) -> None:
        while True:
            await self._comparison.markets()
            await asyncio.sleep(self.sending.settings.markets_every_s)

    async def _quietly(self, work: Awaitable[None]) -> None:
        try:
            await work
        except VenueFailure as failure:
            logger.warning("%s: %s", self._client.name, failure)


def instrument_of(command: Command) -> InstrumentId:
    match command:
        case SubmitOrder(order=order):
            return order.instrument
        case AmendOrder(amendment=amendment):
            return amendment.instrument
        case CancelOrder() | QueryOrder():
            return command.instrument


def refusal(command: Command, reason: str) -> Event:
    """Answer a command about an order that this gateway does not have."""
    answers: dict[type[Event], type[Refusal]] = {CancelOrder: VenueCancelRejected, AmendOrder: VenueAmendRejected}
    now = now_ns()
    return answers.get(type(command), VenueRejected)(
        ts_event=now,
        ts_init=now,
        client_order_id=_order_of(command),
        instrument=instrument_of(command),
        reason=reason,
    )


def _order_of(command: Command) -> str:
    match command:
        case SubmitOrder(order=order):
            return order.client_order_id
        case AmendOrder(amendment=amendment):
            return amendment.client_order_id
        case CancelOrder() | QueryOrder():
            return command.client_order_id
