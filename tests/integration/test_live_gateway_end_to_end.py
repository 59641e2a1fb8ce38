"""Live mode from end to end: recorded frames in, fills out, with everything going wrong on the way.

The router and the gateway are the real ones, and so are ccxt and the servers; only the exchange is emulated.
"""

import asyncio
import gzip
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from random import Random
from time import time_ns

import pytest
from nats.aio.client import Client

from contracts.clock import ClockTick
from contracts.lifecycle import Life
from contracts.orders import CancelIntent, OrderFilled, OrderTerms, RiskApproved
from contracts.types import InstrumentId, ReconciliationKind, Side, TimeInForce, venue_of
from contracts.venue import Reconciled, VenueFilled
from services.router.blueprint import BLUEPRINT as ROUTER
from services.router.settings import RouterSettings
from tape.consumers import provision_consumers
from tape.host import Host, HostState
from tape.tasks import end
from tape.wire import Wire
from tests.emulated import quoted_emulator
from tests.framefiles import market
from tests.live import messages, put, tape, until
from tests.trading_live import PERP, SPOT, Trader, gateway_at, order_of, patient_settings
from venues.emulator import Board, Emulator, Fault, FaultKind, Recording

pytestmark = pytest.mark.integration

ORDERS = 60
BOARD = {SPOT: Board.SPOT, PERP: Board.USDM}
SCRIPT = (
    Fault(kind=FaultKind.HOLD, at="POST */order", nth=3, times=2, seconds=2.0),
    Fault(kind=FaultKind.DROP_BEFORE, at="POST */order", probability=0.06, times=3),
    Fault(kind=FaultKind.DROP_AFTER, at="POST */order", probability=0.06, times=3),
    Fault(kind=FaultKind.REFUSE, at="POST */order", nth=9, times=2, status=503),
    Fault(kind=FaultKind.DO_AND_REFUSE, at="POST */order", nth=14, times=2, status=503),
    Fault(kind=FaultKind.REFUSE, at="POST */order", nth=20, status=429, seconds=1.0),
    Fault(kind=FaultKind.DROP_AFTER, at="DELETE */order", nth=2, times=2),
    Fault(kind=FaultKind.REFUSE, at="GET */order", probability=0.1, times=4, status=500),
    Fault(kind=FaultKind.LOSE, at="user *", probability=0.05, times=None),
    Fault(kind=FaultKind.REPEAT, at="user *", probability=0.05, times=None),
    Fault(kind=FaultKind.SWAP, at="user *", probability=0.1, times=None, seconds=0.1),
    Fault(kind=FaultKind.DELAY, at="user *", probability=0.02, times=None, seconds=0.3),
    Fault(kind=FaultKind.DISCONNECT, at="user *", nth=25, times=3, probability=0.05),
    Fault(kind=FaultKind.EXPIRE_KEY, at="POST */order", nth=30),
    Fault(kind=FaultKind.SKEW, at="POST */order", nth=35, seconds=2.0),
    Fault(kind=FaultKind.PARTIAL, at="match *", probability=0.2, times=None),
)


@pytest.fixture
async def nc(fresh_nats_url: str) -> AsyncIterator[Client]:
    async with tape(fresh_nats_url) as nc:
        await provision_consumers(nc)
        yield nc


@pytest.fixture
def frames(tmp_path: Path) -> list[Recording]:
    """Recorded frames (HMM_TEST_FRAMES), or made-up ones in the same form."""
    if recorded := os.environ.get("HMM_TEST_FRAMES"):
        return [Recording.parse(name) for name in recorded.split(",")]
    file = tmp_path / "frames.gz"
    file.write_bytes(gzip.compress("\n".join(market("BTCUSDT", 3_000)).encode()))
    return [Recording(board, file) for board in BOARD.values()]


@asynccontextmanager
async def router_at(nc: Client) -> AsyncIterator[Host]:
    """The real router, which leads and hears the time."""
    host = Host(ROUTER, RouterSettings(), Wire(nc), None)
    await host.start()
    working = asyncio.create_task(host.run())
    ticking = asyncio.create_task(_tick(nc))
    try:
        await until(lambda: host.state is HostState.LIVE)
        yield host
    finally:
        await end([ticking, working])
        await host.stop()


async def _tick(nc: Client) -> None:
    while True:
        now = time_ns()
        await put(nc, ClockTick(ts_event=now, ts_init=now), f"clock/test-{now}")
        await asyncio.sleep(0.5)


