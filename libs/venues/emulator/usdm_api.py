"""The addresses of USD-M that concern orders and algo orders, and its listen keys."""

from collections.abc import Callable
from functools import partial

from venues.emulator import wire_usdm
from venues.emulator.endpoints import Endpoint, Endpoints, Handler, Security
from venues.emulator.keys import ListenKeys
from venues.emulator.orders import Algo, Order
from venues.emulator.params import Params
from venues.emulator.public_api import public_endpoints
from venues.emulator.refusals import Refusal, no_such_order, unknown_order
from venues.emulator.settings import EmulatorSettings
from venues.emulator.usdm_funds import UsdmFunds
from venues.emulator.usdm_tickets import algo_ticket, order_ticket
from venues.emulator.usdm_venue import UsdmVenue
from venues.emulator.wire import Json
from venues.emulator.words import AlgoStatus, Board, Side


class UsdmApi:
    """Answers requests about orders of USD-M."""

    def __init__(
        self, venue: UsdmVenue, settings: EmulatorSettings, keys: ListenKeys, new_id: Callable[[], str]
    ) -> None:
        self._venue = venue
        self._settings = settings
        self._keys = keys
        self._new_id = new_id

    def endpoints(self) -> Endpoints:
        """Give all endpoints of the board by method and path."""

        def signed(handler: Handler, weight: int = 1, of_all: int = 0, *, is_order: bool = False) -> Endpoint:
            return Endpoint(Board.USDM, handler, weight, of_all, Security.SIGNED, is_order)

        def keyed(handler: Handler) -> Endpoint:
            return Endpoint(Board.USDM, handler, security=Security.KEY)

        return {
            **public_endpoints(self._venue, self._settings, self._symbol_json),
            **UsdmFunds(self._venue, self._settings).endpoints(),
            ("POST", "/fapi/v1/order"): signed(self.place, is_order=True),
            ("PUT", "/fapi/v1/order"): signed(self.amend, is_order=True),
            ("GET", "/fapi/v1/order"): signed(self.query),
            ("DELETE", "/fapi/v1/order"): signed(self.cancel),
            ("GET", "/fapi/v1/openOrder"): signed(self.query_open),
            ("GET", "/fapi/v1/openOrders"): signed(self.open_orders, 1, 40),
            ("DELETE", "/fapi/v1/allOpenOrders"): signed(self.cancel_all),
            ("GET", "/fapi/v1/allOrders"): signed(self.all_orders, 5),
            ("GET", "/fapi/v1/userTrades"): signed(self.user_trades, 5),
            ("POST", "/fapi/v1/algoOrder"): signed(self.arm, is_order=True),
            ("GET", "/fapi/v1/algoOrder"): signed(self.query_algo),
            ("DELETE", "/fapi/v1/algoOrder"): signed(self.disarm),
            ("GET", "/fapi/v1/openAlgoOrders"): signed(self.open_algos, 1, 40),
            ("DELETE", "/fapi/v1/algoOpenOrders"): signed(self.disarm_all),
            ("GET", "/fapi/v1/allAlgoOrders"): signed(self.all_algos, 5),
            ("POST", "/fapi/v1/listenKey"): keyed(lambda params: {"listenKey": self._keys.open(params.now)}),
            ("PUT", "/fapi/v1/listenKey"): keyed(lambda params: {"listenKey": self._keys.keep_alive(params.now)}),
            ("DELETE", "/fapi/v1/listenKey"): keyed(self._close_key),
        }

    @property
    def _symbol_json(self) -> Callable[..., object]:
        return partial(wire_usdm.symbol_json, settings=self._settings)

    def _close_key(self, _: Params) -> Json:
        self._keys.close()
        return {}

    def place(self, params: Params) -> Json:
        ticket = order_ticket(params, self._venue, self._new_id())
        return wire_usdm.order_json(self._venue.place(ticket, params.now))

    def amend(self, params: Params) -> Json:
        order = self._found(params)
        side = params.word("side", Side, Refusal(-1117, "Invalid side."))
        if order is None or order.side is not side:
            raise no_such_order()
        self._venue.amend(order, params.decimal("price"), params.decimal("quantity"), params.now)
        return wire_usdm.order_json(order)

    def query(self, params: Params) -> Json:
        order = self._found(params)
        if order is None:
            raise no_such_order()
        return wire_usdm.order_json(order)

    def query_open(self, params: Params) -> Json:
        order = self._found(params)
        if order is None or not order.status.is_open:
            raise no_such_order()
        return wire_usdm.order_json(order)

    def cancel(self, params: Params) -> Json:
        order = self._found(params)
        if order is None:
            raise unknown_order()
        self._venue.cancel(order, params.now)
        return wire_usdm.order_json(order)

    def open_orders(self, params: Params) -> object:
        symbol = self._maybe_symbol(params)
        found = (order for order in self._venue.open.values() if symbol in {None, order.pair.symbol})
        return [wire_usdm.order_json(order) for order in found]

    def cancel_all(self, params: Params) -> Json:
        symbol = self._symbol(params)
        for order in [order for order in self._venue.open.values() if order.pair.symbol == symbol]:
            if order.status.is_open:
                self._venue.cancel(order, params.now)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def all_orders(self, params: Params) -> object:
        """Give orders of a symbol: from an id, or of a period, the latest `limit`."""
        start, end = params.period()
        first = params.maybe_integer("orderId")
        found = [
            order
            for order in self._venue.of(self._symbol(params))
            if (first is None or order.id >= first)
            and (start is None or order.created >= start)
            and (end is None or order.created <= end)
        ]
        limit = params.limit(500, 1_000)
        return [wire_usdm.order_json(order) for order in (found[:limit] if first is not None else found[-limit:])]

    def user_trades(self, params: Params) -> object:
        """Give executions of a symbol: of an order, from an id, or of a period."""
        start, end = params.period()
        first, order_id = params.maybe_integer("fromId"), params.maybe_integer("orderId")
        found = [
            (order, fill)
            for order in self._venue.of(self._symbol(params))
            for fill in order.fills
            if (order_id is None or order.id == order_id)
            and (first is None or fill.id >= first)
            and (start is None or fill.time >= start)
            and (end is None or fill.time <= end)
        ]
        found.sort(key=lambda pair: pair[1].id)
        limit = params.limit(500, 1_000)
        chosen = found[:limit] if first is not None or start is not None else found[-limit:]
        return [wire_usdm.fill_json(order, fill) for order, fill in chosen]

    def arm(self, params: Params) -> Json:
        return wire_usdm.algo_json(self._venue.arm(algo_ticket(params, self._venue, self._new_id()), params.now))

    def query_algo(self, params: Params) -> Json:
        algo = self._found_algo(params)
        if algo is None:
            raise no_such_order()
        return wire_usdm.algo_json(algo)

    def disarm(self, params: Params) -> Json:
        algo = self._found_algo(params)
        if algo is None:
            raise unknown_order()
        self._venue.disarm(algo, params.now)
        return {"algoId": algo.id, "clientAlgoId": algo.ticket.client_id, "code": "200", "msg": "success"}

    def open_algos(self, params: Params) -> object:
        symbol = self._maybe_symbol(params)
        return [wire_usdm.algo_json(algo) for algo in self._algos(symbol) if algo.status is AlgoStatus.NEW]

    def disarm_all(self, params: Params) -> Json:
        for algo in self._algos(self._symbol(params)):
            if algo.status is AlgoStatus.NEW:
                self._venue.disarm(algo, params.now)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def all_algos(self, params: Params) -> object:
        first = params.maybe_integer("algoId") or 0
        found = [algo for algo in self._algos(self._symbol(params)) if algo.id >= first]
        return [wire_usdm.algo_json(algo) for algo in found[-params.limit(500, 1_000) :]]

    def _algos(self, symbol: str | None) -> list[Algo]:
        return [algo for algo in self._venue.algos.values() if symbol in {None, algo.ticket.pair.symbol}]

    def _found(self, params: Params) -> Order | None:
        symbol = self._symbol(params)
        order_id, client_id = params.maybe_integer("orderId"), params.maybe("origClientOrderId")
        if order_id is None and client_id is None:
            raise Refusal(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
        return self._venue.find(symbol, order_id, client_id)

    def _found_algo(self, params: Params) -> Algo | None:
        algo_id, client_id = params.maybe_integer("algoId"), params.maybe("clientAlgoId")
        if algo_id is None and client_id is None:
            raise Refusal(-1102, "Param 'algoId' or 'clientAlgoId' must be sent, but both were empty/null!")
        return self._venue.find_algo(self._maybe_symbol(params), algo_id, client_id)

    def _symbol(self, params: Params) -> str:
        return self._venue.market(params.text("symbol")).pair.symbol

    def _maybe_symbol(self, params: Params) -> str | None:
        return self._symbol(params) if params.has("symbol") else None
