"""One venue through ccxt: every request in our words, every failure as what it means for the order.

Only this file touches ccxt. Importing it takes seconds and 100 MB, so that is done where a client is made.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

from contracts.orders import OrderTerms
from contracts.types import InstrumentId, OrderType, TimeInForce, instrument_id, symbol_of
from venues.live.gate import Gate, Urgency
from venues.live.outcomes import WRONG_TIME, NotFound, NotNow, Refused, Unheard, VenueFailure, failure_of
from venues.live.settings import LiveSettings, LiveVenue, read_secret
from venues.live.translate import (
    MS,
    balance_views,
    funding_view,
    market_view,
    order_view,
    position_view,
    trade_view,
)
from venues.reconciliation.views import AccountView, FundingView, MarketView, VenueOrderView, VenueTradeView

logger = logging.getLogger(__name__)

T = TypeVar("T")

Permit = Callable[[], Awaitable[None]]
"""Returns when we may still write as the gateway; raises when another instance has taken over."""

PAGE = 500
"""Trades asked for at once."""
WAIT_UNLESS_TOLD_S = 5.0
EMULATOR_KEYS = ("emulator-key", "emulator-secret")


class _NotPermitted(Exception):
    """Carries what the permit raised past what is made of the venue's own failures."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(reason)
        self.reason = reason


async def _permitted(permit: Permit) -> None:
    try:
        await permit()
    except Exception as reason:
        raise _NotPermitted(reason) from reason


