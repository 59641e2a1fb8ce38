"""How USD-M orders, fills, funding and rules stand on the wire."""

from decimal import Decimal

from venues.emulator.market import FundingPrint, Market
from venues.emulator.orders import ZERO, Algo, Fill, Order
from venues.emulator.settings import EmulatorSettings
from venues.emulator.wire import Json, number, plain
from venues.emulator.words import USDM_KINDS, Execution, Phase, TimeInForce

PERPETUAL_DELIVERY = 4_133_404_800_000
"""The delivery date, in ms, that stands for never."""


def order_json(order: Order) -> Json:
    """Render an order as any request answers it."""
    ticket = order.ticket
    return {
        "orderId": order.id,
        "symbol": order.pair.symbol,
        "status": order.status,
        "clientOrderId": ticket.client_id,
        "price": plain(order.price or ZERO),
        "avgPrice": f"{order.average:.8f}",
        "origQty": plain(order.quantity),
        "executedQty": plain(order.filled),
        "cumQty": plain(order.filled),
        "cumQuote": plain(order.quote),
        "timeInForce": ticket.time_in_force,
        "type": ticket.kind,
        "reduceOnly": ticket.reduce_only,
        "closePosition": False,
        "side": ticket.side,
        "positionSide": ticket.position_side,
        "stopPrice": "0",
        "workingType": ticket.working_type,
        "priceProtect": False,
        "origType": ticket.kind,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE",
        "goodTillDate": 0,
        "time": order.created,
        "updateTime": order.updated,
    }


def algo_json(algo: Algo) -> Json:
    ticket = algo.ticket
    body: Json = {
        "algoId": algo.id,
        "clientAlgoId": ticket.client_id,
        "algoType": "CONDITIONAL",
        "orderType": ticket.kind,
        "symbol": ticket.pair.symbol,
        "side": ticket.side,
        "positionSide": ticket.position_side,
        "timeInForce": ticket.time_in_force,
        "quantity": plain(ticket.quantity),
        "algoStatus": algo.status,
        "actualOrderId": str(algo.order.id) if algo.order else "",
        "actualPrice": f"{algo.order.average if algo.order else ZERO:.8f}",
        "triggerPrice": plain(algo.trigger.level or ZERO),
        "price": plain(ticket.price or ZERO),
        "icebergQuantity": None,
        "selfTradePreventionMode": "NONE",
        "workingType": ticket.working_type,
        "priceMatch": "NONE",
        "closePosition": ticket.close_position,
        "priceProtect": False,
        "reduceOnly": ticket.reduce_only,
        "createTime": algo.created,
        "updateTime": algo.updated,
        "triggerTime": algo.triggered_at,
        "goodTillDate": 0,
    }
    if ticket.trailing is not None:
        body["callbackRate"] = plain(ticket.trailing * 100)
        body["activatePrice"] = plain(ticket.activation or ZERO)
    return body


