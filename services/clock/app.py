"""Put the seconds on the tape: of the wall clock, or of the recorded market that is being replayed."""

import asyncio
import time

from contracts.clock import ClockTick
from contracts.codec import encode
from eventstore.history import stored_history
from services.clock.blueprint import BLUEPRINT
from services.clock.rules import SECOND
from services.clock.settings import ClockSettings, ClockSource
from tape.headers import new_trace, write_headers
from tape.host import HostState
from tape.seat import Seat
from tape.service import serve, serve_edge
from tape.settings import load
from tape.wire import Wire


class WallClock:
    """Ticks at each full second. A second that passed while nobody ticked is not made up for."""

    lag = 0

    def __init__(self, settings: ClockSettings) -> None:
        self.settings = settings
        self.state = HostState.STARTING
        self.handled = 0
        self._seat: Seat | None = None

    @property
    def position(self) -> int:
        return self._seat.publisher.last_position if self._seat else 0

    @property
    def detail(self) -> str:
        return f"{self.handled} seconds"

    async def start(self, wire: Wire) -> None:
        self._seat = Seat(wire, "clock", self.settings.model_dump_json())
        await self._seat.start()
        self.state = HostState.STANDBY

    async def run(self) -> None:
        assert self._seat is not None
        await self._seat.take()
        self.state = HostState.LIVE
        await self._seat.while_held(self._tick(self._seat))

    async def stop(self) -> None:
        if self._seat is not None:
            await self._seat.leave()

    async def _tick(self, seat: Seat) -> None:
        while True:
            now = time.time_ns()
            await asyncio.sleep((SECOND - now % SECOND) / 1e9)
            now = time.time_ns()
            tick = ClockTick(ts_event=now - now % SECOND, ts_init=now)
            headers = write_headers(tick, f"clock/wall-{tick.ts_event}", None, now, new_trace(now, self.handled))
            await seat.publisher.publish(ClockTick.subject_of(tick), encode(tick), headers)
            self.handled += 1


if __name__ == "__main__":
    wanted = load(ClockSettings, "clock")
    if wanted.source is ClockSource.WALL:
        serve_edge("clock", WallClock(wanted))
    else:
        serve(BLUEPRINT, stored_history())
