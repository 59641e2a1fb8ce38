"""How numbers stand on the wire, and what both boards render alike: trades, books, candles, klines."""

from decimal import Decimal

from venues.emulator.book import DepthUpdate, Levels
from venues.emulator.candles import INTERVALS, Candle
from venues.emulator.market import Market, Print
from venues.emulator.settings import PLACES, decimals
from venues.emulator.words import Board, Side

Json = dict[str, object]


def number(value: Decimal, places: int = PLACES) -> str:
    """Write a number with at least `places` decimals, and with all that matter."""
    return f"{value:.{max(places, decimals(value))}f}"


def plain(value: Decimal) -> str:
    """Write a number without idle zeros."""
    return f"{value.normalize():f}" if value else "0"


def price_text(market: Market, value: Decimal) -> str:
    """Write a price as the board does: eight decimals on spot, those of the tick on USD-M."""
    return number(value, PLACES if market.pair.board is Board.SPOT else market.pair.price_places)


def size_text(market: Market, value: Decimal) -> str:
    return number(value, PLACES if market.pair.board is Board.SPOT else market.pair.quantity_places)


def levels(market: Market, entries: list[tuple[Decimal, Decimal]]) -> list[list[str]]:
    return [[price_text(market, price), size_text(market, size)] for price, size in entries]


def depth_snapshot(market: Market, limit: int, now: int) -> Json:
    book = market.book
    body: Json = {
        "lastUpdateId": book.update_id,
        "bids": levels(market, book.top(Side.BUY, limit)),
        "asks": levels(market, book.top(Side.SELL, limit)),
    }
    if market.pair.board is Board.USDM:
        body.update(E=now, T=now)
    return body


def depth_event(market: Market, update: DepthUpdate, now: int) -> Json:
    event: Json = {
        "e": "depthUpdate",
        "E": now,
        "s": market.pair.symbol,
        "U": update.first,
        "u": update.last,
        "b": levels(market, _sorted(update.bids)),
        "a": levels(market, _sorted(update.asks)),
    }
    if market.pair.board is Board.USDM:
        event.update(T=now, pu=update.before)
    return event


def _sorted(changed: Levels) -> list[tuple[Decimal, Decimal]]:
    return sorted(changed.items())


def best_event(market: Market, now: int) -> Json | None:
    """Render the best bid and ask; None when one side is empty."""
    bid, ask = market.book.best(Side.SELL), market.book.best(Side.BUY)
    if bid is None or ask is None:
        return None
    event: Json = {
        "u": market.book.update_id,
        "s": market.pair.symbol,
        "b": price_text(market, bid[0]),
        "B": size_text(market, bid[1]),
        "a": price_text(market, ask[0]),
        "A": size_text(market, ask[1]),
    }
    if market.pair.board is Board.USDM:
        event.update(e="bookTicker", T=now, E=now)
    return event


def best_ticker(market: Market, now: int) -> Json:
    bid, ask = market.book.best(Side.SELL), market.book.best(Side.BUY)
    none = (Decimal(0), Decimal(0))
    bid, ask = bid or none, ask or none
    body: Json = {
        "symbol": market.pair.symbol,
        "bidPrice": price_text(market, bid[0]),
        "bidQty": size_text(market, bid[1]),
        "askPrice": price_text(market, ask[0]),
        "askQty": size_text(market, ask[1]),
    }
    if market.pair.board is Board.USDM:
        body["time"] = now
    return body


def trade_event(market: Market, trade: Print) -> Json:
    event: Json = {
        "e": "trade",
        "E": trade.time,
        "s": market.pair.symbol,
        "t": trade.id,
        "p": price_text(market, trade.price),
        "q": size_text(market, trade.size),
        "T": trade.time,
        "m": trade.aggressor is Side.SELL,
    }
    if market.pair.board is Board.USDM:
        event["X"] = "MARKET"
    else:
        event["M"] = True
    return event


def aggregate_event(market: Market, trade: Print) -> Json:
    return {"e": "aggTrade", "E": trade.time, "s": market.pair.symbol, **aggregate(market, trade)}


def aggregate(market: Market, trade: Print) -> Json:
    """Render a trade as an aggregate of one."""
    return {
        "a": trade.id,
        "p": price_text(market, trade.price),
        "q": size_text(market, trade.size),
        "f": trade.id,
        "l": trade.id,
        "T": trade.time,
        "m": trade.aggressor is Side.SELL,
    }


def public_trade(market: Market, trade: Print) -> Json:
    return {
        "id": trade.id,
        "price": price_text(market, trade.price),
        "qty": size_text(market, trade.size),
        "quoteQty": number(trade.price * trade.size),
        "time": trade.time,
        "isBuyerMaker": trade.aggressor is Side.SELL,
    }


def kline(market: Market, candle: Candle, interval: str) -> list[object]:
    return [
        candle.open_time,
        *(price_text(market, price) for price in (candle.open, candle.high, candle.low, candle.close)),
        size_text(market, candle.volume),
        candle.open_time + INTERVALS[interval] - 1,
        number(candle.quote_volume),
        candle.trades,
        size_text(market, candle.taker_volume),
        number(candle.taker_quote_volume),
        "0",
    ]


def kline_event(market: Market, candle: Candle, interval: str, now: int) -> Json:
    close_time = candle.open_time + INTERVALS[interval] - 1
    body: Json = {
        "t": candle.open_time,
        "T": close_time,
        "s": market.pair.symbol,
        "i": interval,
        "o": price_text(market, candle.open),
        "c": price_text(market, candle.close),
        "h": price_text(market, candle.high),
        "l": price_text(market, candle.low),
        "v": size_text(market, candle.volume),
        "n": candle.trades,
        "x": now > close_time,
        "q": number(candle.quote_volume),
        "V": size_text(market, candle.taker_volume),
        "Q": number(candle.taker_quote_volume),
    }
    return {"e": "kline", "E": now, "s": market.pair.symbol, "k": body}


def day_ticker(market: Market, now: int) -> Json:
    """Render the statistics of the last 24 hours."""
    minutes = market.candles.read("1m", now - 86_400_000, None, 1_500)
    zero = Decimal(0)
    last = market.last or zero
    first = minutes[0].open if minutes else last
    volume = sum((candle.volume for candle in minutes), zero)
    quote_volume = sum((candle.quote_volume for candle in minutes), zero)
    change = (last - first) / first * 100 if first else zero
    return {
        **best_ticker(market, now),
        "priceChange": price_text(market, last - first),
        "priceChangePercent": f"{change:.3f}",
        "weightedAvgPrice": f"{quote_volume / volume if volume else zero:.8f}",
        "lastPrice": price_text(market, last),
        "lastQty": size_text(market, market.prints[-1].size if market.prints else zero),
        "openPrice": price_text(market, first),
        "highPrice": price_text(market, max((candle.high for candle in minutes), default=last)),
        "lowPrice": price_text(market, min((candle.low for candle in minutes), default=last)),
        "volume": size_text(market, volume),
        "quoteVolume": number(quote_volume),
        "openTime": now - 86_400_000,
        "closeTime": now,
        "count": sum(candle.trades for candle in minutes),
    }
