"""What an operator tells the system: `hmm control`, `hmm cancel`, `hmm unlock`, `hmm capital`."""

import asyncio
import getpass
import json
import time
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

from contracts.codec import Undecodable, encode
from contracts.control import CapitalDecided, LockLifted, TradingStateSet
from contracts.event import Event
from contracts.orders import CancelIntent
from contracts.types import InstrumentId, Rail, TradingState
from services.cli.errors import fail, misused
from services.cli.orders import CLOSED, amount, find_order
from services.cli.output import plain, table
from services.cli.settings import current
from services.cli.store import Row, Store, open_store
from services.cli.tape import connect
from tape.headers import new_trace, write_headers

OPS = "ops"
"""Who says on the tape what an operator says in a shell."""

E = TypeVar("E", bound=Enum)

_PROPOSALS = """
    SELECT proposed.position, proposed.strategy, proposed.before, proposed.capital, proposed.share, proposed.policy,
           proposed.reason, proposed.time,
           decided.approved, decided.operator, decided.reason AS decision
    FROM capital AS proposed LEFT JOIN capital AS decided
        ON decided.step = 'decided' AND decided.proposal = proposed.position
    WHERE proposed.step = 'proposed' ORDER BY proposed.position DESC LIMIT 20
"""
_ALLOCATED = """
    SELECT DISTINCT ON (strategy) strategy, capital, policy, reason, position, time
    FROM capital WHERE step = 'allocated' ORDER BY strategy, position DESC
"""


def set_trading_state(state: str, reason: str, *, flatten: bool) -> None:
    """Let the system trade, only reduce, or not at all (the kill switch); `flatten` also leaves every position."""
    wanted = _choice(TradingState, state, "trading state")
    if flatten and wanted is TradingState.ACTIVE:
        misused(
            "--flatten leaves every position, and active lets new ones be taken", "halt: hmm control halted --flatten"
        )
    operator = getpass.getuser()
    position = say(
        lambda now: TradingStateSet(
            ts_event=now, ts_init=now, state=wanted, operator=operator, reason=reason, flatten=flatten
        )
    )
    left = ", and every position is left" if flatten else ""
    print(f"trading is {wanted.value} from position {position} on{left}")


def cancel_order(order_id: str, instrument: str | None, reason: str) -> None:
    """Ask for the rest of an order to be taken back; without `instrument` the event store knows it."""
    if instrument is None:
        with open_store() as store:
            order = find_order(store, order_id)
        if order["status"] in CLOSED:
            fail(f"{order_id} is {order['status']} since position {order['updated_position']}", "nothing is left of it")
        instrument = f"{order['venue']}.{order['symbol']}"
    named = InstrumentId(instrument)
    position = say(
        lambda now: CancelIntent(
            ts_event=now, ts_init=now, by=OPS, instrument=named, client_order_id=order_id, reason=_signed(reason)
        )
    )
    print(f"asked at position {position}; what comes of it: hmm why {order_id}")


def lift_lock(rail: str, strategy: str | None, instrument: str | None, reason: str) -> None:
    """Lift what a rail has locked: of one strategy or instrument, or of all."""
    wanted = _choice(Rail, rail, "rail")
    named = None if instrument is None else InstrumentId(instrument)
    operator = getpass.getuser()
    position = say(
        lambda now: LockLifted(
            ts_event=now,
            ts_init=now,
            rail=wanted,
            strategy=strategy,
            instrument=named,
            operator=operator,
            reason=reason,
        )
    )
    whom = " and ".join(filter(None, (strategy, instrument))) or "all"
    print(f"{wanted.value} is lifted for {whom} from position {position} on")


def decide_capital(proposal: int, reason: str, *, approved: bool) -> None:
    """Approve or refuse a proposal of the allocator, once."""
    with open_store() as store:
        proposed = _open_proposal(store, proposal)
    operator = getpass.getuser()
    position = say(
        lambda now: CapitalDecided(
            ts_event=now, ts_init=now, proposal=proposal, approved=approved, operator=operator, reason=reason
        )
    )
    change = f"{amount(proposed['before'])} -> {amount(proposed['capital'])} for {proposed['strategy']}"
    print(f"{change} is {'approved' if approved else 'refused'} at position {position}")


def show_capital(*, as_json: bool) -> None:
    """Show the last proposals, what was decided, and what each strategy may bind now."""
    with open_store() as store:
        allocated, proposals, notes = store.rows(_ALLOCATED), store.rows(_PROPOSALS), store.notes("capital")
    if as_json:
        document = {"allocated": allocated, "proposals": proposals, "notes": notes}
        print(json.dumps(document, default=plain, indent=2))
        return
    for note in notes:
        print(f"note: {note}")
    capital = [(row["strategy"], amount(row["capital"]), row["policy"], row["reason"]) for row in allocated]
    table("capital", ("strategy", "capital", "policy", "why"), capital, right=frozenset({"capital"}))
    columns = ("position", "strategy", "before", "proposed", "policy", "why", "decided")
    table(
        "proposals", columns, list(map(_proposal_line, proposals)), right=frozenset({"position", "before", "proposed"})
    )


def _proposal_line(row: Row) -> tuple[str, ...]:
    decided = "waits: hmm capital approve|refuse POSITION"
    if row["approved"] is not None:
        decided = f"{'approved' if row['approved'] else 'refused'} by {row['operator']}: {row['decision']}"
    figures = (amount(row["before"]), amount(row["capital"]))
    return (str(row["position"]), row["strategy"], *figures, row["policy"], row["reason"], decided)


def _open_proposal(store: Store, position: int) -> Row:
    proposals = store.rows(_PROPOSALS)
    found = next((row for row in proposals if row["position"] == position), None)
    if found is None:
        waiting = [str(row["position"]) for row in proposals if row["approved"] is None]
        fail(
            f"there is no proposal of capital at position {position}",
            f"these wait for a decision: {', '.join(waiting)}" if waiting else "none waits for a decision",
        )
    if found["approved"] is not None:
        fail(f"the proposal at position {position} was {'approved' if found['approved'] else 'refused'} before")
    return found


def _choice(choices: type[E], text: str, what: str) -> E:
    try:
        return choices(text.lower().replace("-", "_"))
    except ValueError:
        misused(f"{text} is no {what}", f"it is one of {', '.join(str(known.value) for known in choices)}")


def _signed(reason: str) -> str:
    """Say who asked, where the event itself names only the role."""
    return f"{getpass.getuser()}: {reason}" if reason else f"asked for by {getpass.getuser()}"


def say(make: Callable[[int], Event]) -> int:
    """Put the operator's word on the tape; it is there when this returns its position."""
    now = time.time_ns()
    said = make(now)
    try:
        payload = encode(said)
    except Undecodable as error:
        misused(str(error))
    return asyncio.run(_publish(said, payload, now))


async def _publish(said: Event, payload: bytes, now: int) -> int:
    nc = await connect(current())
    try:
        headers = write_headers(said, f"{OPS}/control-{now}", None, now, new_trace(now, now))
        ack = await nc.jetstream(timeout=10).publish(type(said).subject_of(said), payload, headers=headers)
        return ack.seq
    finally:
        await nc.close()
