"""What a command does at a venue: bring an order, take it back, change it, ask for it. One at a time for each order."""

import asyncio
from dataclasses import replace
from decimal import Decimal

from contracts.event import Event
from contracts.orders import Amendment
from services.gateway.live_sending import LONGEST_PAUSE_S, NOT_NOW_PAUSE_S, NotSent, Sending, Wanted, loop_time, now_ns
from venues.live.outcomes import NotFound, NotNow, Unheard, VenueFailure
from venues.reconciliation.entry import Entry, Pending, Phase, name_of
from venues.reconciliation.findings import explained, reconcile_order, standing
from venues.reconciliation.views import VenueStatus

LONGEST_NAME = 36
"""Characters of a client order id, at most."""


class Orders:
    """Carries commands out. Each method returns when the venue's answer is known and reported."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._client = sending.client
        self._book = sending.book

    async def submit(self, entry: Entry, *, sent_before: bool) -> None:
        """Bring an order to the venue; with `sent_before` an earlier instance may have done it."""
        if entry.phase is not Phase.ASKED:
            return
        if objection := self._client.objection(entry.terms):
            self._say(entry, self._book.refuse(entry, objection, now_ns()))
            return
        deadline = entry.asked_at + int(self._sending.settings.submit_within_s * 1e9)
        wanted = Wanted(entry, entry.terms, entry.id, entry.terms.quantity, entry.terms.limit_price, deadline)
        why = "the gateway was started again: it may have been sent before"
        if sent_before and await self._sending.resolved(wanted, why, self._sending.began_at):
            return
        failure = await self._sending.send(wanted)
        if failure is None:
            return
        before, withdrawn = standing(entry), isinstance(failure, NotSent) and entry.cancel is not None
        end = self._book.withdraw if withdrawn else self._book.refuse
        reports = end(entry, str(failure), now_ns())
        if sent_before:
            said = "no such order, although whatever was sent has settled"
            reports = explained(self._book.venue, before, reports, said, now_ns(), why)
        self._say(entry, reports)

    async def cancel(self, entry: Entry) -> None:
        """Take back what is left of an order; asking again does no harm, so it is asked until the answer is heard."""
        pause = self._sending.settings.look_again_after_s
        while entry.is_live and entry.cancel is not None and not self._over(entry):
            try:
                view = await self._client.cancel(entry.terms.instrument, entry.name_at_venue)
                self._say(entry, self._book.heard_order(view, now_ns()))
            except NotNow:
                await asyncio.sleep(NOT_NOW_PAUSE_S)
            except Unheard:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            except VenueFailure as refusal:
                if await self._stands(entry):
                    self._say(entry, self._book.refuse_cancel(entry, str(refusal), now_ns()))
                    return

    async def look(self, entry: Entry, why: str) -> None:
        """Ask the venue what has become of an order, and report what was missing."""
        try:
            view = await self._client.look_up(entry.terms.instrument, entry.name_at_venue)
        except VenueFailure:
            return  # whoever wonders asks again
        self._say(entry, reconcile_order(self._book, view, now_ns(), why))

    async def amend(self, entry: Entry) -> None:
        """Change an order."""
        pending = entry.amend
        if pending is None or pending.amendment is None or not entry.is_live:
            return
        amendment = pending.amendment
        terms = replace(
            entry.terms,
            quantity=amendment.quantity or entry.quantity,
            limit_price=amendment.limit_price or entry.limit_price,
        )
        objection = self._objection(entry, pending, amendment) or self._client.objection(terms)
        if objection:
            self._say(entry, self._book.refuse_amend(entry, objection, now_ns()))
        elif self._client.replaces:
            await self._replace(entry, pending, terms.quantity, terms.limit_price)
        else:
            await self._change(entry, terms.quantity, terms.limit_price)

    def _objection(self, entry: Entry, pending: Pending, amendment: Amendment) -> str | None:
        if amendment.trigger_price is not None:
            return "conditional orders are held by the router: the venue has no trigger price of this one"
        if entry.limit_price is None:
            return "only a limit order can be changed"
        if self._client.replaces and len(name_of(entry.id, pending.position)) > LONGEST_NAME:
            return f"{self._client.name} would need a longer name for its replacement than it allows"
        return None

    async def _change(self, entry: Entry, quantity: Decimal, price: Decimal | None) -> None:
        """Change an order where it stands; an answer that was not heard is looked for until it must have arrived."""
        assert price is not None
        sent_at = loop_time()
        while entry.amend is not None and entry.is_live:
            try:
                view = await self._client.amend(
                    entry.terms, entry.venue_order_id or "", quantity, price, self._sending.may_write
                )
                self._say(entry, self._book.heard_order(view, now_ns()))
                self._say(entry, self._book.refuse_amend(entry, "the venue left it as it was", now_ns()))
            except NotNow:
                await asyncio.sleep(NOT_NOW_PAUSE_S)
            except Unheard as unheard:
                await self.look(entry, str(unheard))
                if loop_time() - sent_at > self._sending.settings.submit_within_s:
                    self._say(entry, self._book.refuse_amend(entry, str(unheard), now_ns()))
                await asyncio.sleep(self._sending.settings.look_again_after_s)
            except VenueFailure as refusal:
                await self.look(entry, str(refusal))
                self._say(entry, self._book.refuse_amend(entry, str(refusal), now_ns()))

    async def _replace(self, entry: Entry, pending: Pending, quantity: Decimal, price: Decimal | None) -> None:
        """End an order and put another in its place, of what is left then: so no more is traded than was wanted."""
        name = name_of(entry.id, pending.position)
        deadline = now_ns() + int(self._sending.settings.submit_within_s * 1e9)
        wanted = Wanted(entry, entry.terms, name, quantity, price, deadline)
        await self._end_for_replacement(entry, pending)
        if not entry.is_live or entry.amend is not pending or entry.cancel is not None:
            return
        if await self._sending.resolved(wanted, "it may have been replaced before", self._sending.began_at):
            return
        left = quantity - entry.filled
        if left <= 0:
            reason = f"{entry.filled} are filled already: nothing is left of {quantity}"
            self._say(entry, self._book.refuse_amend(entry, reason, now_ns()))
            return
        failure = await self._sending.send(replace(wanted, quantity=left))
        if failure is not None:
            self._say(entry, self._book.refuse_amend(entry, str(failure), now_ns()))

    async def _end_for_replacement(self, entry: Entry, pending: Pending) -> None:
        """Return when the order is over at the venue and all its trades are known."""
        pause = self._sending.settings.look_again_after_s
        while entry.is_live and entry.amend is pending and (entry.end is None or entry.lacks_trades):
            try:
                if entry.end is None:
                    view = await self._client.cancel(entry.terms.instrument, entry.name_at_venue)
                    self._say(entry, self._book.heard_order(view, now_ns()))
                    continue
            except NotFound:
                await self._stands(entry)
            except VenueFailure:
                pass
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _stands(self, entry: Entry) -> bool:
        """Say whether an order that the venue would not cancel is open there, or not there at all."""
        try:
            view = await self._client.look_up(entry.terms.instrument, entry.name_at_venue)
        except NotFound:
            return True
        except VenueFailure:
            return False
        self._say(entry, self._book.heard_order(view, now_ns()))
        return view.status is VenueStatus.OPEN

    def _over(self, entry: Entry) -> bool:
        """Whether the venue has ended it; the report waits only for its trades."""
        return entry.end is not None

    def _say(self, entry: Entry, events: list[Event]) -> None:
        self._sending.say_of(entry, events)
