"""A correction with its evidence: what we had, what the venue says, and the reports that make it right. Pure."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from contracts.event import Event
from contracts.types import ReconciliationKind
from contracts.venue import (
    Reconciled,
    VenueCanceled,
    VenueExpired,
    VenueFilled,
    VenueForeignOrder,
)
from venues.reconciliation.book import VenueBook
from venues.reconciliation.entry import Entry
from venues.reconciliation.views import VenueOrderView, VenueTradeView

Kind = ReconciliationKind


@dataclass(frozen=True, slots=True)
class Standing:
    """What the tape said of an order before a look at the venue."""

    phase: str
    filled: Decimal
    trades: tuple[str, ...]
    quantity: Decimal
    limit_price: Decimal | None


def standing(entry: Entry | None) -> Standing | None:
    if entry is None:
        return None
    return Standing(entry.phase.value, entry.filled, tuple(entry.fills), entry.quantity, entry.limit_price)


def reconcile_order(book: VenueBook, view: VenueOrderView, now: int, why: str) -> list[Event]:
    """Take a look at an order; what was missing comes behind the `Reconciled` that explains it."""
    before = standing(book.entry_of(view))
    return explained(book.venue, before, book.heard_order(view, now), order_evidence(view), now, why)


def reconcile_trade(book: VenueBook, view: VenueTradeView, now: int, why: str) -> list[Event]:
    """Take a trade that no stream has brought; what was missing comes behind the `Reconciled` that explains it."""
    before = standing(book.entry_of_trade(view))
    return explained(book.venue, before, book.heard_trade(view, now), trade_evidence(view), now, why)


def explained(
    venue: str, before: Standing | None, reports: Sequence[Event], said: object, now: int, why: str
) -> list[Event]:
    """Put before reports what they correct, and by which evidence; nothing when there are none."""
    if not reports:
        return []
    evidence = {"why": why, "ours": _plain(before), "venue": said, "corrections": [_named(one) for one in reports]}
    subject = str(getattr(reports[0], "client_order_id", venue))
    return [_reconciled(venue, _kind(reports), subject, evidence, now), *reports]


def in_order(venue: str, orders: int, trades: int, now: int, why: str) -> Reconciled:
    """Say that a comparison found nothing to correct."""
    return _reconciled(venue, Kind.IN_ORDER, why, {"why": why, "orders": orders, "trades": trades}, now)


def order_evidence(view: VenueOrderView) -> object:
    return {
        "client_order_id": view.client_order_id,
        "venue_order_id": view.venue_order_id,
        "status": view.status.value,
        "quantity": str(view.quantity),
        "filled": str(view.filled),
        "limit_price": None if view.limit_price is None else str(view.limit_price),
        "updated_at": view.updated_at,
    }


def trade_evidence(view: VenueTradeView) -> object:
    return {
        "trade_id": view.trade_id,
        "venue_order_id": view.venue_order_id,
        "price": str(view.price),
        "quantity": str(view.quantity),
        "traded_at": view.traded_at,
    }


def _reconciled(venue: str, kind: Kind, subject: str, evidence: object, now: int) -> Reconciled:
    return Reconciled(
        ts_event=now,
        ts_init=now,
        venue=venue,
        kind=kind,
        subject=subject,
        corrected=True,
        evidence=json.dumps(evidence)[:65_536],
    )


def _kind(reports: Iterable[Event]) -> Kind:
    """Name the gravest of what was missed."""
    kinds = {type(report) for report in reports}
    if VenueForeignOrder in kinds:
        return Kind.FOREIGN_ORDER
    if VenueFilled in kinds:
        return Kind.MISSED_FILL
    return Kind.MISSED_END if kinds & {VenueCanceled, VenueExpired} else Kind.UNKNOWN_STATE


def _named(report: Event) -> str:
    detail = f" {report.trade_id}" if isinstance(report, VenueFilled) else ""
    return f"{type(report).__name__}{detail}"


def _plain(before: Standing | None) -> object:
    if before is None:
        return None
    return {
        "phase": before.phase,
        "filled": str(before.filled),
        "trades": list(before.trades)[-100:],
        "quantity": str(before.quantity),
        "limit_price": None if before.limit_price is None else str(before.limit_price),
    }
