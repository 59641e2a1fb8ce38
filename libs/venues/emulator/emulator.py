"""The emulated exchange: Binance spot and USD-M on loopback, enough for the real ccxt and ccxt.pro to trade there."""

import asyncio
import time
from collections.abc import Iterable
from decimal import Decimal
from random import Random
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from venues.emulator.account import Account
from venues.emulator.api_sockets import ApiSockets
from venues.emulator.books import Books
from venues.emulator.candles import Candle
from venues.emulator.control import control_routes
from venues.emulator.endpoints import Endpoints
from venues.emulator.faults import Fault, FaultKind, Faults
from venues.emulator.frames import Frame, MarkFrame, QuoteFrame, Recording, read
from venues.emulator.front import Front
from venues.emulator.gate import Gate
from venues.emulator.hub import Hub
from venues.emulator.keys import ListenKeys
from venues.emulator.market import Market
from venues.emulator.market_sockets import MarketSockets, expired
from venues.emulator.orders import Order
from venues.emulator.pointing import point
from venues.emulator.reporter import SpotReporter, UsdmReporter
from venues.emulator.settings import EmulatorSettings
from venues.emulator.spot_account import SpotAccount
from venues.emulator.spot_api import SpotApi
from venues.emulator.trouble import Trouble
from venues.emulator.usdm_account import UsdmAccount
from venues.emulator.usdm_api import UsdmApi
from venues.emulator.usdm_venue import UsdmVenue
from venues.emulator.venue import SpotVenue, Venue
from venues.emulator.words import Board, Phase, Side

HOST = "127.0.0.1"

Number = float | Decimal


