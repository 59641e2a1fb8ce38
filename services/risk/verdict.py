"""One verdict for each wish: approved, made smaller, or refused with all that is wrong with it."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite

from contracts.event import maker
from contracts.orders import (
    Denial,
    OrderIntent,
    OrderTerms,
    ProtectiveIntent,
    RiskApproved,
    RiskRejected,
    contradiction_of_list,
)
from contracts.types import Rail
from services.risk.clear import Glance
from services.risk.rails import IN_A_LIST, PROTECTIVE, denial, denials
from services.risk.situation import Ground, Situation
from services.risk.snapping import resized, snapped, whole_lots
from venues.instruments import Instrument

_approved = maker(RiskApproved)

NEARLY = 1e-6
"""So near to a whole lot, a float is one."""

Found = list[tuple[Denial, float | None]]
"""Denials, each with the quantity that would satisfy it."""


@dataclass(slots=True)
class Proposal:
    """What may be let through: the orders of an intent, as they would go out."""

    order: OrderTerms
    attached: tuple[OrderTerms, ...] = ()

    @property
    def listed(self) -> tuple[OrderTerms, ...]:
        return (self.order, *self.attached)

    @property
    def is_one_position(self) -> bool:
        """Whether all other orders only take away again what the first one brings."""
        own = self.order.client_order_id
        return all(one.reduce_only and one.link is not None and one.link.parent == own for one in self.attached)

    def snapped(self, instrument: Instrument) -> "Proposal":
        order = snapped(self.order, instrument)
        if order is self.order and not self.attached:
            return self
        return Proposal(order, tuple(snapped(one, instrument) for one in self.attached))

    def resized(self, quantity: Decimal, instrument: Instrument) -> "Proposal":
        """Make the list smaller; its other orders keep their share of the first one's quantity."""
        before = self.order.quantity
        others = (
            quantity if one.quantity == before else whole_lots(one.quantity * quantity / before, instrument)
            for one in self.attached
        )
        attached = tuple(resized(one, share) for one, share in zip(self.attached, others, strict=True))
        return Proposal(resized(self.order, quantity), attached)


def judge(ground: Ground, glance: Glance, intent: OrderIntent) -> RiskApproved | RiskRejected:
    """Judge a strategy's wish. What is approved is reserved: from here on it counts as if it were filled."""
    instrument = ground.listing.get(intent.order.instrument)
    proposal = Proposal(intent.order, intent.attached)
    cut: list[Denial] = []
    if instrument is not None:
        if ground.settings.snap:
            proposal = proposal.snapped(instrument)
        proposal, cut = _cut(ground, proposal, instrument)
    found = _objections(ground, glance, proposal, intent)
    denied = [*cut, *(one for one, _ in found)]
    if found and instrument is not None and ground.settings.resize and proposal.is_one_position:
        smaller, failed = _largest(ground, glance, proposal, intent, instrument, found)
        if smaller is not None:
            return _approve(ground, intent, smaller, denied)
        named = {one.rail for one in denied}
        denied += [one for one in failed if one.rail not in named]
    if found:
        return _reject(ground, intent, denied)
    return _approve(ground, intent, proposal, cut)


def approve_at(ground: Ground, intent: OrderIntent, mark: float) -> RiskApproved:
    """Approve an order that stands alone and is clear at that mark."""
    order = intent.order
    _count(ground, order, 1, intent.ts_init)
    ground.activity.remember(order.client_order_id)
    ground.exposure.reserve(order)
    return _approved(ts_event=intent.ts_event, ts_init=intent.ts_init, order=order, mark=mark)


def judge_protective(ground: Ground, intent: ProtectiveIntent) -> RiskApproved | RiskRejected:
    """Judge an order that ends the loss of a position. It is made smaller where it would do more than that."""
    instrument = ground.listing.get(intent.order.instrument)
    proposal, denied = Proposal(intent.order), []
    if instrument is not None:
        proposal = proposal.snapped(instrument)
        reducible = instrument.quantity(ground.exposure.reducible(proposal.order))
        if 0 < reducible < proposal.order.quantity:
            reducing = {Rail.REDUCE_ONLY: PROTECTIVE[Rail.REDUCE_ONLY]}
            denied = [one for one, _ in denials(_situation(ground, proposal, intent), reducing)]
            proposal = proposal.resized(reducible, instrument)
    found = denials(_situation(ground, proposal, intent), PROTECTIVE)
    if found:
        return _reject(ground, intent, [one for one, _ in found])
    return _approve(ground, intent, proposal, denied)


