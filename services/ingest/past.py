"""A past for the simulated market: what its bars would have been, had it run before."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.market import Bar
from contracts.types import Interval
from services.ingest.rules import SECOND
from venues.instruments import Instrument
from venues.market import SimulatedSymbol, start_price


@dataclass(slots=True)
class _Building:
    """A bar as it grows, in the prices of the simulation."""

    ts_open: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int


@dataclass(frozen=True, slots=True)
class Past:
    """A stretch [`begin`, `end`) (ns) of a simulated market. The same seed is the same market, whenever it is."""

    seed: str
    begin: int
    end: int
    quotes_per_s: float


def past(instrument: Instrument, stretch: Past, interval: Interval, ends_at: float | None) -> list[Bar]:
    """Give the bars of a simulated symbol, oldest first.

    Its prices are scaled as a whole, so that the last is `ends_at` (None: where the simulated feed begins) and what
    comes live goes on from it. A bar without trades repeats the last close, as live ones do; bars before the first
    trade are left out.
    """
    assert stretch.begin % interval.nanos == stretch.end % interval.nanos == 0
    built = _built(instrument, stretch, interval.nanos)
    if not built:
        return []
    scale = (ends_at or start_price(instrument)) / built[-1].close
    return [_bar(one, instrument, interval, scale) for one in built]


def _built(instrument: Instrument, stretch: Past, nanos: int) -> list[_Building]:
    symbol = SimulatedSymbol(instrument, f"{stretch.seed}/{instrument.id}", start_price(instrument))
    dt_s = 1 / stretch.quotes_per_s
    built: list[_Building] = []
    for now in range(stretch.begin, stretch.end, int(SECOND * dt_s)):
        if (traded := symbol.traded(dt_s)) is not None:
            _add(built, *traded, now - now % nanos, nanos)
    if built:
        _fill(built, stretch.end, nanos)
    return built


def _add(built: list[_Building], price: float, size: float, ts_open: int, nanos: int) -> None:
    if built:
        _fill(built, ts_open, nanos)
    if not built or built[-1].ts_open != ts_open:
        built.append(_Building(ts_open, price, price, price, price, size, 1))
        return
    bar = built[-1]
    bar.high, bar.low, bar.close = max(bar.high, price), min(bar.low, price), price
    bar.volume += size
    bar.trades += 1


def _fill(built: list[_Building], until: int, nanos: int) -> None:
    """Add the bars without trades that open before `until`."""
    while (ts_open := built[-1].ts_open + nanos) < until:
        close = built[-1].close
        built.append(_Building(ts_open, close, close, close, close, 0.0, 0))


def merged(bars: Sequence[Bar], interval: Interval) -> list[Bar]:
    """Make whole bars of a longer interval of bars that follow each other."""
    whole = interval.nanos // bars[0].interval.nanos if bars else 1
    groups: dict[int, list[Bar]] = {}
    for bar in bars:
        groups.setdefault(bar.ts_open - bar.ts_open % interval.nanos, []).append(bar)
    return [_joined(group, ts_open, interval) for ts_open, group in groups.items() if len(group) == whole]


def _joined(group: Sequence[Bar], ts_open: int, interval: Interval) -> Bar:
    """Join bars as live ones are: those without trades say nothing, unless there are no others."""
    group = [bar for bar in group if bar.trades] or group
    ts_close = ts_open + interval.nanos
    return Bar(
        ts_event=ts_close,
        ts_init=ts_close,
        instrument=group[0].instrument,
        interval=interval,
        ts_open=ts_open,
        ts_close=ts_close,
        open=group[0].open,
        high=max(bar.high for bar in group),
        low=min(bar.low for bar in group),
        close=group[-1].close,
        volume=sum(bar.volume for bar in group),
        trades=sum(bar.trades for bar in group),
    )


def _bar(one: _Building, instrument: Instrument, interval: Interval, scale: float) -> Bar:
    def price(value: float) -> float:
        return float(max(instrument.price(value * scale), instrument.tick))

    ts_close = one.ts_open + interval.nanos
    return Bar(
        ts_event=ts_close,
        ts_init=ts_close,
        instrument=instrument.id,
        interval=interval,
        ts_open=one.ts_open,
        ts_close=ts_close,
        open=price(one.open),
        high=price(one.high),
        low=price(one.low),
        close=price(one.close),
        volume=one.volume,
        trades=one.trades,
    )
