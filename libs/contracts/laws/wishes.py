"""From the wish to the verdict: every wish gets one, on no more than was wished for."""

from dataclasses import dataclass, replace

from contracts.laws.law import Found, Group, Law
from contracts.orders import (
    AmendApproved,
    AmendIntent,
    Amendment,
    AmendRejected,
    OrderIntent,
    OrderTerms,
    ProtectiveIntent,
    RiskApproved,
    RiskRejected,
)
from contracts.recorded import Recorded


@dataclass(slots=True)
class _Wish:
    position: int
    listed: dict[str, OrderTerms]


class Wishes(Group):
    """Intents that wait for a verdict, and approvals that wait for the router."""

    def __init__(self) -> None:
        self.approved: dict[str, OrderTerms] = {}
        self._waiting: dict[str, _Wish] = {}
        self._amendments: dict[int, Amendment] = {}
        """By the position of the wish."""
        self.checks = {
            OrderIntent: self._on_intent,
            ProtectiveIntent: self._on_intent,
            RiskApproved: self._on_verdict,
            RiskRejected: self._on_verdict,
            AmendIntent: self._on_amend_intent,
            AmendApproved: self._on_amend_verdict,
            AmendRejected: self._on_amend_verdict,
        }

    def _on_intent(self, recorded: Recorded, intent: OrderIntent | ProtectiveIntent) -> Found:
        attached = intent.attached if isinstance(intent, OrderIntent) else ()
        listed = {terms.client_order_id: terms for terms in (intent.order, *attached)}
        order_id = intent.order.client_order_id
        if order_id in self._waiting or not self.approved.keys().isdisjoint(listed):
            yield Law.VERDICT, f"{order_id} is wished for a second time"
        self._waiting[order_id] = _Wish(recorded.position, listed)

    def _on_verdict(self, recorded: Recorded, verdict: RiskApproved | RiskRejected) -> Found:
        order = verdict.order
        attached = verdict.attached if isinstance(verdict, RiskApproved) else ()
        listed = {terms.client_order_id: terms for terms in (order, *attached)}
        wish = self._waiting.pop(order.client_order_id, None)
        if wish is None:
            yield Law.VERDICT, f"nobody waits for a verdict on {order.client_order_id}"
        else:
            if recorded.cause != wish.position:
                been = f"{order.client_order_id} was wished for at {wish.position}"
                yield Law.VERDICT, f"{been}, not at {recorded.cause}"
            if isinstance(verdict, RiskApproved) and listed.keys() != wish.listed.keys():
                yield Law.VERDICT, f"the verdict on {order.client_order_id} is on another list of orders"
            if not all(_as_wished(terms, wish.listed.get(name, terms)) for name, terms in listed.items()):
                yield Law.VERDICT, f"the verdict on {order.client_order_id} is on other terms"
        if isinstance(verdict, RiskApproved):
            self.approved.update(listed)

    def _on_amend_intent(self, recorded: Recorded, intent: AmendIntent) -> None:
        self._amendments[recorded.position] = intent.amendment

    def _on_amend_verdict(self, recorded: Recorded, verdict: AmendApproved | AmendRejected) -> Found:
        decided = verdict.amendment
        wished = self._amendments.pop(recorded.cause or 0, None)
        if wished is None:
            yield Law.VERDICT, f"nobody waits for a verdict on other terms of {decided.client_order_id}"
        elif (decided.client_order_id, decided.instrument) != (wished.client_order_id, wished.instrument):
            yield Law.VERDICT, f"the verdict on other terms of {wished.client_order_id} is on another order"
        elif (decided.quantity or 0) > (wished.quantity or 0):
            yield Law.VERDICT, f"{decided.client_order_id} may become larger than was wished for"

    def missing(self) -> Found:
        for order_id, wish in self._waiting.items():
            yield Law.VERDICT, f"{order_id}, wished for at {wish.position}, has no verdict"
        for position, wished in self._amendments.items():
            yield Law.VERDICT, f"other terms of {wished.client_order_id}, wished for at {position}, have no verdict"
        for order_id in self.approved:
            yield Law.ROUTE, f"{order_id} was approved, and the router did not take it"


def _as_wished(judged: OrderTerms, wished: OrderTerms) -> bool:
    """Say whether a verdict is on what was wished for: prices may be put on the tick, the quantity may be less."""
    if judged == wished:
        return True
    priced = replace(
        judged,
        quantity=wished.quantity,
        limit_price=wished.limit_price if judged.limit_price else None,
        trigger_price=wished.trigger_price if judged.trigger_price else None,
        display_quantity=wished.display_quantity if judged.display_quantity else None,
        trail=wished.trail if judged.trail else None,
    )
    return priced == wished and judged.quantity <= wished.quantity