def fill_json(order: Order, fill: Fill) -> Json:
    return {
        "symbol": order.pair.symbol,
        "id": fill.id,
        "orderId": order.id,
        "side": order.side,
        "price": plain(fill.price),
        "qty": plain(fill.quantity),
        "realizedPnl": number(fill.realized),
        "quoteQty": plain(fill.quote),
        "commission": number(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.time,
        "positionSide": order.ticket.position_side,
        "maker": fill.is_maker,
        "buyer": order.side.sign > 0,
    }


def order_update(order: Order, execution: Execution, fill: Fill | None, now: int) -> Json:
    ticket = order.ticket
    body: Json = {
        "s": order.pair.symbol,
        "c": ticket.client_id,
        "S": ticket.side,
        "o": ticket.kind,
        "f": ticket.time_in_force,
        "q": plain(order.quantity),
        "p": plain(order.price or ZERO),
        "ap": f"{order.average:.8f}",
        "sp": "0",
        "x": execution,
        "X": order.status,
        "i": order.id,
        "l": plain(fill.quantity if fill else ZERO),
        "z": plain(order.filled),
        "L": plain(fill.price if fill else ZERO),
        "T": now,
        "t": fill.id if fill else 0,
        "b": "0",
        "a": "0",
        "m": fill.is_maker if fill else False,
        "R": ticket.reduce_only,
        "wt": ticket.working_type,
        "ot": ticket.kind,
        "ps": ticket.position_side,
        "cp": False,
        "rp": number(fill.realized if fill else ZERO),
        "pP": False,
        "V": "NONE",
        "pm": "NONE",
        "gtd": 0,
    }
    if fill:
        body.update(n=number(fill.fee), N=fill.fee_asset)
    return {"e": "ORDER_TRADE_UPDATE", "E": now, "T": now, "o": body}


def algo_update(algo: Algo, now: int) -> Json:
    ticket, order = algo.ticket, algo.order
    body: Json = {
        "caid": ticket.client_id,
        "aid": algo.id,
        "at": "CONDITIONAL",
        "o": ticket.kind,
        "s": ticket.pair.symbol,
        "S": ticket.side,
        "ps": ticket.position_side,
        "f": ticket.time_in_force,
        "q": plain(ticket.quantity),
        "X": algo.status,
        "ai": str(order.id) if order else "",
        "ap": f"{order.average if order else ZERO:.8f}",
        "aq": plain(order.filled if order else ZERO),
        "act": order.ticket.kind if order else "0",
        "tp": plain(algo.trigger.level or ZERO),
        "p": plain(ticket.price or ZERO),
        "V": "NONE",
        "wt": ticket.working_type,
        "pm": "NONE",
        "cp": ticket.close_position,
        "pP": False,
        "R": ticket.reduce_only,
        "tt": algo.triggered_at,
        "gtd": 0,
        "rm": algo.reason,
    }
    return {"e": "ALGO_UPDATE", "E": now, "T": now, "o": body}


def premium(market: Market, now: int) -> Json:
    return {
        "symbol": market.pair.symbol,
        "markPrice": f"{market.mark or ZERO:.8f}",
        "indexPrice": f"{market.index or ZERO:.8f}",
        "estimatedSettlePrice": f"{market.index or ZERO:.8f}",
        "lastFundingRate": number(market.rate),
        "interestRate": "0.00010000",
        "nextFundingTime": market.funding_due(now),
        "time": now,
    }


def mark_event(market: Market, now: int) -> Json:
    return {
        "e": "markPriceUpdate",
        "E": now,
        "s": market.pair.symbol,
        "p": f"{market.mark or ZERO:.8f}",
        "i": f"{market.index or ZERO:.8f}",
        "P": f"{market.index or ZERO:.8f}",
        "r": number(market.rate),
        "T": market.funding_due(now),
    }


def funding_json(market: Market, funding: FundingPrint) -> Json:
    return {
        "symbol": market.pair.symbol,
        "fundingRate": number(funding.rate),
        "fundingTime": funding.time,
        "markPrice": f"{funding.mark:.8f}",
    }


def symbol_json(market: Market, settings: EmulatorSettings) -> Json:
    pair = market.pair
    most = plain(pair.max_quantity)
    lots: Json = {"stepSize": plain(pair.lot), "minQty": plain(pair.lot), "maxQty": most}
    return {
        "symbol": pair.symbol,
        "pair": pair.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": PERPETUAL_DELIVERY,
        "onboardDate": 1_569_398_400_000,
        "status": market.phase if market.phase is Phase.TRADING else "SETTLING",
        "maintMarginPercent": plain(settings.maintenance_rate * 100),
        "requiredMarginPercent": plain(Decimal(100) / settings.leverage),
        "baseAsset": pair.base,
        "quoteAsset": pair.quote,
        "marginAsset": pair.quote,
        "pricePrecision": pair.price_places,
        "quantityPrecision": pair.quantity_places,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": plain(pair.tick),
                "maxPrice": plain(pair.max_price),
                "tickSize": plain(pair.tick),
            },
            {"filterType": "LOT_SIZE", **lots},
            {"filterType": "MARKET_LOT_SIZE", **lots},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": plain(pair.min_notional)},
        ],
        "orderTypes": list(USDM_KINDS),
        "timeInForce": list(TimeInForce),
    }
