"""Every order of one venue as the tape tells of it: folded from the commands and from our own reports."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from contracts.event import Event
from contracts.orders import OrderTerms
from contracts.types import InstrumentId, OrderType, TimeInForce, venue_of
from contracts.venue import (
    AmendOrder,
    CancelOrder,
    SubmitOrder,
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
from venues.reconciliation.entry import Entry, Pending, Phase

VenueOrder = tuple[InstrumentId, str]
"""An instrument and the venue's own order id, which is unique among the orders of the instrument."""


@dataclass(slots=True)
class RegisterState:
    """`foreign`: the orders that nobody here sent, by `instrument/venue order id`; whether they were adopted."""

    entries: dict[str, Entry] = field(default_factory=dict)
    foreign: dict[str, bool] = field(default_factory=dict)


class Register:
    """`replaces`: whether the venue changes an order by ending it and taking another in its place.

    Folding an event again changes nothing, as long as nothing later was folded meanwhile.
    """

    def __init__(self, venue: str, *, replaces: bool) -> None:
        self.venue = venue
        self.replaces = replaces
        self.entries: dict[str, Entry] = {}
        self._foreign: dict[str, bool] = {}
        self._by_venue_order: dict[VenueOrder, str] = {}
        self._folds: dict[type[Event], Callable[[Entry, Any], None]] = {
            VenueAccepted: self._accepted,
            VenueRejected: self._rejected,
            VenueFilled: self._filled,
            VenueCanceled: self._ended,
            VenueExpired: self._ended,
            VenueCancelRejected: self._cancel_rejected,
            VenueAmended: self._amended,
            VenueAmendRejected: self._amend_rejected,
        }

    def state(self) -> RegisterState:
        return RegisterState(self.entries, self._foreign)

    def restore(self, state: RegisterState) -> None:
        self.entries, self._foreign = state.entries, state.foreign
        for entry in self.entries.values():
            for venue_order_id in {*entry.filled_of, entry.venue_order_id}:
                if venue_order_id is not None:
                    self._by_venue_order[entry.terms.instrument, venue_order_id] = entry.id

    def fold(self, event: Event, position: int) -> None:
        """Take the event at `position`; what is not about an order of this venue changes nothing."""
        match event:
            case SubmitOrder(order=order):
                if venue_of(order.instrument) == self.venue and order.client_order_id not in self.entries:
                    asked = Entry(order, position, event.ts_init, order.quantity, order.limit_price)
                    self.entries[asked.id] = asked
            case CancelOrder(client_order_id=name):
                if (live := self._live(name)) is not None:
                    live.cancel = Pending(position)
            case AmendOrder(amendment=amendment):
                if (live := self._live(amendment.client_order_id)) is not None:
                    live.amend = Pending(position, amendment)
            case VenueForeignOrder():
                self._foreign_order(event, position)
            case VenueReport(client_order_id=name):
                fold, known = self._folds.get(type(event)), self.entries.get(name)
                if fold is not None and known is not None:
                    fold(known, event)
            case _:
                return

    def of_venue_order(self, order: VenueOrder) -> Entry | None:
        name = self._by_venue_order.get(order)
        return None if name is None else self.entries.get(name)

    def is_foreign(self, order: VenueOrder) -> bool:
        return _key(order) in self._foreign

    def know(self, entry: Entry, venue_order_id: str) -> None:
        """Know that the venue has the order under this id of its own."""
        self._by_venue_order[entry.terms.instrument, venue_order_id] = entry.id

    def forget_before(self, time: int) -> None:
        """Drop the orders that ended before `time` (ns): nothing the venue still says is about them."""
        for entry in [one for one in self.entries.values() if not one.is_live and one.ended_at < time]:
            del self.entries[entry.id]
            for venue_order_id in {*entry.filled_of, entry.venue_order_id}:
                self._by_venue_order.pop((entry.terms.instrument, venue_order_id or ""), None)

    def _live(self, client_order_id: str) -> Entry | None:
        entry = self.entries.get(client_order_id)
        return entry if entry is not None and entry.is_live else None

    def _accepted(self, entry: Entry, event: VenueAccepted) -> None:
        if entry.phase is Phase.ASKED:
            entry.phase = Phase.ACCEPTED
        entry.seen_at = max(entry.seen_at, event.ts_event)
        if entry.venue_order_id is None:
            entry.venue_order_id = event.venue_order_id
            self.know(entry, event.venue_order_id)

    def _rejected(self, entry: Entry, event: VenueRejected) -> None:
        self._ended(entry, event)
        entry.phase = Phase.REFUSED

    def _filled(self, entry: Entry, event: VenueFilled) -> None:
        entry.fills[event.trade_id] = event.quantity
        if entry.phase is Phase.ASKED:
            entry.phase = Phase.ACCEPTED
        if entry.is_live and entry.leaves == 0:
            self._ended(entry, event)

    def _ended(self, entry: Entry, event: Event) -> None:
        if entry.is_live:
            entry.phase, entry.ended_at = Phase.ENDED, event.ts_init
        entry.cancel = entry.amend = None

    def _cancel_rejected(self, entry: Entry, _event: VenueCancelRejected) -> None:
        entry.cancel = None

    def _amended(self, entry: Entry, event: VenueAmended) -> None:
        if self.replaces and entry.amend is not None:
            entry.generation = max(entry.generation, entry.amend.position)
        entry.quantity, entry.limit_price, entry.amend = event.quantity, event.limit_price, None
        entry.seen_at = max(entry.seen_at, event.ts_event)
        if entry.is_live and entry.leaves == 0:
            self._ended(entry, event)

    def _amend_rejected(self, entry: Entry, _event: VenueAmendRejected) -> None:
        entry.amend = None

    def _foreign_order(self, order: VenueForeignOrder, position: int) -> None:
        self._foreign[_key((order.instrument, order.venue_order_id))] = order.adopted
        if venue_of(order.instrument) != self.venue or not order.adopted or order.client_order_id in self.entries:
            return
        terms = OrderTerms(
            client_order_id=order.client_order_id,
            strategy=order.strategy,
            instrument=order.instrument,
            side=order.side,
            quantity=order.quantity,
            order_type=OrderType.MARKET if order.limit_price is None else OrderType.LIMIT,
            limit_price=order.limit_price,
            time_in_force=TimeInForce.GTC,
            reduce_only=False,
        )
        entry = Entry(terms, position, order.ts_init, order.quantity, order.limit_price, Phase.ACCEPTED)
        entry.venue_order_id = order.venue_order_id
        self.entries[entry.id] = entry
        self.know(entry, order.venue_order_id)


def _key(order: VenueOrder) -> str:
    return "/".join(order)
