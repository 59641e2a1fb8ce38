"""The HTTP side: finds the endpoint, asks the gate, lets the script of faults interfere."""

import asyncio
from collections.abc import Callable
from urllib.parse import parse_qsl

from aiohttp import web
from pydantic_core import to_json

from venues.emulator.endpoints import Endpoints
from venues.emulator.faults import FaultKind
from venues.emulator.gate import Asked, Gate
from venues.emulator.refusals import Refusal
from venues.emulator.trouble import Trouble
from venues.emulator.words import Board


class Front:
    """Answers HTTP requests of both boards."""

    def __init__(self, endpoints: Endpoints, gate: Gate, trouble: Trouble, now: Callable[[], int]) -> None:
        self._endpoints = endpoints
        self._gate = gate
        self._trouble = trouble
        self._now = now

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; a fault may drop the connection before or after it was done."""
        payload = await _payload(request)
        faults = self._trouble.strike(f"{request.method} {request.path}", self._now())
        if FaultKind.DROP_BEFORE in faults:
            return _dropped(request)
        board = Board.USDM if request.path.startswith("/fapi") else Board.SPOT
        limits = self._gate.limits[board]
        try:
            self._trouble.refuse_before(faults, limits, self._now())
            answer = self._do(request, payload)
            self._trouble.refuse_after(faults)
        except Refusal as refusal:
            return _refused(refusal, limits.headers())
        if (hold := faults.get(FaultKind.HOLD)) is not None:
            await asyncio.sleep(hold.seconds)
        if FaultKind.DROP_AFTER in faults:
            return _dropped(request)
        return _json(200, answer, limits.headers())

    def _do(self, request: web.Request, payload: str) -> object:
        endpoint = self._endpoints.get((request.method, request.path))
        if endpoint is None:
            raise Refusal(-5000, f"Path {request.path}, Method {request.method} is invalid", status=404)
        values = dict(parse_qsl(payload, keep_blank_values=True))
        signed, _, _ = payload.partition("&signature=")
        return self._gate.answer(endpoint, Asked(values, request.headers.get("X-MBX-APIKEY"), signed), self._now())


async def _payload(request: web.Request) -> str:
    """Join query and form as they were signed."""
    body = await request.text() if request.can_read_body else ""
    return request.raw_path.partition("?")[2] + body


def _dropped(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _refused(refusal: Refusal, headers: dict[str, str]) -> web.Response:
    if refusal.retry_after_s is not None:
        headers = {**headers, "Retry-After": str(refusal.retry_after_s)}
    return _json(refusal.status, refusal.body(), headers)


def _json(status: int, body: object, headers: dict[str, str]) -> web.Response:
    return web.Response(status=status, body=to_json(body), content_type="application/json", headers=headers)
