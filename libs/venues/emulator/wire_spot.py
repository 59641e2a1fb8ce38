"""How spot orders, fills, balances and rules stand on the wire."""

from collections.abc import Iterable
from decimal import Decimal

from venues.emulator.ledger import Ledger
from venues.emulator.market import Market
from venues.emulator.orders import ZERO, Fill, Order
from venues.emulator.settings import PLACES, EmulatorSettings, Pair
from venues.emulator.wire import Json, number
from venues.emulator.words import SPOT_KINDS, Execution

NO_LIST = -1


def order_json(order: Order) -> Json:
    """Render an order as a query answers it."""
    ticket = order.ticket
    return {
        "symbol": order.pair.symbol,
        "orderId": order.id,
        "orderListId": NO_LIST,
        "clientOrderId": ticket.client_id,
        "price": number(order.price or ZERO),
        "origQty": number(order.quantity),
        "executedQty": number(order.filled),
        "cummulativeQuoteQty": number(order.quote),
        "status": order.status,
        "timeInForce": ticket.time_in_force,
        "type": ticket.kind,
        "side": ticket.side,
        "stopPrice": number(ticket.stop_price or ZERO),
        "icebergQty": number(ticket.iceberg_quantity),
        "time": order.created,
        "updateTime": order.updated,
        "isWorking": order.is_working,
        "workingTime": order.created if order.is_working else -1,
        "origQuoteOrderQty": number(ticket.quote_quantity or ZERO),
        "selfTradePreventionMode": "NONE",
    }


def placed_json(order: Order, response: str) -> Json:
    """Render the answer to a new order: ACK, RESULT or FULL."""
    body: Json = {
        "symbol": order.pair.symbol,
        "orderId": order.id,
        "orderListId": NO_LIST,
        "clientOrderId": order.ticket.client_id,
        "transactTime": order.updated,
    }
    if response == "ACK":
        return body
    whole = order_json(order)
    kept = ("price", "origQty", "executedQty", "cummulativeQuoteQty", "status", "timeInForce", "type", "side")
    body.update({key: whole[key] for key in (*kept, "workingTime", "selfTradePreventionMode", "origQuoteOrderQty")})
    if order.ticket.stop_price is not None:
        body["stopPrice"] = whole["stopPrice"]
    if response == "FULL":
        body["fills"] = [
            {
                "price": number(fill.price),
                "qty": number(fill.quantity),
                "commission": number(fill.fee),
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.id,
            }
            for fill in order.fills
        ]
    return body


def canceled_json(order: Order) -> Json:
    body = placed_json(order, "RESULT")
    body["origClientOrderId"] = order.ticket.client_id
    body["clientOrderId"] = order.canceled_by
    return body


def fill_json(order: Order, fill: Fill) -> Json:
    return {
        "symbol": order.pair.symbol,
        "id": fill.id,
        "orderId": order.id,
        "orderListId": NO_LIST,
        "price": number(fill.price),
        "qty": number(fill.quantity),
        "quoteQty": number(fill.quote),
        "commission": number(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.time,
        "isBuyer": order.side.sign > 0,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def execution_report(order: Order, execution: Execution, fill: Fill | None, now: int) -> Json:
    """Render an order event. In a cancel `c` is the id of the cancel, and `C` that of the order."""
    ticket = order.ticket
    is_cancel = execution is Execution.CANCELED
    return {
        "e": "executionReport",
        "E": now,
        "s": order.pair.symbol,
        "c": order.canceled_by if is_cancel else ticket.client_id,
        "S": ticket.side,
        "o": ticket.kind,
        "f": ticket.time_in_force,
        "q": number(order.quantity),
        "p": number(order.price or ZERO),
        "P": number(ticket.stop_price or ZERO),
        "F": number(ticket.iceberg_quantity),
        "g": NO_LIST,
        "C": ticket.client_id if is_cancel else "",
        "x": execution,
        "X": order.status,
        "r": "NONE",
        "i": order.id,
        "l": number(fill.quantity if fill else ZERO),
        "z": number(order.filled),
        "L": number(fill.price if fill else ZERO),
        "n": number(fill.fee) if fill else "0",
        "N": fill.fee_asset if fill else None,
        "T": now,
        "t": fill.id if fill else -1,
        "I": order.id,
        "w": order.is_working and order.status.is_open,
        "m": fill.is_maker if fill else False,
        "M": False,
        "O": order.created,
        "Z": number(order.quote),
        "Y": number(fill.quote if fill else ZERO),
        "Q": number(ticket.quote_quantity or ZERO),
        "W": order.created,
        "V": "NONE",
    }


def account_position(ledger: Ledger, assets: Iterable[str], now: int) -> Json:
    return {
        "e": "outboundAccountPosition",
        "E": now,
        "u": now,
        "B": [
            {"a": asset, "f": number(ledger.free(asset)), "l": number(ledger.locked(asset))}
            for asset in dict.fromkeys(assets)
        ],
    }


def account_json(ledger: Ledger, settings: EmulatorSettings, assets: Iterable[str], now: int) -> Json:
    maker, taker = settings.spot_maker_fee, settings.spot_taker_fee
    return {
        "makerCommission": int(maker * 10_000),
        "takerCommission": int(taker * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {"maker": number(maker), "taker": number(taker), "buyer": "0", "seller": "0"},
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": False,
        "updateTime": now,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": number(ledger.free(asset)), "locked": number(ledger.locked(asset))}
            for asset in assets
        ],
        "permissions": ["SPOT"],
        "uid": 1,
    }


def symbol_json(market: Market) -> Json:
    pair = market.pair
    return {
        "symbol": pair.symbol,
        "status": market.phase,
        "baseAsset": pair.base,
        "baseAssetPrecision": PLACES,
        "quoteAsset": pair.quote,
        "quotePrecision": PLACES,
        "quoteAssetPrecision": PLACES,
        "baseCommissionPrecision": PLACES,
        "quoteCommissionPrecision": PLACES,
        "orderTypes": list(SPOT_KINDS),
        "icebergAllowed": True,
        "ocoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(pair),
        "permissions": ["SPOT"],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def _filters(pair: Pair) -> list[Json]:
    most = number(pair.max_quantity)
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": number(pair.tick),
            "maxPrice": number(pair.max_price),
            "tickSize": number(pair.tick),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": number(pair.lot),
            "maxQty": most,
            "stepSize": number(pair.lot),
        },
        {"filterType": "MARKET_LOT_SIZE", "minQty": number(Decimal(0)), "maxQty": most, "stepSize": number(ZERO)},
        {
            "filterType": "NOTIONAL",
            "minNotional": number(pair.min_notional),
            "applyMinToMarket": True,
            "maxNotional": "9000000.00000000",
            "applyMaxToMarket": False,
            "avgPriceMins": 0,
        },
    ]
