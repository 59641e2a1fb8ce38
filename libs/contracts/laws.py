"""The laws of the tape: what holds for every history of the system, whatever was interrupted, and however often.

They look at recorded events alone, in the order of the tape and from its beginning, so the simulator of faults, a stack
that is shot at, and an audit of what was years ago hold the system to the same promises. What is closed is forgotten: a
tape may be long.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum
from typing import Any

from contracts.books import EquityMarked, PortfolioMarked, PositionChanged
from contracts.control import Alert, LeaseTaken
from contracts.event import Event
from contracts.lifecycle import Life
from contracts.orders import (
    AmendApproved,
    AmendIntent,
    Amendment,
    AmendRejected,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderHeld,
    OrderInitialized,
    OrderIntent,
    OrderPendingCancel,
    OrderPendingUpdate,
    OrderRejected,
    OrderSubmitted,
    OrderTerms,
    OrderTriggered,
    OrderUpdated,
    OrderUpdateRejected,
    ProtectiveIntent,
    RiskApproved,
    RiskRejected,
)
from contracts.recorded import Recorded
from contracts.types import InstrumentId, OrderStatus, PositionSide
from contracts.venue import (
    AmendOrder,
    CancelOrder,
    FundingPaid,
    QueryOrder,
    SubmitOrder,
    VenueCanceled,
    VenueCancelRejected,
    VenueExpired,
    VenueFilled,
    VenueForeignOrder,
    VenueRejected,
    VenueReport,
)

ZERO = Decimal(0)
CLOSED_KEPT = 20_000
"""Closed orders that are remembered, for the fills that come late: more than any router remembers."""
RUNS_KEPT = 1_000
"""Runs of edges that are remembered, for those that go on after another."""


class Law(Enum):
    """What is promised. The value says it in words."""

    PLACES = "positions rise, and a cause comes before what it leads to"
    ONCE = "a writer answers its causes in their order, each answer once, numbered from 0"
    NUMBERS = "what an edge brings is numbered from 0, and each number comes once"
    LEASE = "only who took the lease last speaks under a name"
    VERDICT = "every wish for an order or for other terms of one gets one verdict, on no more than was wished for"
    ROUTE = "what was approved, or brought up by a venue, becomes an order, once, as it was"
    LIFE = "an order lives one life, by the table of transitions"
    COMMAND = "the venue is told once of an order or of each slice of it, and asked once for each cancel and change"
    FILL = "an order is filled by what it was for, once by each trade, and never above its quantity"
    POSITION = "a position is the sum of its fills, and its fees and funding are theirs"
    EQUITY = "equity is cash, positions and balances: the capital, and what fills and fundings moved and brought"


@dataclass(frozen=True, slots=True)
class Violation:
    """A law that does not hold; `position` is that of the event which shows it."""

    position: int
    law: Law
    detail: str

    def __str__(self) -> str:
        return f"position {self.position}: {self.detail} ({self.law.name}: {self.law.value})"


Found = Iterator[tuple[Law, str]]
Check = Callable[[Recorded, Any], Found | None]


class Laws:
    """Looks at each event of a tape in turn."""

    def __init__(self) -> None:
        self._position = 0
        self._writers = Writers()
        wishes = Wishes()
        self._groups: tuple[_Group, ...] = (wishes, Orders(wishes), Books())
        self._checks: dict[type[Event], tuple[Check, ...]] = {}
        for group in self._groups:
            for event_type, check in group.checks.items():
                self._checks[event_type] = (*self._checks.get(event_type, ()), check)

    def look(self, recorded: Recorded) -> list[Violation]:
        """Give what the next event of the tape violates."""
        position = recorded.position
        found = list(self._writers.look(recorded))
        if position <= self._position:
            found.append((Law.PLACES, f"comes after position {self._position}"))
        self._position = position
        for check in self._checks.get(type(recorded.event), ()):
            found += check(recorded, recorded.event) or ()
        return [Violation(position, law, detail) for law, detail in found]

    def at_rest(self) -> list[Violation]:
        """Give what is still missing, now that everything has come to rest."""
        return [Violation(self._position, law, detail) for group in self._groups for law, detail in group.missing()]


class _Group:
    """Some laws that share what they know."""

    checks: Mapping[type[Event], Check]

    def missing(self) -> Found:
        raise NotImplementedError


# -- who speaks, and in what order -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Writer:
    """How far a writer got, and since when (wall clock, ns) who speaks now has the lease."""

    cause: int = 0
    index: int = -1
    leased_ns: int = 0
    instance: str | None = None


class Writers:
    """Each writer's order. The id of an answer names its writer, its cause and its number among their answers."""

    def __init__(self) -> None:
        self._writers: dict[str, _Writer] = {}
        self._runs: dict[str, int] = {}

    def look(self, recorded: Recorded) -> Found:
        name, _, rest = recorded.msg_id.partition("/")
        writer = self._writers.get(name)
        if isinstance(recorded.event, LeaseTaken):
            writer = self._writers.setdefault(name, _Writer())
            if writer.instance != recorded.event.instance:  # else it is renewed, and what waited for that is older
                writer.leased_ns, writer.instance = recorded.ts_recorded, recorded.event.instance
            return
        if writer is not None and recorded.ts_recorded < writer.leased_ns:
            yield Law.LEASE, f"{recorded.msg_id} was written before {writer.instance} took the lease"
        if recorded.cause is None:
            yield from self._look_at_number(recorded.msg_id)
        elif writer is None:
            yield Law.LEASE, f"{recorded.msg_id} was said before anybody took the lease of {name}"
        else:
            yield from _look_at_answer(recorded, recorded.cause, rest, writer)

    def _look_at_number(self, msg_id: str) -> Found:
        run, _, text = msg_id.rpartition("/")
        number = _number(text)
        if number is None or run.count("/") != 1:
            return
        last = self._runs.pop(run, -1)
        if number != last + 1:
            yield Law.NUMBERS, f"{msg_id} comes after number {last}"
        self._runs[run] = max(last, number)
        if len(self._runs) > RUNS_KEPT:
            del self._runs[next(iter(self._runs))]