class VenueClient:
    """Speaks to one venue. Every method raises a `VenueFailure` that says whether what was asked was done."""

    def __init__(self, venue: LiveVenue, settings: LiveSettings) -> None:
        self.venue = venue
        self.name = venue.value
        self.replaces = venue is LiveVenue.SPOT
        """Spot orders cannot be changed: another order takes their place."""
        self.is_derivative = venue is LiveVenue.USDM
        self.gate = Gate(settings.requests_per_s, settings.burst)
        self._settings = settings
        self._exchange = _exchange(venue, settings)

    # -- the venue -----------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Learn the venue's instruments and its time. Raises `Refused` if it is set up in a way we do not support."""
        await self._ask(Urgency.RESOLVE, self._exchange.load_time_difference)
        await self._ask(Urgency.RESOLVE, self._exchange.load_markets)
        if self.is_derivative:
            mode = await self._ask(Urgency.RESOLVE, self._exchange.fetch_position_mode)
            if mode["hedged"]:
                raise Refused("binanceusdm: the account is in hedge mode; switch it to one-way mode")

    async def close(self) -> None:
        await self._exchange.close()

    async def markets(self) -> tuple[MarketView, ...]:
        """Look at the rules of all watched instruments that the venue lists."""
        await self._ask(Urgency.COMPARE, lambda: self._exchange.load_markets(True))  # noqa: FBT003 # ccxt's own
        named = (instrument_id(self.name, symbol) for symbol in self._settings.symbols)
        return tuple(market_view(self._market(one), one) for one in named if self.lists(one))

    def now(self) -> int:
        """The venue's time, as far as we know it (ns)."""
        return time.time_ns() - int(self._exchange.options.get("timeDifference") or 0) * MS

    def lists(self, instrument: InstrumentId) -> bool:
        return symbol_of(instrument) in self._exchange.markets_by_id

    def bases(self) -> dict[InstrumentId, str]:
        """Name the currency that a trade moves, of every instrument."""
        return {
            instrument_id(self.name, name): str(markets[0]["base"])
            for name, markets in self._exchange.markets_by_id.items()
        }

    # -- orders --------------------------------------------------------------------------------------------------

    def objection(self, order: OrderTerms) -> str | None:
        """Say why this order cannot be sent as it is; None if it can."""
        if not self.lists(order.instrument):
            return f"{self.name} lists no {symbol_of(order.instrument)}"
        if order.order_type not in (OrderType.MARKET, OrderType.LIMIT):
            return f"{order.order_type.value}: conditional orders are held by the router, not sent"
        if order.display_quantity is not None and not self.replaces:
            return f"{self.name} has no icebergs: the router sends slices"
        symbol = self._market(order.instrument)["symbol"]
        if not _unchanged(self._exchange.amount_to_precision, symbol, order.quantity):
            return f"quantity {order.quantity} is no multiple of the lot that {self.name} lists"
        if order.limit_price is not None and not _unchanged(
            self._exchange.price_to_precision, symbol, order.limit_price
        ):
            return f"limit_price {order.limit_price} is no multiple of the tick that {self.name} lists"
        return None

    async def submit(
        self, order: OrderTerms, name: str, quantity: Decimal, price: Decimal | None, permit: Permit
    ) -> VenueOrderView:
        """Bring an order to the venue under `name`.

        It is dated before the permit is asked for, and the venue takes none that is older than the receive window: so
        whatever holds this process up, an order cannot arrive later than that after the permit.
        """
        market = self._market(order.instrument)
        params: dict[str, Any] = {"newClientOrderId": name}
        if order.post_only:
            params["postOnly"] = True
        elif order.order_type is OrderType.LIMIT:
            immediate = order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)
            params["timeInForce"] = order.time_in_force.value.upper() if immediate else "GTC"
        if order.reduce_only and self.is_derivative:
            params["reduceOnly"] = True
        if order.display_quantity is not None:
            params["icebergQty"] = f"{order.display_quantity:f}"

        async def send() -> Any:  # noqa: ANN401 # ccxt has no types
            params["timestamp"] = self._exchange.nonce()
            await _permitted(permit)
            return await self._exchange.create_order(
                market["symbol"],
                order.order_type.value,
                order.side.value,
                f"{quantity:f}",
                None if price is None else f"{price:f}",
                params,
            )

        urgency = Urgency.PROTECT if order.reduce_only else Urgency.TRADE
        return self._view(await self._ask(urgency, send), name)

    async def cancel(self, instrument: InstrumentId, name: str) -> VenueOrderView:
        symbol = self._market(instrument)["symbol"]
        params = {"origClientOrderId": name}
        canceled = await self._ask(Urgency.PROTECT, lambda: self._exchange.cancel_order("", symbol, params))
        return self._view(canceled, name)

    async def cancel_by_venue_id(self, instrument: InstrumentId, venue_order_id: str) -> VenueOrderView:
        symbol = self._market(instrument)["symbol"]
        canceled = await self._ask(Urgency.PROTECT, lambda: self._exchange.cancel_order(venue_order_id, symbol))
        return self._view(canceled)

    async def amend(
        self, order: OrderTerms, venue_order_id: str, quantity: Decimal, price: Decimal, permit: Permit
    ) -> VenueOrderView:
        """Change an order in its place; for venues that do not replace. `quantity` includes what is filled."""
        assert not self.replaces
        symbol = self._market(order.instrument)["symbol"]

        async def send() -> Any:  # noqa: ANN401 # ccxt has no types
            params = {"origClientOrderId": order.client_order_id, "timestamp": self._exchange.nonce()}
            await _permitted(permit)
            return await self._exchange.edit_order(
                venue_order_id, symbol, "limit", order.side.value, f"{quantity:f}", f"{price:f}", params
            )

        return self._view(await self._ask(Urgency.TRADE, send), order.client_order_id)

    async def look_up(self, instrument: InstrumentId, name: str) -> VenueOrderView:
        """Find an order by its client order id. Raises `NotFound`."""
        symbol = self._market(instrument)["symbol"]
        params = {"origClientOrderId": name}
        found = await self._ask(Urgency.RESOLVE, lambda: self._exchange.fetch_order("", symbol, params))
        return self._view(found, name)

    async def look_up_by_venue_id(self, instrument: InstrumentId, venue_order_id: str) -> VenueOrderView:
        """Find an order by the venue's own id. Raises `NotFound`."""
        symbol = self._market(instrument)["symbol"]
        return self._view(await self._ask(Urgency.RESOLVE, lambda: self._exchange.fetch_order(venue_order_id, symbol)))

    async def open_orders(self) -> list[VenueOrderView]:
        found = await self._ask(Urgency.COMPARE, self._exchange.fetch_open_orders)
        return [self._view(order) for order in found]

    async def trades(self, instrument: InstrumentId, since: int) -> list[VenueTradeView]:
        """List our trades from `since` (ns) on, oldest first."""
        found: dict[str, VenueTradeView] = {}
        start = since // MS
        while True:
            page = await self._page_of_trades(instrument, start)
            found.update((trade.trade_id, trade) for trade in page)
            if len(page) < PAGE:
                return list(found.values())
            start = max(page[-1].traded_at // MS, start + 1)

    async def _page_of_trades(self, instrument: InstrumentId, start_ms: int) -> list[VenueTradeView]:
        symbol = self._market(instrument)["symbol"]
        page = await self._ask(Urgency.COMPARE, lambda: self._exchange.fetch_my_trades(symbol, start_ms, PAGE))
        return [self._trade(trade) for trade in page]

    async def trades_of(self, instrument: InstrumentId, venue_order_id: str) -> list[VenueTradeView]:
        symbol, params = self._market(instrument)["symbol"], {"orderId": venue_order_id}
        page = await self._ask(Urgency.RESOLVE, lambda: self._exchange.fetch_my_trades(symbol, None, PAGE, params))
        return [self._trade(trade) for trade in page]

    # -- the account ---------------------------------------------------------------------------------------------

    async def account(self) -> AccountView:
        balances = balance_views(await self._ask(Urgency.COMPARE, self._exchange.fetch_balance))
        if not self.is_derivative:
            return AccountView(balances, ())
        positions = await self._ask(Urgency.COMPARE, self._exchange.fetch_positions)
        return AccountView(balances, tuple(position_view(one, self._instrument(one)) for one in positions))

    async def funding(self, since: int) -> list[FundingView]:
        """List what was paid for positions from `since` (ns) on."""
        if not self.is_derivative:
            return []
        paid = await self._ask(Urgency.COMPARE, lambda: self._exchange.fetch_funding_history(None, since // MS, PAGE))
        return [funding_view(income, self._instrument(income)) for income in paid]

    async def funding_rate(self, payment: FundingView) -> float | None:
        """Give the rate of a payment, as the venue published it; None if it does not say."""
        symbol, around = self._market(payment.instrument)["symbol"], payment.paid_at // MS
        rates = await self._ask(
            Urgency.COMPARE,
            lambda: self._exchange.fetch_funding_rate_history(symbol, around - 60_000, 10),
        )
        near = [rate for rate in rates if abs(int(rate["timestamp"]) - around) <= 60_000]
        return float(near[-1]["fundingRate"]) if near else None

    # -- streams -------------------------------------------------------------------------------------------------

    async def next_orders(self) -> list[VenueOrderView]:
        """Wait for the next changes of orders."""
        return [self._view(order) for order in await self._heard(self._exchange.watch_orders)]

    async def next_trades(self) -> list[VenueTradeView]:
        """Wait for the next trades of ours."""
        return [self._trade(trade) for trade in await self._heard(self._exchange.watch_my_trades)]

    async def next_balance(self) -> None:
        """Wait until something has moved in the account."""
        await self._heard(self._exchange.watch_balance)

    def renew_streams(self) -> None:
        """Break every stream, so that it is built anew; with a new listen key, since ccxt does not see one expire."""
        self.forget_listen_key()
        for stream in list(self._exchange.clients.values()):
            stream.on_error(ConnectionError(f"the streams of {self.name} are renewed"))

    def forget_listen_key(self) -> None:
        """Let the next stream ask for a listen key; one that is still good is given again."""
        kept = self._exchange.options.get("linear")
        if self.is_derivative and kept:
            self._exchange.options["linear"] = {**kept, "listenKey": None, "lastAuthenticatedTime": 0}

    # -- below ---------------------------------------------------------------------------------------------------

    async def _ask(self, urgency: Urgency, request: Callable[[], Awaitable[T]]) -> T:
        await self.gate.passed(urgency)
        try:
            async with asyncio.timeout(self._settings.request_timeout_s + 1):
                return await request()
        except _NotPermitted as forbidden:
            raise forbidden.reason from None
        except Exception as error:  # whatever it is: the request may have been done
            failure = await self._failure_of(error)
            raise failure from error

    async def _failure_of(self, error: Exception) -> VenueFailure:
        """Say what an exception means; ccxt raises anything, also after a request was done."""
        failure = failure_of(error, self._exchange.last_response_headers or {}, WAIT_UNLESS_TOLD_S)
        if isinstance(failure, NotNow):
            self.gate.close_for(failure.after_s)
            if str(WRONG_TIME) in str(failure):
                await self._set_the_clock()
        return failure

    async def _set_the_clock(self) -> None:
        try:
            await self._exchange.load_time_difference()
        except Exception as error:  # noqa: BLE001 # the next request finds out
            logger.warning("%s does not tell its time: %r", self.name, error)

    async def _heard(self, watch: Callable[[], Awaitable[T]]) -> T:
        try:
            return await watch()
        except Exception as error:  # whatever it is: the stream is built anew
            failure = await self._failure_of(error)
            raise failure from error

    def _market(self, instrument: InstrumentId) -> Mapping[str, Any]:
        markets = self._exchange.markets_by_id.get(symbol_of(instrument))
        if not markets:
            raise NotFound(f"{self.name} lists no {symbol_of(instrument)}")
        market: Mapping[str, Any] = markets[0]
        return market

    def _instrument(self, structure: Mapping[str, Any]) -> InstrumentId:
        return instrument_id(self.name, str(self._exchange.market(structure["symbol"])["id"]))

    def _view(self, order: Mapping[str, Any], name: str | None = None) -> VenueOrderView:
        try:
            view = order_view(order, self._instrument(order), str(self._exchange.market(order["symbol"])["quote"]))
        except (KeyError, ValueError, ArithmeticError) as error:
            raise Unheard(
                f"{self.name} tells of an order in a way we do not know ({error!r}): {order}"[:1000]
            ) from None
        return view if name is None else replace(view, client_order_id=name)

    def _trade(self, trade: Mapping[str, Any]) -> VenueTradeView:
        return trade_view(trade, self._instrument(trade), str(self._exchange.market(trade["symbol"])["quote"]))


def _unchanged(to_precision: Callable[[str, str], str], symbol: str, value: Decimal) -> bool:
    """Say whether ccxt, which cuts off what does not fit, would send the value as it is."""
    try:
        return Decimal(to_precision(symbol, f"{value:f}")) == value
    except Exception:  # noqa: BLE001 # it raises when nothing is left
        return False


def _exchange(venue: LiveVenue, settings: LiveSettings) -> Any:  # noqa: ANN401 # ccxt has no types
    import ccxt.pro  # noqa: PLC0415 # it takes seconds and 100 MB, which nobody else shall pay for

    spot = venue is LiveVenue.SPOT
    exchange = (ccxt.pro.binance if spot else ccxt.pro.binanceusdm)(
        {
            "enableRateLimit": False,  # the gate does that, and knows what is urgent
            "timeout": int(settings.request_timeout_s * 1000),
            "options": {
                "recvWindow": int(settings.recv_window_s * 1000),
                "fetchCurrencies": False,
                "fetchMarkets": {"types": ["spot" if spot else "linear"]},
                "warnOnFetchOpenOrdersWithoutSymbol": False,
                "defaultType": "spot" if spot else "swap",
                "watchBalance": {"fetchBalanceSnapshot": False, "awaitBalanceSnapshot": False},
                "watchPositions": {"fetchPositionsSnapshot": False},
            },
        }
    )
    exchange.number = str
    if settings.emulator:
        from venues.emulator.pointing import point  # noqa: PLC0415 # it brings the emulator along

        point(exchange, settings.emulator, settings.emulator.replace("http", "ws", 1), *EMULATOR_KEYS)
        return exchange
    key, secret = settings.key_files(venue)
    assert key is not None and secret is not None, "checked when the settings were read"
    exchange.apiKey, exchange.secret = read_secret(key), read_secret(secret)
    return exchange
