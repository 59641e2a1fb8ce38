"""The reference workload on NautilusTrader 2, with its core in Rust: a peer of `bench_memory_tape`.

It runs in the peer's own Python, not in ours:

    python peer_nautilus2.py QUOTES FAST SLOW

Everything is as its own examples have it, and where there is a choice the faster one is taken: averages in Rust that
take the quote as it comes (twice as fast as handing them a price), all quotes in memory, no logging, no statistics
after the run. Only the engine's run is timed. Prints one line of JSON; `pnl` is at the last mid, after fees.

The result is that of the reference: orders, position and, to the cent, PnL. Its prices are integers of a fixed scale
and those of the reference floats, so where the averages are equal but for rounding an order may come a quote earlier or
later: twice in 4,543 orders of EMA 10/20.
"""

# mypy: disallow-subclassing-any=False

import gc
import json
import platform
import runpy
import sys
import time
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig  # type: ignore[import-not-found]
from nautilus_trader.common import LoggerConfig  # type: ignore[import-not-found]
from nautilus_trader.execution import MakerTakerFeeModel  # type: ignore[import-not-found]
from nautilus_trader.indicators import ExponentialMovingAverage  # type: ignore[import-not-found]
from nautilus_trader.model import (  # type: ignore[import-not-found]
    AccountType,
    Currency,
    CurrencyPair,
    InstrumentId,
    Money,
    OmsType,
    OrderSide,
    Price,
    PriceType,
    Quantity,
    QuoteTick,
    Symbol,
    TraderId,
    Venue,
)
from nautilus_trader.risk import RiskEngineConfig  # type: ignore[import-not-found]
from nautilus_trader.trading import Strategy, StrategyConfig  # type: ignore[import-not-found]

WORKLOAD = runpy.run_path(str(Path(__file__).resolve().parents[3] / "shared" / "bench" / "workload.py"))
VENUE = Venue("SIM")
COIN = InstrumentId.from_str("BTC0USDT.SIM")
USDT = Currency.from_str("USDT")
CAPITAL = Money(1_000_000, USDT)
CENT = 0.01
FEE = Decimal(str(WORKLOAD["FEE"]))
QUANTITY = Quantity(WORKLOAD["QTY"], 3)
TWICE = Quantity(2 * WORKLOAD["QTY"], 3)


class CrossConfig(StrategyConfig):
    def __init__(self, *, fast: int, slow: int) -> None:
        self.fast, self.slow = fast, slow


class Cross(Strategy):
    """Always in the market: long while the fast average of mid prices is above the slow one, short while below."""

    def __init__(self, config: CrossConfig) -> None:
        super().__init__(config)
        self.fast = ExponentialMovingAverage(config.fast, PriceType.MID)
        self.slow = ExponentialMovingAverage(config.slow, PriceType.MID)
        self.is_long: bool | None = None

    def on_start(self) -> None:
        self.orders = self.order_factory
        self.subscribe_quotes(COIN)

    def on_quote(self, quote: QuoteTick) -> None:
        fast, slow = self.fast, self.slow
        fast.handle_quote_tick(quote)
        slow.handle_quote_tick(quote)
        is_up = fast.value > slow.value
        if is_up is not self.is_long and slow.initialized and fast.value != slow.value:
            self.turn(is_long=is_up)

    def turn(self, *, is_long: bool) -> None:
        side = OrderSide.BUY if is_long else OrderSide.SELL
        self.submit_order(self.orders.market(COIN, side, QUANTITY if self.is_long is None else TWICE))
        self.is_long = is_long


def instrument() -> CurrencyPair:
    return CurrencyPair(
        instrument_id=COIN,
        raw_symbol=Symbol("BTC0USDT"),
        base_currency=Currency.from_str("BTC"),
        quote_currency=USDT,
        price_precision=1,
        size_precision=3,
        price_increment=Price(0.1, 1),
        size_increment=Quantity(0.001, 3),
        ts_event=0,
        ts_init=0,
        margin_init=Decimal("0.05"),
        margin_maint=Decimal("0.025"),
    )


def engine() -> BacktestEngine:
    made = BacktestEngine(
        BacktestEngineConfig(
            trader_id=TraderId("BENCH-001"),
            logging=LoggerConfig(bypass_logging=True),
            bypass_logging=True,
            run_analysis=False,
            risk_engine=RiskEngineConfig(max_order_submit_rate="1000000/00:00:01"),
        )
    )
    made.add_venue(
        VENUE,
        OmsType.NETTING,
        AccountType.MARGIN,
        [CAPITAL],
        base_currency=USDT,
        default_leverage=Decimal(10),
        fee_model=MakerTakerFeeModel(FEE, FEE),
    )
    made.add_instrument(instrument())
    return made


def quotes(mids: list[int]) -> list[QuoteTick]:
    tick, began, step = WORKLOAD["TICK"], WORKLOAD["T0"], WORKLOAD["DT"]
    size = Quantity(1, 3)
    return [
        QuoteTick(COIN, Price((mid - 1) * tick, 1), Price((mid + 1) * tick, 1), size, size, at, at)
        for at, mid in zip(range(began, began + len(mids) * step, step), mids, strict=True)
    ]


def play(count: int, fast: int, slow: int) -> dict[str, object]:
    mids: list[int] = WORKLOAD["mids"](count)
    playing = engine()
    playing.add_data(quotes(mids), validate=False)
    playing.add_strategy(Cross(CrossConfig(fast=fast, slow=slow)))
    gc.collect()
    gc.freeze()
    began, busy = time.perf_counter(), time.process_time()
    playing.run()
    wall, cpu = time.perf_counter() - began, time.process_time() - busy
    cash = playing.cache.account_for_venue(VENUE).balance_total(USDT).as_decimal() - CAPITAL.as_decimal()
    unrealized = playing.portfolio.unrealized_pnl(COIN, Price(mids[-1] * WORKLOAD["TICK"], 1)).as_decimal()
    orders = sum(order.is_closed for order in playing.cache.orders())
    position = sum(position.signed_qty for position in playing.cache.positions_open())
    expected = WORKLOAD["reference"](count, fast, slow)
    assert (orders, round(position, 3)) == (expected["orders"], expected["final_position"])
    assert abs(float(cash + unrealized) - expected["pnl_at_last_mid"]) < CENT
    return {
        "engine": "nautilus_trader",
        "version": version("nautilus_trader"),
        "python": platform.python_version(),
        "ema": [fast, slow],
        "events": count,
        "run_s": round(wall, 3),
        "events_per_s": round(count / wall),
        "events_per_cpu_s": round(count / cpu),
        "orders": orders,
        "position": position,
        "pnl": str(cash + unrealized),
    }


if __name__ == "__main__":
    print(json.dumps(play(*map(int, sys.argv[1:]))))
