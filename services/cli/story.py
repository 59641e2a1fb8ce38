"""The story of one order, from the first fact that led to it to what came of it, put together from the event store."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from contracts.event import Event
from contracts.orders import AmendApproved, AmendIntent, AmendRejected, CancelIntent, OrderFilled
from contracts.ownership import ORDER_EVENTS, VENUE_COMMANDS, VENUE_REPORTS
from contracts.recorded import Recorded
from services.cli.store import Row, Store

_ID = re.compile(r"-(\d+)-\d+$")
_LATER = 1_000_000
"""Positions behind an order within which the last answers to it are looked for."""

REQUESTS = (CancelIntent, AmendIntent, AmendApproved, AmendRejected)
_TIMELINE = (*VENUE_COMMANDS, *VENUE_REPORTS, *REQUESTS)
_INTENTS = "type IN ('OrderIntent', 'ProtectiveIntent')"
_BOOKS = "type IN ('PositionChanged', 'PositionClosed')"
_NAMES_ORDER = """
    (payload->>'client_order_id' = ANY(%s) OR payload->'order'->>'client_order_id' = ANY(%s)
     OR payload->'amendment'->>'client_order_id' = ANY(%s))
"""


@dataclass
class Story:
    """`causes` begin with the first fact; `steps` are of the router, the venue, and whoever asked for a change."""

    order_id: str
    order: Row | None = None
    causes: list[Recorded] = field(default_factory=list)
    wish: Recorded | None = None
    verdict: Recorded | None = None
    steps: list[Recorded] = field(default_factory=list)
    books: list[Recorded] = field(default_factory=list)
    trades: list[Row] = field(default_factory=list)
    alerts: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def fills(self) -> list[Recorded]:
        return [step for step in self.steps if isinstance(step.event, OrderFilled)]

    @property
    def is_empty(self) -> bool:
        return self.wish is None and self.verdict is None and not self.steps


def story_of(store: Store, order_id: str) -> Story:
    story = Story(order_id)
    orders = store.rows("SELECT * FROM orders WHERE client_order_id = %s", [order_id])
    story.order = orders[0] if orders else None
    positions = store.rows("SELECT position FROM order_events WHERE client_order_id = %s", [order_id])
    own = store.events("seq = ANY(%s)", [[row["position"] for row in positions]])
    _find_wish(store, story, own)
    if own:
        story.steps = _timeline(store, order_id, own, own[0].position)
        story.books = _books(store, story.fills)
        story.trades = _trades(store, story)
    story.alerts = _alerts(store, story)
    story.notes = store.notes("orders", "order_events", "trades_closed", "alerts")
    return story


def _find_wish(store: Store, story: Story, own: Sequence[Recorded]) -> None:
    """Follow the order back to its verdict and its wish; a wish that was refused is found by its id."""
    chain = store.causes(own[0].cause if own else None)
    by_type = {type(recorded.event).__name__: recorded for recorded in chain}
    story.verdict = by_type.get("RiskApproved")
    story.wish = by_type.get("OrderIntent") or by_type.get("ProtectiveIntent")
    if not own and (wish := _wish_by_id(store, story.order_id)) is not None:
        story.wish = wish
        judged = "type IN ('RiskApproved', 'RiskRejected') AND seq > %s AND cause = %s"
        verdicts = store.events(judged, [wish.position, wish.position], limit=1)
        story.verdict = verdicts[0] if verdicts else None
    if story.wish is not None:
        story.causes = store.causes(story.wish.cause)
    else:
        story.causes = [recorded for recorded in chain if recorded is not story.verdict]


def _wish_by_id(store: Store, order_id: str) -> Recorded | None:
    """Look behind the position that the id tells of."""
    match = _ID.search(order_id)
    begin = int(match[1]) if match and int(match[1]) < 2**63 else 0
    names = "(payload->'order'->>'client_order_id' = %s OR payload->'attached' @> %s::jsonb)"
    attached = f'[{{"client_order_id": "{order_id}"}}]'
    found = store.events(f"{_INTENTS} AND seq > %s AND {names}", [begin, order_id, attached], limit=1)
    return found[0] if found else None


def _timeline(store: Store, order_id: str, own: Sequence[Recorded], begin: int) -> list[Recorded]:
    """Give the steps of the router with what the venue was told and said, also of the slices of the order."""
    end = own[-1].position + _LATER
    span = [begin - _LATER, end]
    slices = store.events(
        "type = 'SubmitOrder' AND seq BETWEEN %s AND %s AND payload->'order'->>'slice_of' = %s", [*span, order_id]
    )
    ids = [order_id, *(recorded.event.order.client_order_id for recorded in slices)]  # type: ignore[attr-defined]  # commands to submit
    others = store.events(
        f"type = ANY(%s) AND seq BETWEEN %s AND %s AND {_NAMES_ORDER}", [_names(_TIMELINE), *span, ids, ids, ids]
    )
    return sorted([*own, *others], key=lambda recorded: recorded.position)


def _books(store: Store, fills: Sequence[Recorded]) -> list[Recorded]:
    if not fills:
        return []
    causes = [fill.position for fill in fills]
    span = [causes[0], causes[-1] + _LATER]
    return store.events(f"{_BOOKS} AND seq BETWEEN %s AND %s AND cause = ANY(%s)", [*span, causes])


def _trades(store: Store, story: Story) -> list[Row]:
    """List the trades that the fills of this order began, made larger or ended."""
    fills, order = story.fills, story.order
    if not fills or order is None:
        return []
    first, last = fills[0].event.ts_event, fills[-1].event.ts_event
    return store.rows(
        "SELECT * FROM trades_closed WHERE strategy = %s AND venue = %s AND symbol = %s "
        "AND opened_at <= %s AND closed_at >= %s ORDER BY position LIMIT 10",
        [order["strategy"], order["venue"], order["symbol"], last, first],
    )


def _alerts(store: Store, story: Story) -> list[Row]:
    """List the alerts that name the order."""
    told = [*story.causes, *story.steps, *filter(None, (story.wish, story.verdict))]
    if not told:
        return []
    begin = min(recorded.position for recorded in told)
    columns = "position, component, severity, code, message, time"
    query = f"SELECT {columns} FROM alerts WHERE position >= %s AND strpos(message, %s) > 0 ORDER BY position LIMIT 20"
    return store.rows(query, [begin, story.order_id])


def _names(types: Iterable[type[Event]]) -> list[str]:
    return [event_type.type_name for event_type in types if event_type not in ORDER_EVENTS]
