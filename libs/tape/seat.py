"""A writer's place on the tape: its lease, its fence, and its publisher. Every edge and every component has one."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from tape.headers import Fence
from tape.lease import RENEW_FENCE_AFTER_S, Lease, announce, this_instance
from tape.publisher import Publisher
from tape.tasks import end
from tape.wire import Wire


class Seat:
    """Belongs to one instance of `name`. Whatever ends its right to write ends `while_held`, with the reason."""

    def __init__(
        self, wire: Wire, name: str, settings: str, *, on_fence: Callable[[Fence], None] = lambda _fence: None
    ) -> None:
        self.name = name
        self.instance = this_instance()
        self.publisher = Publisher(wire)
        self.lease = Lease(wire.nc, name, self.instance)
        self._nc = wire.nc
        self._settings = settings
        self._on_fence = on_fence
        self._announced = 0
        self._fence: Fence | None = None
        self._keeping: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self.publisher.start()

    async def take(self) -> None:
        """Wait until the place is ours, and say so on the tape."""
        await self.lease.take()
        await self.hold()

    async def hold(self) -> None:
        """Keep the lease that was taken, and say on the tape that we write from now on. Raises `LeaseLost`."""
        self.keep()
        await self._announce()
        self._keeping.append(asyncio.create_task(self._renew_fence()))

    def keep(self) -> None:
        """Keep saying that we are still there."""
        if not self._keeping:
            self._keeping.append(asyncio.create_task(self.lease.keep()))

    async def while_held(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` to its end, unless our place is lost meanwhile: raises what ended it."""
        working = asyncio.create_task(work)
        try:
            while not working.done():
                watched = (working, *self._keeping, self.publisher.failure)
                await asyncio.wait(watched, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
                for ended in filter(asyncio.Future.done, watched):
                    ended.result()
        finally:
            await end([working])

    async def leave(self, before_leaving: Callable[[], Awaitable[None]] | None = None) -> None:
        """Put on the tape what was said, do what is to be done then, and let the next one take our place at once."""
        held = bool(self._keeping)
        lost = await end(self._keeping)
        self._keeping = []
        refused = self.publisher.failure.done() or bool(lost)
        try:
            if not refused:
                await self.publisher.flush()
                if before_leaving is not None:
                    await before_leaving()
        finally:
            await self.publisher.stop()
        if held and not refused:
            await self.lease.give_back()

    async def _announce(self) -> None:
        self._announced += 1
        fence = await announce(self._nc, self.name, self.instance, self._settings, self._announced, self._fence)
        self._fence = fence
        await self.publisher.fence(fence)
        self._on_fence(fence)

    async def _renew_fence(self) -> None:
        while True:
            await asyncio.sleep(RENEW_FENCE_AFTER_S)
            self.publisher.hold(held=True)
            await self.publisher.flush()
            await self._announce()
            self.publisher.hold(held=False)
