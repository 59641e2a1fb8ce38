"""The laws of the tape: what holds for every history of the system, whatever was interrupted, and however often.

They look at recorded events alone, in the order of the tape and from its beginning, so the simulator of faults, a stack
that is shot at, and an audit of what was years ago hold the system to the same promises. What is closed is forgotten: a
tape may be long.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any

from contracts.books import EquityMarked, PositionChanged
from contracts.control import Alert, LeaseTaken
from contracts.event import Event
from contracts.lifecycle import Life
from contracts.orders import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderInitialized,
    OrderIntent,
    OrderPendingCancel,
    OrderRejected,
    OrderSubmitted,
    OrderTerms,
    RiskApproved,
    RiskRejected,
)
from contracts.recorded import Recorded
from contracts.types import InstrumentId, OrderStatus
from contracts.venue import CancelOrder, SubmitOrder

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
    VERDICT = "every wish for an order gets one verdict"
    ROUTE = "what was approved becomes an order, once, as it was approved"
    LIFE = "an order lives one life, by the table of transitions"
    COMMAND = "the venue is told of an order once, and asked once for each cancel"
    FILL = "an order is filled by what it was for, once by each trade, and never above its quantity"
    POSITION = "a position is the sum of its fills, and its fees are theirs"
    EQUITY = "equity is cash and positions, and cash is the capital and what the fills moved"


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


class Wishes(_Group):
    """Intents that wait for a verdict, and approvals that wait for the router."""

    def __init__(self) -> None:
        self.approved: dict[str, OrderTerms] = {}
        self._waiting: dict[str, tuple[int, OrderTerms]] = {}
        self.checks = {OrderIntent: self._on_intent, RiskApproved: self._on_verdict, RiskRejected: self._on_verdict}

    def _on_intent(self, recorded: Recorded, intent: OrderIntent) -> Found:
        order = intent.order
        if order.client_order_id in self._waiting or order.client_order_id in self.approved:
            yield Law.VERDICT, f"{order.client_order_id} is wished for a second time"
        self._waiting[order.client_order_id] = (recorded.position, order)

    def _on_verdict(self, recorded: Recorded, verdict: RiskApproved | RiskRejected) -> Found:
        order = verdict.order
        position, wished = self._waiting.pop(order.client_order_id, (0, order))
        if position == 0:
            yield Law.VERDICT, f"nobody waits for a verdict on {order.client_order_id}"
        elif recorded.cause != position:
            yield Law.VERDICT, f"{order.client_order_id} was wished for at {position}, not at {recorded.cause}"
        if order != wished:
            yield Law.VERDICT, f"the verdict on {order.client_order_id} is on other terms"
        if isinstance(verdict, RiskApproved):
            self.approved[order.client_order_id] = order

    def missing(self) -> Found:
        for order_id, (position, _) in self._waiting.items():
            yield Law.VERDICT, f"{order_id}, wished for at {position}, has no verdict"
        for order_id in self.approved:
            yield Law.ROUTE, f"{order_id} was approved, and the router did not take it"


# -- the life of an order ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Order:
    terms: OrderTerms
    life: Life = field(default_factory=Life)
    filled: Decimal = ZERO
    trades: set[str] = field(default_factory=set)
    submitted: bool = False
    cancels_due: int = 0


class Orders(_Group):
    """Every order that is open, and the closed ones of late."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self._orders: dict[str, _Order] = {}
        self._closed: dict[str, None] = {}
        steps = (
            *(OrderAccepted, OrderCanceled, OrderCancelRejected, OrderDenied, OrderExpired),
            *(OrderPendingCancel, OrderRejected, OrderSubmitted),
        )
        self.checks = {
            OrderInitialized: self._on_initialized,
            OrderFilled: self._on_filled,
            SubmitOrder: self._on_submit,
            CancelOrder: self._on_cancel,
            **dict.fromkeys(steps, self._on_step),
        }

    def _on_initialized(self, _recorded: Recorded, begun: OrderInitialized) -> Found:
        terms = begun.order
        approved = self._wishes.approved.pop(terms.client_order_id, None)
        if terms.client_order_id in self._orders:
            yield Law.LIFE, f"{terms.client_order_id} begins a second time"
        elif approved is None:
            yield Law.ROUTE, f"{terms.client_order_id} was not approved"
        elif approved != terms:
            yield Law.ROUTE, f"{terms.client_order_id} was approved on other terms"
        self._orders.setdefault(terms.client_order_id, _Order(terms))

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
        if life.closed:
            self._close(step.client_order_id)

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

    def _on_submit(self, _recorded: Recorded, command: SubmitOrder) -> Found:
        order_id = command.order.client_order_id
        order = self._orders.get(order_id)
        if order is None or order.life.status is OrderStatus.INITIALIZED or order.terms != command.order:
            yield Law.COMMAND, f"{order_id} goes to the venue, and is not submitted as it is"
        elif order.submitted:
            yield Law.COMMAND, f"{order_id} goes to the venue a second time"
        if order is not None:
            order.submitted = True

    def _on_cancel(self, _recorded: Recorded, command: CancelOrder) -> Found:
        order = self._orders.get(command.client_order_id)
        if order is None or order.cancels_due == 0:
            yield Law.COMMAND, f"a cancel of {command.client_order_id} that is not due"
        else:
            order.cancels_due -= 1

    def _close(self, order_id: str) -> None:
        self._closed.pop(order_id, None)
        self._closed[order_id] = None
        if len(self._closed) > CLOSED_KEPT:
            oldest = next(iter(self._closed))
            del self._closed[oldest], self._orders[oldest]

    def missing(self) -> Found:
        for order_id, order in self._orders.items():
            status = order.life.status
            if status is OrderStatus.INITIALIZED:
                yield Law.LIFE, f"{order_id} began, and nothing came of it"
            if status is not OrderStatus.DENIED and status is not OrderStatus.INITIALIZED and not order.submitted:
                yield Law.COMMAND, f"{order_id} is {status.value}, and the venue was never told"
            if order.cancels_due:
                yield Law.COMMAND, f"the venue was not asked to cancel {order_id}"


