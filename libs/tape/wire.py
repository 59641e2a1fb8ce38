"""The hot path of the NATS client: messages as the parser sees them, commands as the socket takes them.

nats-py spends two thirds of the time of a message in its queues, tasks and header checks. Everything that is not hot
(connecting, reconnecting, requests, JetStream's API) stays with the client. This file alone knows its inside.
"""

import asyncio
from collections.abc import Callable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import MaxPayloadError
from nats.protocol.command import hpub_cmd, pub_cmd

from tape.headers import Headers

OnMessage = Callable[[str, str, bytes, bytes | None], None]
"""Takes subject, reply, payload and raw headers; called by the client's parser, so it must return at once."""

_HEADER_LINE = "NATS/1.0\r\n"


class Wire:
    """One connection's hot path. Make one for each client."""

    def __init__(self, nc: Client) -> None:
        assert hasattr(nc, "_process_msg"), "this version of nats-py delivers messages in another way"
        self.nc = nc
        self._listeners: dict[int, OnMessage] = {}
        self._otherwise = nc._process_msg
        nc._process_msg = self._process  # type: ignore[method-assign]
        self._when_disconnected = nc._disconnected_cb
        nc._disconnected_cb = self._forget_unsent

    async def subscribe(self, subject: str, on_message: OnMessage) -> Subscription:
        """Subscribe; the client keeps the subscription over reconnects, its messages go to `on_message` alone."""
        subscription = await self.nc.subscribe(subject, cb=_unheard)
        self._listeners[subscription._id] = on_message
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        self._listeners.pop(subscription._id, None)
        if not self.nc.is_closed:
            await subscription.unsubscribe()

    def send(self, subject: str, reply: str, headers: Headers, payload: bytes, more_lines: str = "") -> None:
        """Hand a message, whose subject and headers are known to be well formed, to the client's flusher.

        `more_lines` are headers that were written before (`header_lines`). Never waits: how much may be on its way is
        the caller's to limit.
        """
        raw_headers = f"{_HEADER_LINE}{header_lines(headers)}{more_lines}\r\n".encode()
        if len(raw_headers) + len(payload) > self.nc.max_payload:
            raise MaxPayloadError
        self._hand_over(hpub_cmd(subject, reply, raw_headers, payload))

    def acknowledge(self, reply: str) -> None:
        """Tell the server that the message with this reply subject was handled. Never waits."""
        self._hand_over(pub_cmd(reply, "", b""))

    def _hand_over(self, command: bytes) -> None:
        self.nc._pending.append(command)
        self.nc._pending_data_size += len(command)
        flushes = self.nc._flush_queue
        if flushes is not None and flushes.empty():
            flushes.put_nowait(asyncio.get_running_loop().create_future())

    async def _forget_unsent(self) -> None:
        """Drop what waits for a connection that is gone: it would overtake what its sender sends again."""
        self.nc._pending.clear()
        self.nc._pending_data_size = 0
        if self._when_disconnected is not None:
            await self._when_disconnected()

    async def _process(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        listener = self._listeners.get(sid)
        if listener is None:
            await self._otherwise(sid, subject, reply, data, headers)
        else:
            listener(subject.decode(), reply.decode(), data, headers)


def header_lines(headers: Headers) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])


def parse_headers(raw: bytes | None) -> Headers:
    """Read a header block as the server writes it: a status line, then `Name: value` lines."""
    found: Headers = {}
    if raw is not None:
        for line in raw.decode(errors="replace").split("\r\n")[1:]:
            name, _, value = line.partition(":")
            if name:
                found[name] = value.strip()
    return found


async def _unheard(_message: Msg) -> None:
    """The client needs a callback; the wire takes the messages before it."""
