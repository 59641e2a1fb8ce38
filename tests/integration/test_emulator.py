"""The emulated spot exchange as the real ccxt sees it over REST."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from tests.emulated import ASK, SPOT, Ccxt, exchange_at, quoted_emulator
from venues.emulator import Board, Candle, Emulator, FeeAsset, Phase, Status

MINUTE = 60_000


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with quoted_emulator() as emulator:
        yield emulator


@pytest.fixture
async def spot(emulator: Emulator) -> AsyncIterator[Ccxt]:
    async with exchange_at(emulator, "binance") as exchange:
        yield exchange


async def test_markets_carry_the_rules_of_the_listing(spot: Ccxt) -> None:
    market = spot.market(SPOT)
    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.01, 0.00001)
    assert market["limits"]["cost"]["min"] == 5
    assert market["active"]


async def test_a_limit_order_rests_and_is_found_by_either_id(emulator: Emulator, spot: Ccxt) -> None:
    placed = await spot.create_order(SPOT, "limit", "buy", 0.01, 59_000, {"clientOrderId": "trend-7-1"})
    by_client = await spot.fetch_order(None, SPOT, {"clientOrderId": "trend-7-1"})
    by_venue = await spot.fetch_order(placed["id"], SPOT)
    assert placed["status"] == by_client["status"] == by_venue["status"] == "open"
    assert placed["id"] == by_client["id"] == by_venue["id"]
    assert placed["clientOrderId"] == "trend-7-1"
    assert emulator.books.created("trend-7-1") == 1


async def test_an_open_order_locks_what_it_may_cost_and_a_cancel_frees_it(emulator: Emulator, spot: Ccxt) -> None:
    placed = await spot.create_order(SPOT, "limit", "buy", 0.1, 50_000, {"clientOrderId": "c-1"})
    locked = await spot.fetch_balance()
    canceled = await spot.cancel_order(None, SPOT, {"clientOrderId": "c-1"})
    freed = await spot.fetch_balance()
    assert locked["USDT"] == {"free": 94_995.0, "used": 5_005.0, "total": 100_000.0}
    assert (canceled["id"], canceled["status"]) == (placed["id"], "canceled")
    assert freed["USDT"]["free"] == 100_000
    assert emulator.books.open_orders() == []


async def test_a_market_order_walks_the_displayed_levels_and_each_execution_is_told(
    emulator: Emulator, spot: Ccxt
) -> None:
    order = await spot.create_order(SPOT, "market", "buy", 0.6, None, {"clientOrderId": "m-1"})
    trades = await spot.fetch_my_trades(SPOT)
    assert (order["status"], order["filled"]) == ("closed", 0.6)
    assert [(trade["price"], trade["amount"], trade["takerOrMaker"]) for trade in trades] == [
        (60_000.1, 0.5, "taker"),
        (60_000.11, 0.1, "taker"),
    ]
    assert emulator.books.balance("BTC") == Decimal("1.6")
    assert emulator.books.balance("USDT") == Decimal(100000) - sum(
        fill.quote + fill.fee for _, fill in emulator.books.fills()
    )


async def test_what_a_market_order_cannot_get_expires(spot: Ccxt, emulator: Emulator) -> None:
    await emulator.show("BTCUSDT", {Decimal(59_000): Decimal("0.3")}, {Decimal(60_000): Decimal("0.2")})
    order = await spot.create_order(SPOT, "market", "buy", 0.5)
    assert (order["status"], order["filled"], order["remaining"]) == ("expired", 0.2, 0.3)


@pytest.mark.parametrize(
    ("fee_asset", "currency", "cost"),
    [(FeeAsset.QUOTE, "USDT", 6.00001), (FeeAsset.RECEIVED, "BTC", 0.0001), (FeeAsset.BNB, "BNB", 0.00750001)],
)
async def test_the_commission_is_paid_in_the_asset_of_the_setting(
    fee_asset: FeeAsset, currency: str, cost: float
) -> None:
    async with quoted_emulator(fee_asset=fee_asset) as emulator, exchange_at(emulator, "binance") as spot:
        order = await spot.create_order(SPOT, "market", "buy", 0.1)
    assert order["trades"][0]["fee"] == {"cost": cost, "currency": currency}


async def test_a_resting_order_trades_at_its_own_price_when_a_quote_crosses_it(emulator: Emulator, spot: Ccxt) -> None:
    await spot.create_order(SPOT, "limit", "buy", 0.01, 59_990, {"clientOrderId": "r-1"})
    await emulator.quote("BTCUSDT", 59_980.0, 1.0, 59_985.0, 1.0)
    order = await spot.fetch_order(None, SPOT, {"clientOrderId": "r-1"})
    (trade,) = await spot.fetch_my_trades(SPOT)
    assert (order["status"], order["average"]) == ("closed", 59_990)
    assert trade["takerOrMaker"] == "maker"


async def test_a_resting_order_waits_for_what_was_displayed_before_it(emulator: Emulator, spot: Ccxt) -> None:
    await spot.create_order(SPOT, "limit", "buy", 0.2, 60_000, {"clientOrderId": "q-1"})
    await emulator.trade("BTCUSDT", 60_000.0, 0.5, "SELL")
    before = await spot.fetch_order(None, SPOT, {"clientOrderId": "q-1"})
    await emulator.trade("BTCUSDT", 60_000.0, 0.15, "SELL")
    after = await spot.fetch_order(None, SPOT, {"clientOrderId": "q-1"})
    assert (before["filled"], after["filled"], after["status"]) == (0, 0.15, "open")


@pytest.mark.parametrize(
    ("kind", "price", "params", "status", "filled"),
    [
        ("limit", ASK, {"timeInForce": "IOC"}, "expired", 0.5),
        ("limit", ASK, {"timeInForce": "FOK"}, "expired", 0),
        ("limit", 60_000.2, {"timeInForce": "FOK"}, "closed", 0.9),
        ("limit", ASK, {"timeInForce": "GTC"}, "open", 0.5),
    ],
)
async def test_time_in_force_says_what_becomes_of_the_rest(
    spot: Ccxt, kind: str, price: float, params: dict[str, str], status: str, filled: float
) -> None:
    order = await spot.create_order(SPOT, kind, "buy", 0.9, price, params)
    assert (order["status"], order["filled"]) == (status, filled)


async def test_a_stop_goes_off_when_the_last_price_reaches_it(emulator: Emulator, spot: Ccxt) -> None:
    stop = await spot.create_order(SPOT, "market", "sell", 0.1, None, {"stopLossPrice": 59_500})
    locked = await spot.fetch_balance()
    await emulator.quote("BTCUSDT", 59_400.0, 1.0, 59_401.0, 1.0)
    await emulator.trade("BTCUSDT", 59_499.0, 0.1, "SELL")
    order = await spot.fetch_order(stop["id"], SPOT)
    assert locked["BTC"]["used"] == 0.1
    assert (order["status"], order["average"], order["type"]) == ("closed", 59_400, "market")


async def test_a_take_profit_limit_rests_at_its_limit_after_its_trigger(emulator: Emulator, spot: Ccxt) -> None:
    placed = await spot.create_order(SPOT, "limit", "sell", 0.1, 61_000, {"takeProfitPrice": 60_500})
    await emulator.trade("BTCUSDT", 60_600.0, 0.1, "BUY")
    order = await spot.fetch_order(placed["id"], SPOT)
    assert (order["status"], order["info"]["isWorking"], order["price"]) == ("open", True, 61_000)


async def test_a_trailing_stop_follows_the_best_price(emulator: Emulator, spot: Ccxt) -> None:
    params = {"trailingPercent": 1, "stopLossOrTakeProfit": "stopLoss"}
    placed = await spot.create_order(SPOT, "market", "sell", 0.1, None, params)
    for price in (61_000.0, 62_000.0, 61_500.0):
        await emulator.trade("BTCUSDT", price, 0.1, "BUY")
    waiting = await spot.fetch_order(placed["id"], SPOT)
    await emulator.trade("BTCUSDT", 61_380.0, 0.1, "SELL")
    assert (waiting["status"], (await spot.fetch_order(placed["id"], SPOT))["status"]) == ("open", "closed")


async def test_an_edit_replaces_the_order(emulator: Emulator, spot: Ccxt) -> None:
    placed = await spot.create_order(SPOT, "limit", "buy", 0.01, 59_000, {"clientOrderId": "e-1"})
    edited = await spot.edit_order(placed["id"], SPOT, "limit", "buy", 0.02, 59_100, {"newClientOrderId": "e-2"})
    old = await spot.fetch_order(placed["id"], SPOT)
    assert (edited["price"], edited["amount"], edited["status"]) == (59_100, 0.02, "open")
    assert old["status"] == "canceled"
    assert [order.ticket.client_id for order in emulator.books.open_orders()] == ["e-2"]


async def test_a_replace_of_an_order_that_is_gone_places_nothing(emulator: Emulator, spot: Ccxt) -> None:
    placed = await spot.create_order(SPOT, "market", "buy", 0.01)
    with pytest.raises(ccxt.BadResponse, match="cancel-replace failed"):
        await spot.edit_order(placed["id"], SPOT, "limit", "buy", 0.02, 59_100, {"newClientOrderId": "e-9"})
    assert emulator.books.created("e-9") == 0


async def test_lists_of_orders_and_a_cancel_of_all(spot: Ccxt) -> None:
    first = await spot.create_order(SPOT, "limit", "buy", 0.01, 59_000)
    second = await spot.create_order(SPOT, "limit", "buy", 0.01, 59_100)
    third = await spot.create_order(SPOT, "market", "buy", 0.01)
    opened = await spot.fetch_open_orders(SPOT)
    canceled = await spot.cancel_all_orders(SPOT)
    everything = await spot.fetch_orders(SPOT)
    assert [order["id"] for order in opened] == [order["id"] for order in canceled] == [first["id"], second["id"]]
    assert [order["id"] for order in everything] == [first["id"], second["id"], third["id"]]
    assert [order["status"] for order in everything] == ["canceled", "canceled", "closed"]


async def test_a_client_id_is_unique_among_open_orders_only(emulator: Emulator, spot: Ccxt) -> None:
    await spot.create_order(SPOT, "limit", "buy", 0.01, 59_000, {"clientOrderId": "d-1"})
    with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
        await spot.create_order(SPOT, "limit", "buy", 0.01, 59_000, {"clientOrderId": "d-1"})
    await spot.cancel_order(None, SPOT, {"clientOrderId": "d-1"})
    await spot.create_order(SPOT, "limit", "buy", 0.01, 59_000, {"clientOrderId": "d-1"})
    assert emulator.books.created("d-1") == 2


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("limit", "buy", 2, 60_000), ccxt.InsufficientFunds, "insufficient balance"),
        (("market", "sell", 1.5, None), ccxt.InsufficientFunds, "insufficient balance"),
        (("limit", "buy", 0.00001, 59_000), ccxt.BadRequest, "NOTIONAL"),
        (("limit", "buy", 0.01, 60_001, {"postOnly": True}), ccxt.OrderImmediatelyFillable, "match and take"),
        (("market", "sell", 0.1, None, {"stopLossPrice": 61_000}), ccxt.OrderImmediatelyFillable, "trigger"),
        (("limit", "buy", 0.01, 59_000, {"clientOrderId": "a b"}), ccxt.BadRequest, "newClientOrderId"),
        (("limit", "buy", 0.01, 59_000, {"timeInForce": "DAY"}), ccxt.BadRequest, "timeInForce"),
    ],
)
async def test_what_the_exchange_refuses_ccxt_calls_by_its_name(
    emulator: Emulator, spot: Ccxt, arguments: tuple[Any, ...], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        await spot.create_order(SPOT, *arguments)
    assert emulator.books.orders() == []


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"quantity": "0.000005", "price": "59000"}, "LOT_SIZE"),
        ({"quantity": "0.01", "price": "59000.001"}, "PRICE_FILTER"),
        ({"quantity": "0.01", "price": "-1"}, "Illegal characters"),
        ({"quantity": "0.01"}, "'price' was not sent"),
        ({"quantity": "0.01", "price": "59000", "side": "HOLD"}, "Invalid side"),
        ({"quantity": "0.01", "price": "59000", "type": "STOP_MARKET"}, "Invalid orderType"),
        ({"quantity": "0.01", "price": "59000", "symbol": "NOPE"}, "Invalid symbol"),
    ],
)
async def test_a_raw_order_is_checked_as_the_exchange_documents(spot: Ccxt, values: dict[str, str], text: str) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", **values}
    with pytest.raises(ccxt.BaseError, match=text):
        await spot.private_post_order(order)


async def test_what_is_not_there_is_not_found(spot: Ccxt) -> None:
    with pytest.raises(ccxt.OrderNotFound, match="Order does not exist"):
        await spot.fetch_order("999", SPOT)
    with pytest.raises(ccxt.OrderNotFound, match="Unknown order sent"):
        await spot.cancel_order("999", SPOT)


async def test_a_symbol_in_break_takes_no_orders_and_keeps_those_it_has(emulator: Emulator, spot: Ccxt) -> None:
    await spot.create_order(SPOT, "limit", "buy", 0.01, 59_000, {"clientOrderId": "b-1"})
    emulator.phase("BTCUSDT", Phase.BREAK)
    with pytest.raises(ccxt.MarketClosed):
        await spot.create_order(SPOT, "limit", "buy", 0.01, 59_000)
    markets = await spot.load_markets(reload=True)
    order = emulator.books.order("b-1")
    assert markets[SPOT]["active"] is False
    assert order is not None and order.status is Status.NEW


async def test_a_wrong_key_or_secret_is_refused(emulator: Emulator, spot: Ccxt) -> None:
    spot.secret = "wrong"
    with pytest.raises(ccxt.AuthenticationError, match="Signature"):
        await spot.fetch_balance()
    spot.apiKey, spot.secret = "wrong", emulator.settings.secret
    with pytest.raises(ccxt.AuthenticationError, match="Invalid API-key"):
        await spot.fetch_balance()


@pytest.mark.parametrize(("skew_ms", "text"), [(-3_000, "ahead of the server"), (30_000, "outside of the recvWindow")])
async def test_a_skewed_clock_is_refused_and_can_be_adjusted_to(
    emulator: Emulator, spot: Ccxt, skew_ms: int, text: str
) -> None:
    emulator.skew_ms = skew_ms
    with pytest.raises(ccxt.InvalidNonce, match=text):
        await spot.fetch_balance()
    await spot.load_time_difference()
    assert (await spot.fetch_balance())["USDT"]["free"] == 100_000


async def test_weight_is_counted_and_too_much_of_it_bans() -> None:
    settings = {"spot_weight_per_minute": 60, "strikes": 1}
    async with quoted_emulator(**settings) as emulator, exchange_at(emulator, "binance") as spot:
        await spot.fetch_balance()
        used = spot.last_response_headers["X-MBX-USED-WEIGHT-1M"]
        await spot.fetch_balance()
        with pytest.raises(ccxt.DDoSProtection, match="429"):
            await spot.fetch_balance()
        retry_after = spot.last_response_headers["Retry-After"]
        with pytest.raises(ccxt.DDoSProtection, match="418"):
            await spot.fetch_balance()
        with pytest.raises(ccxt.DDoSProtection, match="IP banned until"):
            await spot.fetch_time()
    assert used == "30"
    assert 1 <= int(retry_after) <= 60


async def test_too_many_orders_are_refused() -> None:
    async with quoted_emulator(spot_orders_per_10s=1) as emulator, exchange_at(emulator, "binance") as spot:
        orders = (spot.create_order(SPOT, "limit", "buy", 0.01, 59_000) for _ in range(3))
        results = await asyncio.gather(*orders, return_exceptions=True)
    refused = [result for result in results if isinstance(result, ccxt.DDoSProtection)]
    assert len(refused) >= 1
    assert all("Too many new orders" in str(result) for result in refused)


async def test_public_data_is_what_the_market_was_moved_to(emulator: Emulator, spot: Ccxt) -> None:
    await emulator.trade("BTCUSDT", 60_000.1, 0.25, "buy", Board.SPOT)
    book = await spot.fetch_order_book(SPOT, 5)
    (trade,) = await spot.fetch_trades(SPOT)
    ticker = await spot.fetch_ticker(SPOT)
    (candle,) = await spot.fetch_ohlcv(SPOT, "1m")
    best = (await spot.fetch_bids_asks([SPOT]))[SPOT]
    assert book["bids"][0] == [60_000.0, 0.5] and book["asks"][0] == [60_000.1, 0.5]
    assert len(book["bids"]) == 5
    assert (trade["price"], trade["amount"], trade["side"]) == (60_000.1, 0.25, "buy")
    assert (ticker["last"], ticker["bid"], ticker["ask"], ticker["baseVolume"]) == (60_000.1, 60_000.0, 60_000.1, 0.25)
    assert candle[1:] == [60_000.1, 60_000.1, 60_000.1, 60_000.1, 0.25]
    assert (best["bid"], best["askVolume"]) == (60_000.0, 0.5)


def history(minutes: int, start: int) -> list[Candle]:
    zero = Decimal(0)
    return [
        Candle(
            start + i * MINUTE, Decimal(i), Decimal(i + 2), Decimal(i), Decimal(i + 1), Decimal(3), zero, 1, zero, zero
        )
        for i in range(minutes)
    ]


async def test_candles_put_in_are_served_in_pages(emulator: Emulator, spot: Ccxt) -> None:
    start = 1_700_000_100_000
    emulator.history("BTCUSDT", history(2_500, start))
    pages, since = [], start
    while page := await spot.fetch_ohlcv(SPOT, "1m", since, 1_000):
        pages.append(page)
        since = page[-1][0] + MINUTE
    candles = [candle for page in pages for candle in page]
    assert [len(page) for page in pages] == [1_000, 1_000, 500]
    assert [candle[0] for candle in candles] == [start + i * MINUTE for i in range(2_500)]


async def test_longer_candles_are_made_of_minutes(emulator: Emulator, spot: Ccxt) -> None:
    start = 1_700_000_100_000
    emulator.history("BTCUSDT", history(10, start))
    first, second = await spot.fetch_ohlcv(SPOT, "5m", start)
    assert first == [start, 0, 6, 0, 5, 15]
    assert second == [start + 5 * MINUTE, 5, 11, 5, 10, 15]
