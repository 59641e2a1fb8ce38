"""The tape read as fast as one client can, without a consumer: for commands that want all of it."""

import asyncio
import json
from collections.abc import AsyncGenerator

from nats.aio.client import Client

from services.cli.errors import fail
from tape.headers import Headers
from tape.streams import API_TIMEOUT_S, BATCH_BYTES, TAPE, Stored, api
from tape.wire import Wire, parse_headers

BATCH = 1_000

_MESSAGE, _NOBODY = b"NATS/1.0\r\n", b"NATS/1.0 503"
_SEQUENCE, _SUBJECT, _PENDING = "Nats-Sequence", "Nats-Subject", "Nats-Num-Pending"


class TapeBatches:
    """Asks for batches of messages, one after the other, on a connection of its own."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._wire = Wire(nc)
        self._arrived: list[Stored] = []
        self._status: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def read(self, start: int, stop: int) -> AsyncGenerator[list[Stored], None]:
        """Give what the tape holds from `start` to `stop`, both included, in order."""
        inbox = self._nc.new_inbox()
        subscription = await self._wire.subscribe(inbox, self._on_message)
        try:
            pending = True
            while pending and start <= stop:
                batch, pending = await self._ask(inbox, start)
                if batch:
                    start = batch[-1].position + 1
                    yield [stored for stored in batch if stored.position <= stop]
        finally:
            await self._wire.unsubscribe(subscription)

    async def _ask(self, inbox: str, start: int) -> tuple[list[Stored], bool]:
        """Give the next messages from position `start`, and whether there are more."""
        self._arrived, self._status = [], asyncio.get_running_loop().create_future()
        request = {"seq": start, "next_by_subj": ">", "batch": BATCH, "max_bytes": BATCH_BYTES}
        await self._nc.publish(api(TAPE, f"DIRECT.GET.{TAPE}"), json.dumps(request).encode(), reply=inbox)
        try:
            async with asyncio.timeout(API_TIMEOUT_S):
                status = await self._status
        except TimeoutError:
            fail(f"the NATS server does not answer for position {start} of {TAPE}")
        if status.startswith(_NOBODY):
            fail(f"nobody answers for the stream {TAPE}")
        return self._arrived, int(parse_headers(status).get(_PENDING, 0)) > 0

    def _on_message(self, _subject: str, _reply: str, payload: bytes, raw: bytes | None) -> None:
        if raw is None or not raw.startswith(_MESSAGE):
            if not self._status.done():
                self._status.set_result(raw or b"")
            return
        headers: Headers = parse_headers(raw)
        position = int(headers[_SEQUENCE])
        self._arrived.append(Stored(position, position, headers[_SUBJECT], headers, payload))
