"""`hmm orders`, `positions`, `why`, and what an operator says: on a store and a tape that a test has filled."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import nats
import pytest
from nats.js import JetStreamContext

from contracts.books import CapitalProposed, EquityMarked, PositionChanged, PositionClosed
from contracts.codec import decode
from contracts.control import Alert, CapitalDecided, LockLifted, TradingStateSet
from contracts.event import Event
from contracts.examples import BTC, ORDER_ID, STOP, TERMS
from contracts.market import Quote
from contracts.orders import (
    CancelIntent,
    Denial,
    OrderAccepted,
    OrderCancelRejected,
    OrderDenied,
    OrderFilled,
    OrderHeld,
    OrderInitialized,
    OrderIntent,
    OrderPendingCancel,
    OrderSubmitted,
    RiskApproved,
    RiskLocked,
    RiskRejected,
)
from contracts.recorded import Recorded
from contracts.types import Rail, TradingState
from contracts.venue import CancelOrder, SubmitOrder, VenueAccepted, VenueCancelRejected, VenueFilled
from eventstore.archive import Archive
from eventstore.migrate import migrate
from tests.commands import Hmm, Result, command_on
from tests.recordings import example

pytestmark = pytest.mark.integration

REFUSED_ID = "trend-40-0"
PROPOSAL = 44
T = TypeVar("T")


def told() -> list[Recorded]:
    """A bracket that was bought, whose stop is held; a wish that was refused; a lock, a proposal and an alert."""
    fill = example(OrderFilled, quantity=TERMS.quantity, cumulative=TERMS.quantity, leaves=Decimal(0))
    refused = replace(TERMS, client_order_id=REFUSED_ID, link=None)
    rails = (Denial(rail=Rail.MAX_NOTIONAL, detail="618 above 500"), Denial(rail=Rail.SPREAD, detail="30 bps above 20"))
    steps: list[tuple[int, int | None, Event]] = [
        (1, None, example(Quote)),
        (2, 1, example(OrderIntent)),
        (3, 2, example(RiskApproved)),
        (4, 3, example(OrderInitialized)),
        (5, 3, example(OrderSubmitted)),
        (6, 3, example(SubmitOrder)),
        (7, 3, example(OrderInitialized, order=STOP)),
        (8, 3, example(OrderHeld, client_order_id=STOP.client_order_id)),
        (9, 6, example(VenueAccepted)),
        (10, 9, example(OrderAccepted)),
        (11, None, example(CancelIntent)),
        (12, 11, example(OrderPendingCancel)),
        (13, 11, example(CancelOrder)),
        (14, 13, example(VenueCancelRejected)),
        (15, 14, example(OrderCancelRejected)),
        (20, 6, example(VenueFilled, quantity=TERMS.quantity)),
        (21, 20, fill),
        (22, 21, example(PositionChanged)),
        (23, 21, example(EquityMarked)),
        (30, 8, example(PositionClosed, opened_at=fill.ts_event, closed_at=fill.ts_event + 60_000_000_000)),
        (41, 40, example(OrderIntent, order=refused, attached=())),
        (42, 41, example(RiskRejected, order=refused, reasons=rails)),
        (43, None, example(RiskLocked, until=2**62)),
        (PROPOSAL, None, example(CapitalProposed)),
        (45, None, example(Alert, message=f"a report for {ORDER_ID} that nobody waits for")),
        (46, None, example(OrderDenied, client_order_id="trend-5-1")),
    ]
    return [Recorded(position, cause, f"m/{position}", 0, event) for position, cause, event in steps]


@pytest.fixture
def hmm(fresh_database_url: str, tmp_path: Path) -> Hmm:
    """The command on a store that is filled, and on no tape unless a test names one."""
    migrate(fresh_database_url)
    archive = Archive(fresh_database_url)
    archive.write(told())
    archive.close()
    return command_on(fresh_database_url, tmp_path)


@pytest.fixture
def tape_url(fresh_nats_url: str) -> str:
    """A server with a TAPE that ends where the store does."""

    async def make(js: JetStreamContext) -> None:
        await js.add_stream(name="TAPE", subjects=["control.>", "intent.>"], first_seq=47)

    on_tape(fresh_nats_url, make)
    return fresh_nats_url


def on_tape(url: str, work: Callable[[JetStreamContext], Awaitable[T]]) -> T:
    async def connected() -> T:
        nc = await nats.connect(url)
        try:
            return await work(nc.jetstream())
        finally:
            await nc.close()

    return asyncio.run(connected())


def said(url: str, position: int) -> Event:
    message = on_tape(url, lambda js: js.get_msg("TAPE", position))
    assert message.headers is not None
    return decode(message.headers["Hmm-Type"], message.subject or "", message.data or b"")


def document(result: Result) -> Any:  # noqa: ANN401 # of whatever shape the command has
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def in_order(text: str, *words: str) -> bool:
    at = 0
    for word in words:
        at = text.find(word, at)
        if at < 0:
            return False
    return True


def one_line(result: Result, code: int) -> str:
    assert result.returncode == code, result.stdout + result.stderr
    (line,) = result.stderr.splitlines()
    return line


def test_orders_are_listed_with_their_terms_and_where_they_stand(hmm: Hmm) -> None:
    shown = hmm("orders").stdout
    assert in_order(shown, ORDER_ID, "filled", STOP.client_order_id, "when bid_ask is 61700", "held")
    open_ones = document(hmm("orders", "--open", "--json"))["orders"]
    assert [order["client_order_id"] for order in open_ones] == [STOP.client_order_id]
    assert document(hmm("orders", "--strategy", "nobody", "--json"))["orders"] == []


def test_one_order_is_shown_with_all_that_is_known_of_it(hmm: Hmm) -> None:
    (order,) = document(hmm("orders", "--id", ORDER_ID, "--json"))["orders"]
    assert (order["status"], order["filled_quantity"]) == ("filled", "0.01000")
    assert Decimal(order["slippage_bps"]) == Decimal("0.4")
    assert "venue_order_id" in hmm("orders", "--id", ORDER_ID).stdout


def test_an_unknown_order_is_answered_with_what_may_have_been_meant(hmm: Hmm) -> None:
    mistyped = f"{ORDER_ID}9"
    for command in (("orders", "--id", mistyped), ("why", mistyped), ("cancel", mistyped)):
        line = one_line(hmm(*command), 1)
        assert f"there is no order {mistyped}" in line
        assert f"near it: {ORDER_ID}" in line


def test_positions_are_shown_with_what_they_are_worth(hmm: Hmm) -> None:
    found = document(hmm("positions", "--json"))
    assert [(row["symbol"], row["position_side"], row["quantity"]) for row in found["positions"]] == [
        ("BTCUSDT", "net", "0.00400")
    ]
    assert found["equity"][0]["equity"] == "99999.90124"
    assert found["last_day"][0]["trades"] == 1
    assert in_order(hmm("positions").stdout, "positions", "BTCUSDT", "equity", "99999.90124")


def test_why_tells_the_whole_chain_of_an_order(hmm: Hmm) -> None:
    shown = hmm("why", ORDER_ID).stdout
    assert in_order(
        shown,
        *("because of", "bid 61837.63"),
        *("wish", "fast average above slow", "stop 61700.0"),
        *("verdict", "judged at 61837.635", "made smaller by max_notional: 927.6 USDT"),
        *("order", "OrderInitialized", "SubmitOrder", "VenueAccepted", "OrderAccepted", "CancelIntent"),
        *("OrderCancelRejected", "VenueFilled", "OrderFilled", "slippage +0.40 bps"),
        *("books", "PositionChanged", "trades that ended", "left by its stop"),
        *("alerts", "router.unknown_order"),
    )


def test_why_for_programs_has_every_event_with_its_place(hmm: Hmm) -> None:
    story = document(hmm("why", ORDER_ID, "--json"))
    assert [cause["type"] for cause in story["causes"]] == ["Quote"]
    assert (story["wish"]["position"], story["verdict"]["position"]) == (2, 3)
    assert [step["position"] for step in story["steps"]] == [4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 20, 21]
    assert [(event["type"], event["cause"]) for event in story["books"]] == [("PositionChanged", 21)]
    assert story["trades"][0]["closed_by"] == STOP.client_order_id


def test_why_leads_from_the_stop_of_a_bracket_to_the_wish_it_came_with(hmm: Hmm) -> None:
    story = document(hmm("why", STOP.client_order_id, "--json"))
    assert (story["wish"]["position"], story["verdict"]["position"]) == (2, 3)
    assert [step["type"] for step in story["steps"]] == ["OrderInitialized", "OrderHeld"]


def test_why_shows_every_rail_that_refused_a_wish(hmm: Hmm) -> None:
    shown = hmm("why", REFUSED_ID).stdout
    assert in_order(shown, f"{REFUSED_ID}: refused", "wish", "verdict", "max_notional: 618", "spread: 30 bps")
    story = document(hmm("why", REFUSED_ID, "--json"))
    assert story["order"] is None
    assert [reason["rail"] for reason in story["verdict"]["reasons"]] == ["max_notional", "spread"]


def test_it_is_said_when_the_store_may_not_know_all(hmm: Hmm, tape_url: str) -> None:
    assert "note: whether the event store is behind" in hmm("orders").stdout
    assert "note:" not in hmm("orders", HMM_NATS_URL=tape_url).stdout
    assert hmm("control", "active", HMM_NATS_URL=tape_url).returncode == 0
    assert "note: the event store is 1 positions behind the tape" in hmm("orders", HMM_NATS_URL=tape_url).stdout


def test_an_operator_cancels_an_order_that_is_open(hmm: Hmm, tape_url: str) -> None:
    asked = hmm("cancel", STOP.client_order_id, "--reason", "by hand", HMM_NATS_URL=tape_url)
    assert "asked at position 47" in asked.stdout, asked.stderr
    event = said(tape_url, 47)
    assert isinstance(event, CancelIntent)
    assert (event.by, event.instrument, event.client_order_id) == ("ops", BTC, STOP.client_order_id)
    assert event.reason.endswith(": by hand")
    assert "is filled since position 21" in one_line(hmm("cancel", ORDER_ID, HMM_NATS_URL=tape_url), 1)
    beyond = hmm("cancel", "trend-99-0", "--instrument", "binance.ETHUSDT", HMM_NATS_URL=tape_url)
    assert "asked at position 48" in beyond.stdout
    assert "instrument" in one_line(hmm("cancel", "trend-99-0", "--instrument", "ETH", HMM_NATS_URL=tape_url), 2)


def test_an_operator_halts_and_flattens(hmm: Hmm, tape_url: str) -> None:
    assert "every position is left" in hmm("control", "halted", "--flatten", HMM_NATS_URL=tape_url).stdout
    event = said(tape_url, 47)
    assert isinstance(event, TradingStateSet)
    assert (event.state, event.flatten) == (TradingState.HALTED, True)
    assert "--flatten" in one_line(hmm("control", "active", "--flatten", HMM_NATS_URL=tape_url), 2)


def test_an_operator_lifts_a_lock_that_status_shows(hmm: Hmm, tape_url: str) -> None:
    holds = json.loads(hmm("status", "--json").stdout)["holds"]
    assert [(hold["kind"], hold["name"], hold["strategy"]) for hold in holds] == [("lock", "daily_loss", "trend")]
    lifted = hmm("unlock", "daily_loss", "--strategy", "trend", "--reason", "a wrong fill", HMM_NATS_URL=tape_url)
    assert lifted.stdout == "daily_loss is lifted for trend from position 47 on\n", lifted.stderr
    event = said(tape_url, 47)
    assert isinstance(event, LockLifted)
    assert (event.rail, event.strategy, event.instrument) == (Rail.DAILY_LOSS, "trend", None)
    assert "it is one of trading_state" in one_line(hmm("unlock", "luck", HMM_NATS_URL=tape_url), 2)


def test_an_operator_decides_on_capital_once(hmm: Hmm, tape_url: str, fresh_database_url: str) -> None:
    assert in_order(hmm("capital").stdout, "proposals", str(PROPOSAL), "risk_parity", "waits")
    decided = hmm("capital", "approve", str(PROPOSAL), "--reason", "as discussed", HMM_NATS_URL=tape_url)
    assert decided.stdout == "20000 -> 30000 for trend is approved at position 47\n", decided.stderr
    event = said(tape_url, 47)
    assert isinstance(event, CapitalDecided)
    assert (event.proposal, event.approved, event.reason) == (PROPOSAL, True, "as discussed")
    assert "these wait for a decision: 44" in one_line(hmm("capital", "refuse", "7", HMM_NATS_URL=tape_url), 1)
    archive = Archive(fresh_database_url)
    archive.write([Recorded(47, None, "m/47", 0, event)])
    archive.close()
    assert "was approved before" in one_line(hmm("capital", "refuse", str(PROPOSAL), HMM_NATS_URL=tape_url), 1)
    assert "approved by" in hmm("capital").stdout
