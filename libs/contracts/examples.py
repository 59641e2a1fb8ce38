"""One valid event of each type: the golden events, the documents and the tests start from these."""

from dataclasses import replace
from decimal import Decimal
from typing import TypedDict

from contracts.books import (
    CapitalAllocated,
    CapitalProposed,
    EquityMarked,
    MarkedPosition,
    PortfolioMarked,
    PositionChanged,
    PositionClosed,
)
from contracts.clock import ClockTick
from contracts.control import Alert, CapitalDecided, DeadLetter, GuardSet, LeaseTaken, LockLifted, TradingStateSet
from contracts.data import DataChunk
from contracts.event import Event
from contracts.market import Bar, Funding, MarketGap, Quote, Trade
from contracts.models import (
    Artifact,
    Bins,
    Feature,
    FeatureSpec,
    Gaussian,
    HiddenMarkovModel,
    HiddenState,
    ModelAction,
    ModelDecided,
    ModelFamily,
    ModelPromoted,
    ModelPublished,
    ModelRetired,
    RegimeModel,
    Scale,
    Score,
    TrainedOn,
    TrainFailed,
    TrainFailure,
    TrainRequested,
    TrainStarted,
    model_id_of,
    sha256_of,
)
from contracts.orders import (
    AmendApproved,
    AmendIntent,
    Amendment,
    AmendRejected,
    CancelIntent,
    Denial,
    ExecutionOverride,
    ExitPlan,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderHeld,
    OrderInitialized,
    OrderIntent,
    OrderLink,
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
    RiskLocked,
    RiskRejected,
)
from contracts.presets import Arm, Preset, PresetPinned, PresetSelected
from contracts.regimes import (
    CalibrationSet,
    DirectionInferred,
    DriftDetected,
    DriftKind,
    RegimeInferred,
    ShadowInferred,
)
from contracts.signals import SignalGiven
from contracts.types import (
    CircuitState,
    GapKind,
    InstrumentId,
    InstrumentState,
    Interval,
    Liquidity,
    OrderType,
    Rail,
    ReconciliationKind,
    Severity,
    Side,
    TimeInForce,
    TradingState,
    TriggerBy,
)
from contracts.venue import (
    AmendOrder,
    CancelOrder,
    FundingPaid,
    InstrumentStatus,
    QueryOrder,
    Reconciled,
    SubmitOrder,
    VenueAccepted,
    VenueAmended,
    VenueAmendRejected,
    VenueBalance,
    VenueCanceled,
    VenueCancelRejected,
    VenueExpired,
    VenueFilled,
    VenueForeignOrder,
    VenueHealth,
    VenuePosition,
    VenueRejected,
    VenueTriggered,
)

BTC = InstrumentId("binance.BTCUSDT")
PERP = InstrumentId("binanceusdm.BTCUSDT")
AT = 1_723_161_254_087_891_268
ORDER_ID = "trend-1042-0"

