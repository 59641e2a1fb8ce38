"""Other terms for an open order: what they add is judged like a new order."""

from dataclasses import replace

from contracts.orders import AmendApproved, AmendIntent, Amendment, AmendRejected, Denial, OrderTerms
from contracts.types import Rail
from services.risk.exposure import ZERO, Pending, stands_by
from services.risk.rails import AMENDED, AMENDED_EXIT, denials
from services.risk.situation import Ground, Situation
from services.risk.snapping import snapped_amendment

PROTECTORS = frozenset({"stops", "depeg", "funding"})
"""Who may change the orders of any strategy."""


def judge_amendment(ground: Ground, intent: AmendIntent) -> AmendApproved | AmendRejected:
    """Judge new terms. They are approved as they are or refused, and never made smaller."""
    wished = intent.amendment
    pending = ground.exposure.pending.get(wished.client_order_id)
    if pending is None:
        return _refuse(intent, _terms_denial(f"{wished.client_order_id} is not known here, or no longer open"))
    if problem := _strange(intent, pending):
        return _refuse(intent, _terms_denial(problem))
    instrument = ground.listing.get(wished.instrument)
    change = wished
    if instrument is not None and ground.settings.snap:
        change = snapped_amendment(wished, pending.side, instrument)
    after = _amended(pending.order, change)
    exits = stands_by(after)
    grows = after.quantity > pending.order.quantity + pending.more
    counted = pending.filled if exits else pending.order.quantity + pending.more
    at = Situation(ground, after, intent.ts_init, after.quantity - counted if grows else ZERO, count=0)
    refused = [denial for denial, _ in denials(at, AMENDED_EXIT if exits else AMENDED)]
    if refused:
        return _refuse(intent, *refused)
    ground.exposure.reserve_more(change)
    ground.activity.take_tokens(after.strategy, 1, intent.ts_init, ground.settings)
    return AmendApproved(ts_event=intent.ts_event, ts_init=intent.ts_init, amendment=change)


def _amended(order: OrderTerms, change: Amendment) -> OrderTerms:
    quantity = order.quantity if change.quantity is None else change.quantity
    shown = order.display_quantity
    return replace(
        order,
        quantity=quantity,
        limit_price=order.limit_price if change.limit_price is None else change.limit_price,
        trigger_price=order.trigger_price if change.trigger_price is None else change.trigger_price,
        display_quantity=None if shown is None else min(shown, quantity),
    )


def _strange(intent: AmendIntent, pending: Pending) -> str | None:
    wished, order = intent.amendment, pending.order
    if order.instrument != wished.instrument:
        return f"{order.client_order_id} trades {order.instrument}, not {wished.instrument}"
    own = order.client_order_id.startswith(f"{intent.by}-")
    if intent.by != order.strategy and intent.by not in PROTECTORS and not own:
        return f"{intent.by} may not amend {order.client_order_id}, which {order.strategy} trades"
    if wished.quantity is not None and wished.quantity <= pending.filled:
        return f"quantity {wished.quantity} is not above what is filled, {pending.filled}"
    return None


def _terms_denial(detail: str) -> Denial:
    return Denial(rail=Rail.ORDER_TERMS, detail=detail)


def _refuse(intent: AmendIntent, *denied: Denial) -> AmendRejected:
    return AmendRejected(
        ts_event=intent.ts_event, ts_init=intent.ts_init, amendment=intent.amendment, reasons=tuple(denied)
    )
