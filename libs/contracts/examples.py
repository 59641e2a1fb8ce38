"""One valid event of each type: the golden events, the documents and the tests start from these."""

from decimal import Decimal
from typing import TypedDict

from contracts.books import EquityMarked, MarkedPosition, PositionChanged
from contracts.clock import ClockTick
from contracts.control import Alert, DeadLetter, GuardSet, LeaseTaken, TradingStateSet
from contracts.event import Event
from contracts.market import Bar, MarketGap, Quote, Trade
from contracts.orders import (
    Denial,
    ExitPlan,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
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
from contracts.types import (
    GapKind,
    InstrumentId,
    Interval,
    Liquidity,
    OrderType,
    Rail,
    Severity,
    Side,
    TimeInForce,
    TradingState,
)
from contracts.venue import (
    CancelOrder,
    SubmitOrder,
    VenueAccepted,
    VenueCanceled,
    VenueCancelRejected,
    VenueExpired,
    VenueFilled,
    VenueRejected,
)

BTC = InstrumentId("binance.BTCUSDT")
AT = 1_723_161_254_087_891_268
ORDER_ID = "trend-1042-0"

TERMS = OrderTerms(
    client_order_id=ORDER_ID,
    strategy="trend",
    instrument=BTC,
    side=Side.BUY,
    quantity=Decimal("0.01000"),
    order_type=OrderType.LIMIT,
    limit_price=Decimal("61837.60"),
    time_in_force=TimeInForce.GTC,
    reduce_only=False,
)


class _At(TypedDict):
    ts_event: int
    ts_init: int


class _OfVenue(_At):
    client_order_id: str
    instrument: InstrumentId


class _OfOrder(_OfVenue):
    strategy: str


class _Fill(TypedDict):
    trade_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    currency: str
    liquidity: Liquidity


def examples() -> dict[type[Event], Event]:
    """Make one valid event of each declared type."""
    at: _At = {"ts_event": AT, "ts_init": AT}
    of_venue: _OfVenue = {**at, "client_order_id": ORDER_ID, "instrument": BTC}
    of_order: _OfOrder = {**of_venue, "strategy": "trend"}
    fill: _Fill = {
        "trade_id": "sim-7",
        "side": Side.BUY,
        "price": Decimal("61837.60"),
        "quantity": Decimal("0.00400"),
        "fee": Decimal("0.0989"),
        "currency": "USDT",
        "liquidity": Liquidity.MAKER,
    }
    events: list[Event] = [
        Quote(**at, instrument=BTC, bid=61837.63, bid_size=3.78826, ask=61837.64, ask_size=1.54698),
        Trade(**at, instrument=BTC, price=61837.63, size=0.02, aggressor=Side.SELL, trade_id="3735683259"),
        Bar(
            **at,
            instrument=BTC,
            interval=Interval.S5,
            ts_open=1_723_161_250_000_000_000,
            ts_close=1_723_161_255_000_000_000,
            open=61830.0,
            high=61840.5,
            low=61829.1,
            close=61837.63,
            volume=1.25,
            trades=17,
        ),
        MarketGap(**at, instrument=BTC, kind=GapKind.MISSING_TRADES, missing=3),
        ClockTick(**at),
        OrderIntent(
            **at,
            order=TERMS,
            reference_price=61837.63,
            exit=ExitPlan(stop=61700.0, target=62100.0),
            reason="fast average above slow",
        ),
        RiskApproved(**at, order=TERMS, mark=61837.635),
        RiskRejected(**at, order=TERMS, reasons=(Denial(rail=Rail.MAX_NOTIONAL, detail="618.4 USDT above 500 USDT"),)),
        OrderInitialized(**at, order=TERMS),
        OrderDenied(**of_order, reason="this client_order_id was used before"),
        OrderSubmitted(**of_order),
        OrderAccepted(**of_order, venue_order_id="sim-3"),
        OrderRejected(**of_order, reason="quantity below the lot size"),
        OrderPendingCancel(**of_order),
        OrderCancelRejected(**of_order, reason="already filled"),
        OrderFilled(**of_order, **fill, cumulative=Decimal("0.00400"), leaves=Decimal("0.00600")),
        OrderCanceled(**of_order, reason="trading halted"),
        OrderExpired(**of_order, reason="immediate or cancel"),
        SubmitOrder(**at, order=TERMS),
        CancelOrder(**of_venue),
        VenueAccepted(**of_venue, venue_order_id="sim-3"),
        VenueRejected(**of_venue, reason="quantity below the lot size"),
        VenueFilled(**of_venue, **fill),
        VenueCanceled(**of_venue, reason="trading halted"),
        VenueExpired(**of_venue, reason="immediate or cancel"),
        VenueCancelRejected(**of_venue, reason="already filled"),
        PositionChanged(
            **at,
            strategy="trend",
            instrument=BTC,
            quantity=Decimal("0.00400"),
            average_price=Decimal("61837.60"),
            realized_pnl=Decimal(0),
            fees=Decimal("0.0989"),
            mark=Decimal("61837.635"),
        ),
        EquityMarked(
            **at,
            strategy="trend",
            currency="USDT",
            cash=Decimal("99752.5507"),
            equity=Decimal("99999.90124"),
            realized_pnl=Decimal(0),
            unrealized_pnl=Decimal("0.00014"),
            fees=Decimal("0.0989"),
            peak=Decimal(100000),
            positions=(
                MarkedPosition(
                    instrument=BTC,
                    quantity=Decimal("0.00400"),
                    mark=Decimal("61837.635"),
                    value=Decimal("247.35054"),
                    unrealized_pnl=Decimal("0.00014"),
                ),
            ),
        ),
        TradingStateSet(**at, state=TradingState.HALTED, operator="alice", reason="exchange maintenance"),
        GuardSet(**at, guard="archive", state=TradingState.HALTED, reason="the event store is 6 hours behind"),
        LeaseTaken(**at, component="router", instance="host-1/4711", settings='{"remembered_orders":10000}'),
        Alert(**at, component="router", severity=Severity.WARNING, code="unknown_order", message="report for nobody"),
        DeadLetter(
            **at,
            component="feed",
            source="spot-btcusdt.gz:17",
            reason="Quote.bid_size: Input should be greater than or equal to 0 (got -1.0)",
            excerpt='{"stream":"btcusdt@bookTicker"',
        ),
    ]
    return {type(event): event for event in events}
