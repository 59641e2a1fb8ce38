"""A live gateway in the hands of a test: real nats-servers, the real ccxt, an emulated exchange."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from time import time_ns
from typing import TypeVar

from nats.aio.client import Client

from contracts.event import Event
from contracts.orders import Amendment, OrderTerms
from contracts.types import InstrumentId, OrderType, Side, TimeInForce, instrument_id
from contracts.venue import AmendOrder, CancelOrder, QueryOrder, SubmitOrder, VenueReport
from services.gateway.live import LiveGateway
from services.gateway.settings import GatewayMode, GatewaySettings
from tape.host import HostState
from tape.tasks import end
from tape.wire import Wire
from tests.live import client, messages, put, until
from venues.emulator import Emulator
from venues.live.settings import CONFIRMATION, LiveSettings, LiveVenue

E = TypeVar("E", bound=Event)

SPOT = instrument_id("binance", "BTCUSDT")
PERP = instrument_id("binanceusdm", "BTCUSDT")

_numbers = count()


def patient_settings(emulator: Emulator, **more: object) -> GatewaySettings:
    """Both venues at the emulator, with little patience: tests do not wait."""
    live = LiveSettings.model_validate(
        {
            "trading": CONFIRMATION,
            "venues": (LiveVenue.SPOT, LiveVenue.USDM),
            "symbols": ("BTCUSDT",),
            "emulator": emulator.rest_url,
            "recv_window_s": 0.5,
            "settle_s": 0.8,
            "request_timeout_s": 0.6,
            "look_again_after_s": 0.05,
            "reconcile_every_s": 60.0,
            "grace_s": 0.5,
            "requests_per_s": 200.0,
            "burst": 200,
            "reconnect_after_s": 0.1,
            "rules_differ": ("BTCUSDT",),
            **more,
        }
    )
    return GatewaySettings(mode=GatewayMode.LIVE, live=live)


@asynccontextmanager
async def gateway_at(url: str, settings: GatewaySettings) -> AsyncIterator[LiveGateway]:
    """A gateway that leads; whatever ends it ends the test, and at the end of the block it dies without a word."""
    async with client(url) as nc:
        gateway = LiveGateway(settings, None)
        await gateway.start(Wire(nc))
        running = asyncio.create_task(gateway.run())
        try:
            await until(lambda: gateway.state is HostState.LIVE or running.done())
            yield gateway
            if running.done():
                running.result()
        finally:
            await end([running])
            await gateway.stop()


@dataclass
class Trader:
    """Commands on the tape, and what is reported of them."""

    nc: Client

    async def say(self, event: Event) -> int:
        return await put(self.nc, event, f"router/test/say-{next(_numbers)}")

    async def submit(self, order: OrderTerms) -> int:
        now = time_ns()
        return await self.say(SubmitOrder(ts_event=now, ts_init=now, order=order))

    async def cancel(self, order: OrderTerms) -> int:
        now, name = time_ns(), order.client_order_id
        return await self.say(CancelOrder(ts_event=now, ts_init=now, client_order_id=name, instrument=order.instrument))

    async def query(self, order: OrderTerms) -> int:
        now, name = time_ns(), order.client_order_id
        return await self.say(QueryOrder(ts_event=now, ts_init=now, client_order_id=name, instrument=order.instrument))

    async def amend(self, order: OrderTerms, *, quantity: str | None = None, limit: str | None = None) -> int:
        now = time_ns()
        amendment = Amendment(
            client_order_id=order.client_order_id,
            instrument=order.instrument,
            quantity=None if quantity is None else Decimal(quantity),
            limit_price=None if limit is None else Decimal(limit),
            trigger_price=None,
        )
        return await self.say(AmendOrder(ts_event=now, ts_init=now, amendment=amendment))

    async def heard(self, subject: str = "venue.>") -> list[Event]:
        return [message.event for message in await messages(self.nc, subject)]

    async def reports(self, order: OrderTerms | None = None) -> list[VenueReport]:
        """What was reported, of one order or of all."""
        said = [event for event in await self.heard("venue.report.>") if isinstance(event, VenueReport)]
        return [one for one in said if order is None or one.client_order_id == order.client_order_id]

    async def of_type(self, kind: type[E], subject: str = ">") -> list[E]:
        return [event for event in await self.heard(subject) if isinstance(event, kind)]

    async def until_reported(self, order: OrderTerms, *kinds: type[VenueReport]) -> list[VenueReport]:
        """Wait until exactly these were reported of an order, in this order."""
        found: list[VenueReport] = []

        async def so() -> bool:
            found[:] = await self.reports(order)
            return len(found) >= len(kinds)

        await until(so)
        assert [type(one) for one in found] == list(kinds), found
        return found


def order_of(
    side: Side = Side.BUY,
    quantity: str = "0.1",
    *,
    limit: str | None = None,
    name: str = "trend-1-0",
    instrument: InstrumentId = SPOT,
    time_in_force: TimeInForce = TimeInForce.GTC,
    reduce_only: bool = False,
    post_only: bool = False,
) -> OrderTerms:
    return OrderTerms(
        client_order_id=name,
        strategy="trend",
        instrument=instrument,
        side=side,
        quantity=Decimal(quantity),
        order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        limit_price=None if limit is None else Decimal(limit),
        time_in_force=time_in_force,
        reduce_only=reduce_only,
        post_only=post_only,
    )