def _cut(ground: Ground, proposal: Proposal, instrument: Instrument) -> tuple[Proposal, list[Denial]]:
    """Apply what the router says of an instrument that trades badly. Exits keep their size."""
    order, override = proposal.order, ground.overrides.get(proposal.order.instrument)
    if override is None or override.size_factor >= 1 or not ground.settings.execution_overrides:
        return proposal, []
    if order.quantity <= ground.exposure.reducible(order):
        return proposal, []
    quantity = whole_lots(order.quantity * Decimal(repr(override.size_factor)), instrument)
    detail = f"{override.size_factor:g} of {order.quantity} (execution_overrides): {override.reason}"
    return proposal.resized(quantity, instrument), [denial(Rail.EXECUTION, detail)]


def _objections(ground: Ground, glance: Glance, proposal: Proposal, intent: OrderIntent) -> Found:
    at = _situation(ground, proposal, intent)
    found: Found = denials(at, glance.rails_for(at))
    if not proposal.attached:
        return found
    if problem := contradiction_of_list(proposal.order, proposal.attached):
        strange = denial(Rail.ORDER_TERMS, problem)
        return found if any(strange == other for other, _ in found) else [*found, (strange, None)]
    return [*found, *_objections_to_others(ground, proposal, intent)]


def _objections_to_others(ground: Ground, proposal: Proposal, intent: OrderIntent) -> Iterator[tuple[Denial, None]]:
    for one in proposal.attached:
        at = Situation(ground, one, intent.ts_init, one.quantity, listed=proposal.listed)
        for other, _ in denials(at, IN_A_LIST):
            yield denial(other.rail, f"{one.client_order_id}: {other.detail}"), None


def _situation(ground: Ground, proposal: Proposal, intent: OrderIntent | ProtectiveIntent) -> Situation:
    order = proposal.order
    listed = proposal.listed if proposal.attached else ()
    return Situation(
        ground, order, intent.ts_init, order.quantity, intent.reference_price, listed, 1 + len(proposal.attached)
    )


def _largest(
    ground: Ground, glance: Glance, proposal: Proposal, intent: OrderIntent, instrument: Instrument, found: Found
) -> tuple[Proposal | None, list[Denial]]:
    """Find the largest order that passes, if size alone is wrong; otherwise what is wrong with the best attempt.

    Each rail told the quantity that satisfies it, and what only reduces passes them all: there is nothing to search.
    The neighbours are tried as well because those quantities are floats.
    """
    fits = [fitting for _, fitting in found if fitting is not None]
    if len(fits) < len(found) or not isfinite(min(fits)):
        return None, []
    exit_lots = int(ground.exposure.reducible(proposal.order) / instrument.lot)
    lots = max(int(min(fits) / float(instrument.lot) + NEARLY), exit_lots)
    most = int(proposal.order.quantity / instrument.lot) - 1
    failed: list[Denial] = []
    for count in range(min(lots + 1, most), max(min(lots - 2, most - 1), 0), -1):
        smaller = proposal.resized(count * instrument.lot, instrument)
        objections = _objections(ground, glance, smaller, intent)
        if not objections:
            return smaller, []
        failed = failed or [one for one, _ in objections if count <= lots]
    return None, failed


def _approve(
    ground: Ground, intent: OrderIntent | ProtectiveIntent, proposal: Proposal, denied: list[Denial]
) -> RiskApproved:
    mark = ground.mark(proposal.order.instrument)
    assert mark is not None or isinstance(intent, ProtectiveIntent), "an order without a mark passed the rails"
    if isinstance(intent, OrderIntent):
        _count(ground, proposal.order, len(proposal.listed), intent.ts_init)
    for one in proposal.listed:
        ground.activity.remember(one.client_order_id)
        ground.exposure.reserve(one)
    return _approved(
        ts_event=intent.ts_event,
        ts_init=intent.ts_init,
        order=proposal.order,
        mark=intent.reference_price if mark is None else mark,
        attached=proposal.attached,
        resized=tuple(denied),
    )


def _count(ground: Ground, order: OrderTerms, count: int, now: int) -> None:
    """Take what sending `count` orders costs; exits are not held against a strategy as repetitions."""
    ground.activity.take_tokens(order.strategy, count, now, ground.settings)
    if ground.settings.duplicate_window_ms is not None and order.quantity > ground.exposure.reducible(order):
        ground.activity.approved(order, now, ground.settings)


def _reject(ground: Ground, intent: OrderIntent | ProtectiveIntent, denied: list[Denial]) -> RiskRejected:
    attached = intent.attached if isinstance(intent, OrderIntent) else ()
    for one in (intent.order, *attached):
        ground.activity.remember(one.client_order_id)
    return RiskRejected(ts_event=intent.ts_event, ts_init=intent.ts_init, order=intent.order, reasons=tuple(denied))
