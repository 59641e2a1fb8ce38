"""A gateway that is killed between sending an order and hearing of it: the order is at the exchange exactly once."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest
from nats.aio.client import Client

from contracts.types import InstrumentId, venue_of
from contracts.venue import VenueAccepted, VenueFilled
from services.gateway.settings import GatewaySettings
from tape.consumers import provision_consumers
from tape.lease import Hold
from tests.emulated import quoted_emulator
from tests.live import tape, until
from tests.servers import ROOT
from tests.trading_live import PERP, SPOT, Trader, gateway_at, order_of, patient_settings
from venues.emulator import Fault, FaultKind
from venues.live.settings import LiveVenue

pytestmark = pytest.mark.integration

ORDERS = 100
KILLS = int(os.environ.get("HMM_GATEWAY_KILLS", "20"))
"""With 100 of them each takes one order along; with less, several that are on their way at once."""
HELD_S = 60.0
LIVE_WITHIN_S = 2.0
"""About so long a gateway takes to send the first order: some are killed before, some after."""


@asynccontextmanager
async def nursery() -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.nursery",
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'libs'}"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def born(nursery: asyncio.subprocess.Process, url: str, settings: GatewaySettings) -> int:
    assert nursery.stdin is not None and nursery.stdout is not None
    nursery.stdin.write(f"{url} {settings.model_dump_json()}\n".encode())
    return int(await nursery.stdout.readline())


async def bury(nc: Client, pid: int) -> None:
    """Kill it, and give back the lease of the dead: nobody has to wait until it expires."""
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not _lives(pid))
    await nc.jetstream().publish("$KV.leases.gateway", Hold(instance=None).model_dump_json().encode())


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("instrument", [SPOT, PERP])
async def test_killed_a_hundred_times_it_has_sent_a_hundred_orders(
    fresh_nats_url: str, instrument: InstrumentId
) -> None:
    chance = Random(7)  # noqa: S311 # to be the same again
    orders = [order_of(quantity="0.001", name=f"trend-{number}-0", instrument=instrument) for number in range(ORDERS)]
    at_once = ORDERS // KILLS
    # So many starts in a minute would be refused by any venue, and it is not they that are looked at.
    unlimited = quoted_emulator(spot_weight_per_minute=10**6, usdm_weight_per_minute=10**6)
    async with tape(fresh_nats_url) as nc, unlimited as emulator, nursery() as mother:
        await provision_consumers(nc)
        trader, venue = Trader(nc), LiveVenue(venue_of(instrument))
        settings = patient_settings(emulator, submit_within_s=600.0, venues=(venue,))
        emulator.faults.add(Fault(kind=FaultKind.HOLD, at="POST */order", seconds=HELD_S, times=None))
        for kill in range(KILLS):
            gateway = await born(mother, fresh_nats_url, settings)
            taken = orders[kill * at_once : (kill + 1) * at_once]
            for order in taken:
                await trader.submit(order)
            if kill % 2 == 0:
                await until(lambda taken=taken: all(emulator.books.created(one.client_order_id) for one in taken))
            else:
                await asyncio.sleep(chance.uniform(0.1, LIVE_WITHIN_S))
            await bury(nc, gateway)
        emulator.faults.clear()
        async with gateway_at(fresh_nats_url, settings):
            await until(lambda: _all_filled(trader, len(orders)), within_s=60.0)
        reports = await trader.reports()
    assert {emulator.books.created(order.client_order_id) for order in orders} == {1}
    said = Counter((type(report), report.client_order_id) for report in reports)
    assert said == {(kind, order.client_order_id): 1 for order in orders for kind in (VenueAccepted, VenueFilled)}


async def _all_filled(trader: Trader, count: int) -> bool:
    return len(await trader.of_type(VenueFilled)) >= count
