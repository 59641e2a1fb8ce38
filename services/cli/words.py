"""Events in the words of a person, for `hmm why`."""

from collections.abc import Iterable
from decimal import Decimal
from functools import singledispatch

from contracts.books import PositionChanged, PositionClosed
from contracts.control import Alert, DeadLetter, GuardSet, LeaseTaken, TradingStateSet
from contracts.event import Event
from contracts.market import Bar, Funding, Quote, Trade
from contracts.models import ModelPromoted, ModelPublished, ModelRetired, TrainFailed
from contracts.orders import (
    AmendApproved,
    AmendIntent,
    Amendment,
    AmendRejected,
    CancelIntent,
    Denial,
    OrderAccepted,
    OrderFilled,
    OrderInitialized,
    OrderIntent,
    OrderTerms,
    OrderTriggered,
    OrderUpdated,
    ProtectiveIntent,
    RiskApproved,
    RiskRejected,
)
from contracts.presets import PresetSelected
from contracts.regimes import DirectionInferred, DriftDetected, RegimeInferred
from contracts.signals import SignalGiven
from contracts.types import Side, TrailKind
from contracts.venue import AmendOrder, SubmitOrder, VenueAccepted, VenueAmended, VenueFilled, VenueTriggered
from services.cli.orders import amount


@singledispatch
def words(event: Event) -> str:
    """Say what an event says beyond its type; most have a reason at most."""
    reason = getattr(event, "reason", None)
    return reason if isinstance(reason, str) else ""


@words.register
def _(quote: Quote) -> str:
    return f"{quote.instrument} bid {quote.bid} x {quote.bid_size}, ask {quote.ask} x {quote.ask_size}"


@words.register
def _(trade: Trade) -> str:
    return f"{trade.instrument} {trade.size} at {trade.price}"


@words.register
def _(bar: Bar) -> str:
    return f"{bar.instrument} {bar.interval.value} open {bar.open} high {bar.high} low {bar.low} close {bar.close}"


@words.register
def _(funding: Funding) -> str:
    return f"{funding.instrument} mark {funding.mark}, funding {funding.rate:.4%}"


@words.register
def _(wish: OrderIntent) -> str:
    exit_plan = "" if wish.exit is None else f", stop {wish.exit.stop}"
    if wish.exit is not None and wish.exit.target is not None:
        exit_plan += f", target {wish.exit.target}"
    attached = f"; with {len(wish.attached)} attached" if wish.attached else ""
    return f"{of_terms(wish.order)}{attached}: {wish.reason} (decided at {wish.reference_price}{exit_plan})"


@words.register
def _(wish: ProtectiveIntent) -> str:
    return f"{of_terms(wish.order)}: {wish.reason} (by {wish.by}, decided at {wish.reference_price})"


@words.register
def _(verdict: RiskApproved) -> str:
    return f"{of_terms(verdict.order)}, judged at {verdict.mark}"


@words.register
def _(verdict: RiskRejected) -> str:
    return f"{of_terms(verdict.order)}: {len(verdict.reasons)} of the rails object"


@words.register
def _(begun: OrderInitialized) -> str:
    return of_terms(begun.order)


@words.register
def _(command: SubmitOrder) -> str:
    part = f" as {command.order.client_order_id}" if command.order.slice_of else ""
    return f"{of_terms(command.order)}{part}"


@words.register
def _(accepted: OrderAccepted | VenueAccepted) -> str:
    return f"as {accepted.venue_order_id}"


@words.register
def _(triggered: OrderTriggered | VenueTriggered) -> str:
    return f"at {amount(triggered.price)}"


@words.register
def _(fill: OrderFilled) -> str:
    slippage = "" if fill.slippage_bps is None else f", slippage {fill.slippage_bps:+.2f} bps"
    return f"{_traded(fill)}{slippage}; {amount(fill.cumulative)} filled, {amount(fill.leaves)} left"


@words.register
def _(fill: VenueFilled) -> str:
    return _traded(fill)


@words.register
def _(amend: AmendOrder | AmendApproved) -> str:
    return _of_amendment(amend.amendment)


@words.register
def _(amend: AmendIntent) -> str:
    return f"{_of_amendment(amend.amendment)}: {amend.reason} (by {amend.by})"


@words.register
def _(amend: AmendRejected) -> str:
    return f"{_of_amendment(amend.amendment)}: {'; '.join(denials(amend.reasons))}"


@words.register
def _(updated: OrderUpdated | VenueAmended) -> str:
    return _changes(updated.quantity, updated.limit_price, updated.trigger_price)


@words.register
def _(cancel: CancelIntent) -> str:
    return f"{cancel.reason} (by {cancel.by})"


@words.register
def _(changed: PositionChanged) -> str:
    at = "" if changed.average_price is None else f" at {amount(changed.average_price)}"
    side = "" if changed.position_side.value == "net" else f" {changed.position_side.value}"
    paid = f"realized {amount(changed.realized_pnl)}, fees {amount(changed.fees)}, funding {amount(changed.funding)}"
    return f"{changed.instrument}{side}: {amount(changed.quantity)}{at}; {paid} so far"


