"""The emulated USD-M exchange as the real ccxt sees it over REST."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from tests.emulated import ASK, PERP, Ccxt, exchange_at, quoted_emulator
from venues.emulator import Board, Emulator, FeeAsset, Phase


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with quoted_emulator() as emulator:
        yield emulator


@pytest.fixture
async def perp(emulator: Emulator) -> AsyncIterator[Ccxt]:
    async with exchange_at(emulator, "binanceusdm") as exchange:
        yield exchange


async def test_markets_are_perpetuals_with_their_rules(perp: Ccxt) -> None:
    market = perp.market(PERP)
    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.1, 0.001)
    assert (market["swap"], market["linear"], market["limits"]["cost"]["min"]) == (True, True, 50)


async def test_a_round_trip_realizes_its_profit_less_commissions(emulator: Emulator, perp: Ccxt) -> None:
    opened = await perp.create_order(PERP, "market", "buy", 0.1, None, {"clientOrderId": "o-1"})
    (position,) = await perp.fetch_positions([PERP])
    await emulator.quote("BTCUSDT", 60_500.0, 1.0, 60_500.1, 1.0)
    closed = await perp.create_order(PERP, "market", "sell", 0.1, None, {"reduceOnly": True})
    balance = await perp.fetch_balance()
    trades = await perp.fetch_my_trades(PERP)
    assert (opened["status"], opened["average"]) == ("closed", ASK)
    assert (position["side"], position["contracts"], position["entryPrice"]) == ("long", 0.1, ASK)
    assert closed["average"] == 60_500
    assert [Decimal(trade["info"]["realizedPnl"]) for trade in trades] == [0, Decimal("49.99")]
    fees = Decimal("0.0005") * Decimal("0.1") * (Decimal("60000.1") + Decimal(60500))
    assert emulator.books.balance("USDT", Board.USDM) == 100_000 + Decimal("49.99") - fees
    assert Decimal(balance["info"]["totalWalletBalance"]) == emulator.books.balance("USDT", Board.USDM)
    assert await perp.fetch_positions([PERP]) == []


async def test_a_larger_order_turns_the_position(emulator: Emulator, perp: Ccxt) -> None:
    await perp.create_order(PERP, "market", "buy", 0.1)
    await perp.create_order(PERP, "market", "sell", 0.3)
    (position,) = await perp.fetch_positions([PERP])
    assert (position["side"], position["contracts"], position["entryPrice"]) == ("short", 0.2, 60_000)
    assert emulator.books.position("BTCUSDT") == Decimal("-0.2")


async def test_limit_orders_are_found_amended_and_canceled(emulator: Emulator, perp: Ccxt) -> None:
    placed = await perp.create_order(PERP, "limit", "buy", 0.01, 59_000, {"clientOrderId": "l-1"})
    amended = await perp.edit_order(placed["id"], PERP, "limit", "buy", 0.02, 59_100)
    found = await perp.fetch_order(None, PERP, {"clientOrderId": "l-1"})
    (listed,) = await perp.fetch_open_orders(PERP)
    canceled = await perp.cancel_order(None, PERP, {"clientOrderId": "l-1"})
    assert placed["id"] == amended["id"] == found["id"] == listed["id"] == canceled["id"]
    assert (found["price"], found["amount"], found["status"]) == (59_100, 0.02, "open")
    assert canceled["status"] == "canceled"
    assert emulator.books.created("l-1") == 1


async def test_an_amendment_that_crosses_trades_at_once(perp: Ccxt) -> None:
    placed = await perp.create_order(PERP, "limit", "buy", 0.01, 59_000)
    amended = await perp.edit_order(placed["id"], PERP, "limit", "buy", 0.01, 60_010)
    assert (amended["status"], amended["average"]) == ("closed", ASK)


@pytest.mark.parametrize(
    ("force", "price", "status", "filled"),
    [("IOC", ASK, "expired", 0.5), ("FOK", ASK, "expired", 0), ("FOK", 60_000.2, "closed", 0.9)],
)
async def test_time_in_force_says_what_becomes_of_the_rest(
    perp: Ccxt, force: str, price: float, status: str, filled: float
) -> None:
    order = await perp.create_order(PERP, "limit", "buy", 0.9, price, {"timeInForce": force})
    assert (order["status"], order["filled"]) == (status, filled)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("limit", "buy", 200, 59_000), ccxt.InsufficientFunds, "Margin is insufficient"),
        (("limit", "buy", 0.01, 60_001, {"postOnly": True}), ccxt.ExchangeError, "Post Only"),
        (("market", "sell", 0.1, None, {"reduceOnly": True}), ccxt.InvalidOrder, "ReduceOnly Order is rejected"),
        (("limit", "buy", 0.001, 1_000), ccxt.InvalidOrder, "no smaller than 50"),
        (("market", "sell", 0.1, None, {"stopLossPrice": 61_000}), ccxt.OrderImmediatelyFillable, "trigger"),
        (("limit", "buy", 0.01, 59_000, {"positionSide": "LONG"}), ccxt.OperationRejected, "position side"),
    ],
)
async def test_what_the_exchange_refuses_ccxt_calls_by_its_name(
    emulator: Emulator, perp: Ccxt, arguments: tuple[Any, ...], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        await perp.create_order(PERP, *arguments)
    assert emulator.books.orders(Board.USDM) == []


async def test_a_client_id_is_unique_among_open_orders(emulator: Emulator, perp: Ccxt) -> None:
    await perp.create_order(PERP, "limit", "buy", 0.01, 59_000, {"clientOrderId": "d-1"})
    with pytest.raises(ccxt.InvalidOrder, match="-4116"):
        await perp.create_order(PERP, "limit", "buy", 0.01, 59_000, {"clientOrderId": "d-1"})
    assert emulator.books.created("d-1", Board.USDM) == 1


async def test_conditional_orders_go_the_way_of_algo_orders_only(perp: Ccxt) -> None:
    order = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "quantity": "0.1", "stopPrice": "59000"}
    with pytest.raises(ccxt.InvalidOrder, match="-4120"):
        await perp.fapiprivate_post_order(order)


async def test_a_stop_waits_is_found_and_becomes_an_order_under_its_own_id(emulator: Emulator, perp: Ccxt) -> None:
    await perp.create_order(PERP, "market", "buy", 0.1)
    params = {"stopLossPrice": 59_500, "reduceOnly": True, "clientOrderId": "s-1"}
    placed = await perp.create_order(PERP, "market", "sell", 0.1, None, params)
    found = await perp.fetch_order(None, PERP, {"trigger": True, "clientAlgoId": "s-1"})
    (listed,) = await perp.fetch_open_orders(PERP, None, None, {"trigger": True})
    await emulator.trade("BTCUSDT", 59_499.0, 0.1, "SELL")
    after = await perp.fetch_order(placed["id"], PERP, {"trigger": True})
    order = await perp.fetch_order(None, PERP, {"clientOrderId": "s-1"})
    assert placed["id"] == found["id"] == listed["id"]
    assert (found["status"], found["triggerPrice"]) == ("open", 59_500)
    assert after["info"]["algoStatus"] == "FINISHED"
    assert after["info"]["actualOrderId"] == order["id"]
    assert (order["status"], order["type"], order["filled"]) == ("closed", "market", 0.1)
    assert emulator.books.position("BTCUSDT") == 0


async def test_a_stop_can_watch_the_mark_price(emulator: Emulator, perp: Ccxt) -> None:
    await perp.create_order(PERP, "market", "buy", 0.1)
    params = {"stopLossPrice": 59_500, "reduceOnly": True, "workingType": "MARK_PRICE"}
    await perp.create_order(PERP, "market", "sell", 0.1, None, params)
    await emulator.trade("BTCUSDT", 59_000.0, 0.1, "SELL")
    before = emulator.books.position("BTCUSDT")
    await emulator.mark("BTCUSDT", 59_499.9)
    assert (before, emulator.books.position("BTCUSDT")) == (Decimal("0.1"), Decimal(0))


async def test_a_trailing_stop_follows_the_best_price(emulator: Emulator, perp: Ccxt) -> None:
    await perp.create_order(PERP, "market", "buy", 0.1)
    params = {"trailingPercent": 1, "reduceOnly": True, "trailingTriggerPrice": 61_000}
    await perp.create_order(PERP, "market", "sell", 0.1, None, params)
    for price in (60_000.0, 59_000.0, 61_000.0, 62_000.0, 61_400.0):
        await emulator.trade("BTCUSDT", price, 0.1, "BUY")
    before = emulator.books.position("BTCUSDT")
    await emulator.trade("BTCUSDT", 61_380.0, 0.1, "SELL")
    assert (before, emulator.books.position("BTCUSDT")) == (Decimal("0.1"), Decimal(0))


async def test_a_take_profit_limit_rests_at_its_limit_after_its_trigger(emulator: Emulator, perp: Ccxt) -> None:
    await perp.create_order(PERP, "market", "buy", 0.1)
    params = {"takeProfitPrice": 60_500, "reduceOnly": True, "clientOrderId": "t-1"}
    await perp.create_order(PERP, "limit", "sell", 0.1, 61_000, params)
    await emulator.trade("BTCUSDT", 60_600.0, 0.1, "BUY")
    order = await perp.fetch_order(None, PERP, {"clientOrderId": "t-1"})
    assert (order["status"], order["price"], order["reduceOnly"]) == ("open", 61_000, True)


async def test_algo_orders_are_canceled_one_by_one_and_all_at_once(perp: Ccxt) -> None:
    for number in range(3):
        params = {"stopLossPrice": 59_000, "clientOrderId": f"a-{number}"}
        await perp.create_order(PERP, "market", "sell", 0.1, None, params)
    await perp.cancel_order(None, PERP, {"trigger": True, "clientAlgoId": "a-1"})
    left = await perp.fetch_open_orders(PERP, None, None, {"trigger": True})
    await perp.cancel_all_orders(PERP, {"trigger": True})
    assert [order["clientOrderId"] for order in left] == ["a-0", "a-2"]
    assert await perp.fetch_open_orders(PERP, None, None, {"trigger": True}) == []


async def test_reduce_only_never_turns_a_position_and_ends_with_it(emulator: Emulator, perp: Ccxt) -> None:
    await perp.create_order(PERP, "market", "buy", 0.1)
    target = await perp.create_order(PERP, "limit", "sell", 0.1, 61_000, {"reduceOnly": True})
    closing = await perp.create_order(PERP, "market", "sell", 0.3, None, {"reduceOnly": True})
    resting = await perp.fetch_order(target["id"], PERP)
    assert (closing["status"], closing["filled"]) == ("expired", 0.1)
    assert resting["status"] == "expired"
    assert emulator.books.position("BTCUSDT") == 0


async def test_funding_is_paid_by_longs_and_told_as_income(emulator: Emulator, perp: Ccxt) -> None:
    await perp.create_order(PERP, "market", "buy", 0.1)
    before = emulator.books.balance("USDT", Board.USDM)
    await emulator.mark("BTCUSDT", 60_100.0, 60_090.0, 0.0002, 1_800_000_000_000)
    rate = await perp.fetch_funding_rate(PERP)
    await emulator.fund("BTCUSDT")
    (payment,) = await perp.fetch_funding_history(PERP)
    (past,) = await perp.fetch_funding_rate_history(PERP)
    assert (rate["markPrice"], rate["indexPrice"], rate["fundingRate"]) == (60_100, 60_090, 0.0002)
    assert rate["fundingTimestamp"] == 1_800_000_000_000
    assert (payment["amount"], payment["code"], past["fundingRate"]) == (-1.202, "USDT", 0.0002)
    assert emulator.books.balance("USDT", Board.USDM) == before - Decimal("1.202")


async def test_commissions_can_be_paid_in_bnb() -> None:
    async with quoted_emulator(fee_asset=FeeAsset.BNB) as emulator, exchange_at(emulator, "binanceusdm") as perp:
        await perp.create_order(PERP, "market", "buy", 0.1)
        (trade,) = await perp.fetch_my_trades(PERP)
        balance = await perp.fetch_balance()
    assert trade["fee"]["currency"] == "BNB"
    assert balance["USDT"]["total"] > 0
    assert emulator.books.balance("USDT", Board.USDM) == 100_000
    assert emulator.books.balance("BNB", Board.USDM) == 10 - Decimal(str(trade["fee"]["cost"]))


async def test_leverage_decides_how_much_margin_an_order_needs(perp: Ccxt) -> None:
    await perp.set_leverage(1, PERP)
    with pytest.raises(ccxt.InsufficientFunds):
        await perp.create_order(PERP, "limit", "buy", 2, 59_000)
    await perp.set_leverage(50, PERP)
    await perp.create_order(PERP, "limit", "buy", 2, 59_000)
    balance = await perp.fetch_balance()
    leverages = await perp.fetch_leverages([PERP])
    assert balance["USDT"]["used"] == 2 * 59_000 / 50
    assert leverages[PERP]["longLeverage"] == 50


async def test_in_hedge_mode_both_sides_stand_beside_each_other(emulator: Emulator, perp: Ccxt) -> None:
    await perp.set_position_mode(True)
    await perp.create_order(PERP, "market", "buy", 0.2, None, {"hedged": True})
    await perp.create_order(PERP, "market", "sell", 0.1, None, {"hedged": True})
    positions = await perp.fetch_positions([PERP])
    await perp.create_order(PERP, "market", "sell", 0.2, None, {"hedged": True, "reduceOnly": True})
    (short,) = await perp.fetch_positions([PERP])
    assert sorted((position["side"], position["contracts"]) for position in positions) == [
        ("long", 0.2),
        ("short", 0.1),
    ]
    assert (short["side"], short["contracts"]) == ("short", 0.1)
    assert emulator.books.position("BTCUSDT") == Decimal("-0.1")


async def test_margin_mode_is_set_once_and_not_with_open_orders(perp: Ccxt) -> None:
    await perp.set_margin_mode("isolated", PERP)
    with pytest.raises(ccxt.MarginModeAlreadySet):
        await perp.set_margin_mode("isolated", PERP)
    await perp.create_order(PERP, "limit", "buy", 0.01, 59_000)
    with pytest.raises(ccxt.OperationRejected, match="open orders"):
        await perp.set_margin_mode("cross", PERP)


async def test_a_symbol_that_settles_takes_no_orders(emulator: Emulator, perp: Ccxt) -> None:
    emulator.phase("BTCUSDT", Phase.BREAK, Board.USDM)
    with pytest.raises(ccxt.BadRequest, match="Invalid symbol status"):
        await perp.create_order(PERP, "limit", "buy", 0.01, 59_000)
    markets = await perp.load_markets(reload=True)
    assert markets[PERP]["active"] is False


async def test_a_position_whose_margin_is_gone_is_closed_by_the_exchange() -> None:
    balances = {"USDT": Decimal(4_000)}
    async with quoted_emulator(usdm_balances=balances) as emulator, exchange_at(emulator, "binanceusdm") as perp:
        await perp.create_order(PERP, "market", "buy", 1)
        await emulator.quote("BTCUSDT", 56_500.0, 5.0, 56_500.1, 5.0)
        await emulator.mark("BTCUSDT", 56_000.0)
        (liquidation,) = [order for order in await perp.fetch_orders(PERP) if "autoclose" in order["clientOrderId"]]
        assert (liquidation["status"], liquidation["side"], liquidation["filled"]) == ("closed", "sell", 1)
        assert emulator.books.position("BTCUSDT") == 0


async def test_public_data_is_what_the_market_was_moved_to(emulator: Emulator, perp: Ccxt) -> None:
    await emulator.trade("BTCUSDT", ASK, 0.25, "buy", Board.USDM)
    book = await perp.fetch_order_book(PERP, 5)
    (trade,) = await perp.fetch_trades(PERP)
    ticker = await perp.fetch_ticker(PERP)
    (candle,) = await perp.fetch_ohlcv(PERP, "1h")
    assert book["bids"][0] == [60_000.0, 0.5] and book["asks"][0] == [ASK, 0.5]
    assert (trade["price"], trade["amount"], trade["side"]) == (ASK, 0.25, "buy")
    assert ticker["last"] == ASK
    assert candle[1:] == [ASK, ASK, ASK, ASK, 0.25]


async def test_weight_and_clock_are_checked_as_on_spot(emulator: Emulator, perp: Ccxt) -> None:
    emulator.skew_ms = -5_000
    with pytest.raises(ccxt.InvalidNonce):
        await perp.fetch_balance()
    await perp.load_time_difference()
    await perp.fetch_balance()
    assert int(perp.last_response_headers["X-MBX-USED-WEIGHT-1M"]) > 0
