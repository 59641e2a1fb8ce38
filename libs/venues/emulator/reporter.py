"""What happens on a board, told to those who listen."""

from functools import partial

from venues.emulator import wire, wire_spot, wire_usdm, wire_usdm_money
from venues.emulator.book import DepthUpdate
from venues.emulator.candles import INTERVALS
from venues.emulator.hub import Hub, Render
from venues.emulator.ledger import Ledger
from venues.emulator.market import FundingPrint, Market, Print
from venues.emulator.orders import Algo, Fill, Order
from venues.emulator.usdm_account import Income, Key, UsdmAccount
from venues.emulator.words import Board, Execution, Side

DEPTHS = ("depth", "depth@0ms", "depth@100ms", "depth@250ms", "depth@500ms")
"""All of them are sent at once: a slower stream here is as fast as the fastest."""
MARKS = ("markPrice", "markPrice@1s")


class MarketReporter:
    """Tells of the public side of a board."""

    def __init__(self, board: Board, hub: Hub) -> None:
        self._board = board
        self._hub = hub
        self._best: dict[str, object] = {}

    def printed(self, market: Market, trade: Print) -> None:
        self._publish(market, "trade", lambda: wire.trade_event(market, trade), trade.time)
        self._publish(market, "aggTrade", lambda: wire.aggregate_event(market, trade), trade.time)
        for interval in INTERVALS:
            stream = f"kline_{interval}"
            if self._hub.wants(self._board, _stream(market, stream)):
                event = wire.kline_event(market, market.candles.current(interval), interval, trade.time)
                self._publish(market, stream, partial(dict, event), trade.time)

    def quoted(self, market: Market, update: DepthUpdate, now: int) -> None:
        streams = [_stream(market, depth) for depth in DEPTHS]
        self._hub.publish(
            self._board, market.pair.symbol, "depth", streams, lambda: wire.depth_event(market, update, now), now
        )
        bid, ask = market.book.best(Side.SELL), market.book.best(Side.BUY)
        if bid is None or ask is None or self._best.get(market.pair.symbol) == (bid, ask):
            return
        self._best[market.pair.symbol] = bid, ask
        self._publish(market, "bookTicker", lambda: wire.best_event(market, now), now, "!bookTicker")
        if self._board is Board.USDM and market.mark_follows:
            self.marked(market, now)

    def marked(self, market: Market, now: int) -> None:
        streams = [_stream(market, mark) for mark in MARKS]
        symbol = market.pair.symbol
        self._hub.publish(self._board, symbol, "markPrice", streams, lambda: wire_usdm.mark_event(market, now), now)
        arrays = [f"!{mark.replace('markPrice', 'markPrice@arr')}" for mark in MARKS]
        self._hub.publish(self._board, symbol, "markPrice", arrays, lambda: [wire_usdm.mark_event(market, now)], now)

    def _publish(self, market: Market, kind: str, render: Render, now: int, *more: str) -> None:
        self._hub.publish(self._board, market.pair.symbol, kind, (_stream(market, kind), *more), render, now)


def _stream(market: Market, kind: str) -> str:
    return f"{market.pair.symbol.lower()}@{kind}"


class SpotReporter(MarketReporter):
    """Tells of spot: an order report, then the balances that it touched."""

    def __init__(self, hub: Hub, ledger: Ledger) -> None:
        super().__init__(Board.SPOT, hub)
        self._ledger = ledger

    def ordered(self, order: Order, execution: Execution, fill: Fill | None, now: int) -> None:
        tell = partial(self._hub.tell, Board.SPOT, now=now)
        tell("executionReport", lambda: wire_spot.execution_report(order, execution, fill, now))
        assets = [order.pair.base, order.pair.quote, *([fill.fee_asset] if fill else [])]
        tell("outboundAccountPosition", lambda: wire_spot.account_position(self._ledger, assets, now))


class UsdmReporter(MarketReporter):
    """Tells of USD-M: wallet and position before the order report, as the exchange does."""

    account: UsdmAccount

    def __init__(self, hub: Hub) -> None:
        super().__init__(Board.USDM, hub)

    def ordered(self, order: Order, execution: Execution, fill: Fill | None, now: int) -> None:
        if fill is not None:
            key = (order.pair.symbol, order.ticket.position_side)
            self._moved("ORDER", (order.pair.quote, fill.fee_asset), [key], now)
        self._hub.tell(
            Board.USDM, "ORDER_TRADE_UPDATE", lambda: wire_usdm.order_update(order, execution, fill, now), now
        )

    def armed(self, algo: Algo, now: int) -> None:
        self._hub.tell(Board.USDM, "ALGO_UPDATE", lambda: wire_usdm.algo_update(algo, now), now)

    def funded(self, market: Market, funding: FundingPrint, paid: list[Income], now: int) -> None:  # noqa: ARG002
        if paid:
            self._moved("FUNDING_FEE", (market.pair.quote,), [], now)

    def _moved(self, reason: str, assets: tuple[str, ...], positions: list[Key], now: int) -> None:
        self._hub.tell(
            Board.USDM,
            "ACCOUNT_UPDATE",
            lambda: wire_usdm_money.account_update(self.account, reason, assets, positions, now),
            now,
        )
