"""The signed addresses of spot: orders, account, trades."""

from collections.abc import Callable
from decimal import Decimal

from venues.emulator import wire_spot
from venues.emulator.endpoints import Endpoint, Endpoints, Handler, Security
from venues.emulator.ledger import Ledger
from venues.emulator.orders import Order, Ticket
from venues.emulator.params import Params
from venues.emulator.public_api import public_endpoints
from venues.emulator.refusals import Refusal, mandatory, no_such_order, unknown_order
from venues.emulator.settings import EmulatorSettings
from venues.emulator.venue import SpotVenue
from venues.emulator.wire import Json
from venues.emulator.words import CONDITIONAL_ON_SPOT, LIMITED_ON_SPOT, SPOT_KINDS, Board, Kind, Side, TimeInForce


class ReplaceFailed(Refusal):
    """A cancel-replace that failed in part: its body tells both halves."""

    def __init__(self, code: int, text: str, data: Json) -> None:
        super().__init__(code, text, status=409 if code == -2021 else 400)
        self.data = data

    def body(self) -> dict[str, object]:
        return {**super().body(), "data": self.data}


class SpotApi:
    """Answers signed requests of spot."""

    def __init__(self, venue: SpotVenue, ledger: Ledger, settings: EmulatorSettings, new_id: Callable[[], str]) -> None:
        self._venue = venue
        self._ledger = ledger
        self._settings = settings
        self._new_id = new_id

    def endpoints(self) -> Endpoints:
        """Give all endpoints of the board by method and path."""

        def signed(handler: Handler, weight: int = 1, of_all: int = 0, *, is_order: bool = False) -> Endpoint:
            return Endpoint(Board.SPOT, handler, weight, of_all, Security.SIGNED, is_order)

        return {
            **public_endpoints(self._venue, self._settings, wire_spot.symbol_json),
            ("POST", "/api/v3/order"): signed(self.place, is_order=True),
            ("POST", "/api/v3/order/test"): signed(self.test),
            ("GET", "/api/v3/order"): signed(self.query, 4),
            ("DELETE", "/api/v3/order"): signed(self.cancel),
            ("POST", "/api/v3/order/cancelReplace"): signed(self.replace, is_order=True),
            ("GET", "/api/v3/openOrders"): signed(self.open_orders, 6, 80),
            ("DELETE", "/api/v3/openOrders"): signed(self.cancel_all),
            ("GET", "/api/v3/allOrders"): signed(self.all_orders, 20),
            ("GET", "/api/v3/myTrades"): signed(self.my_trades, 20),
            ("GET", "/api/v3/account"): signed(self.account, 20),
        }

    def place(self, params: Params) -> Json:
        kind = _kind(params)
        response = params.maybe("newOrderRespType") or ("FULL" if kind in {Kind.MARKET, Kind.LIMIT} else "ACK")
        return wire_spot.placed_json(self._venue.place(self._ticket(params, kind), params.now), response)

    def test(self, params: Params) -> Json:
        ticket = self._ticket(params, _kind(params))
        self._venue.check(ticket, self._venue.market(ticket.pair.symbol))
        return {}

    def query(self, params: Params) -> Json:
        order = self._find(params, "orderId", "origClientOrderId")
        if order is None:
            raise no_such_order()
        return wire_spot.order_json(order)

    def cancel(self, params: Params) -> Json:
        order = self._find(params, "orderId", "origClientOrderId")
        return self._cancel(order, params)

    def replace(self, params: Params) -> Json:
        """Cancel an order and place another; with STOP_ON_FAILURE the second only if the first was done."""
        mode = params.text("cancelReplaceMode")
        if mode not in {"STOP_ON_FAILURE", "ALLOW_FAILURE"}:
            raise Refusal(-1130, "Data sent for parameter 'cancelReplaceMode' is not valid.")
        canceled = _attempt(
            lambda: self._cancel(self._find(params, "cancelOrderId", "cancelOrigClientOrderId"), params)
        )
        attempted = not isinstance(canceled, Refusal) or mode == "ALLOW_FAILURE"
        placed = _attempt(lambda: self.place(params)) if attempted else None
        data: Json = {
            "cancelResult": "FAILURE" if isinstance(canceled, Refusal) else "SUCCESS",
            "newOrderResult": _outcome(placed),
            "cancelResponse": canceled.body() if isinstance(canceled, Refusal) else canceled,
            "newOrderResponse": placed.body() if isinstance(placed, Refusal) else placed,
        }
        failures = sum(isinstance(half, Refusal) or half is None for half in (canceled, placed))
        if failures == 2:
            raise ReplaceFailed(-2022, "Order cancel-replace failed.", data)
        if failures == 1:
            raise ReplaceFailed(-2021, "Order cancel-replace partially failed.", data)
        return data

    def open_orders(self, params: Params) -> object:
        symbol = params.maybe("symbol")
        if symbol is not None:
            self._venue.market(symbol)
        found = (order for order in self._venue.open.values() if symbol in {None, order.pair.symbol})
        return [wire_spot.order_json(order) for order in found]

    def cancel_all(self, params: Params) -> object:
        symbol = params.text("symbol")
        self._venue.market(symbol)
        orders = [order for order in self._venue.open.values() if order.pair.symbol == symbol]
        if not orders:
            raise unknown_order()
        return [self._cancel(order, params) for order in orders]

    def all_orders(self, params: Params) -> object:
        """Give orders of a symbol: from an id, or of a period, the latest `limit`."""
        symbol = params.text("symbol")
        self._venue.market(symbol)
        start, end = params.period()
        first = params.maybe_integer("orderId")
        found = [
            order
            for order in self._venue.of(symbol)
            if (first is None or order.id >= first)
            and (start is None or order.created >= start)
            and (end is None or order.created <= end)
        ]
        limit = params.limit(500, 1_000)
        return [wire_spot.order_json(order) for order in (found[:limit] if first is not None else found[-limit:])]

    def my_trades(self, params: Params) -> object:
        """Give executions of a symbol: of an order, from an id, or of a period."""
        symbol = params.text("symbol")
        self._venue.market(symbol)
        start, end = params.period()
        first, order_id = params.maybe_integer("fromId"), params.maybe_integer("orderId")
        found = [
            (order, fill)
            for order in self._venue.of(symbol)
            for fill in order.fills
            if (order_id is None or order.id == order_id)
            and (first is None or fill.id >= first)
            and (start is None or fill.time >= start)
            and (end is None or fill.time <= end)
        ]
        found.sort(key=lambda pair: pair[1].id)
        limit = params.limit(500, 1_000)
        chosen = found[:limit] if first is not None or start is not None else found[-limit:]
        return [wire_spot.fill_json(order, fill) for order, fill in chosen]

    def account(self, params: Params) -> Json:
        ledger = self._ledger
        listed = {asset for market in self._venue.markets.values() for asset in (market.pair.base, market.pair.quote)}
        assets = sorted(listed | set(ledger.assets))
        if params.flag("omitZeroBalances"):
            assets = [asset for asset in assets if ledger.total(asset)]
        return wire_spot.account_json(ledger, self._settings, assets, params.now)

    def _find(self, params: Params, id_name: str, client_name: str) -> Order | None:
        symbol = params.text("symbol")
        self._venue.market(symbol)
        order_id, client_id = params.maybe_integer(id_name), params.maybe(client_name)
        if order_id is None and client_id is None:
            raise Refusal(-1102, f"Param '{client_name}' or '{id_name}' must be sent, but both were empty/null!")
        return self._venue.find(symbol, order_id, client_id)

    def _cancel(self, order: Order | None, params: Params) -> Json:
        if order is None:
            raise unknown_order()
        by = params.maybe("cancelNewClientOrderId") or self._new_id()
        self._venue.cancel(order, params.now, by)
        return wire_spot.canceled_json(order)

    def _ticket(self, params: Params, kind: Kind) -> Ticket:
        market = self._venue.market(params.text("symbol"))
        side = params.word("side", Side, Refusal(-1117, "Invalid side."))
        quote_quantity = params.maybe_decimal("quoteOrderQty") if kind is Kind.MARKET else None
        trailing = params.maybe_decimal("trailingDelta") if kind in CONDITIONAL_ON_SPOT else None
        stop = params.maybe_decimal("stopPrice") if kind in CONDITIONAL_ON_SPOT else None
        if params.has("price") and kind not in LIMITED_ON_SPOT:
            raise Refusal(-1106, "Parameter 'price' sent when not required.")
        if kind in LIMITED_ON_SPOT and kind is not Kind.LIMIT_MAKER and not params.has("timeInForce"):
            raise mandatory("timeInForce")
        force = params.word("timeInForce", TimeInForce, Refusal(-1115, "Invalid timeInForce."), TimeInForce.GTC)
        if force is TimeInForce.GTX:
            raise Refusal(-1115, "Invalid timeInForce.")
        return Ticket(
            pair=market.pair,
            side=side,
            kind=kind,
            client_id=params.client_id("newClientOrderId", self._new_id()),
            quantity=params.decimal("quantity") if quote_quantity is None else Decimal(0),
            time_in_force=force,
            price=params.decimal("price") if kind in LIMITED_ON_SPOT else None,
            stop_price=stop if trailing is None else None,
            quote_quantity=quote_quantity,
            iceberg_quantity=params.maybe_decimal("icebergQty") or Decimal(0),
            trailing=trailing / 10_000 if trailing is not None else None,
            activation=stop if trailing is not None else None,
        )


def _kind(params: Params) -> Kind:
    kind = params.word("type", Kind, Refusal(-1116, "Invalid orderType."))
    if kind not in SPOT_KINDS:
        raise Refusal(-1116, "Invalid orderType.")
    return kind


def _attempt(half: Callable[[], Json]) -> Json | Refusal:
    try:
        return half()
    except Refusal as refusal:
        return refusal


def _outcome(placed: Json | Refusal | None) -> str:
    if placed is None:
        return "NOT_ATTEMPTED"
    return "FAILURE" if isinstance(placed, Refusal) else "SUCCESS"
