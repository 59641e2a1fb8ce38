"""Each scripted fault as the real ccxt meets it, with the truth of the exchange beside it."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from tests.emulated import ASK, PERP, SPOT, Ccxt, eventually, exchange_at, listened, quoted_emulator
from venues.emulator import Board, Emulator, Fault, FaultKind, Status

ORDER = "POST /api/v3/order"
ORDERS = "POST *order"


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with quoted_emulator() as emulator:
        yield emulator


@pytest.fixture
async def spot(emulator: Emulator) -> AsyncIterator[Ccxt]:
    async with exchange_at(emulator, "binance") as exchange:
        yield exchange


@pytest.fixture(params=["binance", "binanceusdm"])
async def either(emulator: Emulator, request: pytest.FixtureRequest) -> AsyncIterator[tuple[Ccxt, str, Board]]:
    async with exchange_at(emulator, request.param) as exchange:
        yield (exchange, SPOT, Board.SPOT) if request.param == "binance" else (exchange, PERP, Board.USDM)


@pytest.mark.parametrize(
    ("fault", "error", "made"),
    [
        ({"kind": FaultKind.HOLD, "seconds": 30}, ccxt.RequestTimeout, 1),
        ({"kind": FaultKind.DROP_BEFORE}, ccxt.ExchangeNotAvailable, 0),
        ({"kind": FaultKind.DROP_AFTER}, ccxt.ExchangeNotAvailable, 1),
        ({"kind": FaultKind.REFUSE, "status": 429, "seconds": 3}, ccxt.DDoSProtection, 0),
        ({"kind": FaultKind.REFUSE, "status": 418, "seconds": 3}, ccxt.DDoSProtection, 0),
        ({"kind": FaultKind.REFUSE, "status": 500}, ccxt.OperationFailed, 0),
        ({"kind": FaultKind.REFUSE, "status": 502}, ccxt.OperationFailed, 0),
        ({"kind": FaultKind.REFUSE, "status": 503}, ccxt.OperationFailed, 0),
        ({"kind": FaultKind.DO_AND_REFUSE, "status": 503}, ccxt.OperationFailed, 1),
        ({"kind": FaultKind.DO_AND_REFUSE, "status": 504}, ccxt.RequestTimeout, 1),
        ({"kind": FaultKind.DO_AND_REFUSE, "status": 408}, ccxt.RequestTimeout, 1),
    ],
)
async def test_a_failed_request_may_or_may_not_have_made_an_order(
    emulator: Emulator, either: tuple[Ccxt, str, Board], fault: dict[str, Any], error: type[Exception], made: int
) -> None:
    exchange, symbol, board = either
    emulator.faults.add(Fault(at=ORDERS, **fault))
    exchange.timeout = 500
    with pytest.raises(error):
        await exchange.create_order(symbol, "limit", "buy", 0.01, 59_000, {"clientOrderId": "f-1"})
    assert emulator.books.created("f-1", board) == made
    assert [struck.fault.kind for struck in emulator.faults.log] == [fault["kind"]]


async def test_an_order_of_unknown_state_is_found_by_its_client_id(
    emulator: Emulator, either: tuple[Ccxt, str, Board]
) -> None:
    exchange, symbol, _ = either
    emulator.faults.add(
        Fault(kind=FaultKind.DROP_AFTER, at=ORDERS), Fault(kind=FaultKind.DROP_BEFORE, at=ORDERS, nth=2)
    )
    for number in (1, 2):
        with pytest.raises(ccxt.NetworkError):
            await exchange.create_order(symbol, "limit", "buy", 0.01, 59_000, {"clientOrderId": f"g-{number}"})
    found = await exchange.fetch_order(None, symbol, {"clientOrderId": "g-1"})
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.fetch_order(None, symbol, {"clientOrderId": "g-2"})
    assert found["status"] == "open"


async def test_a_ban_lasts_as_long_as_it_says(emulator: Emulator, spot: Ccxt) -> None:
    emulator.faults.add(Fault(kind=FaultKind.REFUSE, at="GET /api/v3/account", status=418, seconds=1))
    with pytest.raises(ccxt.DDoSProtection):
        await spot.fetch_balance()
    retry_after = spot.last_response_headers["Retry-After"]
    with pytest.raises(ccxt.DDoSProtection, match="IP banned until"):
        await spot.fetch_balance()
    emulator.skew_ms += 1_000
    await spot.load_time_difference()
    await spot.fetch_balance()
    assert retry_after == "1"


async def test_a_fault_strikes_the_nth_time_and_as_often_as_scripted(emulator: Emulator, spot: Ccxt) -> None:
    emulator.faults.add(Fault(kind=FaultKind.REFUSE, at="GET /api/v3/account", nth=2, times=2))
    outcomes = []
    for _ in range(5):
        try:
            await spot.fetch_balance()
            outcomes.append("ok")
        except ccxt.OperationFailed:
            outcomes.append("failed")
    assert outcomes == ["ok", "failed", "failed", "ok", "ok"]
    assert emulator.faults.pending == []


async def test_a_clock_that_jumps_is_an_invalid_nonce(emulator: Emulator, spot: Ccxt) -> None:
    emulator.faults.add(Fault(kind=FaultKind.SKEW, at="GET /api/v3/account", nth=2, seconds=-5))
    await spot.fetch_balance()
    with pytest.raises(ccxt.InvalidNonce):
        await spot.fetch_balance()


async def test_a_forced_partial_fill_leaves_the_rest_as_its_type_wants(
    emulator: Emulator, either: tuple[Ccxt, str, Board]
) -> None:
    exchange, symbol, board = either
    emulator.faults.add(Fault(kind=FaultKind.PARTIAL, at=f"match {board} BTCUSDT", times=2, share=Decimal("0.3")))
    resting = await exchange.create_order(symbol, "limit", "buy", 0.1, ASK)
    expired = await exchange.create_order(symbol, "limit", "buy", 0.1, ASK, {"timeInForce": "IOC"})
    assert (resting["status"], resting["filled"]) == ("open", 0.03)
    assert (expired["status"], expired["filled"]) == ("expired", 0.03)


async def test_an_instrument_can_go_to_break_between_two_orders(emulator: Emulator, spot: Ccxt) -> None:
    emulator.faults.add(Fault(kind=FaultKind.BREAK, at=ORDER, nth=2, symbol="BTCUSDT"))
    await spot.create_order(SPOT, "limit", "buy", 0.01, 59_000)
    with pytest.raises(ccxt.MarketClosed):
        await spot.create_order(SPOT, "limit", "buy", 0.01, 59_000)


@pytest.fixture
async def heard(emulator: Emulator, spot: Ccxt) -> AsyncIterator[list[str]]:
    """The order states as the user stream tells them, in the order of arrival."""
    states: list[str] = []
    handle = spot.handle_order_update

    def listen(client: object, message: dict[str, str]) -> None:
        states.append(message["X"])
        handle(client, message)

    spot.handle_order_update = listen
    watch = asyncio.ensure_future(spot.watch_orders(SPOT))
    await listened(emulator)
    yield states
    watch.cancel()
    await asyncio.wait([watch])


async def a_life(emulator: Emulator, spot: Ccxt) -> None:
    """An order is accepted, traded in part, and canceled."""
    await spot.create_order(SPOT, "limit", "buy", 0.2, 59_990, {"clientOrderId": "e-1"})
    await emulator.trade("BTCUSDT", 59_989.0, 0.05, "SELL", Board.SPOT)
    await spot.cancel_order(None, SPOT, {"clientOrderId": "e-1"})


REPORT = "user spot executionReport"


@pytest.mark.parametrize(
    ("fault", "states"),
    [
        (None, ["NEW", "PARTIALLY_FILLED", "CANCELED"]),
        ({"kind": FaultKind.LOSE, "nth": 2}, ["NEW", "CANCELED"]),
        ({"kind": FaultKind.REPEAT, "nth": 2}, ["NEW", "PARTIALLY_FILLED", "PARTIALLY_FILLED", "CANCELED"]),
        ({"kind": FaultKind.DELAY, "nth": 1, "seconds": 0.03}, ["NEW", "PARTIALLY_FILLED", "CANCELED"]),
        ({"kind": FaultKind.DISCONNECT, "nth": 3}, ["NEW", "PARTIALLY_FILLED"]),
    ],
)
async def test_user_events_arrive_as_the_script_wants(
    emulator: Emulator, spot: Ccxt, heard: list[str], fault: dict[str, Any] | None, states: list[str]
) -> None:
    if fault is not None:
        emulator.faults.add(Fault(at=REPORT, **fault))
    await a_life(emulator, spot)
    await eventually(lambda: len(heard) >= len(states))
    assert heard == states
    order = emulator.books.order("e-1")
    assert order is not None and (order.status, order.filled) == (Status.CANCELED, Decimal("0.05"))


async def test_user_events_can_change_places(emulator: Emulator, spot: Ccxt, heard: list[str]) -> None:
    emulator.faults.add(
        Fault(kind=FaultKind.LOSE, at="user spot outboundAccountPosition", times=None),
        Fault(kind=FaultKind.SWAP, at=REPORT, nth=2),
    )
    await a_life(emulator, spot)
    await eventually(lambda: len(heard) >= 3)
    assert heard == ["NEW", "CANCELED", "PARTIALLY_FILLED"]


async def test_an_event_that_waits_for_a_next_one_in_vain_still_comes(
    emulator: Emulator, spot: Ccxt, heard: list[str]
) -> None:
    emulator.faults.add(
        Fault(kind=FaultKind.LOSE, at="user spot outboundAccountPosition", times=None),
        Fault(kind=FaultKind.SWAP, at=REPORT, nth=3, seconds=0.05),
    )
    await a_life(emulator, spot)
    await eventually(lambda: len(heard) >= 3)
    assert heard == ["NEW", "PARTIALLY_FILLED", "CANCELED"]


async def test_a_dropped_user_stream_is_an_error_to_its_watcher(emulator: Emulator, spot: Ccxt) -> None:
    emulator.faults.add(Fault(kind=FaultKind.DISCONNECT, at=REPORT))
    watch = asyncio.ensure_future(spot.watch_orders(SPOT))
    await listened(emulator)
    await spot.create_order(SPOT, "limit", "buy", 0.01, 59_000)
    with pytest.raises(ccxt.NetworkError):
        await watch


async def test_a_lost_market_event_is_noticed_by_the_order_book(emulator: Emulator, spot: Ccxt) -> None:
    await spot.watch_order_book(SPOT)
    await emulator.quote("BTCUSDT", 60_001.0, 0.5, 60_002.0, 0.5)
    await spot.watch_order_book(SPOT)
    emulator.faults.add(Fault(kind=FaultKind.LOSE, at="market spot BTCUSDT depth"))
    watch = asyncio.ensure_future(spot.watch_order_book(SPOT))
    for step in range(3):
        await emulator.quote("BTCUSDT", 60_002.0 + step, 0.5, 60_003.0 + step, 0.5)
    with pytest.raises(ccxt.ChecksumError):
        await watch


async def test_a_listen_key_can_expire_in_the_middle_of_a_stream(emulator: Emulator) -> None:
    async with exchange_at(emulator, "binanceusdm") as perp:
        watch = asyncio.ensure_future(perp.watch_orders(PERP))
        await listened(emulator)
        emulator.faults.add(Fault(kind=FaultKind.EXPIRE_KEY, at="user usdm ORDER_TRADE_UPDATE"))
        await perp.create_order(PERP, "limit", "buy", 0.01, 59_000, {"clientOrderId": "k-1"})
        (order,) = await watch
        with pytest.raises(ccxt.AuthenticationError):
            await perp.fapiprivate_put_listenkey()
    assert order["clientOrderId"] == "k-1"


@pytest.mark.parametrize(("kind", "made"), [(FaultKind.HOLD, 1), (FaultKind.DROP_AFTER, 1), (FaultKind.DROP_BEFORE, 0)])
async def test_faults_strike_orders_over_the_websocket_too(
    emulator: Emulator, either: tuple[Ccxt, str, Board], kind: FaultKind, made: int
) -> None:
    exchange, symbol, board = either
    emulator.faults.add(Fault(kind=kind, at=f"ws {board} order.place", seconds=30))
    order = asyncio.ensure_future(
        exchange.create_order_ws(symbol, "limit", "buy", 0.01, 59_000, {"newClientOrderId": "w-1"})
    )
    await eventually(lambda: bool(emulator.faults.log))
    await asyncio.wait([order], timeout=0.1 if kind is FaultKind.HOLD else 20)
    assert order.done() is (kind is not FaultKind.HOLD)
    assert emulator.books.created("w-1", board) == made
    order.cancel()
    await asyncio.wait([order])
    assert order.cancelled() or isinstance(order.exception(), ccxt.NetworkError)


async def test_the_same_seed_gives_the_same_faults() -> None:
    async def outcomes(seed: int) -> list[bool]:
        async with quoted_emulator(seed=seed) as emulator, exchange_at(emulator, "binance") as spot:
            emulator.faults.add(Fault(kind=FaultKind.REFUSE, at="GET /api/v3/account", probability=0.5, times=None))
            results = [await asyncio.gather(spot.fetch_balance(), return_exceptions=True) for _ in range(20)]
        return [isinstance(result, Exception) for (result,) in results]

    first, again, other = await outcomes(1), await outcomes(1), await outcomes(2)
    assert first == again != other
    assert 4 < sum(first) < 16
