"""What the real NATS client takes for its socket."""

import asyncio
import ssl
from collections.abc import Callable
from urllib.parse import ParseResult

from nats.aio.transport import Transport

from services.simulator.loop import Domain, DomainState, SimulatedLoop
from services.simulator.network import Link

Dial = Callable[[Domain], Link | None]
"""Opens a connection; None when nobody answers. Raises `OSError` when it is refused."""


class SimulatedTransport(Transport):
    """A socket of one simulated process, for one connection after the other."""

    def __init__(self, loop: SimulatedLoop, domain: Domain, dial: Dial) -> None:
        self.link: Link | None = None
        self.on_write: Callable[[], None] | None = None
        """Called after each command that the process has handed over."""
        self._loop = loop
        self._domain = domain
        self._dial = dial
        self._buffer = bytearray()
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        link = self._dial(self._domain)
        if link is None:
            await asyncio.sleep(connect_timeout)
            raise TimeoutError
        self._buffer.clear()
        self._ended = False
        self.link = link
        link.to_client = self._take
        await asyncio.sleep(0)

    async def connect_tls(
        self, uri: str | ParseResult, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: int
    ) -> None:
        raise NotImplementedError

    def write(self, payload: bytes) -> None:
        self.writelines([payload])

    def writelines(self, payload: list[bytes]) -> None:
        link = self.link
        if link is None or not link.open_at_client:
            return
        for command in payload:
            if self._domain.state is not DomainState.RUNNING:
                return
            link.up.put(command)
            if self.on_write is not None:
                self.on_write()

    async def read(self, buffer_size: int) -> bytes:
        while not self._buffer and not self._ended:
            await self._more()
        return self._taken(min(buffer_size, len(self._buffer)))

    async def readline(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0 and not self._ended:
            await self._more()
        return self._taken(end + 1)

    async def drain(self) -> None:
        """Wait for nothing: a simulated socket takes all."""

    async def wait_closed(self) -> None:
        """Wait for nothing: a simulated socket closes at once."""

    def close(self) -> None:
        link, self.link = self.link, None
        if link is not None and self._domain.state is DomainState.RUNNING:
            link.open_at_client = False
            link.up.put(b"")

    def at_eof(self) -> bool:
        return self._ended and not self._buffer

    def __bool__(self) -> bool:
        return True

    def _take(self, piece: bytes | None) -> None:
        """Put what came into the kernel's buffer: that needs no running process, noticing it does."""
        if piece is None:
            self._ended = True
        else:
            self._buffer += piece
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            with self._loop.within(self._domain):
                waiter.set_result(None)

    def _taken(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    async def _more(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