# -- the books ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Book:
    """What the fills of a strategy add up to. Its capital is known from the first time that its equity is marked."""

    cash: Decimal = ZERO
    capital: Decimal | None = None
    quantities: dict[InstrumentId, Decimal] = field(default_factory=dict)
    fees: dict[InstrumentId, Decimal] = field(default_factory=dict)

    def add(self, fill: OrderFilled) -> None:
        signed = fill.side.sign * fill.quantity
        self.cash -= signed * fill.price + fill.fee
        self.quantities[fill.instrument] = self.quantities.get(fill.instrument, ZERO) + signed
        self.fees[fill.instrument] = self.fees.get(fill.instrument, ZERO) + fill.fee


class Books(_Group):
    """Fills in the order of the tape, booked when the portfolio says so: it may be behind."""

    def __init__(self) -> None:
        self._unbooked: deque[tuple[int, OrderFilled]] = deque()
        self._books: dict[str, _Book] = {}
        self.checks = {
            OrderFilled: self._on_fill,
            PositionChanged: self._on_position,
            EquityMarked: self._on_equity,
            Alert: self._on_alert,
        }

    def _on_fill(self, recorded: Recorded, fill: OrderFilled) -> None:
        self._unbooked.append((recorded.position, fill))

    def _on_position(self, recorded: Recorded, changed: PositionChanged) -> Found:
        cause = recorded.cause or 0
        yield from self._come_to(cause - 1)
        if not self._unbooked or self._unbooked[0][0] != cause:
            yield Law.POSITION, f"a position changes because of {cause}, where no fill waits to be booked"
            return
        self._book()
        book = self._book_of(changed.strategy)
        quantity, fees = book.quantities.get(changed.instrument, ZERO), book.fees.get(changed.instrument, ZERO)
        if (changed.quantity, changed.fees) != (quantity, fees):
            of = f"{changed.strategy} in {changed.instrument}"
            said = f"{changed.quantity}, with fees of {changed.fees}"
            yield Law.POSITION, f"{of} is said to be {said}; the fills make {quantity}, {fees}"

    def _on_equity(self, recorded: Recorded, marked: EquityMarked) -> Found:
        yield from self._come_to(recorded.cause or 0)
        book = self._book_of(marked.strategy)
        held = {name: quantity for name, quantity in book.quantities.items() if quantity}
        if {position.instrument: position.quantity for position in marked.positions} != held:
            yield Law.EQUITY, f"{marked.strategy} is marked with positions that its fills do not make"
        if any(position.value != position.quantity * position.mark for position in marked.positions):
            yield Law.EQUITY, f"a value of {marked.strategy} is not quantity times mark"
        if marked.equity != marked.cash + sum(position.value for position in marked.positions):
            yield Law.EQUITY, f"the equity of {marked.strategy} is not its cash and positions"
        if book.capital is None:
            book.capital = marked.cash - book.cash
        if marked.cash != book.capital + book.cash:
            yield Law.EQUITY, f"{marked.strategy} has {marked.cash} in cash; its fills leave {book.capital + book.cash}"

    def _on_alert(self, recorded: Recorded, alert: Alert) -> None:
        """Know which fill the portfolio could not book, and told a person about."""
        if alert.component == "portfolio" and alert.code == "unbookable_fill":
            self._unbooked = deque(waiting for waiting in self._unbooked if waiting[0] != recorded.cause)

    def _come_to(self, position: int) -> Found:
        """Book what the portfolio has passed: it should have said so before."""
        while self._unbooked and self._unbooked[0][0] <= position:
            at, fill = self._unbooked[0]
            yield Law.POSITION, f"trade {fill.trade_id}, filled at {at}, was passed over"
            self._book()

    def _book(self) -> None:
        _, fill = self._unbooked.popleft()
        self._book_of(fill.strategy).add(fill)

    def _book_of(self, strategy: str) -> _Book:
        return self._books.setdefault(strategy, _Book())

    def missing(self) -> Found:
        for at, fill in self._unbooked:
            yield Law.POSITION, f"trade {fill.trade_id}, filled at {at}, was never booked"
