"""ccxt's unified structures in our words. Numbers come as strings (`exchange.number = str`): nothing is rounded."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from contracts.types import InstrumentId, InstrumentState, Liquidity, Side
from venues.reconciliation.views import (
    BalanceView,
    FundingView,
    MarketView,
    PositionView,
    VenueOrderView,
    VenueStatus,
    VenueTradeView,
)

Structure = Mapping[str, Any]

MS = 1_000_000
ZERO = Decimal(0)

_STATUS = {
    "open": VenueStatus.OPEN,
    "canceling": VenueStatus.OPEN,
    "closed": VenueStatus.FILLED,
    "canceled": VenueStatus.CANCELED,
    "expired": VenueStatus.EXPIRED,
    "rejected": VenueStatus.REJECTED,
}


def order_view(order: Structure, instrument: InstrumentId, currency: str) -> VenueOrderView:
    """Read an order; `currency` is what the instrument is priced in. Raises `KeyError` on a status nobody knows."""
    trades = tuple(
        trade_view({**trade, "order": order["id"], "side": order["side"]}, instrument, currency, _time(order))
        for trade in order.get("trades") or ()
        if trade.get("id") is not None
    )
    limit = order.get("price") if order.get("type") not in ("market", "MARKET") else None
    return VenueOrderView(
        instrument=instrument,
        client_order_id=str(order.get("clientOrderId") or ""),
        venue_order_id=str(order["id"]),
        status=_STATUS[order["status"]],
        side=Side(order["side"]),
        quantity=Decimal(order["amount"]),
        filled=_number(order.get("filled")) or ZERO,
        limit_price=_number(limit) or None,
        updated_at=_time(order),
        reason=f"{order['status']} at the venue",
        trades=trades,
    )


def trade_view(trade: Structure, instrument: InstrumentId, currency: str, otherwise_at: int = 0) -> VenueTradeView:
    """Read a trade of ours; a fill that came with its own order does not tell its time, and took what was there."""
    fee = trade.get("fee") or {}
    maker = trade.get("takerOrMaker") == "maker"
    timestamp = trade.get("timestamp")
    return VenueTradeView(
        instrument=instrument,
        trade_id=str(trade["id"]),
        venue_order_id=str(trade["order"]),
        side=Side(trade["side"]),
        price=Decimal(trade["price"]),
        quantity=Decimal(trade["amount"]),
        currency=currency,
        fee=_number(fee.get("cost")) or ZERO,
        fee_currency=str(fee.get("currency") or currency),
        liquidity=Liquidity.MAKER if maker else Liquidity.TAKER,
        traded_at=otherwise_at if timestamp is None else int(timestamp) * MS,
    )


def balance_views(balance: Structure) -> tuple[BalanceView, ...]:
    """Read what an account holds; of a margin account what is in the wallet, without profits that are not taken."""
    assets = (balance.get("info") or {}).get("assets") if isinstance(balance.get("info"), Mapping) else None
    if assets and all("walletBalance" in asset for asset in assets):
        return tuple(
            BalanceView(asset["asset"], Decimal(asset["walletBalance"]), _number(asset.get("availableBalance")) or ZERO)
            for asset in assets
            if Decimal(asset["walletBalance"]) != 0
        )
    totals: Mapping[str, Any] = balance.get("total") or {}
    free: Mapping[str, Any] = balance.get("free") or {}
    return tuple(
        BalanceView(currency, total, _number(free.get(currency)) or ZERO)
        for currency, said in totals.items()
        if (total := _number(said)) is not None and total != 0
    )


def position_view(position: Structure, instrument: InstrumentId) -> PositionView:
    size = _number(position.get("contracts")) or ZERO
    entry, liquidation = _number(position.get("entryPrice")), _number(position.get("liquidationPrice"))
    return PositionView(
        instrument=instrument,
        quantity=-size if position.get("side") == "short" else size,
        entry_price=entry if entry and size else None,
        liquidation_price=liquidation if liquidation and liquidation > 0 and size else None,
        margin=_number(position.get("initialMargin")) or ZERO,
    )


def funding_view(income: Structure, instrument: InstrumentId) -> FundingView:
    return FundingView(
        funding_id=str(income["id"]),
        instrument=instrument,
        amount=Decimal(income["amount"]),
        currency=str(income["code"]),
        paid_at=int(income["timestamp"]) * MS,
    )


def market_view(market: Structure, instrument: InstrumentId) -> MarketView:
    """Read an instrument's rules; ccxt gives ticks and lots as the smallest steps."""
    status = str((market.get("info") or {}).get("status") or (market.get("info") or {}).get("contractStatus") or "")
    trading = market.get("active") is True
    delisted = status in {"DELISTED", "CLOSE", "SETTLING", "DELIVERING", "DELIVERED"}
    stopped = InstrumentState.DELISTED if delisted else InstrumentState.BREAK
    return MarketView(
        instrument=instrument,
        tick=Decimal(market["precision"]["price"]).normalize(),
        lot=Decimal(market["precision"]["amount"]).normalize(),
        min_notional=_number((market["limits"].get("cost") or {}).get("min")) or ZERO,
        state=InstrumentState.TRADING if trading else stopped,
    )


def _number(value: object) -> Decimal | None:
    return None if value is None or value == "" else Decimal(str(value))


def _time(order: Structure) -> int:
    """When the order last changed (ns), as far as the venue says."""
    said = [order.get(name) for name in ("lastUpdateTimestamp", "lastTradeTimestamp", "timestamp")]
    return max((int(one) for one in said if one is not None), default=0) * MS