class Emulator:
    """One exchange with one account. Use it as `async with Emulator(settings) as emulator`.

    `books` is its truth, `faults` the script of what goes wrong, `point(exchange)` turns a ccxt exchange to it, and
    `quote`, `trade`, `mark`, `fund` move its market. A symbol that both boards list moves on both, unless `board` says.
    """

    def __init__(self, settings: EmulatorSettings | None = None) -> None:
        self.settings = settings or EmulatorSettings()
        self.faults = Faults(self.settings.seed)
        self.skew_ms = 0
        self._random = Random(self.settings.seed)  # noqa: S311 - to be the same again
        self._keys = ListenKeys(int(self.settings.listen_key_life_s * 1000), self._random)
        self._hub = Hub(self.faults, self._on_fault)
        self._gate = Gate(self.settings)
        self._trouble = Trouble(self.faults, self._on_fault)
        self._spot, self._usdm = self._spot_venue(), self._usdm_venue()
        self.books = Books(self._spot.account.ledger, self._usdm.account, self._spot, self._usdm)
        self._runner: web.AppRunner | None = None
        self._port = 0

    def _markets(self, board: Board) -> dict[str, Market]:
        kept = self.settings.history
        return {pair.symbol: Market(pair, kept) for pair in self.settings.pairs if pair.board is board}

    def _spot_venue(self) -> SpotVenue:
        account = SpotAccount(self.settings, self._bnb_price)
        reporter = SpotReporter(self._hub, account.ledger)
        venue = SpotVenue(Board.SPOT, self.settings, self._markets(Board.SPOT), account, reporter)
        venue.portion = self._portion
        return venue

    def _usdm_venue(self) -> UsdmVenue:
        markets = self._markets(Board.USDM)
        reporter = UsdmReporter(self._hub)
        account = reporter.account = UsdmAccount(self.settings, markets, self._bnb_price)
        venue = UsdmVenue(self.settings, markets, account, reporter)
        venue.portion = self._portion
        return venue

    async def __aenter__(self) -> Self:
        endpoints = self._endpoints()
        front = Front(endpoints, self._gate, self._trouble, self.now)
        api = ApiSockets(endpoints, self._gate, self._hub, self._trouble, self.now)
        sockets = MarketSockets(self._hub, self._keys, self.now)
        app = web.Application()
        app.add_routes(
            [
                web.get("/ws-api/v3", api.serve),
                web.get("/ws-fapi/v1", api.serve),
                web.get("/fstream/private/ws", sockets.usdm_user),
                web.get("/fstream/private/ws/{key}", sockets.usdm_user),
                web.get("/stream{rest:.*}", sockets.market),
                web.get("/fstream{rest:.*}", sockets.market),
                *control_routes(self),
                web.route("*", "/{path:.*}", front.serve),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self.settings.port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        self._hub.drop_all()
        await self._runner.cleanup()
        self._runner = None

    def _endpoints(self) -> Endpoints:
        spot = SpotApi(self._spot, self.books.spot, self.settings, self._new_id)
        usdm = UsdmApi(self._usdm, self.settings, self._keys, self._new_id)
        return {**spot.endpoints(), **usdm.endpoints()}

    @property
    def rest_url(self) -> str:
        return f"http://{HOST}:{self._port}"

    @property
    def ws_url(self) -> str:
        return f"ws://{HOST}:{self._port}"

    @property
    def listeners(self) -> int:
        """How many subscriptions to streams stand; a test waits for its own before it moves the market."""
        return self._hub.listeners

    def now(self) -> int:
        """The exchange's time in ms: the machine's, moved by `skew_ms`."""
        return time.time_ns() // 1_000_000 + self.skew_ms

    def point(self, exchange: Any) -> None:  # noqa: ANN401 - ccxt has no types
        """Turn a `binance` or `binanceusdm` of ccxt or ccxt.pro to this exchange."""
        point(exchange, self.rest_url, self.ws_url, self.settings.api_key, self.settings.secret)

    async def quote(
        self, symbol: str, bid: Number, bid_size: Number, ask: Number, ask_size: Number, board: Board | None = None
    ) -> None:
        """Show a quote: this size at the best prices, and the same again at each of the levels behind."""
        for venue in self._venues(symbol, board):
            market = venue.market(symbol)
            bids = self._levels(market, market.on_tick(bid), _exact(bid_size), -1)
            asks = self._levels(market, market.on_tick(ask), _exact(ask_size), 1)
            venue.show(symbol, bids, asks, self.now())
        await asyncio.sleep(0)

    async def show(
        self, symbol: str, bids: dict[Decimal, Decimal], asks: dict[Decimal, Decimal], board: Board | None = None
    ) -> None:
        """Show a whole book: sizes by price."""
        for venue in self._venues(symbol, board):
            venue.show(symbol, bids, asks, self.now())
        await asyncio.sleep(0)

    async def trade(
        self, symbol: str, price: Number, size: Number, aggressor: Side | str, board: Board | None = None
    ) -> None:
        """Show a trade between others; `aggressor` is who took: BUY or SELL, in either case."""
        side = Side(str(getattr(aggressor, "value", aggressor)).upper())
        for venue in self._venues(symbol, board):
            venue.trade(symbol, venue.market(symbol).on_tick(price), _exact(size), side, self.now())
        await asyncio.sleep(0)

    async def mark(
        self,
        symbol: str,
        mark: Number,
        index: Number | None = None,
        rate: Number | None = None,
        next_funding_ms: int | None = None,
    ) -> None:
        """Set mark and index price of a USD-M symbol, and the funding that is to come."""
        market = self._usdm.market(symbol)
        if rate is not None:
            market.rate = _exact(rate)
        if next_funding_ms is not None:
            market.next_funding = next_funding_ms
        self._usdm.mark(symbol, _exact(mark), _exact(index) if index is not None else None, self.now())
        await asyncio.sleep(0)

    async def fund(self, symbol: str, rate: Number | None = None) -> None:
        """Settle funding of a USD-M symbol now, at its mark price; without a rate at the one that was announced."""
        market = self._usdm.market(symbol)
        self._usdm.fund(symbol, _exact(rate) if rate is not None else market.rate, self.now())
        await asyncio.sleep(0)

    def phase(self, symbol: str, phase: Phase, board: Board | None = None) -> None:
        """Stop or resume the trading of a symbol; open orders stay."""
        for venue in self._venues(symbol, board):
            venue.market(symbol).phase = phase

    def history(self, symbol: str, candles: Iterable[Candle], board: Board | None = None) -> None:
        """Put in candles of one minute that happened before."""
        kept = list(candles)
        for venue in self._venues(symbol, board):
            venue.market(symbol).candles.put(kept)

    def disconnect(self) -> None:
        """Close every websocket."""
        self._hub.drop_all()

    def expire_listen_key(self) -> None:
        """Let the listen key of USD-M end now; its stream says so, and is silent from then on."""
        key, now = self._keys.key, self.now()
        if key is not None:
            self._keys.close()
            self._hub.end_users(Board.USDM, "listenKeyExpired", lambda: expired(key, now), now)

    async def play(self, recordings: Iterable[Recording], speed: float | None = None) -> int:
        """Play recorded frames, `speed` times as fast as they came (None: at once); give their number."""
        count, began, first = 0, time.monotonic(), None
        for frame in read(recordings):
            if first is None:
                first = frame.at_ns
            if speed is not None:
                ahead = (frame.at_ns - first) / 1e9 / speed - (time.monotonic() - began)
                await asyncio.sleep(max(ahead, 0))
            await self.play_frame(frame)
            count += 1
        return count

    async def play_frame(self, frame: Frame) -> None:
        """Play one frame; a symbol that is not listed is passed over."""
        listed = (self._spot if frame.board is Board.SPOT else self._usdm).markets
        if frame.symbol not in listed:
            return
        if isinstance(frame, QuoteFrame):
            await self.quote(frame.symbol, frame.bid, frame.bid_size, frame.ask, frame.ask_size, frame.board)
        elif isinstance(frame, MarkFrame):
            await self.mark(frame.symbol, frame.mark, frame.index, frame.rate, frame.next_funding_ms)
        else:
            await self.trade(frame.symbol, frame.price, frame.size, frame.aggressor, frame.board)

    def _venues(self, symbol: str, board: Board | None) -> list[Venue[Account]]:
        venues: list[Venue[Account]] = [self._spot, self._usdm]
        found = [venue for venue in venues if symbol in venue.markets and board in {None, venue.board}]
        if not found:
            raise ValueError(f"{symbol} is not listed" + (f" on {board}" if board else ""))
        return found

    def _levels(self, market: Market, best: Decimal, size: Decimal, direction: int) -> dict[Decimal, Decimal]:
        prices = (best + direction * number * market.pair.tick for number in range(self.settings.levels))
        return {price: size for price in prices if price > 0 and size > 0}

    def _bnb_price(self) -> Decimal:
        market = self._spot.markets.get("BNBUSDT")
        return (market.last if market is not None else None) or self.settings.bnb_price

    def _portion(self, order: Order, quantity: Decimal) -> Decimal:
        site = f"match {order.pair.board} {order.pair.symbol}"
        for fault in self.faults.strike(site, self.now(), (FaultKind.PARTIAL,)):
            quantity *= fault.share
        return quantity

    def _on_fault(self, fault: Fault) -> None:
        """Do what a fault does to the exchange itself."""
        if fault.kind is FaultKind.SKEW:
            self.skew_ms += int(fault.seconds * 1000)
        elif fault.kind is FaultKind.EXPIRE_KEY:
            self.expire_listen_key()
        elif fault.kind is FaultKind.BREAK:
            for venue in (self._spot, self._usdm):
                for symbol, market in venue.markets.items():
                    if fault.symbol in {None, symbol}:
                        market.phase = Phase.BREAK

    def _new_id(self) -> str:
        return f"{self._random.getrandbits(88):022x}"


def _exact(value: Number) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(repr(value))
