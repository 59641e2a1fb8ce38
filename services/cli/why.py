"""`hmm why`: the chain of one order, from the quote through wish and verdict to fills, position and profit."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.codec import write
from contracts.orders import RiskApproved, RiskRejected
from contracts.recorded import Recorded
from services.cli.errors import fail
from services.cli.orders import amount
from services.cli.output import plain
from services.cli.store import Row, open_store
from services.cli.story import Story, story_of
from services.cli.words import denials, words

Json = dict[str, Any]


def explain(what: str, run: Path | None, *, as_json: bool) -> None:
    """Print what led to an order, or to the event at a position; of a `run`, or of the event store."""
    if what.isdecimal():
        _explain_position(int(what), run, as_json=as_json)
    else:
        _explain_order(what, run, as_json=as_json)


def _explain_position(position: int, directory: Path | None, *, as_json: bool) -> None:
    if directory is None:
        with open_store() as store:
            chain = store.causes(position)
        where = "the event store"
    else:
        from services.cli.runrecord import run_in  # noqa: PLC0415 # slow to import
        from services.cli.runstory import chain_in  # noqa: PLC0415

        chain, where = chain_in(run_in(directory), position), str(directory)
    if not chain:
        fail(f"there is no position {position} in {where}")
    if as_json:
        print(json.dumps(list(map(_event_json, chain)), default=plain, indent=2))
        return
    _section("because of", chain[:-1])
    _section("what was said", chain[-1:])


def _explain_order(order_id: str, directory: Path | None, *, as_json: bool) -> None:
    """Print all that led to an order and all that came of it; also of one that was refused."""
    if directory is None:
        with open_store() as store:
            story = story_of(store, order_id)
            if story.is_empty:
                fail(*store.unknown_order(order_id))
    else:
        from services.cli.runrecord import run_in  # noqa: PLC0415 # slow to import
        from services.cli.runrows import unknown_order  # noqa: PLC0415
        from services.cli.runstory import story_in  # noqa: PLC0415

        run = run_in(directory)
        story = story_in(run, order_id)
        if story.is_empty:
            fail(*unknown_order(run, order_id))
    if as_json:
        print(json.dumps(_as_json(story), default=plain, indent=2))
    else:
        _print(story)


def _as_json(story: Story) -> Json:
    return {
        "client_order_id": story.order_id,
        "order": story.order,
        "causes": list(map(_event_json, story.causes)),
        "wish": story.wish and _event_json(story.wish),
        "verdict": story.verdict and _event_json(story.verdict),
        "steps": list(map(_event_json, story.steps)),
        "books": list(map(_event_json, story.books)),
        "trades": story.trades,
        "alerts": story.alerts,
        "notes": story.notes,
    }


def _event_json(recorded: Recorded) -> Json:
    place = {"position": recorded.position, "cause": recorded.cause, "type": type(recorded.event).type_name}
    return {**place, **json.loads(write(recorded.event))}


def _print(story: Story) -> None:
    for note in story.notes:
        print(f"note: {note}")
    print(f"{story.order_id}: {_summary(story)}")
    _section("because of", story.causes)
    _section("wish", filter(None, [story.wish]))
    _section("verdict", filter(None, [story.verdict]))
    for line in _checks(story):
        print(f"{'':>36} - {line}")
    _section("order", story.steps)
    _section("books", story.books)
    if story.trades:
        print("\ntrades that ended")
        for trade in story.trades:
            print(f"  {_trade(trade)}")
    if story.alerts:
        print("\nalerts")
        for alert in story.alerts:
            said = f"{alert['severity']} {alert['component']}.{alert['code']}: {alert['message']}"
            print(f"  {alert['position']:>10} {said}")


def _summary(story: Story) -> str:
    order = story.order
    if order is None:
        return "refused" if story.verdict and isinstance(story.verdict.event, RiskRejected) else "no order yet"
    if not order["filled_quantity"]:
        return ", ".join(filter(None, (order["status"], order["reason"])))
    filled = f"{amount(order['filled_quantity'])} at {amount(order['average_price'])}"
    bps = order["slippage_bps"]
    slippage = "" if bps is None else f", slippage {bps:+.2f} bps ({amount(order['slippage'])})"
    return f"{order['status']}, {filled}, fees {amount(order['fees'])}{slippage}"


def _checks(story: Story) -> list[str]:
    """Say which rails objected, to the whole of it or to its size."""
    verdict = story.verdict.event if story.verdict else None
    if isinstance(verdict, RiskRejected):
        return denials(verdict.reasons)
    if isinstance(verdict, RiskApproved) and verdict.resized:
        return [f"made smaller by {line}" for line in denials(verdict.resized)]
    return ["no rail objects"] if verdict is not None else []


def _section(title: str, told: Iterable[Recorded]) -> None:
    lines = [_line(recorded) for recorded in told]
    if lines:
        print(f"\n{title}")
        print("\n".join(lines))


def _line(recorded: Recorded) -> str:
    event = recorded.event
    moment = datetime.fromtimestamp(event.ts_init / 1e9, UTC)
    return f"  {recorded.position:>10} {moment:%m-%d %H:%M:%S.%f}"[:-3] + f"  {type(event).__name__:<20} {words(event)}"


def _trade(trade: Row) -> str:
    seconds = (trade["closed_at"] - trade["opened_at"]) / 1e9
    stopped = " by its stop" if trade["stopped"] else ""
    held = f"{trade['side']} {amount(trade['quantity'])} {trade['venue']}.{trade['symbol']}"
    prices = f"{amount(trade['entry_price'])} -> {amount(trade['exit_price'])}"
    paid = f"realized {amount(trade['realized_pnl'])}, fees {amount(trade['fees'])}, funding {amount(trade['funding'])}"
    left = f"left{stopped} with {trade['closed_by']}"
    return f"{held} {prices} in {seconds:,.1f} s, {left}: {amount(trade['net_pnl'])} ({paid})"
