"""The story of one order, or of one position, told by the log of a run: one pass over it, most of it not decoded."""

from contracts.books import PositionChanged, PositionClosed
from contracts.codec import type_header
from contracts.control import Alert
from contracts.event import Event
from contracts.market import Quote, Trade
from contracts.orders import (
    OrderFilled,
    OrderIntent,
    OrderTerms,
    ProtectiveIntent,
    RiskApproved,
    RiskRejected,
)
from contracts.ownership import ORDER_EVENTS, VENUE_COMMANDS, VENUE_REPORTS
from contracts.recorded import Recorded
from contracts.venue import SubmitOrder
from eventstore.projections.alerts import Alerts
from eventstore.projections.orders import OrderRow, Orders
from eventstore.projections.projection import Key
from eventstore.projections.trades_closed import TradesClosed
from services.backtest.log import Line
from services.backtest.rundirectory import RunDirectory
from services.cli.causes import MOST_STEPS
from services.cli.runrecord import decoded, lines_of
from services.cli.runrows import columns_of, order_row, trade_row
from services.cli.story import REQUESTS, Story

_MARKET = frozenset(map(type_header, (Quote, Trade)))
_BOOKS = frozenset(map(type_header, (PositionChanged, PositionClosed)))
_CLOSED = type_header(PositionClosed)
_ALERT = type_header(Alert)
_STEPS = (*ORDER_EVENTS, *VENUE_COMMANDS, *VENUE_REPORTS, *REQUESTS)
_WISHES = (OrderIntent, ProtectiveIntent)
_VERDICTS = (RiskApproved, RiskRejected)


class _Causes:
    """Remembers what followed from the outside event in hand: every cause of what it leads to is among it."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._lines: dict[int, Line] = {}

    def hear(self, line: Line) -> None:
        if line.cause is None:
            self._lines.clear()
        self._lines[line.position] = line

    def of(self, position: int | None) -> list[Recorded]:
        """List what led to something, the first fact first."""
        chain: list[Recorded] = []
        while position is not None and len(chain) < MOST_STEPS and position in self._lines:
            recorded = decoded(self._run, self._lines[position])
            chain.append(recorded)
            position = recorded.cause
        return chain[::-1]


def story_in(run: RunDirectory, order_id: str) -> Story:
    """Put together what the log tells of an order; also of one that was refused."""
    return _Telling(run, order_id).told()


def chain_in(run: RunDirectory, position: int) -> list[Recorded]:
    """List what led to a position of the log, and the event there; nothing where there is none."""
    causes = _Causes(run)
    for line in lines_of(run):
        causes.hear(line)
        if line.position == position:
            return causes.of(position)
    return []


class _Telling:
    """Goes through the log, and keeps what concerns one order, its slices, and the trades that it was part of."""

    def __init__(self, run: RunDirectory, order_id: str) -> None:
        self._run = run
        self._story = Story(order_id)
        self._causes = _Causes(run)
        self._ids = {order_id}
        self._quoted = [f'"{order_id}"'.encode()]
        self._named = order_id.encode()
        self._fills: set[int] = set()
        self._rows: dict[Key, OrderRow] = {}
        self._closed: list[Recorded] = []

    def told(self) -> Story:
        for line in lines_of(self._run):
            self._causes.hear(line)
            if line.header not in _MARKET:
                self._look_at(line)
        story = self._story
        row = self._rows.get((story.order_id,))
        story.order = None if row is None else order_row(row)
        story.trades = [trade_row(TradesClosed().row_of(closed)) for closed in self._closed if self._is_of_it(closed)]
        return story

    def _look_at(self, line: Line) -> None:
        if line.header == _CLOSED:
            self._closed.append(decoded(self._run, line))
        if line.header in _BOOKS and line.cause in self._fills:
            self._story.books.append(decoded(self._run, line))
        elif line.header == _ALERT:
            if self._named in line.payload:
                self._story.alerts.append(columns_of(Alerts().row_of(decoded(self._run, line))))
        elif any(name in line.payload for name in self._quoted):
            self._take(decoded(self._run, line))

    def _take(self, recorded: Recorded) -> None:
        """Take an event that names the order or a slice of it."""
        event, story = recorded.event, self._story
        if isinstance(event, _WISHES):
            if story.order_id in _listed(event) and story.wish is None:
                story.wish, story.causes = recorded, self._causes.of(recorded.cause)
        elif isinstance(event, _VERDICTS):
            if story.verdict is None and story.wish is not None and recorded.cause == story.wish.position:
                story.verdict = recorded
        elif isinstance(event, _STEPS):
            self._step(recorded)

    def _step(self, recorded: Recorded) -> None:
        event, story = recorded.event, self._story
        own = isinstance(event, ORDER_EVENTS) and story.order_id == _order_of(event)
        if not own and _order_of(event) not in self._ids:
            return
        if own:
            Orders().fold(self._rows, recorded)
            if not story.steps and story.wish is None:
                story.causes = self._causes.of(recorded.cause)
        if isinstance(event, SubmitOrder) and event.order.client_order_id not in self._ids:
            self._ids.add(event.order.client_order_id)
            self._quoted.append(f'"{event.order.client_order_id}"'.encode())
        if own and isinstance(event, OrderFilled):
            self._fills.add(recorded.position)
        story.steps.append(recorded)

    def _is_of_it(self, recorded: Recorded) -> bool:
        """Say whether fills of the order began, made larger or ended a trade."""
        closed, order, fills = recorded.event, self._story.order, self._story.fills
        if order is None or not fills or not isinstance(closed, PositionClosed):
            return False
        same = (closed.strategy, closed.instrument) == (order["strategy"], f"{order['venue']}.{order['symbol']}")
        return same and closed.opened_at <= fills[-1].event.ts_event and closed.closed_at >= fills[0].event.ts_event


def _listed(wish: OrderIntent | ProtectiveIntent) -> set[str]:
    attached = wish.attached if isinstance(wish, OrderIntent) else ()
    return {order.client_order_id for order in (wish.order, *attached)}


def _order_of(event: Event) -> str | None:
    """Name the order that an event is about: of a slice, the one that it is a part of."""
    for part in ("order", "amendment"):
        of_it = getattr(event, part, None)
        if of_it is not None:
            event = of_it
            break
    if isinstance(event, OrderTerms) and event.slice_of is not None:
        return event.slice_of
    name: str | None = getattr(event, "client_order_id", None)
    return name
