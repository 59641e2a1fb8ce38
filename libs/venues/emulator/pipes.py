"""The way out to one websocket: messages leave in order, unless the script of faults wants it otherwise."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import web
from pydantic_core import to_json

from venues.emulator.faults import EVENT_KINDS, Fault, FaultKind


@dataclass(frozen=True, slots=True)
class _Leaving:
    text: str
    after_s: float


class Pipe:
    """A websocket with a queue before it; it is closed by the server with `drop`."""

    def __init__(self, socket: web.WebSocketResponse, *, combined: bool = False) -> None:
        self.combined = combined
        self._socket = socket
        self._queue: asyncio.Queue[_Leaving | None] = asyncio.Queue()
        self._held: str | None = None
        self._task = asyncio.create_task(self._pump())

    def send(self, message: object, faults: Iterable[Fault] = ()) -> None:
        """Send a message as JSON, as the faults that strike it want."""
        text = to_json(message).decode()
        kinds = {fault.kind: fault for fault in faults if fault.kind in EVENT_KINDS}
        if FaultKind.DISCONNECT in kinds:
            self.drop()
        elif FaultKind.LOSE in kinds:
            return
        elif (swap := kinds.get(FaultKind.SWAP)) is not None and self._held is None:
            self._held = text
            asyncio.get_running_loop().call_later(swap.seconds, self._release)
        else:
            delay = kinds.get(FaultKind.DELAY)
            self._queue.put_nowait(_Leaving(text, delay.seconds if delay else 0.0))
            if FaultKind.REPEAT in kinds:
                self._queue.put_nowait(_Leaving(text, 0.0))
            self._release()

    def drop(self) -> None:
        """Close the websocket; what is queued is lost."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def finish(self) -> None:
        """Stop sending: the websocket is gone."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def _release(self) -> None:
        if self._held is not None:
            self._queue.put_nowait(_Leaving(self._held, 0.0))
            self._held = None

    async def _pump(self) -> None:
        while (leaving := await self._queue.get()) is not None:
            if leaving.after_s:
                await asyncio.sleep(leaving.after_s)
            with suppress(ConnectionError):
                await self._socket.send_str(leaving.text)
        await self._socket.close(code=1001)