def _look_at_answer(recorded: Recorded, cause: int, rest: str, writer: _Writer) -> Found:
    named, _, text = rest.partition("/")
    index = _number(text)
    if index is None or named != str(cause):
        yield Law.ONCE, f"{recorded.msg_id} does not name the cause {cause}"
        return
    if cause >= recorded.position:
        yield Law.PLACES, f"{recorded.msg_id} comes before its cause"
    expected = writer.index + 1 if cause == writer.cause else 0
    if cause < writer.cause or index < expected:
        yield Law.ONCE, f"{recorded.msg_id} comes again, or too late: {writer.cause}/{writer.index} was said before"
    elif index > expected:
        yield Law.ONCE, f"{recorded.msg_id} comes without the one before it"
    writer.cause, writer.index = max((writer.cause, writer.index), (cause, index))


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


# -- from the wish to the order ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Wish:
    position: int
    listed: dict[str, OrderTerms]


class Wishes(_Group):
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
        elif (decided.quantity or ZERO) > (wished.quantity or ZERO):
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


# -- the life of an order ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Slice:
    """A part of an order at the venue; `bound` is what it has filled and may still fill."""

    order_id: str
    quantity: Decimal
    bound: Decimal
    filled: Decimal = ZERO
    trades: set[str] = field(default_factory=set)
    cancels_left: int = 1


