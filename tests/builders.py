"""Small makers of events: each names what a test is about and leaves the rest at a plain default."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from contracts.clock import ClockTick
from contracts.control import TradingStateSet
from contracts.event import Event
from contracts.market import Bar, Quote, Trade
from contracts.orders import (
    AmendApproved,
    Amendment,
    CancelIntent,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderIntent,
    OrderLink,
    OrderTerms,
    RiskApproved,
    Trail,
)
from contracts.types import (
    Contingency,
    InstrumentId,
    Interval,
    Liquidity,
    OrderType,
    Side,
    TimeInForce,
    TradingState,
    TriggerBy,
    instrument_id,
)
from contracts.venue import (
    CancelOrder,
    SubmitOrder,
    VenueAccepted,
    VenueAmended,
    VenueAmendRejected,
    VenueCanceled,
    VenueCancelRejected,
    VenueExpired,
    VenueFilled,
    VenueForeignOrder,
    VenueRejected,
)
from venues.instruments import Instrument, listing

SECOND = 1_000_000_000
START = 1_699_999_200 * SECOND
"""A full hour, so that bars of every length begin here."""

BTC = instrument_id("sim", "BTCUSDT")
ETH = instrument_id("sim", "ETHUSDT")

LISTING = listing(
    (
        Instrument(BTC, "BTC", "USDT", tick=Decimal("0.1"), lot=Decimal("0.001"), min_notional=Decimal(10)),
        Instrument(ETH, "ETH", "USDT", tick=Decimal("0.01"), lot=Decimal("0.01"), min_notional=Decimal(10)),
    )
)


def ns(seconds: float) -> int:
    """Give the time `seconds` after `START`."""
    return START + round(seconds * SECOND)


def quote(
    bid: float = 99.0,
    ask: float = 101.0,
    *,
    size: float = 1.0,
    bid_size: float | None = None,
    ask_size: float | None = None,
    at: float = 0.0,
    instrument: InstrumentId = BTC,
) -> Quote:
    return Quote(
        ts_event=ns(at),
        ts_init=ns(at),
        instrument=instrument,
        bid=bid,
        bid_size=size if bid_size is None else bid_size,
        ask=ask,
        ask_size=size if ask_size is None else ask_size,
    )


def trade(
    price: float,
    size: float = 1.0,
    *,
    at: float = 0.0,
    aggressor: Side = Side.BUY,
    trade_id: str = "1",
    instrument: InstrumentId = BTC,
) -> Trade:
    return Trade(
        ts_event=ns(at),
        ts_init=ns(at),
        instrument=instrument,
        price=price,
        size=size,
        aggressor=aggressor,
        trade_id=trade_id,
    )


def tick(at: float) -> ClockTick:
    return ClockTick(ts_event=ns(at), ts_init=ns(at))


def bar(
    close: float,
    *,
    number: int = 0,
    high: float | None = None,
    low: float | None = None,
    interval: Interval = Interval.S5,
    instrument: InstrumentId = BTC,
) -> Bar:
    """Close the `number`-th bar since `START`; it opens where it closes."""
    ts_close = START + (number + 1) * interval.nanos
    return Bar(
        ts_event=ts_close,
        ts_init=ts_close,
        instrument=instrument,
        interval=interval,
        ts_open=ts_close - interval.nanos,
        ts_close=ts_close,
        open=close,
        high=close if high is None else high,
        low=close if low is None else low,
        close=close,
        volume=1.0,
        trades=1,
    )


def bars(closes: Iterable[float], *, reach: float = 1.0, instrument: InstrumentId = BTC) -> list[Bar]:
    """Close one bar after the other, each reaching `reach` above and below its close."""
    return [
        bar(close, number=number, high=close + reach, low=close - reach, instrument=instrument)
        for number, close in enumerate(closes)
    ]


def terms(
    side: Side = Side.BUY,
    quantity: str = "1",
    *,
    limit: str | None = None,
    time_in_force: TimeInForce = TimeInForce.GTC,
    reduce_only: bool = False,
    order_id: str = "trend-1-0",
    strategy: str = "trend",
    instrument: InstrumentId = BTC,
) -> OrderTerms:
    return OrderTerms(
        client_order_id=order_id,
        strategy=strategy,
        instrument=instrument,
        side=side,
        quantity=Decimal(quantity),
        order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        limit_price=None if limit is None else Decimal(limit),
        time_in_force=time_in_force,
        reduce_only=reduce_only,
    )


def conditional(
    order_type: OrderType,
    side: Side = Side.SELL,
    quantity: str = "1",
    *,
    trigger: str | None = None,
    limit: str | None = None,
    trail: Trail | None = None,
    trigger_by: TriggerBy = TriggerBy.BID_ASK,
    reduce_only: bool = False,
    order_id: str = "trend-1-0",
    instrument: InstrumentId = BTC,
) -> OrderTerms:
    """Make an order that waits for a price."""
    return replace(
        terms(side, quantity, reduce_only=reduce_only, order_id=order_id, instrument=instrument),
        order_type=order_type,
        trigger_price=None if trigger is None else Decimal(trigger),
        limit_price=None if limit is None else Decimal(limit),
        trail=trail,
        trigger_by=trigger_by,
    )


def linked(
    order: OrderTerms,
    *,
    parent: OrderTerms | None = None,
    siblings: Iterable[OrderTerms] = (),
    contingency: Contingency | None = None,
) -> OrderTerms:
    """Give an order its place in a list."""
    link = OrderLink(
        list_id="list",
        parent=None if parent is None else parent.client_order_id,
        siblings=tuple(sibling.client_order_id for sibling in siblings),
        contingency=contingency,
    )
    return replace(order, link=link)


def intent(order: OrderTerms, *, reference_price: float = 100.0, at: float = 0.0) -> OrderIntent:
    return OrderIntent(
        ts_event=ns(at), ts_init=ns(at), order=order, reference_price=reference_price, exit=None, reason="test"
    )


def approval(order: OrderTerms, *attached: OrderTerms, mark: float = 100.0, at: float = 0.0) -> RiskApproved:
    return RiskApproved(ts_event=ns(at), ts_init=ns(at), order=order, mark=mark, attached=attached)


def cancel_intent(order: OrderTerms, by: str = "trend", *, at: float = 0.0) -> CancelIntent:
    return CancelIntent(
        ts_event=ns(at),
        ts_init=ns(at),
        by=by,
        instrument=order.instrument,
        client_order_id=order.client_order_id,
        reason="test",
    )


def amendment(
    order: OrderTerms, *, quantity: str | None = None, limit: str | None = None, trigger: str | None = None
) -> Amendment:
    return Amendment(
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        quantity=None if quantity is None else Decimal(quantity),
        limit_price=None if limit is None else Decimal(limit),
        trigger_price=None if trigger is None else Decimal(trigger),
    )


def amend_approved(wanted: Amendment, *, at: float = 0.0) -> AmendApproved:
    return AmendApproved(ts_event=ns(at), ts_init=ns(at), amendment=wanted)


def trading(state: TradingState, *, at: float = 0.0) -> TradingStateSet:
    return TradingStateSet(ts_event=ns(at), ts_init=ns(at), state=state, operator="alice", reason="test")


def submit(order: OrderTerms, *, at: float = 0.0) -> SubmitOrder:
    return SubmitOrder(ts_event=ns(at), ts_init=ns(at), order=order)


def cancel(order: OrderTerms, *, at: float = 0.0) -> CancelOrder:
    return CancelOrder(
        ts_event=ns(at), ts_init=ns(at), client_order_id=order.client_order_id, instrument=order.instrument
    )


def venue_accepted(order: OrderTerms) -> VenueAccepted:
    return VenueAccepted(
        ts_event=START,
        ts_init=START,
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        venue_order_id="sim-1",
    )


def venue_rejected(order: OrderTerms) -> VenueRejected:
    return VenueRejected(
        ts_event=START,
        ts_init=START,
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        reason="test",
    )


def venue_canceled(order: OrderTerms) -> VenueCanceled:
    return VenueCanceled(
        ts_event=START,
        ts_init=START,
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        reason="test",
    )


def venue_expired(order: OrderTerms) -> VenueExpired:
    return VenueExpired(
        ts_event=START,
        ts_init=START,
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        reason="test",
    )


def venue_cancel_rejected(order: OrderTerms) -> VenueCancelRejected:
    return VenueCancelRejected(
        ts_event=START,
        ts_init=START,
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        reason="test",
    )


def venue_filled(
    order: OrderTerms,
    quantity: str,
    *,
    price: str = "100",
    trade_id: str = "t1",
    side: Side | None = None,
    instrument: InstrumentId | None = None,
) -> VenueFilled:
    return VenueFilled(
        ts_event=START,
        ts_init=START,
        client_order_id=order.client_order_id,
        instrument=instrument or order.instrument,
        trade_id=trade_id,
        side=side or order.side,
        price=Decimal(price),
        quantity=Decimal(quantity),
        fee=Decimal("0.1"),
        currency="USDT",
        liquidity=Liquidity.TAKER,
    )


def venue_amended(
    order: OrderTerms, quantity: str, *, limit: str | None = None, trigger: str | None = None
) -> VenueAmended:
    return VenueAmended(
        ts_event=START,
        ts_init=START,
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        quantity=Decimal(quantity),
        limit_price=None if limit is None else Decimal(limit),
        trigger_price=None if trigger is None else Decimal(trigger),
    )


def venue_amend_rejected(order: OrderTerms) -> VenueAmendRejected:
    return VenueAmendRejected(
        ts_event=START,
        ts_init=START,
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        reason="test",
    )


def foreign(order: OrderTerms, *, adopted: bool = True) -> VenueForeignOrder:
    """Let a venue bring up an order that nobody here sent."""
    return VenueForeignOrder(
        ts_event=START,
        ts_init=START,
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        strategy=order.strategy,
        side=order.side,
        quantity=order.quantity,
        limit_price=order.limit_price,
        venue_order_id="sim-1",
        adopted=adopted,
        reason="test",
    )


def accepted(order: OrderTerms) -> OrderAccepted:
    return OrderAccepted(
        ts_event=START,
        ts_init=START,
        client_order_id=order.client_order_id,
        strategy=order.strategy,
        instrument=order.instrument,
        venue_order_id="sim-1",
    )


def canceled(order: OrderTerms) -> OrderCanceled:
    return OrderCanceled(
        ts_event=START,
        ts_init=START,
        client_order_id=order.client_order_id,
        strategy=order.strategy,
        instrument=order.instrument,
        reason="test",
    )


def filled(
    order: OrderTerms,
    quantity: str | None = None,
    *,
    price: str = "100",
    before: str = "0",
    fee: str = "0",
    currency: str = "USDT",
    at: float = 0.0,
) -> OrderFilled:
    """Fill `quantity` (None: all that is left) of an order of which `before` was filled already."""
    cumulative = order.quantity if quantity is None else Decimal(before) + Decimal(quantity)
    return OrderFilled(
        ts_event=ns(at),
        ts_init=ns(at),
        client_order_id=order.client_order_id,
        strategy=order.strategy,
        instrument=order.instrument,
        trade_id=f"{order.client_order_id}-{cumulative}",
        side=order.side,
        price=Decimal(price),
        quantity=cumulative - Decimal(before),
        cumulative=cumulative,
        leaves=order.quantity - cumulative,
        fee=Decimal(fee),
        currency=currency,
        liquidity=Liquidity.TAKER,
    )


def listed(said: Iterable[Event] | None) -> list[Event]:
    """Collect what a handler said."""
    return [] if said is None else list(said)
