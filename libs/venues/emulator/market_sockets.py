"""The websockets of market data: streams named in the address or asked for with SUBSCRIBE."""

import asyncio
from collections.abc import Callable

from aiohttp import WSMsgType, web
from pydantic_core import from_json

from venues.emulator.hub import Hub
from venues.emulator.keys import ListenKeys
from venues.emulator.pipes import Pipe
from venues.emulator.words import Board

MOST_STREAMS = 1_024


class MarketSockets:
    """Serves market streams of both boards, and the user stream of USD-M."""

    def __init__(self, hub: Hub, keys: ListenKeys, now: Callable[[], int]) -> None:
        self._hub = hub
        self._keys = keys
        self._now = now

    async def market(self, request: web.Request) -> web.WebSocketResponse:
        """Serve `/stream/...` (spot) and `/fstream/...` (USD-M); `?streams=a/b` wraps each event with its stream."""
        board = Board.USDM if request.path.startswith("/fstream") else Board.SPOT
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        named = request.query.get("streams")
        pipe = Pipe(socket, combined=named is not None)
        parts = (named or request.path).split("/")
        self._hub.subscribe(pipe, board, [part for part in parts if "@" in part or part.startswith("!")])
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    pipe.send(self._answer(pipe, board, message.data))
        finally:
            self._hub.forget(pipe)
            await pipe.finish()
        return socket

    async def usdm_user(self, request: web.Request) -> web.StreamResponse:
        """Serve the user stream of a valid listen key, until the key expires."""
        key = request.query.get("listenKey") or request.match_info.get("key")
        if not self._keys.is_valid(key, self._now()):
            raise web.HTTPBadRequest(text="invalid listenKey")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        pipe = Pipe(socket)
        self._hub.subscribe_user(pipe, Board.USDM, wrapped=False)
        watch = asyncio.create_task(self._expire(pipe, key))
        try:
            async for _ in socket:
                pass
        finally:
            watch.cancel()
            self._hub.forget(pipe)
            await pipe.finish()
        return socket

    async def _expire(self, pipe: Pipe, key: str | None) -> None:
        """Tell when the key ends. Its life is moved by keepalives, so it is looked at again and again."""
        while self._keys.is_valid(key, self._now()):  # noqa: ASYNC110 - the clock itself may be moved
            await asyncio.sleep(0.05)
        if self._hub.hears_user(pipe, Board.USDM):
            pipe.send(expired(key, self._now()))
            self._hub.unsubscribe_user(pipe, Board.USDM)

    def _answer(self, pipe: Pipe, board: Board, text: str) -> dict[str, object]:
        try:
            request = from_json(text)
            method, number = request["method"], request.get("id")
            streams = request.get("params", [])
        except (ValueError, KeyError, TypeError, AttributeError):
            return _error("Invalid request: no JSON object with a method", None)
        if not isinstance(streams, list) or not all(isinstance(stream, str) for stream in streams):
            return _error("Invalid request: params must be a list of streams", number)
        held = self._hub.subscriptions(pipe, board)
        match method:
            case "SUBSCRIBE":
                if len({*held, *streams}) > MOST_STREAMS:
                    return _error("Invalid request: too many subscriptions", number)
                self._hub.subscribe(pipe, board, streams)
            case "UNSUBSCRIBE":
                self._hub.unsubscribe(pipe, board, streams)
            case "LIST_SUBSCRIPTIONS":
                return {"result": held, "id": number}
            case _:
                return _error(f"Invalid request: unknown method {method}", number)
        return {"result": None, "id": number}


def expired(key: str | None, now: int) -> dict[str, object]:
    return {"e": "listenKeyExpired", "E": now, "listenKey": key}


def _error(text: str, number: object) -> dict[str, object]:
    return {"error": {"code": 2, "msg": text}, "id": number}
