"""The websocket API: the same requests as over HTTP, and the user stream of spot."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import WSMsgType, web
from pydantic_core import from_json

from venues.emulator.endpoints import Endpoints
from venues.emulator.faults import Fault, FaultKind
from venues.emulator.gate import Asked, Gate
from venues.emulator.hub import Hub
from venues.emulator.pipes import Pipe
from venues.emulator.refusals import Refusal
from venues.emulator.trouble import Trouble
from venues.emulator.words import Board

SPOT_METHODS = {
    "ping": ("GET", "/api/v3/ping"),
    "time": ("GET", "/api/v3/time"),
    "exchangeInfo": ("GET", "/api/v3/exchangeInfo"),
    "depth": ("GET", "/api/v3/depth"),
    "trades.recent": ("GET", "/api/v3/trades"),
    "trades.aggregate": ("GET", "/api/v3/aggTrades"),
    "klines": ("GET", "/api/v3/klines"),
    "ticker.24hr": ("GET", "/api/v3/ticker/24hr"),
    "ticker.price": ("GET", "/api/v3/ticker/price"),
    "ticker.book": ("GET", "/api/v3/ticker/bookTicker"),
    "order.place": ("POST", "/api/v3/order"),
    "order.test": ("POST", "/api/v3/order/test"),
    "order.status": ("GET", "/api/v3/order"),
    "order.cancel": ("DELETE", "/api/v3/order"),
    "order.cancelReplace": ("POST", "/api/v3/order/cancelReplace"),
    "openOrders.status": ("GET", "/api/v3/openOrders"),
    "openOrders.cancelAll": ("DELETE", "/api/v3/openOrders"),
    "allOrders": ("GET", "/api/v3/allOrders"),
    "myTrades": ("GET", "/api/v3/myTrades"),
    "account.status": ("GET", "/api/v3/account"),
}
USDM_METHODS = {
    "depth": ("GET", "/fapi/v1/depth"),
    "ticker.price": ("GET", "/fapi/v1/ticker/price"),
    "ticker.book": ("GET", "/fapi/v1/ticker/bookTicker"),
    "order.place": ("POST", "/fapi/v1/order"),
    "order.modify": ("PUT", "/fapi/v1/order"),
    "order.cancel": ("DELETE", "/fapi/v1/order"),
    "order.status": ("GET", "/fapi/v1/order"),
    "algoOrder.place": ("POST", "/fapi/v1/algoOrder"),
    "algoOrder.cancel": ("DELETE", "/fapi/v1/algoOrder"),
    "account.position": ("GET", "/fapi/v2/positionRisk"),
    "v2/account.position": ("GET", "/fapi/v3/positionRisk"),
    "account.balance": ("GET", "/fapi/v2/balance"),
    "v2/account.balance": ("GET", "/fapi/v3/balance"),
    "account.status": ("GET", "/fapi/v2/account"),
    "v2/account.status": ("GET", "/fapi/v3/account"),
}
"""Methods of the websocket API, by the HTTP request that they stand for."""


class ApiSockets:
    """Serves `/ws-api/v3` (spot) and `/ws-fapi/v1` (USD-M)."""

    def __init__(self, endpoints: Endpoints, gate: Gate, hub: Hub, trouble: Trouble, now: Callable[[], int]) -> None:
        self._endpoints = endpoints
        self._gate = gate
        self._hub = hub
        self._trouble = trouble
        self._now = now

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Answer requests one by one; a held answer does not hold the next."""
        board = Board.SPOT if request.path.startswith("/ws-api") else Board.USDM
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        pipe = Pipe(socket)
        held: set[asyncio.Task[None]] = set()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    wait_s, answer = self._handle(pipe, board, message.data)
                    if wait_s:
                        task = asyncio.create_task(_later(pipe, answer, wait_s))
                        held.add(task)
                        task.add_done_callback(held.discard)
                    elif answer is not None:
                        pipe.send(answer)
        finally:
            for task in held:
                task.cancel()
            self._hub.forget(pipe)
            await pipe.finish()
        return socket

    def _handle(self, pipe: Pipe, board: Board, text: str) -> tuple[float, dict[str, object] | None]:
        """Give the answer and how long it is held; None when the connection is dropped."""
        try:
            request = from_json(text)
            number, method = request["id"], str(request["method"])
            values = {name: _text(value) for name, value in (request.get("params") or {}).items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            return 0.0, _failure(None, Refusal(-1135, "Invalid JSON Request"))
        faults = self._trouble.strike(f"ws {board} {method}", self._now())
        if FaultKind.DROP_BEFORE in faults:
            pipe.drop()
            return 0.0, None
        try:
            self._trouble.refuse_before(faults, self._gate.limits[board], self._now())
            result = self._do(pipe, board, method, values)
            self._trouble.refuse_after(faults)
        except Refusal as refusal:
            return 0.0, _failure(number, refusal)
        if FaultKind.DROP_AFTER in faults:
            pipe.drop()
            return 0.0, None
        return _held_s(faults), {"id": number, "status": 200, "result": result, "rateLimits": []}

    def _do(self, pipe: Pipe, board: Board, method: str, values: Mapping[str, str]) -> object:
        signed = {name: value for name, value in values.items() if name != "signature"}
        payload = "&".join(f"{name}={signed[name]}" for name in sorted(signed))
        asked = Asked(values, values.get("apiKey"), payload)
        if board is Board.SPOT and method == "userDataStream.subscribe.signature":
            self._gate.check_signed(asked, self._now())
            return {"subscriptionId": self._hub.subscribe_user(pipe, board, wrapped=True)}
        if board is Board.SPOT and method == "userDataStream.unsubscribe":
            self._hub.unsubscribe_user(pipe, board)
            return {}
        methods = SPOT_METHODS if board is Board.SPOT else USDM_METHODS
        endpoint = self._endpoints.get(methods.get(method, ("", "")))
        if endpoint is None:
            raise Refusal(-1020, "This operation is not supported.")
        return self._gate.answer(endpoint, asked, self._now())


async def _later(pipe: Pipe, answer: dict[str, object] | None, wait_s: float) -> None:
    await asyncio.sleep(wait_s)
    if answer is not None:
        pipe.send(answer)


def _held_s(faults: Mapping[FaultKind, Fault]) -> float:
    hold = faults.get(FaultKind.HOLD)
    return hold.seconds if hold is not None else 0.0


def _failure(number: object, refusal: Refusal) -> dict[str, object]:
    return {"id": number, "status": refusal.status, "error": refusal.body(), "rateLimits": []}


def _text(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
