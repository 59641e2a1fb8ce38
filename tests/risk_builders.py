"""Makers of what risk hears beside orders and quotes, and of its verdicts on a market at 100 (BTC) and 10 (ETH)."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from contracts.books import CapitalAllocated, EquityMarked, PositionClosed
from contracts.control import LockLifted
from contracts.event import Event
from contracts.market import Funding
from contracts.orders import (
    AmendApproved,
    AmendIntent,
    Amendment,
    AmendRejected,
    ExecutionOverride,
    OrderFilled,
    OrderIntent,
    OrderTerms,
    OrderUpdated,
    OrderUpdateRejected,
    ProtectiveIntent,
    RiskApproved,
    RiskLocked,
    RiskRejected,
)
from contracts.types import CircuitState, InstrumentId, InstrumentState, OrderType, Rail, Side
from contracts.venue import InstrumentStatus, VenueHealth
from services.risk.rules import Risk
from services.risk.settings import RiskSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, LISTING, conditional, filled, intent, linked, ns, quote, terms
from venues.instruments import Listing

QUOTES = (quote(99.0, 101.0), quote(9.95, 10.05, instrument=ETH))
"""Marks of 100 and 10."""
VERDICTS = (RiskApproved, RiskRejected, AmendApproved, AmendRejected)
Verdict = RiskApproved | RiskRejected | AmendApproved | AmendRejected


def played(*events: Event, listed: Listing = LISTING, **settings: Any) -> MemoryTape:  # noqa: ANN401 (of any kind)
    tape = MemoryTape([Risk(RiskSettings(**settings), listed)])
    tape.play([*QUOTES, *events])
    return tape


def verdicts(*events: Event, **settings: Any) -> list[Verdict]:  # noqa: ANN401
    return [r.event for r in played(*events, **settings).recorded if isinstance(r.event, VERDICTS)]


def verdict(*events: Event, **settings: Any) -> Verdict:  # noqa: ANN401
    """The last one."""
    return verdicts(*events, **settings)[-1]


def approved(*events: Event, **settings: Any) -> RiskApproved:  # noqa: ANN401
    last = verdict(*events, **settings)
    assert isinstance(last, RiskApproved), last
    return last


def reasons(*events: Event, **settings: Any) -> dict[Rail, str]:  # noqa: ANN401
    """What is wrong with the last intent; empty if it was approved."""
    last = verdict(*events, **settings)
    return {} if isinstance(last, RiskApproved | AmendApproved) else {one.rail: one.detail for one in last.reasons}


def locks(*events: Event, **settings: Any) -> list[RiskLocked]:  # noqa: ANN401
    return played(*events, **settings).of_type(RiskLocked)


def holding(side: Side, quantity: str, *, strategy: str = "trend", instrument: InstrumentId = BTC) -> OrderFilled:
    """A position that came from a fill before this risk began."""
    return filled(terms(side, quantity, order_id=f"before-{strategy}", strategy=strategy, instrument=instrument))


def wish(
    order_id: str,
    side: Side = Side.BUY,
    quantity: str = "1",
    *,
    at: float = 0.0,
    **changes: Any,  # noqa: ANN401
) -> OrderIntent:
    price = 100.0 if changes.get("instrument", BTC) == BTC else 10.0
    return intent(terms(side, quantity, order_id=order_id, **changes), reference_price=price, at=at)


def of_list(order: OrderTerms, *attached: OrderTerms, at: float = 0.0) -> OrderIntent:
    return replace(intent(order, at=at), attached=attached)


def bracket(quantity: str = "1", *, stop: str = "95", target: str = "110", exits: str | None = None) -> OrderIntent:
    """Buy, then sell again at a stop or a target; `exits` is the quantity of these (None: all)."""
    entry = linked(terms(Side.BUY, quantity, order_id="entry"))
    size = exits or quantity
    loss = conditional(OrderType.STOP_MARKET, Side.SELL, size, trigger=stop, reduce_only=True, order_id="stop")
    gain = terms(Side.SELL, size, limit=target, reduce_only=True, order_id="target")
    return of_list(entry, linked(loss, parent=entry), linked(gain, parent=entry))


def protective(order: OrderTerms, *, by: str = "stops", price: float = 100.0, at: float = 0.0) -> ProtectiveIntent:
    return ProtectiveIntent(
        ts_event=ns(at),
        ts_init=ns(at),
        by=by,
        order=replace(order, reduce_only=True),
        reference_price=price,
        reason="test",
    )


def amend(wanted: Amendment, *, by: str = "trend", at: float = 0.0) -> AmendIntent:
    return AmendIntent(ts_event=ns(at), ts_init=ns(at), by=by, amendment=wanted, reason="test")


def updated(order: OrderTerms, quantity: str, *, leaves: str | None = None) -> OrderUpdated:
    return OrderUpdated(
        ts_event=ns(0),
        ts_init=ns(0),
        client_order_id=order.client_order_id,
        strategy=order.strategy,
        instrument=order.instrument,
        quantity=Decimal(quantity),
        limit_price=order.limit_price,
        trigger_price=order.trigger_price,
        leaves=Decimal(leaves or quantity),
    )


def not_updated(order: OrderTerms) -> OrderUpdateRejected:
    return OrderUpdateRejected(
        ts_event=ns(0),
        ts_init=ns(0),
        client_order_id=order.client_order_id,
        strategy=order.strategy,
        instrument=order.instrument,
        reason="test",
    )


def equity(
    amount: str, *, strategy: str = "trend", peak: str | None = None, at: float = 0.0, currency: str = "USDT"
) -> EquityMarked:
    """Mark a strategy that holds cash alone."""
    cash, zero = Decimal(amount), Decimal(0)
    return EquityMarked(
        ts_event=ns(at),
        ts_init=ns(at),
        strategy=strategy,
        currency=currency,
        cash=cash,
        equity=cash,
        realized_pnl=zero,
        unrealized_pnl=zero,
        fees=zero,
        peak=Decimal(peak or amount),
        positions=(),
    )


def closed(
    pnl: str,
    *,
    strategy: str = "trend",
    instrument: InstrumentId = BTC,
    stopped: bool = False,
    fees: str = "0",
    at: float = 0.0,
) -> PositionClosed:
    """Close a position that was entered for 1000."""
    return PositionClosed(
        ts_event=ns(at),
        ts_init=ns(at),
        strategy=strategy,
        instrument=instrument,
        side=Side.BUY,
        quantity=Decimal(10),
        entry_price=Decimal(100),
        exit_price=Decimal(100) + Decimal(pnl) / 10,
        realized_pnl=Decimal(pnl),
        fees=Decimal(fees),
        funding=Decimal(0),
        opened_at=ns(0),
        closed_at=ns(at),
        closed_by="trend-1-1",
        stopped=stopped,
    )


def allocated(capital: str, *, strategy: str = "trend") -> CapitalAllocated:
    return CapitalAllocated(
        ts_event=ns(0),
        ts_init=ns(0),
        strategy=strategy,
        capital=Decimal(capital),
        before=Decimal(0),
        policy="fixed",
        proposal=None,
        reason="test",
    )


def lifted(
    rail: Rail, *, strategy: str | None = None, instrument: InstrumentId | None = None, at: float = 0.0
) -> LockLifted:
    return LockLifted(
        ts_event=ns(at),
        ts_init=ns(at),
        rail=rail,
        strategy=strategy,
        instrument=instrument,
        operator="alice",
        reason="test",
    )


def status(state: InstrumentState, instrument: InstrumentId = BTC) -> InstrumentStatus:
    return InstrumentStatus(ts_event=ns(0), ts_init=ns(0), instrument=instrument, state=state, reason="maintenance")


def health(state: CircuitState, venue: str = "sim") -> VenueHealth:
    return VenueHealth(
        ts_event=ns(0),
        ts_init=ns(0),
        venue=venue,
        state=state,
        round_trip_ms=1.0,
        rejects=0,
        slippage_bps=None,
        reason="test",
    )


def override(factor: float = 1.0, *, muted_until: float | None = None) -> ExecutionOverride:
    return ExecutionOverride(
        ts_event=ns(0),
        ts_init=ns(0),
        instrument=BTC,
        size_factor=factor,
        muted_until=None if muted_until is None else ns(muted_until),
        reason="it slipped",
    )


def marked(mark: float, instrument: InstrumentId = BTC, *, at: float = 0.0) -> Funding:
    return Funding(
        ts_event=ns(at), ts_init=ns(at), instrument=instrument, mark=mark, index=mark, rate=0.0001, next_at=ns(3600)
    )


def sampled(changes: Iterable[tuple[float, float]], *, every_s: float = 60.0) -> list[Event]:
    """Move BTC and ETH away from 100 and 10 by these shares, minute by minute, and back to where they were."""
    shown: list[Event] = []
    for number, (btc, eth) in enumerate([*changes, (0.0, 0.0)], start=1):
        at = number * every_s
        shown.append(quote(99 * (1 + btc), 101 * (1 + btc), at=at))
        shown.append(quote(9.95 * (1 + eth), 10.05 * (1 + eth), at=at, instrument=ETH))
    return shown