@words.register
def _(closed: PositionClosed) -> str:
    held = f"{_did(closed.side)} {amount(closed.quantity)} at {amount(closed.entry_price)}"
    stopped = ", stopped" if closed.stopped else ""
    return f"{held}, left at {amount(closed.exit_price)}{stopped}: {amount(closed.net_pnl)} after fees and funding"


@words.register
def _(inferred: RegimeInferred) -> str:
    sure = f"confidence {inferred.confidence:.2f}{'' if inferred.confident else ', too little'}"
    shares = zip(inferred.states, inferred.probabilities, strict=True)
    of_each = ", ".join(f"{state} {share:.2f}" for state, share in shares)
    return f"{inferred.instrument} {inferred.regime}, {sure} ({of_each}) by {inferred.model_id} at {inferred.close}"


@words.register
def _(inferred: DirectionInferred) -> str:
    return f"{inferred.instrument} up {inferred.up:.2f} in {inferred.horizon} observations, by {inferred.model_id}"


@words.register
def _(drift: DriftDetected) -> str:
    of = "" if drift.feature is None else f" of {drift.feature.value}"
    measured = f"{drift.kind.value}{of} {drift.statistic:.3g} beyond {drift.threshold:.3g}"
    return f"{drift.instrument} {measured}: {drift.model_id}"


@words.register
def _(model: ModelPublished) -> str:
    gate = "it passed" if model.passed else f"it did not pass: {model.gate}"
    return f"{model.instrument} {model.family.value} {model.model_id}, {gate}"


@words.register
def _(model: ModelPromoted) -> str:
    before = "" if model.replaces is None else f" in place of {model.replaces}"
    return f"{model.instrument} {model.family.value} {model.model_id}{before}: {model.reason} (by {model.by})"


@words.register
def _(model: ModelRetired) -> str:
    return f"{model.instrument} {model.family.value} {model.model_id}: {model.reason} (by {model.by})"


@words.register
def _(failed: TrainFailed) -> str:
    return f"{failed.instrument} {failed.family.value}: {failed.failure.value}, {failed.detail}"


@words.register
def _(selected: PresetSelected) -> str:
    why = "pinned" if selected.pinned else f"drawn from {len(selected.arms)}"
    return f"{selected.strategy} in {selected.instrument}: {selected.preset} in regime {selected.regime}, {why}"


@words.register
def _(signal: SignalGiven) -> str:
    side = "aside" if signal.side is None else signal.side.value
    return f"{signal.instrument} {side}, strength {signal.strength:+.2f}: {signal.reason}"


@words.register
def _(state: TradingStateSet) -> str:
    return f"{state.state.value} by {state.operator}: {state.reason}"


@words.register
def _(guard: GuardSet) -> str:
    return f"{guard.guard}: {guard.state.value}, {guard.reason}"


@words.register
def _(lease: LeaseTaken) -> str:
    return f"{lease.component} under {lease.settings}"


@words.register
def _(alert: Alert) -> str:
    return f"{alert.severity.value} {alert.component}.{alert.code}: {alert.message}"


@words.register
def _(dead: DeadLetter) -> str:
    return f"{dead.component} at {dead.source}: {dead.reason}"


def of_terms(order: OrderTerms) -> str:
    """Say what is to be traded, and how."""
    said = [order.side.value, amount(order.quantity), order.instrument, order.order_type.value.replace("_", " ")]
    if order.limit_price is not None:
        said.append(amount(order.limit_price))
    if order.trigger_price is not None and order.trigger_by is not None:
        said.append(f"when {order.trigger_by.value} is {amount(order.trigger_price)}")
    if order.trail is not None:
        percent = " %" if order.trail.kind is TrailKind.PERCENT else ""
        said.append(f"trailing by {amount(order.trail.offset)}{percent}")
    said.append(order.time_in_force.value)
    flags = {"reduce only": order.reduce_only, "post only": order.post_only}
    said += [flag for flag, is_set in flags.items() if is_set]
    if order.display_quantity is not None:
        said.append(f"showing {amount(order.display_quantity)}")
    if order.twap is not None:
        said.append(f"in {order.twap.slices} slices")
    if order.link is not None and order.link.parent is not None:
        said.append(f"after {order.link.parent}")
    return " ".join(said)


def denials(reasons: Iterable[Denial]) -> list[str]:
    return [f"{denial.rail.value}: {denial.detail}" for denial in reasons]


def _traded(fill: OrderFilled | VenueFilled) -> str:
    fee = f"{amount(fill.fee)} {fill.fee_currency or fill.currency}"
    traded = f"{_did(fill.side)} {amount(fill.quantity)} at {amount(fill.price)} {fill.currency}"
    return f"{traded} as {fill.liquidity.value}, fee {fee}, trade {fill.trade_id}"


def _did(side: Side) -> str:
    return "bought" if side is Side.BUY else "sold"


def _of_amendment(amendment: Amendment) -> str:
    return _changes(amendment.quantity, amendment.limit_price, amendment.trigger_price)


def _changes(quantity: Decimal | None, limit: Decimal | None, trigger: Decimal | None) -> str:
    changed = {"quantity": quantity, "limit": limit, "trigger": trigger}
    return ", ".join(f"{name} {amount(value)}" for name, value in changed.items() if value is not None)
