"""The emulated exchange as the real ccxt.pro hears it over websockets."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import aiohttp
import ccxt
import pytest

from tests.emulated import ASK, PERP, SPOT, Ccxt, exchange_at, listened, quoted_emulator
from venues.emulator import Board, Emulator

SILENCE_S = 0.1
"""How long nothing is expected to come."""


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with quoted_emulator() as emulator:
        yield emulator


@pytest.fixture
async def spot(emulator: Emulator) -> AsyncIterator[Ccxt]:
    async with exchange_at(emulator, "binance") as exchange:
        yield exchange


@pytest.fixture
async def perp(emulator: Emulator) -> AsyncIterator[Ccxt]:
    async with exchange_at(emulator, "binanceusdm") as exchange:
        yield exchange


@pytest.fixture(params=["binance", "binanceusdm"])
async def either(emulator: Emulator, request: pytest.FixtureRequest) -> AsyncIterator[tuple[Ccxt, str]]:
    async with exchange_at(emulator, request.param) as exchange:
        yield exchange, SPOT if request.param == "binance" else PERP


async def test_trades_are_heard(emulator: Emulator, either: tuple[Ccxt, str]) -> None:
    exchange, symbol = either
    watch = asyncio.ensure_future(exchange.watch_trades(symbol))
    await listened(emulator)
    await emulator.trade("BTCUSDT", ASK, 0.25, "buy")
    (trade,) = await watch
    assert (trade["price"], trade["amount"], trade["side"], trade["symbol"]) == (ASK, 0.25, "buy", symbol)


async def test_the_best_bid_and_ask_are_heard(emulator: Emulator, either: tuple[Ccxt, str]) -> None:
    exchange, symbol = either
    watch = asyncio.ensure_future(exchange.watch_bids_asks([symbol]))
    await listened(emulator)
    await emulator.quote("BTCUSDT", 60_001.0, 0.7, 60_002.0, 0.8)
    ticker = (await watch)[symbol]
    assert (ticker["bid"], ticker["bidVolume"], ticker["ask"], ticker["askVolume"]) == (60_001, 0.7, 60_002, 0.8)


async def test_an_order_book_is_kept_from_snapshot_and_updates(emulator: Emulator, either: tuple[Ccxt, str]) -> None:
    exchange, symbol = either
    board = Board.SPOT if symbol == SPOT else Board.USDM
    await exchange.watch_order_book(symbol)
    for step in range(30):
        await emulator.quote("BTCUSDT", 60_000.0 + step, 0.5 + step, 60_001.0 + step, 0.4)
        await asyncio.sleep(0)
    while (book := exchange.orderbooks[symbol])["nonce"] < emulator.books.venue(board).market("BTCUSDT").book.update_id:
        book = await exchange.watch_order_book(symbol)
    fresh = await exchange.fetch_order_book(symbol)
    assert [list(level) for level in book["bids"]] == fresh["bids"]
    assert [list(level) for level in book["asks"]] == fresh["asks"]


async def test_candles_are_heard(emulator: Emulator, either: tuple[Ccxt, str]) -> None:
    exchange, symbol = either
    watch = asyncio.ensure_future(exchange.watch_ohlcv(symbol, "5m"))
    await listened(emulator)
    await emulator.trade("BTCUSDT", ASK, 0.25, "buy")
    (candle,) = await watch
    assert candle[1:] == [ASK, ASK, ASK, ASK, 0.25]


async def test_mark_prices_are_heard(emulator: Emulator, perp: Ccxt) -> None:
    watch = asyncio.ensure_future(perp.watch_mark_price(PERP))
    await listened(emulator)
    await emulator.mark("BTCUSDT", 60_005.5, 60_004.0)
    ticker = await watch
    assert (ticker["markPrice"], ticker["indexPrice"]) == (60_005.5, 60_004)


async def test_an_unsubscribed_stream_is_silent(emulator: Emulator, spot: Ccxt) -> None:
    watch = asyncio.ensure_future(spot.watch_trades(SPOT))
    await listened(emulator)
    await emulator.trade("BTCUSDT", ASK, 0.25, "buy")
    await watch
    await spot.un_watch_trades(SPOT)
    await emulator.trade("BTCUSDT", ASK, 0.35, "buy")
    await asyncio.sleep(SILENCE_S)
    assert SPOT not in spot.trades


async def test_orders_and_their_trades_are_heard_as_they_happen(emulator: Emulator, either: tuple[Ccxt, str]) -> None:
    exchange, symbol = either
    orders = asyncio.ensure_future(exchange.watch_orders(symbol))
    trades = asyncio.ensure_future(exchange.watch_my_trades(symbol))
    await listened(emulator)
    await exchange.create_order(symbol, "limit", "buy", 0.2, 59_990, {"clientOrderId": "u-1"})
    (opened,) = await orders
    board = Board.SPOT if symbol == SPOT else Board.USDM
    await emulator.trade("BTCUSDT", 59_989.0, 0.05, "SELL", board)
    (trade,) = await trades
    await exchange.cancel_order(None, symbol, {"clientOrderId": "u-1"})
    while (order := exchange.orders[0])["status"] == "open":
        await exchange.watch_orders(symbol)
    assert (opened["clientOrderId"], opened["price"], opened["amount"]) == ("u-1", 59_990, 0.2)
    assert (trade["order"], trade["price"], trade["amount"], trade["takerOrMaker"]) == (
        opened["id"],
        59_990,
        0.05,
        "maker",
    )
    assert (order["clientOrderId"], order["status"], order["filled"]) == ("u-1", "canceled", 0.05)


async def test_spot_balances_are_heard_after_each_order(emulator: Emulator, spot: Ccxt) -> None:
    watch = asyncio.ensure_future(spot.watch_balance())
    await listened(emulator)
    await spot.create_order(SPOT, "limit", "buy", 0.1, 50_000)
    balance = await watch
    assert balance["USDT"] == {"free": 94_995.0, "used": 5_005.0, "total": 100_000.0}
    assert emulator.books.spot.locked("USDT") == 5_005


async def test_usdm_wallet_and_position_are_heard_after_each_execution(emulator: Emulator, perp: Ccxt) -> None:
    balance = asyncio.ensure_future(perp.watch_balance())
    await listened(emulator)
    await perp.create_order(PERP, "market", "buy", 0.1)
    heard = await balance
    while not (positions := perp.positions["linear"]):
        await perp.watch_positions([PERP])
    assert Decimal(str(heard["USDT"]["total"])) == emulator.books.balance("USDT", Board.USDM)
    assert (positions[-1]["side"], positions[-1]["contracts"], positions[-1]["entryPrice"]) == ("long", 0.1, ASK)


async def test_algo_orders_are_heard_until_they_have_become_orders(emulator: Emulator, perp: Ccxt) -> None:
    watch = asyncio.ensure_future(perp.watch_orders(PERP))
    await listened(emulator)
    await perp.create_order(PERP, "market", "sell", 0.1, None, {"stopLossPrice": 59_500, "clientOrderId": "s-1"})
    (armed,) = await watch
    await emulator.trade("BTCUSDT", 59_400.0, 0.1, "SELL")
    while len(perp.orders) < 2 or perp.orders[-1]["status"] != "closed":
        await perp.watch_orders(PERP)
    assert (armed["clientOrderId"], armed["status"], armed["triggerPrice"]) == ("s-1", "open", 59_500)
    assert {order["clientOrderId"] for order in perp.orders} == {"s-1"}


async def test_funding_is_heard_in_the_wallet(emulator: Emulator, perp: Ccxt) -> None:
    await perp.create_order(PERP, "market", "buy", 0.1)
    watch = asyncio.ensure_future(perp.watch_balance())
    await listened(emulator)
    await emulator.fund("BTCUSDT", 0.0001)
    balance = await watch
    assert Decimal(str(balance["USDT"]["total"])) == emulator.books.balance("USDT", Board.USDM)
    assert balance["info"]["a"]["m"] == "FUNDING_FEE"


async def test_orders_can_be_sent_over_the_websocket(emulator: Emulator, either: tuple[Ccxt, str]) -> None:
    exchange, symbol = either
    placed = await exchange.create_order_ws(symbol, "limit", "buy", 0.01, 59_000, {"newClientOrderId": "w-1"})
    edited = await exchange.edit_order_ws(placed["id"], symbol, "limit", "buy", 0.02, 59_100)
    canceled = await exchange.cancel_order_ws(edited["id"], symbol)
    with pytest.raises(ccxt.InsufficientFunds):
        await exchange.create_order_ws(symbol, "limit", "buy", 1_000, 59_000)
    assert (placed["status"], edited["price"], canceled["status"]) == ("open", 59_100, "canceled")
    assert emulator.books.created("w-1") == 1


async def test_the_account_can_be_asked_over_the_websocket(spot: Ccxt, perp: Ccxt) -> None:
    placed = await spot.create_order_ws(SPOT, "market", "buy", 0.01)
    found = await spot.fetch_order_ws(placed["id"], SPOT)
    balance = await spot.fetch_balance_ws({"method": "account.status"})
    await perp.create_order_ws(PERP, "market", "buy", 0.1)
    (position,) = await perp.fetch_positions_ws([PERP])
    assert (found["status"], found["filled"]) == ("closed", 0.01)
    assert {"asset": "BTC", "free": "1.01000000", "locked": "0.00000000"} in balance["info"]["balances"]
    assert position["contracts"] == 0.1


async def test_an_algo_order_can_be_sent_over_the_websocket(perp: Ccxt) -> None:
    placed = await perp.create_order_ws(PERP, "market", "sell", 0.1, None, {"stopLossPrice": 59_000})
    canceled = await perp.cancel_order_ws(placed["id"], PERP, {"trigger": True})
    assert placed["status"] == "open"
    assert canceled["info"]["msg"] == "success"


async def test_after_a_disconnect_the_streams_can_be_taken_up_again(
    emulator: Emulator, either: tuple[Ccxt, str]
) -> None:
    exchange, symbol = either
    watch = asyncio.ensure_future(exchange.watch_orders(symbol))
    await listened(emulator)
    emulator.disconnect()
    with pytest.raises(ccxt.NetworkError):
        await watch
    again = asyncio.ensure_future(exchange.watch_orders(symbol))
    await listened(emulator)
    await exchange.create_order(symbol, "limit", "buy", 0.01, 59_000, {"clientOrderId": "after"})
    (order,) = await again
    assert order["clientOrderId"] == "after"


async def test_a_listen_key_lives_as_long_as_it_is_kept_alive() -> None:
    async with quoted_emulator(listen_key_life_s=0.6) as emulator, exchange_at(emulator, "binanceusdm") as perp:
        watch = asyncio.ensure_future(perp.watch_orders(PERP))
        for _ in range(5):
            await asyncio.sleep(0.2)
            await perp.fapiprivate_put_listenkey()
        await perp.create_order(PERP, "limit", "buy", 0.01, 59_000, {"clientOrderId": "alive"})
        (order,) = await asyncio.wait_for(watch, 2)
        await asyncio.sleep(0.7)
        with pytest.raises(ccxt.AuthenticationError, match="listenKey does not exist"):
            await perp.fapiprivate_put_listenkey()
    assert order["clientOrderId"] == "alive"


async def test_an_expired_listen_key_is_told_and_its_stream_is_silent(emulator: Emulator, perp: Ccxt) -> None:
    heard: list[dict[str, object]] = []
    handle = perp.handle_message

    def listen(client: object, message: dict[str, object]) -> None:
        heard.append(message)
        handle(client, message)

    perp.handle_message = listen
    watch = asyncio.ensure_future(perp.watch_orders(PERP))
    await listened(emulator)
    emulator.expire_listen_key()
    await perp.create_order(PERP, "limit", "buy", 0.01, 59_000)
    await asyncio.wait([watch], timeout=SILENCE_S)
    assert not watch.done()
    with pytest.raises(ccxt.AuthenticationError, match="listenKey does not exist"):
        await perp.fapiprivate_put_listenkey()
    watch.cancel()
    assert [message["e"] for message in heard] == ["listenKeyExpired"]


async def raw(emulator: Emulator, path: str, *requests: object) -> list[dict[str, object]]:
    """Ask over a bare websocket; give the answers."""
    async with aiohttp.ClientSession() as session, session.ws_connect(emulator.ws_url + path) as socket:
        answers = []
        for request in requests:
            await (socket.send_str(request) if isinstance(request, str) else socket.send_json(request))
            answers.append(await socket.receive_json(timeout=2))
        return answers


async def test_streams_named_in_the_address_are_wrapped_with_their_names(emulator: Emulator) -> None:
    address = f"{emulator.ws_url}/stream?streams=btcusdt@trade/ethusdt@trade"
    async with aiohttp.ClientSession() as session, session.ws_connect(address) as socket:
        await emulator.trade("ETHUSDT", 3_000.0, 1.5, "buy")
        message = await socket.receive_json(timeout=2)
    assert (message["stream"], message["data"]["p"]) == ("ethusdt@trade", "3000.00000000")


async def test_requests_on_a_market_stream_are_answered(emulator: Emulator) -> None:
    subscribed, listed, left, unknown, nonsense = await raw(
        emulator,
        "/stream/ws",
        {"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1},
        {"method": "LIST_SUBSCRIPTIONS", "id": 2},
        {"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": 3},
        {"method": "SHOUT", "id": 4},
        "{",
    )
    assert subscribed == {"result": None, "id": 1}
    assert listed == {"result": ["btcusdt@trade"], "id": 2}
    assert left == {"result": None, "id": 3}
    assert [unknown["id"], nonsense["id"]] == [4, None]
    assert "error" in unknown and "error" in nonsense


async def test_requests_that_the_websocket_api_does_not_take_are_refused(emulator: Emulator) -> None:
    unsigned, unknown, nonsense = await raw(
        emulator,
        "/ws-api/v3",
        {"id": "a", "method": "account.status", "params": {}},
        {"id": "b", "method": "no.such"},
        "[]",
    )
    assert [answer["status"] for answer in (unsigned, unknown, nonsense)] == [401, 400, 400]


async def test_a_stream_of_an_unknown_listen_key_is_refused(emulator: Emulator) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await raw(emulator, "/fstream/private/ws?listenKey=guess")
