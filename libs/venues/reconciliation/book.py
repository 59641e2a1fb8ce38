"""The gateway's book of one venue: what was commanded and reported, what the venue says, and what is missing.

It hears what the venue says, and gives back exactly the reports that are missing, in a legal order, each once, however
often and in whatever order the venue says it. What it gives back it has folded already, as it would when reading it on
the tape: a book made anew from the tape is the same book.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from contracts.event import Event
from contracts.types import MAX_TEXT, InstrumentId
from contracts.venue import (
    VenueAccepted,
    VenueAmended,
    VenueAmendRejected,
    VenueCanceled,
    VenueCancelRejected,
    VenueExpired,
    VenueFilled,
    VenueForeignOrder,
    VenueRejected,
    VenueReport,
)
from venues.reconciliation.entry import ZERO, End, Entry, Phase, read_name
from venues.reconciliation.register import Register, RegisterState, VenueOrder
from venues.reconciliation.views import VenueOrderView, VenueStatus, VenueTradeView

ADOPTED_BY = "external"
"""The strategy in whose books an adopted order is."""
STRAYS_KEPT = 1_000
"""Trades of orders that nobody has told of yet, at most: they wait for the order to be looked up."""


class VenueBook:
    """`adopts`: whether orders that nobody here sent are taken into our books; `replaces`: see `Register`."""

    def __init__(self, venue: str, *, adopts: bool, replaces: bool) -> None:
        self.venue = venue
        self.adopts = adopts
        self.replaces = replaces
        self.ghosts: dict[VenueOrder, VenueOrderView] = {}
        """Orders that were reported as refused and are at the venue all the same: they have to be taken from it."""
        self._register = Register(venue, replaces=replaces)
        self._strays: dict[tuple[InstrumentId, str], VenueTradeView] = {}

    def state(self) -> RegisterState:
        return self._register.state()

    def restore(self, state: RegisterState) -> None:
        self._register.restore(state)

    def fold(self, event: Event, position: int = 0) -> None:
        """Take what is on the tape, in its order: the commands, and our own reports."""
        self._register.fold(event, position)

    def entry(self, client_order_id: str) -> Entry | None:
        return self._register.entries.get(client_order_id)

    def entries(self) -> list[Entry]:
        return list(self._register.entries.values())

    def live(self) -> list[Entry]:
        return [entry for entry in self._register.entries.values() if entry.is_live]

    def lacking_trades(self) -> list[Entry]:
        return [entry for entry in self._register.entries.values() if entry.lacks_trades]

    def strays(self) -> Sequence[VenueTradeView]:
        """Give the trades of orders that are not known yet: these have to be looked up."""
        return tuple(self._strays.values())

    def drop_stray(self, trade: VenueTradeView) -> None:
        """Forget a trade whose order the venue does not know either."""
        self._strays.pop((trade.instrument, trade.trade_id), None)

    def forget_before(self, time: int) -> None:
        self._register.forget_before(time)

    # -- what the venue says -------------------------------------------------------------------------------------

    def heard_order(self, view: VenueOrderView, now: int) -> list[Event]:
        """Take a look at an order; gives the reports that were missing."""
        entry = self.entry_of(view)
        if entry is None:
            return list(self._heard_foreign(view, now))
        if entry.phase is Phase.REFUSED:
            if view.status is VenueStatus.OPEN or view.filled > 0:
                self.ghosts[view.instrument, view.venue_order_id] = view
            return []
        if view.status is VenueStatus.REJECTED and entry.phase is Phase.ASKED:
            return self.refuse(entry, view.reason or "the venue refused it", now)
        return list(self._heard(entry, view, now))

    def heard_trade(self, view: VenueTradeView, now: int) -> list[Event]:
        """Take a trade; one of an order that is not known yet waits until the order is."""
        order = (view.instrument, view.venue_order_id)
        entry = self._register.of_venue_order(order)
        if entry is not None:
            return list(self._heard_fill(entry, view, now))
        if not self._register.is_foreign(order) and order not in self.ghosts:
            self._strays[view.instrument, view.trade_id] = view
            while len(self._strays) > STRAYS_KEPT:
                del self._strays[next(iter(self._strays))]
        return []

    def entry_of(self, view: VenueOrderView) -> Entry | None:
        """Give our order that a venue's order is, if it is one."""
        known = self._register.of_venue_order((view.instrument, view.venue_order_id))
        entry = known or self.entry(read_name(view.client_order_id)[0])
        return entry if entry is not None and entry.terms.instrument == view.instrument else None

    def entry_of_trade(self, view: VenueTradeView) -> Entry | None:
        """Give our order that a trade belongs to, if it is known already."""
        return self._register.of_venue_order((view.instrument, view.venue_order_id))

    def _heard(self, entry: Entry, view: VenueOrderView, now: int) -> Iterator[Event]:
        if entry.phase is Phase.ASKED:
            yield self._say(VenueAccepted, entry, now, view.updated_at, venue_order_id=_text(view.venue_order_id))
        self._register.know(entry, view.venue_order_id)
        generation = read_name(view.client_order_id)[1]
        entry.filled_of[view.venue_order_id] = max(view.filled, entry.filled_of.get(view.venue_order_id, ZERO))
        if generation > entry.generation:
            entry.end = None
        if generation >= entry.generation:
            entry.venue_order_id = view.venue_order_id
            yield from self._heard_terms(entry, view, generation, now)
            if view.status is not VenueStatus.OPEN and entry.end is None:
                entry.end = End(view.status, _text(view.reason or view.status.value), view.updated_at)
        for trade in view.trades:
            yield from self._heard_fill(entry, trade, now)
        yield from self._waiting_fills(entry, now)
        yield from self._ended(entry, now)

    def _waiting_fills(self, entry: Entry, now: int) -> Iterator[Event]:
        """Report the trades that were heard of before their order, or before its new terms."""
        for trade in self.strays():
            if self._register.of_venue_order((trade.instrument, trade.venue_order_id)) is entry:
                self.drop_stray(trade)
                yield from self._heard_fill(entry, trade, now)

    def _heard_fill(self, entry: Entry, view: VenueTradeView, now: int) -> Iterator[Event]:
        if view.trade_id in entry.fills:
            return
        if _may_grow(entry) and view.quantity >= entry.leaves:
            self._strays[view.instrument, view.trade_id] = view  # it must not seem to fill what has grown meanwhile
            return
        yield self._say(
            VenueFilled,
            entry,
            now,
            view.traded_at,
            trade_id=_text(view.trade_id),
            side=view.side,
            price=view.price,
            quantity=view.quantity,
            fee=view.fee,
            currency=view.currency,
            liquidity=view.liquidity,
            fee_currency=None if view.fee_currency == view.currency else view.fee_currency,
        )
        yield from self._ended(entry, now)

    def _heard_terms(self, entry: Entry, view: VenueOrderView, generation: int, now: int) -> Iterator[Event]:
        """Report that the order goes on under other terms; an older look than the last one tells nothing."""
        renewed = generation > entry.generation
        if not renewed and (self.replaces or entry.seen_at > view.updated_at):
            return
        entry.seen_at = view.updated_at
        quantity = _asked_quantity(entry) if self.replaces else view.quantity
        price = entry.limit_price if view.limit_price is None else view.limit_price
        if not entry.is_live or (not renewed and (quantity, price) == (entry.quantity, entry.limit_price)):
            return
        yield self._say(
            VenueAmended, entry, now, view.updated_at, quantity=quantity, limit_price=price, trigger_price=None
        )
        entry.generation = generation

    def _ended(self, entry: Entry, now: int) -> Iterator[Event]:
        """Report the end as soon as every trade before it is reported, unless a replacement is on its way."""
        end = entry.end
        if end is None or not entry.is_live or entry.lacks_trades or self._is_being_replaced(entry):
            return
        if end.status is VenueStatus.EXPIRED:
            yield self._say(VenueExpired, entry, now, end.at, reason=end.reason)
        elif end.status is not VenueStatus.FILLED:
            yield self._say(VenueCanceled, entry, now, end.at, reason=end.reason)

    def _is_being_replaced(self, entry: Entry) -> bool:
        return self.replaces and entry.amend is not None and entry.cancel is None

    def _heard_foreign(self, view: VenueOrderView, now: int) -> Iterator[Event]:
        """Report an order that nobody here sent; the trades of an adopted one follow, those of others are not ours."""
        if not self._register.is_foreign((view.instrument, view.venue_order_id)):
            if view.status is not VenueStatus.OPEN and view.filled == 0:
                return
            found = VenueForeignOrder(
                ts_event=view.updated_at,
                ts_init=now,
                client_order_id=foreign_id(view.instrument, view.venue_order_id),
                instrument=view.instrument,
                strategy=ADOPTED_BY,
                side=view.side,
                quantity=view.quantity,
                limit_price=view.limit_price,
                venue_order_id=_text(view.venue_order_id),
                adopted=self.adopts,
                reason=_text(f"nobody here sent it; its client order id is {view.client_order_id!r}"),
            )
            self.fold(found)
            yield found
        entry = self.entry_of(view)
        if entry is None:
            for trade in self.strays():
                if (trade.instrument, trade.venue_order_id) == (view.instrument, view.venue_order_id):
                    self.drop_stray(trade)
        else:
            yield from self._heard(entry, replace(view, client_order_id=entry.id), now)

    # -- what the gateway decides --------------------------------------------------------------------------------

    def refuse(self, entry: Entry, reason: str, now: int) -> list[Event]:
        """Report that the venue refused an order, or that it never got there; nothing if more is known of it."""
        if entry.phase is not Phase.ASKED:
            return []
        return [self._say(VenueRejected, entry, now, now, reason=_text(reason))]

    def withdraw(self, entry: Entry, reason: str, now: int) -> list[Event]:
        """Report the end of what is certainly not at the venue: it was not sent yet, or was not replaced."""
        if not entry.is_live or entry.lacks_trades:
            return []
        return [self._say(VenueCanceled, entry, now, now, reason=_text(reason))]

    def refuse_cancel(self, entry: Entry, reason: str, now: int) -> list[Event]:
        if entry.cancel is None:
            return []
        return [self._say(VenueCancelRejected, entry, now, now, reason=_text(reason))]

    def refuse_amend(self, entry: Entry, reason: str, now: int) -> list[Event]:
        """Report that an order stays as it is; if the venue has ended it meanwhile, that follows."""
        if entry.amend is None:
            return []
        refused = self._say(VenueAmendRejected, entry, now, now, reason=_text(reason))
        return [refused, *self._waiting_fills(entry, now), *self._ended(entry, now)]

    def _say(self, report: type[VenueReport], entry: Entry, now: int, at: int, **fields: object) -> Event:
        said = report(
            ts_event=at,
            ts_init=now,
            client_order_id=entry.id,
            instrument=entry.terms.instrument,
            **fields,
        )
        self.fold(said)
        return said


def _may_grow(entry: Entry) -> bool:
    """Say whether the order may be larger by now than the tape says."""
    return entry.is_live and entry.amend is not None and _asked_quantity(entry) > entry.quantity


def _asked_quantity(entry: Entry) -> Decimal:
    """What a replacement and the fills before it come to: it was made to be that."""
    amendment = entry.amend.amendment if entry.amend is not None else None
    return amendment.quantity if amendment is not None and amendment.quantity is not None else entry.quantity


def foreign_id(instrument: InstrumentId, venue_order_id: str) -> str:
    """Name an order that nobody here sent: its own client order id may be no name of ours, and need not be unique."""
    return f"ext-{hashlib.sha256(f'{instrument}/{venue_order_id}'.encode()).hexdigest()[:20]}"


def _text(text: str) -> str:
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:MAX_TEXT]
