"""A market of coin flips in which models are trained within the run: nothing in it can be foreseen, ever."""

from collections.abc import Iterator, Sequence
from random import Random

from contracts.event import Event
from contracts.market import Bar, Quote, Trade
from contracts.types import Interval, Side, instrument_id
from services.backtest.settings import BacktestSettings
from services.backtest.wiring import Nature, Wiring, wire
from tests.backtested import USUAL
from venues.instruments import LISTING

COIN = instrument_id("binance", "BTCUSDT")
MINUTE = Interval.M1.nanos
START = 1_700_000_040 * 1_000_000_000
STEP = 0.001
TELLING, SILENT = 50.0, 5.0
"""Volume of the bar behind one that rose, and behind one that fell: who sees the next bar knows what this one did."""

DIRECTION = ("window=1", "lookback=5", "least_observations=100", "hold_out=0.3")
REGIME = ("states=[2]", "mixtures=[1]", "restarts=1", "folds=2", "slow_every=0", "least_dwell=1", "tolerance=0.001")
TAUGHT = (
    'scheduler.plans=[{"interval":"1m","families":["direction"]}]',
    *("scheduler.first_rows=240", "scheduler.new_rows=120", "scheduler.min_gap_s=0", "scheduler.cron="),
    *(f"trainer.direction.{setting}" for setting in DIRECTION),
    *(f"trainer.regime.{setting}" for setting in (*REGIME, *DIRECTION)),
    *("trainer.direction.gate.least_observations=30", "trainer.direction.gate.most_calibration_error=1"),
    *("trainer.regime.gate.least_observations=30", "trainer.regime.gate.most_calibration_error=1"),
)
BOTH = ('scheduler.plans=[{"interval":"1m"}]',)


def flips(count: int, seed: int = 1) -> list[bool]:
    """Say of each bar whether it rises."""
    chance = Random(seed)  # noqa: S311 # a market, not a secret
    return [chance.random() < 0.5 for _ in range(count)]


def coin_market(rises: Sequence[bool], start: int = START) -> Iterator[Event]:
    """A quote and two trades a minute: at the close before, and half a minute later where the coin has sent it."""
    price, before = 60_000.0, False
    for number, up in enumerate(rises):
        opened, size = start + number * MINUTE, TELLING if before else SILENT
        yield _quote(opened, price)
        yield _trade(opened + 1, price, size / 2, number)
        price = round(price * (1 + STEP if up else 1 - STEP), 2)
        yield _trade(opened + MINUTE // 2, price, size / 2, number)
        before = up


def taught(*changes: str, training_s: float = 60.0, train: bool = True) -> Wiring:
    """Wire a run that trains on minutes."""
    settings = BacktestSettings(changes=(*TAUGHT, *changes) if train else changes, train=train, training_s=training_s)
    return wire(settings, USUAL, LISTING, Nature(Interval.M1))


def bars_of(rises: Sequence[bool]) -> list[Bar]:
    """The bars of such a market, for who trains without a run."""
    bars, price, before = [], 60_000.0, False
    for number, up in enumerate(rises):
        opened, after = START + number * MINUTE, round(price * (1 + STEP if up else 1 - STEP), 2)
        bars.append(
            Bar(
                ts_event=opened + MINUTE,
                ts_init=opened + MINUTE,
                instrument=COIN,
                interval=Interval.M1,
                ts_open=opened,
                ts_close=opened + MINUTE,
                open=price,
                high=max(price, after),
                low=min(price, after),
                close=after,
                volume=TELLING if before else SILENT,
                trades=2,
            )
        )
        price, before = after, up
    return bars


def _quote(at: int, price: float) -> Quote:
    bid, ask = round(price - 0.01, 2), round(price + 0.01, 2)
    return Quote(ts_event=at, ts_init=at, instrument=COIN, bid=bid, bid_size=100.0, ask=ask, ask_size=100.0)


def _trade(at: int, price: float, size: float, number: int) -> Trade:
    return Trade(
        ts_event=at, ts_init=at, instrument=COIN, price=price, size=size, aggressor=Side.BUY, trade_id=str(number)
    )