@dataclass(slots=True)
class _Order:
    terms: OrderTerms
    life: Life = field(default_factory=Life)
    filled: Decimal = ZERO
    trades: set[str] = field(default_factory=set)
    said_submitted: bool = False
    submitted: bool = False
    cancels_due: int = 0
    changes_due: int = 0
    slices: dict[str, _Slice] = field(default_factory=dict)

    @property
    def goes_out(self) -> bool:
        return self.said_submitted and not self.life.closed

    @property
    def may_be_sliced(self) -> bool:
        return self.terms.twap is not None or self.terms.display_quantity is not None

    @property
    def is_whole(self) -> bool:
        shown = self.terms.display_quantity or self.terms.quantity
        return self.terms.twap is None and shown >= self.terms.quantity and not self.slices


class Orders(_Group):
    """Every order that is open, and the closed ones of late."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self._orders: dict[str, _Order] = {}
        self._closed: dict[str, None] = {}
        self._slices: dict[str, _Slice] = {}
        self._foreign: dict[str, VenueForeignOrder] = {}
        steps = (
            *(OrderAccepted, OrderCanceled, OrderCancelRejected, OrderDenied, OrderExpired, OrderHeld),
            *(OrderPendingCancel, OrderPendingUpdate, OrderRejected, OrderSubmitted, OrderTriggered),
            OrderUpdateRejected,
        )
        self.checks = {
            VenueForeignOrder: self._on_foreign,
            OrderInitialized: self._on_initialized,
            OrderFilled: self._on_filled,
            OrderUpdated: self._on_updated,
            SubmitOrder: self._on_submit,
            CancelOrder: self._on_cancel,
            AmendOrder: self._on_amend,
            QueryOrder: self._on_query,
            VenueFilled: self._on_slice_filled,
            **dict.fromkeys((VenueCanceled, VenueExpired, VenueRejected), self._on_slice_ended),
            VenueCancelRejected: self._on_slice_kept,
            **dict.fromkeys(steps, self._on_step),
        }

    def _on_foreign(self, _recorded: Recorded, foreign: VenueForeignOrder) -> None:
        if foreign.adopted and foreign.client_order_id not in self._orders:
            self._foreign[foreign.client_order_id] = foreign

    def _on_initialized(self, _recorded: Recorded, begun: OrderInitialized) -> Found:
        terms = begun.order
        approved = self._wishes.approved.pop(terms.client_order_id, None)
        foreign = None if approved else self._foreign.pop(terms.client_order_id, None)
        if terms.client_order_id in self._orders:
            yield Law.LIFE, f"{terms.client_order_id} begins a second time"
        elif foreign is not None:
            brought = (foreign.strategy, foreign.instrument, foreign.side, foreign.quantity)
            if (terms.strategy, terms.instrument, terms.side, terms.quantity) != brought:
                yield Law.ROUTE, f"{terms.client_order_id} was brought up by the venue on other terms"
        elif approved is None:
            yield Law.ROUTE, f"{terms.client_order_id} was not approved"
        elif approved != terms:
            yield Law.ROUTE, f"{terms.client_order_id} was approved on other terms"
        self._orders.setdefault(terms.client_order_id, _Order(terms, submitted=foreign is not None))

    def _on_step(self, _recorded: Recorded, step: OrderEvent) -> Found:
        order = self._orders.get(step.client_order_id)
        if order is None:
            yield Law.LIFE, f"{type(step).__name__} for {step.client_order_id}, which never began"
            return
        if (step.strategy, step.instrument) != (order.terms.strategy, order.terms.instrument):
            yield Law.LIFE, f"{type(step).__name__} for {step.client_order_id} names another strategy or instrument"
        life = order.life.after(step)
        if life is None:
            yield Law.LIFE, f"{type(step).__name__} for {step.client_order_id}, which is {order.life.status.value}"
            return
        order.life = life
        if isinstance(step, OrderPendingCancel):
            order.cancels_due += 1
        elif isinstance(step, OrderPendingUpdate):
            order.changes_due += 1
        elif isinstance(step, OrderSubmitted):
            order.said_submitted = True
        if life.closed:
            self._close(step.client_order_id)

    def _on_updated(self, recorded: Recorded, step: OrderUpdated) -> Found:
        yield from self._on_step(recorded, step)
        order = self._orders.get(step.client_order_id)
        if order is None:
            return
        if step.leaves != step.quantity - order.filled or step.leaves <= 0:
            said = f"{step.leaves} left of {step.quantity}"
            yield Law.FILL, f"{step.client_order_id} goes on with {said}, {order.filled} are filled"
        order.terms = replace(
            order.terms, quantity=step.quantity, limit_price=step.limit_price, trigger_price=step.trigger_price
        )

    def _on_filled(self, recorded: Recorded, fill: OrderFilled) -> Found:
        order = self._orders.get(fill.client_order_id)
        yield from self._on_step(recorded, fill)
        if order is None:
            return
        if fill.trade_id in order.trades:
            yield Law.FILL, f"trade {fill.trade_id} of {fill.client_order_id} is booked a second time"
        order.trades.add(fill.trade_id)
        order.filled += fill.quantity
        of = f"{fill.client_order_id} with trade {fill.trade_id}"
        if fill.side is not order.terms.side:
            yield Law.FILL, f"{of}: {fill.side.value} for an order to {order.terms.side.value}"
        if order.filled > order.terms.quantity:
            yield Law.FILL, f"{of}: {order.filled} of {order.terms.quantity} are filled"
        if (fill.cumulative, fill.leaves) != (order.filled, order.terms.quantity - order.filled):
            yield Law.FILL, f"{of}: says {fill.cumulative} filled, {fill.leaves} left of {order.terms.quantity}"

    # What the venue is asked for.

    def _on_submit(self, _recorded: Recorded, command: SubmitOrder) -> Found:
        sent, order_id = command.order, command.order.client_order_id
        if sent.slice_of is not None:
            yield from self._on_submit_slice(sent, sent.slice_of)
            return
        order = self._orders.get(order_id)
        if order is None or not order.goes_out or not order.is_whole or order.terms.at_venue != sent:
            yield Law.COMMAND, f"{order_id} goes to the venue, and is not submitted as it is"
        elif order.submitted:
            yield Law.COMMAND, f"{order_id} goes to the venue a second time"
        if order is not None:
            order.submitted = True

    def _on_submit_slice(self, sent: OrderTerms, order_id: str) -> Found:
        name, order = sent.client_order_id, self._orders.get(order_id)
        if order is None or not order.goes_out or not order.may_be_sliced:
            yield Law.COMMAND, f"{name} goes to the venue, and {order_id} is not submitted in slices"
            return
        if name in self._slices or name in self._orders:
            yield Law.COMMAND, f"{name} goes to the venue a second time"
        if replace(order.terms.at_venue, client_order_id=name, quantity=sent.quantity, slice_of=order_id) != sent:
            yield Law.COMMAND, f"{name} goes to the venue on other terms than {order_id}, of which it is a slice"
        order.submitted = True
        self._slices[name] = order.slices[name] = _Slice(order_id, sent.quantity, sent.quantity)
        bound = sum((part.bound for part in order.slices.values()), ZERO)
        if bound > order.terms.quantity:
            yield Law.COMMAND, f"with {name}, {bound} of {order.terms.quantity} of {order_id} are at the venue"

    def _on_slice_filled(self, _recorded: Recorded, report: VenueFilled) -> None:
        """Count a trade once, and not at all if a slice cannot have made it: nobody books that."""
        part = self._slices.get(report.client_order_id)
        if part is None or report.trade_id in part.trades or part.filled + report.quantity > part.quantity:
            return
        part.trades.add(report.trade_id)
        part.filled += report.quantity
        part.bound = max(part.bound, part.filled)

    def _on_slice_ended(self, _recorded: Recorded, report: VenueReport) -> None:
        part = self._slices.get(report.client_order_id)
        if part is not None:
            part.bound = part.filled

    def _on_slice_kept(self, _recorded: Recorded, report: VenueReport) -> None:
        part = self._slices.get(report.client_order_id)
        if part is not None:
            part.cancels_left += 1

    def _on_cancel(self, _recorded: Recorded, command: CancelOrder) -> Found:
        order_id = command.client_order_id
        order, part = self._orders.get(order_id), self._slices.get(order_id)
        if part is not None:
            yield from self._on_cancel_slice(order_id, part)
        elif order is None or order.cancels_due == 0:
            yield Law.COMMAND, f"a cancel of {order_id} that is not due"
        else:
            order.cancels_due -= 1

    def _on_cancel_slice(self, name: str, part: _Slice) -> Found:
        order = self._orders.get(part.order_id)
        part.cancels_left -= 1
        if order is None or part.cancels_left < 0:
            yield Law.COMMAND, f"a cancel of {name} that is not due"
        else:
            order.cancels_due = 0

    def _on_amend(self, _recorded: Recorded, command: AmendOrder) -> Found:
        order_id = command.amendment.client_order_id
        order = self._orders.get(order_id)
        if order is None or order.changes_due == 0:
            yield Law.COMMAND, f"a change of {order_id} that is not due"
        else:
            order.changes_due -= 1

    def _on_query(self, _recorded: Recorded, command: QueryOrder) -> Found:
        order = self._orders.get(command.client_order_id)
        if command.client_order_id not in self._slices and (order is None or not order.submitted):
            yield Law.COMMAND, f"the venue is asked for {command.client_order_id}, which it was never told of"

    def _close(self, order_id: str) -> None:
        self._closed.pop(order_id, None)
        self._closed[order_id] = None
        if len(self._closed) > CLOSED_KEPT:
            oldest = next(iter(self._closed))
            del self._closed[oldest]
            for name in self._orders.pop(oldest).slices:
                self._slices.pop(name, None)

    def missing(self) -> Found:
        for order_id, order in self._orders.items():
            status = order.life.status
            if status is OrderStatus.INITIALIZED:
                yield Law.LIFE, f"{order_id} began, and nothing came of it"
            if order.said_submitted and not order.submitted:
                yield Law.COMMAND, f"{order_id} is {status.value}, and the venue was never told"
            if order.cancels_due:
                yield Law.COMMAND, f"the venue was not asked to cancel {order_id}"
            if order.changes_due:
                yield Law.COMMAND, f"the venue was not asked to change {order_id}"


# -- the books ---------------------------------------------------------------------------------------------------------

UNBOOKED = frozenset({"unbookable_fill", "unbookable_funding", "repeated_funding"})
"""What the portfolio alerts with when it sets a fill or a funding aside."""

_SIGNS = {PositionSide.NET: 0, PositionSide.LONG: 1, PositionSide.SHORT: -1}


@dataclass(slots=True)
class _Book:
    """What the fills of a strategy add up to. Its capital is known from the first time that its equity is marked.

    `foreign` is what fees in other currencies add up to, `unpriced` the instruments with such fees: what those are
    worth only the portfolio can say.
    """

    cash: Decimal = ZERO
    funding: Decimal = ZERO
    capital: Decimal | None = None
    quantities: dict[InstrumentId, Decimal] = field(default_factory=dict)
    fees: dict[InstrumentId, Decimal] = field(default_factory=dict)
    foreign: dict[str, Decimal] = field(default_factory=dict)
    unpriced: set[InstrumentId] = field(default_factory=set)
    said: dict[tuple[InstrumentId, PositionSide], PositionChanged] = field(default_factory=dict)

    def add(self, fill: OrderFilled) -> None:
        signed = fill.side.sign * fill.quantity
        self.cash -= signed * fill.price
        self.quantities[fill.instrument] = self.quantities.get(fill.instrument, ZERO) + signed
        if fill.fee_currency in (None, fill.currency):
            self.cash -= fill.fee
            self.fees[fill.instrument] = self.fees.get(fill.instrument, ZERO) + fill.fee
        elif fill.fee:
            self.foreign[fill.fee_currency] = self.foreign.get(fill.fee_currency, ZERO) - fill.fee
            self.unpriced.add(fill.instrument)

    def sides(self, instrument: InstrumentId) -> list[PositionChanged]:
        """Give what was said last of each side of a position."""
        return [said for side in PositionSide if (said := self.said.get((instrument, side))) is not None]


class Books(_Group):
    """Fills and fundings in the order of the tape, booked when the portfolio says so: it may be behind."""

    def __init__(self) -> None:
        self._unbooked: deque[tuple[int, OrderFilled | FundingPaid]] = deque()
        self._books: dict[str, _Book] = {}
        self._booked: tuple[int, OrderFilled | FundingPaid | None] = (0, None)
        self._shared = ZERO
        self._touched: dict[tuple[str, InstrumentId], None] = {}
        self.checks = {
            OrderFilled: self._on_paper,
            FundingPaid: self._on_paper,
            PositionChanged: self._on_position,
            EquityMarked: self._on_equity,
            PortfolioMarked: self._on_portfolio,
            Alert: self._on_alert,
        }

    def _on_paper(self, recorded: Recorded, paper: OrderFilled | FundingPaid) -> None:
        self._unbooked.append((recorded.position, paper))

    def _on_position(self, recorded: Recorded, changed: PositionChanged) -> Found:
        cause = recorded.cause or 0
        if cause != self._booked[0]:
            yield from self._settle()
            yield from self._come_to(cause - 1)
            if not self._unbooked or self._unbooked[0][0] != cause:
                yield Law.POSITION, f"a position changes because of {cause}, where nothing waits to be booked"
                return
            self._book()
        book = self._book_of(changed.strategy)
        before = book.said.get((changed.instrument, changed.position_side))
        paid = changed.funding - (ZERO if before is None else before.funding)
        book.said[changed.instrument, changed.position_side] = changed
        self._touched[changed.strategy, changed.instrument] = None
        of = f"{changed.strategy} in {changed.instrument}"
        if isinstance(self._booked[1], FundingPaid):
            book.cash += paid
            book.funding += paid
            self._shared += paid
        elif paid:
            yield Law.POSITION, f"{of} is said to be funded with {paid} by a fill"
        if changed.quantity * _SIGNS[changed.position_side] < 0:
            yield Law.POSITION, f"{of} is said to be {changed.quantity} {changed.position_side.value}"

    def _on_equity(self, recorded: Recorded, marked: EquityMarked) -> Found:
        yield from self._settle()
        yield from self._come_to(recorded.cause or 0)
        book = self._book_of(marked.strategy)
        held: dict[InstrumentId, Decimal] = {}
        for position in marked.positions:
            held[position.instrument] = held.get(position.instrument, ZERO) + position.quantity
        if {name: quantity for name, quantity in held.items() if quantity} != {
            name: quantity for name, quantity in book.quantities.items() if quantity
        }:
            yield Law.EQUITY, f"{marked.strategy} is marked with positions that its fills do not make"
        if any(position.value != position.quantity * position.mark for position in marked.positions):
            yield Law.EQUITY, f"a value of {marked.strategy} is not quantity times mark"
        if any(balance.value != balance.amount * balance.rate for balance in marked.balances):
            yield Law.EQUITY, f"a value of {marked.strategy} is not amount times rate"
        values = [position.value for position in marked.positions] + [balance.value for balance in marked.balances]
        if marked.equity != marked.cash + sum(values):
            yield Law.EQUITY, f"the equity of {marked.strategy} is not its cash, positions and balances"
        yield from self._on_money(marked, book)

    def _on_money(self, marked: EquityMarked, book: _Book) -> Found:
        """Compare what there is of each currency with what fills and fundings moved."""
        name = marked.strategy
        if book.capital is None:
            book.capital = marked.cash - book.cash
        if marked.cash != book.capital + book.cash:
            moved = book.capital + book.cash
            yield Law.EQUITY, f"{name} has {marked.cash} in cash; its fills and fundings leave {moved}"
        if marked.funding != book.funding:
            yield Law.EQUITY, f"{name} says it was funded with {marked.funding}; it was {book.funding}"
        for balance in marked.balances:
            if balance.amount != (paid := book.foreign.get(balance.currency, ZERO)):
                yield Law.EQUITY, f"{name} has {balance.amount} {balance.currency}; its fees leave {paid}"
        earned = marked.realized_pnl + marked.unrealized_pnl - marked.fees + marked.funding
        if marked.equity != book.capital + earned:
            yield Law.EQUITY, f"{name} has {marked.equity}; its capital and what it earned are {book.capital + earned}"

    def _on_portfolio(self, _recorded: Recorded, marked: PortfolioMarked) -> Found:
        if marked.peak < marked.equity:
            yield Law.EQUITY, f"the equity of all is {marked.equity}, above its peak {marked.peak}"
        if abs(marked.net) > marked.gross:
            yield Law.EQUITY, f"all positions are worth {marked.net}, which is beyond their sum {marked.gross}"

    def _on_alert(self, recorded: Recorded, alert: Alert) -> None:
        """Know what the portfolio could not book, and told a person about."""
        if alert.component == "portfolio" and alert.code in UNBOOKED:
            self._unbooked = deque(waiting for waiting in self._unbooked if waiting[0] != recorded.cause)

    def _come_to(self, position: int) -> Found:
        """Book what the portfolio has passed: it should have said so before."""
        while self._unbooked and self._unbooked[0][0] <= position:
            at, paper = self._unbooked[0]
            yield Law.POSITION, f"{_named(paper)}, of {at}, was passed over"
            self._book()
            self._booked = (0, None)
            self._touched.clear()

    def _settle(self) -> Found:
        """Look at the positions that what was booked last has changed, now that all was said of it."""
        at, paper = self._booked
        self._booked = (0, None)
        if isinstance(paper, FundingPaid) and self._shared != paper.amount:
            yield Law.POSITION, f"{_named(paper)}, of {at}, was {paper.amount}; {self._shared} was shared out"
        for strategy, instrument in self._touched:
            yield from self._look_at_position(strategy, instrument)
        self._touched.clear()

    def _look_at_position(self, strategy: str, instrument: InstrumentId) -> Found:
        book = self._book_of(strategy)
        sides = book.sides(instrument)
        said = sum((changed.quantity for changed in sides), ZERO), sum((changed.fees for changed in sides), ZERO)
        quantity, fees = book.quantities.get(instrument, ZERO), book.fees.get(instrument, ZERO)
        if said[0] != quantity or (said[1] != fees and instrument not in book.unpriced):
            of, told = f"{strategy} in {instrument}", f"{said[0]}, with fees of {said[1]}"
            yield Law.POSITION, f"{of} is said to be {told}; the fills make {quantity}, {fees}"

    def _book(self) -> None:
        self._booked = self._unbooked.popleft()
        self._shared = ZERO
        paper = self._booked[1]
        if isinstance(paper, OrderFilled):
            self._book_of(paper.strategy).add(paper)
            self._touched[paper.strategy, paper.instrument] = None

    def _book_of(self, strategy: str) -> _Book:
        return self._books.setdefault(strategy, _Book())

    def missing(self) -> Found:
        yield from self._settle()
        for at, paper in self._unbooked:
            yield Law.POSITION, f"{_named(paper)}, of {at}, was never booked"


def _named(paper: OrderFilled | FundingPaid) -> str:
    return f"trade {paper.trade_id}" if isinstance(paper, OrderFilled) else f"funding {paper.funding_id}"
