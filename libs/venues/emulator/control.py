"""The emulator's own addresses, for other processes: move the market, script faults, ask the truth."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from aiohttp import web
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import to_json

from venues.emulator.faults import Fault
from venues.emulator.orders import Order
from venues.emulator.words import Board, Phase, Side

if TYPE_CHECKING:
    from venues.emulator.emulator import Emulator

FAULTS = TypeAdapter(tuple[Fault, ...])
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Move(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: str
    board: Board | None = None


class QuoteMove(_Move):
    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal


class TradeMove(_Move):
    price: Decimal
    size: Decimal
    aggressor: Side


class MarkMove(_Move):
    mark: Decimal
    index: Decimal | None = None
    rate: Decimal | None = None
    next_funding_ms: int | None = None


class FundMove(_Move):
    rate: Decimal | None = None


class PhaseMove(_Move):
    phase: Phase


class Control:
    """Answers under `/emulator`."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def quote(self, request: web.Request) -> web.Response:
        move = QuoteMove.model_validate_json(await request.read())
        await self._emulator.quote(move.symbol, move.bid, move.bid_size, move.ask, move.ask_size, move.board)
        return _answer({})

    async def trade(self, request: web.Request) -> web.Response:
        move = TradeMove.model_validate_json(await request.read())
        await self._emulator.trade(move.symbol, move.price, move.size, move.aggressor, move.board)
        return _answer({})

    async def mark(self, request: web.Request) -> web.Response:
        move = MarkMove.model_validate_json(await request.read())
        await self._emulator.mark(move.symbol, move.mark, move.index, move.rate, move.next_funding_ms)
        return _answer({})

    async def fund(self, request: web.Request) -> web.Response:
        move = FundMove.model_validate_json(await request.read())
        await self._emulator.fund(move.symbol, move.rate)
        return _answer({})

    async def phase(self, request: web.Request) -> web.Response:
        move = PhaseMove.model_validate_json(await request.read())
        self._emulator.phase(move.symbol, move.phase, move.board)
        return _answer({})

    async def add_faults(self, request: web.Request) -> web.Response:
        self._emulator.faults.add(*FAULTS.validate_json(await request.read()))
        return _answer({})

    async def clear_faults(self, _: web.Request) -> web.Response:
        self._emulator.faults.clear()
        return _answer({})

    async def disconnect(self, _: web.Request) -> web.Response:
        self._emulator.disconnect()
        return _answer({})

    async def expire(self, _: web.Request) -> web.Response:
        self._emulator.expire_listen_key()
        return _answer({})

    async def truth(self, _: web.Request) -> web.Response:
        """Tell balances, positions, orders with how often each client id made one, and what the script did."""
        books = self._emulator.books
        spot, usdm = books.spot, books.usdm
        return _answer(
            {
                "spot": {asset: {"free": spot.free(asset), "locked": spot.locked(asset)} for asset in spot.assets},
                "usdm": {asset: usdm.ledger.free(asset) for asset in usdm.ledger.assets},
                "positions": {
                    f"{symbol} {side}": {"amount": position.amount, "cost": position.cost}
                    for (symbol, side), position in usdm.positions.items()
                },
                "created": {board: dict(books.venue(board).created) for board in Board},
                "orders": {board: [_order(order) for order in books.orders(board)] for board in Board},
                "faults": [
                    {"number": struck.number, "kind": struck.fault.kind, "site": struck.site, "time": struck.time}
                    for struck in self._emulator.faults.log
                ],
            }
        )


def control_routes(emulator: Emulator) -> list[web.RouteDef]:
    control = Control(emulator)
    return [
        web.get("/emulator/truth", control.truth),
        web.post("/emulator/quote", _checked(control.quote)),
        web.post("/emulator/trade", _checked(control.trade)),
        web.post("/emulator/mark", _checked(control.mark)),
        web.post("/emulator/fund", _checked(control.fund)),
        web.post("/emulator/phase", _checked(control.phase)),
        web.post("/emulator/faults", _checked(control.add_faults)),
        web.delete("/emulator/faults", control.clear_faults),
        web.post("/emulator/disconnect", control.disconnect),
        web.post("/emulator/expire", control.expire),
    ]


def _checked(handler: Handler) -> Handler:
    """Answer 400 with the reason where the body is wrong."""

    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except (ValidationError, ValueError) as error:
            return web.Response(status=400, text=f"{error}\n")

    return serve


def _order(order: Order) -> dict[str, object]:
    return {
        "id": order.id,
        "client_id": order.ticket.client_id,
        "symbol": order.pair.symbol,
        "side": order.side,
        "kind": order.ticket.kind,
        "status": order.status,
        "price": order.price,
        "quantity": order.quantity,
        "filled": order.filled,
        "fills": [
            {
                "id": fill.id,
                "price": fill.price,
                "quantity": fill.quantity,
                "fee": fill.fee,
                "fee_asset": fill.fee_asset,
            }
            for fill in order.fills
        ],
    }


def _answer(body: object) -> web.Response:
    return web.Response(body=to_json(body), content_type="application/json")
