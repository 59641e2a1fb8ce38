"""Catching up: a restarted component folds the tape silently, as a ratio of a bare reader in the same run.

The floor is nats-py's ordered push consumer with a callback that only decodes each message. Ours is the whole host of
risk from position 1, without a snapshot: headers, decoding, order and continuity checks, the fold.

Run it with `python -m tests.bench.bench_catchup`.
"""

import asyncio
import time

import nats
import uvloop
from nats.aio.msg import Msg

from contracts.codec import decode, write
from contracts.market import Quote
from contracts.types import InstrumentId
from services.catalog import BLUEPRINTS
from tape.consumers import provision_consumers
from tape.headers import TYPE, new_trace, write_headers
from tape.host import Host, HostState
from tape.provision import provision
from tape.publisher import Publisher
from tape.wire import Wire
from tests.servers import nats_server, scratch_directory

QUOTES = 200_000
ROUNDS = 3
LEAST_RATIO = 0.5


async def fill(url: str) -> None:
    nc = await nats.connect(url)
    await provision(nc, lambda: 0)
    await provision_consumers(nc)
    publisher = Publisher(Wire(nc))
    await publisher.start()
    for number in range(QUOTES):
        at = 1_700_000_000_000_000_000 + number
        mid = 2_500 + number % 11
        quote = Quote(
            ts_event=at,
            ts_init=at,
            instrument=InstrumentId("binance.BTCUSDT"),
            bid=mid - 0.01,
            bid_size=5.0,
            ask=mid + 0.01,
            ask_size=5.0,
        )
        headers = write_headers(quote, f"feed/bench/{number}", None, at, new_trace(at, number))
        await publisher.publish(Quote.subject_of(quote), write(quote), headers)
    await publisher.flush()
    await publisher.stop()
    await nc.close()


async def floor(url: str) -> float:
    nc = await nats.connect(url)
    seen, done = 0, asyncio.Event()

    async def take(message: Msg) -> None:
        nonlocal seen
        decode((message.headers or {})[TYPE], message.subject, message.data)
        seen += 1
        if seen == QUOTES:
            done.set()

    began = time.perf_counter()
    subscription = await nc.jetstream().subscribe("md.quote.>", ordered_consumer=True, cb=take)
    await done.wait()
    rate = QUOTES / (time.perf_counter() - began)
    await subscription.unsubscribe()
    await nc.close()
    return rate


async def ours(url: str) -> float:
    """Give events a second from the first message to the position where the component leads."""
    nc = await nats.connect(url)
    blueprint = BLUEPRINTS["risk"]
    host = Host(blueprint, blueprint.settings(), Wire(nc), None)
    await host.start()
    working = asyncio.create_task(host.run())
    began = time.perf_counter()
    while host.state is not HostState.LIVE:  # nothing else goes on
        assert not working.done(), working
        await asyncio.sleep(0.01)
    rate = QUOTES / (time.perf_counter() - began)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    setattr(host._keeper, "save", _forget)  # noqa: B010 # the next round begins at position 1, too
    await host.stop()
    await nc.close()
    return rate


async def _forget(_snapshot: object) -> bool:
    return False


def test_a_component_catches_up_at_a_fair_share_of_a_bare_reader() -> None:
    with scratch_directory() as run, nats_server(run) as url:
        uvloop.run(fill(url))
        measured = [(uvloop.run(floor(url)), uvloop.run(ours(url))) for _ in range(ROUNDS)]
    for bare, whole in measured:
        print(
            f"\nbare reader {bare:,.0f} events/s; host of risk {whole:,.0f} events/s; ratio {whole / bare:.2f}", end=""
        )
    best = max(whole / bare for bare, whole in measured)
    print(f"\nbest ratio {best:.2f}")
    assert best >= LEAST_RATIO


if __name__ == "__main__":
    test_a_component_catches_up_at_a_fair_share_of_a_bare_reader()
