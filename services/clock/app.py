"""Put the seconds on the tape: of the wall clock, or of the recorded market that is being replayed."""

import asyncio
import time
from contextlib import suppress

from nats.js.errors import NotFoundError

from contracts.clock import ClockTick
from contracts.codec import encode
from services.clock.rules import SECOND, MarketClock
from services.clock.settings import ClockSettings, ClockSource
from tape.headers import new_trace, write_headers
from tape.host import HostState
from tape.provision import TAPE
from tape.publisher import Publisher
from tape.service import serve, serve_edge
from tape.settings import load
from tape.wire import Wire


class WallClock:
    """Ticks at each full second. A second that passed while nobody ticked is not made up for."""

    lag = 0

    def __init__(self) -> None:
        self.state = HostState.STARTING
        self.handled = 0
        self._publisher: Publisher | None = None

    @property
    def position(self) -> int:
        return self._publisher.last_position if self._publisher else 0

    @property
    def detail(self) -> str:
        return f"{self.handled} seconds"

    async def start(self, wire: Wire) -> None:
        self._publisher = Publisher(wire)
        await self._publisher.start()
        with suppress(NotFoundError):  # the wall clock reads nothing: its consumer would show a lag that is none
            await wire.nc.jetstream(timeout=10).delete_consumer(TAPE, "clock")
        self.state = HostState.LIVE

    async def run(self) -> None:
        assert self._publisher is not None
        while True:
            now = time.time_ns()
            await asyncio.sleep((SECOND - now % SECOND) / 1e9)
            now = time.time_ns()
            tick = ClockTick(ts_event=now - now % SECOND, ts_init=now)
            headers = write_headers(tick, f"clock/wall-{tick.ts_event}", None, now, new_trace(now, self.handled))
            await self._publisher.publish(ClockTick.subject_of(tick), encode(tick), headers)
            self.handled += 1

    async def stop(self) -> None:
        if self._publisher is not None:
            await self._publisher.stop()


if __name__ == "__main__":
    if load(ClockSettings, "clock").source is ClockSource.WALL:
        serve_edge("clock", WallClock())
    else:
        serve(MarketClock())