_ENTRY = OrderTerms(
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
STOP = OrderTerms(
    client_order_id="trend-1042-1",
    strategy="trend",
    instrument=BTC,
    side=Side.SELL,
    quantity=Decimal("0.01000"),
    order_type=OrderType.STOP_MARKET,
    limit_price=None,
    time_in_force=TimeInForce.GTC,
    reduce_only=True,
    trigger_price=Decimal("61700.00"),
    trigger_by=TriggerBy.BID_ASK,
    link=OrderLink(list_id=ORDER_ID, parent=ORDER_ID, siblings=(), contingency=None),
)
TERMS = replace(_ENTRY, link=OrderLink(list_id=ORDER_ID, parent=None, siblings=(), contingency=None))
AMENDMENT = Amendment(
    client_order_id=ORDER_ID,
    instrument=BTC,
    quantity=Decimal("0.00800"),
    limit_price=Decimal("61838.00"),
    trigger_price=None,
)
CHUNK = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"


def _state(label: str, occupancy: float, mean: float, variance: float) -> HiddenState:
    part = Gaussian(weight=1.0, mean=(mean,), covariance=((variance,),))
    return HiddenState(label=label, occupancy=occupancy, mixture=(part,))


ARTIFACT = Artifact(
    family=ModelFamily.REGIME,
    instrument=BTC,
    trained_on=TrainedOn(chunks=(CHUNK,), first=AT - 3_600 * 10**9, last=AT - 5 * 10**9, rows=720),
    code="0.1.0",
    seed=7,
    regime=RegimeModel(
        spec=FeatureSpec(interval=Interval.S5, window=1, lookback=20, features=(Feature.VOLATILITY,)),
        scaler=(Scale(center=-8.9, spread=0.7),),
        fast=HiddenMarkovModel(
            states=(_state("calm", 0.7, -0.5, 0.4), _state("wild", 0.3, 1.2, 0.6)),
            initial=(0.7, 0.3),
            transitions=((0.97, 0.03), (0.07, 0.93)),
        ),
        slow=None,
        confidence_exponent=0.8,
        improbable_below=-9.5,
        usual=Scale(center=-1.2, spread=0.9),
        reference=(Bins(edges=(-0.5, 0.5), shares=(0.4, 0.3, 0.3)),),
    ),
)
ARTIFACT_SHA256 = sha256_of(ARTIFACT)


class _At(TypedDict):
    ts_event: int
    ts_init: int


class _OfVenue(_At):
    client_order_id: str
    instrument: InstrumentId


class _OfOrder(_OfVenue):
    strategy: str


class _OfModel(TypedDict):
    family: ModelFamily
    instrument: InstrumentId


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
    of_model: _OfModel = {"family": ModelFamily.REGIME, "instrument": BTC}
    model_id = model_id_of(ARTIFACT_SHA256)
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
        Funding(**at, instrument=PERP, mark=61840.1, index=61838.7, rate=0.0001, next_at=1_723_161_600_000_000_000),
        MarketGap(**at, instrument=BTC, kind=GapKind.MISSING_TRADES, missing=3),
        ClockTick(**at),
        OrderIntent(
            **at,
            order=TERMS,
            reference_price=61837.63,
            exit=ExitPlan(stop=61700.0, target=62100.0),
            reason="fast average above slow",
            attached=(STOP,),
        ),
        ProtectiveIntent(**at, by="stops", order=replace(STOP, link=None), reference_price=61837.63, reason="no stop"),
        CancelIntent(**at, by="trend", instrument=BTC, client_order_id=ORDER_ID, reason="the move is over"),
        AmendIntent(**at, by="trend", amendment=AMENDMENT, reason="follow the market"),
        RiskApproved(
            **at,
            order=TERMS,
            mark=61837.635,
            attached=(STOP,),
            resized=(Denial(rail=Rail.MAX_NOTIONAL, detail="927.6 USDT above max_order_notional 700 USDT"),),
        ),
        AmendApproved(**at, amendment=AMENDMENT),
        AmendRejected(
            **at,
            amendment=AMENDMENT,
            reasons=(Denial(rail=Rail.PRICE_COLLAR, detail="130 bps above collar_bps 100"),),
        ),
        RiskLocked(
            **at,
            rail=Rail.DAILY_LOSS,
            strategy="trend",
            instrument=None,
            until=1_723_161_600_000_000_000,
            reason="lost 1,020 USDT today, above daily_loss 1,000",
        ),
        RiskRejected(**at, order=TERMS, reasons=(Denial(rail=Rail.MAX_NOTIONAL, detail="618.4 USDT above 500 USDT"),)),
        OrderInitialized(**at, order=TERMS),
        OrderDenied(**of_order, reason="this client_order_id was used before"),
        OrderSubmitted(**of_order),
        OrderHeld(**of_order, reason="waits for trigger_price 61700.00"),
        OrderTriggered(**of_order, price=Decimal("61699.90")),
        OrderAccepted(**of_order, venue_order_id="sim-3"),
        OrderRejected(**of_order, reason="quantity below the lot size"),
        OrderPendingCancel(**of_order),
        OrderCancelRejected(**of_order, reason="already filled"),
        OrderPendingUpdate(**of_order),
        OrderUpdated(
            **of_order,
            quantity=Decimal("0.00800"),
            limit_price=Decimal("61838.00"),
            trigger_price=None,
            leaves=Decimal("0.00400"),
        ),
        OrderUpdateRejected(**of_order, reason="already filled"),
        OrderFilled(**of_order, **fill, cumulative=Decimal("0.00400"), leaves=Decimal("0.00600"), slippage_bps=0.4),
        OrderCanceled(**of_order, reason="trading halted"),
        OrderExpired(**of_order, reason="immediate or cancel"),
        ExecutionOverride(
            **at, instrument=BTC, size_factor=0.5, muted_until=None, reason="slippage of 12 bps over 5 fills"
        ),
        SubmitOrder(**at, order=TERMS),
        CancelOrder(**of_venue),
        AmendOrder(**at, amendment=AMENDMENT),
        QueryOrder(**of_venue),
        VenueAccepted(**of_venue, venue_order_id="sim-3"),
        VenueRejected(**of_venue, reason="quantity below the lot size"),
        VenueFilled(**of_venue, **fill),
        VenueCanceled(**of_venue, reason="trading halted"),
        VenueExpired(**of_venue, reason="immediate or cancel"),
        VenueCancelRejected(**of_venue, reason="already filled"),
        VenueTriggered(**of_venue, price=Decimal("61699.90")),
        VenueAmended(**of_venue, quantity=Decimal("0.00800"), limit_price=Decimal("61838.00"), trigger_price=None),
        VenueAmendRejected(**of_venue, reason="already filled"),
        VenueForeignOrder(
            **of_venue,
            strategy="external",
            side=Side.SELL,
            quantity=Decimal("0.00100"),
            limit_price=None,
            venue_order_id="28457",
            adopted=True,
            reason="found open at the venue",
        ),
        VenueBalance(**at, venue="binance", currency="USDT", total=Decimal("99752.5507"), free=Decimal(99000)),
        VenuePosition(
            **at,
            instrument=PERP,
            quantity=Decimal("0.004"),
            entry_price=Decimal("61837.6"),
            liquidation_price=Decimal("49500.1"),
            margin=Decimal("49.47"),
        ),
        FundingPaid(
            **at,
            instrument=PERP,
            strategy="trend",
            amount=Decimal("-0.0247"),
            currency="USDT",
            rate=0.0001,
            quantity=Decimal("0.004"),
            funding_id="1723161600000",
        ),
        Reconciled(
            **at,
            venue="binance",
            kind=ReconciliationKind.MISSED_FILL,
            subject=ORDER_ID,
            corrected=True,
            evidence='{"ours":{"filled":"0"},"venue":{"filled":"0.00400"}}',
        ),
        InstrumentStatus(**at, instrument=BTC, state=InstrumentState.BREAK, reason="status BREAK"),
        VenueHealth(
            **at,
            venue="binance",
            state=CircuitState.OPEN,
            round_trip_ms=38.5,
            rejects=3,
            slippage_bps=0.7,
            reason="3 of the last 5 probes were rejected",
        ),
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
        PositionClosed(
            **at,
            strategy="trend",
            instrument=BTC,
            side=Side.BUY,
            quantity=Decimal("0.00400"),
            entry_price=Decimal("61837.60"),
            exit_price=Decimal("61700.00"),
            realized_pnl=Decimal("-0.5504"),
            fees=Decimal("0.1978"),
            funding=Decimal(0),
            opened_at=AT - 60_000_000_000,
            closed_at=AT,
            closed_by=STOP.client_order_id,
            stopped=True,
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
        PortfolioMarked(
            **at,
            currency="USDT",
            equity=Decimal("199999.90124"),
            peak=Decimal(200000),
            gross=Decimal("247.35054"),
            net=Decimal("247.35054"),
            realized_pnl=Decimal(0),
            unrealized_pnl=Decimal("0.00014"),
            fees=Decimal("0.0989"),
            funding=Decimal(0),
        ),
        CapitalProposed(
            **at,
            strategy="trend",
            capital=Decimal(30_000),
            before=Decimal(20_000),
            share=0.3,
            policy="risk_parity",
            reason="volatility of 18 % against 31 %",
        ),
        CapitalAllocated(
            **at,
            strategy="trend",
            capital=Decimal(30_000),
            before=Decimal(20_000),
            policy="risk_parity",
            proposal=81_234,
            reason="approved by alice",
        ),
        TradingStateSet(**at, state=TradingState.HALTED, operator="alice", reason="exchange maintenance"),
        LockLifted(
            **at, rail=Rail.DAILY_LOSS, strategy="trend", instrument=None, operator="alice", reason="a wrong fill"
        ),
        CapitalDecided(**at, proposal=81_234, approved=True, operator="alice", reason="as discussed"),
        DataChunk(
            **at,
            by="ingest",
            instrument=BTC,
            interval=Interval.S5,
            first=1_723_161_250_000_000_000,
            last=1_723_161_265_000_000_000,
            rows=3,
            missing=1,
            repaired=0,
            sha256=CHUNK,
            source="tape",
        ),
        TrainRequested(
            **at, by="ops", family=ModelFamily.REGIME, instrument=BTC, interval=Interval.S5, reason="asked by alice"
        ),
        TrainStarted(**at, **of_model, request=4_321, rows=720),
        TrainFailed(
            **at,
            **of_model,
            request=4_321,
            failure=TrainFailure.RARE_STATE,
            detail="state wild holds 2.1 % of the data, below 5 %",
        ),
        ModelPublished(
            **at,
            **of_model,
            request=4_321,
            model_id=model_id,
            sha256=ARTIFACT_SHA256,
            artifact=ARTIFACT,
            score=Score(observations=180, log_likelihood=-1.31, calibration_error=0.04),
            champion=None,
            champion_score=None,
        ),
        ModelPromoted(
            **at,
            **of_model,
            model_id=model_id,
            sha256=ARTIFACT_SHA256,
            artifact=ARTIFACT,
            replaces=None,
            by="trainer",
            reason="the first that passed the gate",
        ),
        ModelRetired(**at, **of_model, model_id=model_id, by="trainer", reason="replaced by a better one"),
        ModelDecided(**at, model_id=model_id, action=ModelAction.RETIRE, operator="alice", reason="too nervous"),
        RegimeInferred(
            **at,
            instrument=BTC,
            model_id=model_id,
            regime="calm",
            states=("calm", "wild"),
            probabilities=(0.93, 0.07),
            entropy=0.366,
            confidence=0.89,
            confident=True,
            log_likelihood=-0.71,
            observation=(-0.42,),
            close=61837.63,
        ),
        ShadowInferred(
            **at,
            instrument=BTC,
            model_id=model_id,
            states=("calm", "wild"),
            probabilities=(0.88, 0.12),
            log_likelihood=-0.69,
        ),
        DirectionInferred(**at, instrument=BTC, model_id=model_id, up=0.54, horizon=3),
        CalibrationSet(
            **at,
            instrument=None,
            confidence_gain=0.9,
            quote_multiplier=0.5,
            cooldown_scale=2.0,
            operator="alice",
            reason="a quiet week",
        ),
        DriftDetected(
            **at,
            instrument=BTC,
            model_id=model_id,
            kind=DriftKind.PSI,
            feature=Feature.VOLATILITY,
            statistic=0.31,
            threshold=0.25,
        ),
        SignalGiven(
            **at,
            strategy="hmm_ensemble",
            instrument=BTC,
            side=Side.BUY,
            strength=0.62,
            price=61837.63,
            reason="fast above slow, calm 0.93, up 0.54",
        ),
        PresetSelected(
            **at,
            strategy="hmm_ensemble",
            instrument=BTC,
            regime="calm",
            preset="bold",
            settings=Preset(size=1.5, target=1.5),
            arms=(
                Arm(preset="balanced", trades=12.4, mean=0.05, deviation=0.28, sampled=-0.11),
                Arm(preset="bold", trades=9.1, mean=0.21, deviation=0.33, sampled=0.37),
            ),
        ),
        PresetPinned(**at, strategy="hmm_ensemble", preset="balanced", operator="alice", reason="a test"),
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
