"""The public addresses of both boards: time, rules, books, trades, candles, tickers."""

from collections.abc import Callable
from functools import partial

from venues.emulator import wire
from venues.emulator.account import Account
from venues.emulator.candles import INTERVALS
from venues.emulator.endpoints import Endpoint, Endpoints, Security
from venues.emulator.market import Market
from venues.emulator.params import Params
from venues.emulator.refusals import Refusal
from venues.emulator.settings import EmulatorSettings
from venues.emulator.venue import Venue
from venues.emulator.words import Board

Render = Callable[[Market, int], object]


def public_endpoints(
    venue: Venue[Account], settings: EmulatorSettings, symbol_json: Callable[[Market], object]
) -> Endpoints:
    """Give the public endpoints of a board."""
    board = venue.board
    base = "/api/v3" if board is Board.SPOT else "/fapi/v1"

    def get(handler: Callable[[Params], object], weight: int = 1, security: Security = Security.NONE) -> Endpoint:
        return Endpoint(board, handler, weight=weight, security=security)

    many = partial(_one_or_all, venue)
    return {
        ("GET", f"{base}/ping"): get(lambda _: {}),
        ("GET", f"{base}/time"): get(lambda params: {"serverTime": params.now}),
        ("GET", f"{base}/exchangeInfo"): get(partial(_exchange_info, venue, settings, symbol_json), 10),
        ("GET", f"{base}/depth"): get(partial(_depth, venue), 5),
        ("GET", f"{base}/trades"): get(partial(_trades, venue), 10),
        ("GET", f"{base}/historicalTrades"): get(partial(_trades, venue), 10, Security.KEY),
        ("GET", f"{base}/aggTrades"): get(partial(_aggregates, venue), 4),
        ("GET", f"{base}/klines"): get(partial(_klines, venue), 2),
        ("GET", f"{base}/ticker/bookTicker"): get(partial(many, wire.best_ticker), 2),
        ("GET", f"{base}/ticker/price"): get(partial(many, _last_price), 2),
        ("GET", f"{base}/ticker/24hr"): get(partial(many, wire.day_ticker), 2),
    }


def _one_or_all(venue: Venue[Account], render: Render, params: Params) -> object:
    if params.has("symbol"):
        return render(venue.market(params.text("symbol")), params.now)
    return [render(market, params.now) for market in venue.markets.values()]


def _last_price(market: Market, now: int) -> object:
    price = wire.price_text(market, market.last) if market.last is not None else "0"
    body: dict[str, object] = {"symbol": market.pair.symbol, "price": price}
    if market.pair.board is Board.USDM:
        body["time"] = now
    return body


def _exchange_info(
    venue: Venue[Account], settings: EmulatorSettings, symbol_json: Callable[[Market], object], params: Params
) -> object:
    spot = venue.board is Board.SPOT
    weight = settings.spot_weight_per_minute if spot else settings.usdm_weight_per_minute
    orders = settings.spot_orders_per_10s if spot else settings.usdm_orders_per_10s
    markets = [venue.market(params.text("symbol"))] if params.has("symbol") else venue.markets.values()
    return {
        "timezone": "UTC",
        "serverTime": params.now,
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": orders},
        ],
        "exchangeFilters": [],
        "symbols": [symbol_json(market) for market in markets],
    }


def _depth(venue: Venue[Account], params: Params) -> object:
    return wire.depth_snapshot(venue.market(params.text("symbol")), params.limit(100, 5_000), params.now)


def _trades(venue: Venue[Account], params: Params) -> object:
    market = venue.market(params.text("symbol"))
    start = params.maybe_integer("fromId")
    limit = params.limit(500, 1_000)
    if start is None:
        return [wire.public_trade(market, trade) for trade in list(market.prints)[-limit:]]
    return [wire.public_trade(market, trade) for trade in market.prints if trade.id >= start][:limit]


def _aggregates(venue: Venue[Account], params: Params) -> object:
    market = venue.market(params.text("symbol"))
    start, end = params.period()
    first = params.maybe_integer("fromId")
    limit = params.limit(500, 1_000)
    found = [
        wire.aggregate(market, trade)
        for trade in market.prints
        if (first is None or trade.id >= first)
        and (start is None or trade.time >= start)
        and (end is None or trade.time <= end)
    ]
    return found[-limit:] if first is None and start is None else found[:limit]


def _klines(venue: Venue[Account], params: Params) -> object:
    market = venue.market(params.text("symbol"))
    interval = params.text("interval")
    if interval not in INTERVALS:
        raise Refusal(-1120, "Invalid interval.")
    start, end = params.period()
    most = 1_000 if venue.board is Board.SPOT else 1_500
    candles = market.candles.read(interval, start, end, params.limit(500, most))
    return [wire.kline(market, candle, interval) for candle in candles]