@pytest.mark.parametrize("instrument", [SPOT, PERP])
async def test_with_every_fault_no_order_is_lost_or_doubled_and_the_books_agree_to_the_last_digit(
    nc: Client, fresh_nats_url: str, frames: list[Recording], instrument: InstrumentId
) -> None:
    chance, trader = Random(11), Trader(nc)  # noqa: S311 # to be the same again
    settings = {"venues": (venue_of(instrument),), "reconcile_every_s": 2.0, "submit_within_s": 600.0}
    async with quoted_emulator() as emulator:
        before = {asset: emulator.books.balance(asset, BOARD[instrument]) for asset in ("USDT", "BTC")}
        async with router_at(nc), gateway_at(fresh_nats_url, patient_settings(emulator, **settings)):
            emulator.faults.add(*SCRIPT)
            playing = asyncio.create_task(_play(emulator, frames))
            orders = [_wish(chance, number, instrument) for number in range(ORDERS)]
            for order in orders:
                await _approve(nc, order)
                await asyncio.sleep(chance.uniform(0.0, 0.15))
                if order.limit_price is not None and chance.random() < 0.4:
                    await _cancel(nc, order)
            emulator.faults.clear()
            await end([playing])
            for order in orders:
                await _cancel(nc, order)
            await until(lambda: _all_over(trader, orders), within_s=60.0)
            if held := emulator.books.position("BTCUSDT"):
                side = Side.SELL if held > 0 else Side.BUY
                orders.append(order_of(side, str(abs(held)), name="trend-flat-0", instrument=instrument))
                await _approve(nc, orders[-1])
                await until(lambda: _all_over(trader, orders))
        said = [message.event for message in await messages(nc, "order.>")]
        reconciled = await trader.of_type(Reconciled)
        fills = await trader.of_type(VenueFilled)
        made = emulator.books.fills(BOARD[instrument])
        struck = {one.fault.kind for one in emulator.faults.log}
        corrections = Counter(one.kind for one in reconciled)
        assert len(made) > ORDERS // 2 and len(struck) > 8 and corrections[ReconciliationKind.UNKNOWN_STATE] > 0
        assert [order.client_order_id for order in orders if emulator.books.created(order.client_order_id) > 1] == []
        assert Counter(fill.trade_id for fill in fills) == Counter(str(fill.id) for _, fill in made)
        booked = [event for event in said if isinstance(event, OrderFilled)]
        assert sorted(fill.trade_id for fill in booked) == sorted(fill.trade_id for fill in fills)
        traded = sum((fill.side.sign * fill.quantity for fill in booked), Decimal(0))
        paid = sum((fill.side.sign * fill.quantity * fill.price + fill.fee for fill in booked), Decimal(0))
        assert {fill.fee_currency for fill in booked} == {None}
        assert emulator.books.balance("USDT", BOARD[instrument]) == before["USDT"] - paid
        if instrument == SPOT:
            assert emulator.books.balance("BTC") == before["BTC"] + traded
        else:
            assert emulator.books.position("BTCUSDT") == traded == 0
        assert [one for one in reconciled if not (one.corrected and one.evidence)] == []


async def _play(emulator: Emulator, frames: list[Recording]) -> None:
    await emulator.play(frames, speed=60.0)


def _wish(chance: Random, number: int, instrument: InstrumentId) -> OrderTerms:
    side = chance.choice([Side.BUY, Side.SELL])
    limit = None if chance.random() < 0.5 else f"{60_000 + chance.randint(-150, 150)}.0"
    tif = TimeInForce.GTC if limit is None else chance.choice([TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC])
    quantity = f"0.{chance.randint(2, 9):03d}"
    return order_of(side, quantity, limit=limit, name=f"trend-{number}-0", instrument=instrument, time_in_force=tif)


async def _approve(nc: Client, order: OrderTerms) -> None:
    now = time_ns()
    approved = RiskApproved(ts_event=now, ts_init=now, order=order, mark=60_000.0)
    await put(nc, approved, f"risk/test-{order.client_order_id}")


async def _cancel(nc: Client, order: OrderTerms) -> None:
    now = time_ns()
    wish = CancelIntent(
        ts_event=now,
        ts_init=now,
        by="trend",
        instrument=order.instrument,
        client_order_id=order.client_order_id,
        reason="test",
    )
    await put(nc, wish, f"trend/test-{now}")


async def _all_over(trader: Trader, orders: list[OrderTerms]) -> bool:
    lives = {order.client_order_id: Life() for order in orders}
    for message in await messages(trader.nc, "order.>"):
        name = getattr(message.event, "client_order_id", None)
        if name in lives:
            lives[name] = lives[name].after(message.event) or lives[name]
    return all(life.closed for life in lives.values())
