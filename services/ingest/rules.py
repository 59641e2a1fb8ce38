"""What a page of candles is worth: what is wrong with it is named, and nothing is guessed."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from statistics import median

from contracts.control import Alert
from contracts.market import Bar
from contracts.types import MAX_TEXT, InstrumentId, Interval, Severity
from eventstore.marketdata.times import moment

SECOND = 1_000_000_000
MAD_TO_DEVIATION = 1.4826
"""A normal distribution's standard deviation is so many times its median absolute deviation (Rousseeuw, Croux 1993)."""
LEAST_DEVIATION = 1e-5
"""A tenth of a basis point: in a market that stood still, less than this is no excursion."""
RETURNED = 0.25
"""An excursion is over when the next bar keeps within this share of it."""


class Flaw(Enum):
    """What can be wrong with a candle."""

    REPEATED = "repeated"
    """The same candle twice: one of them is dropped."""
    OUT_OF_ORDER = "out_of_order"
    """It comes after a later one: it is put in its place."""
    CONTRADICTED = "contradicted"
    """Two candles of one time that differ: neither is believed."""
    OFF_GRID = "off_grid"
    """No bar of this interval opens then."""
    NOT_A_NUMBER = "not_a_number"
    NOT_POSITIVE = "not_positive"
    """A price that is not above zero, or a volume below it."""
    INCONSISTENT = "inconsistent"
    """High and low do not hold open and close."""
    OUTLIER = "outlier"
    """The price was far away for this bar alone."""
    GAP = "gap"
    """Bars between two others are missing."""

    @property
    def is_repaired(self) -> bool:
        """Whether nothing is lost by it."""
        return self in (Flaw.REPEATED, Flaw.OUT_OF_ORDER)


class OutlierPolicy(Enum):
    KEEP = "keep"
    """It is counted and told, and stays: the market may have been there."""
    DROP = "drop"
    """It is counted and told, and is missing from then on."""


@dataclass(frozen=True, slots=True)
class Candle:
    """A candle as its source tells it: anything may be wrong. `line` says where it stands, if that helps to find it."""

    ts_open: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int = 0
    line: int = 0

    @property
    def values(self) -> tuple[float, ...]:
        return (self.open, self.high, self.low, self.close, self.volume)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with the bar that opens at `ts_open`."""

    flaw: Flaw
    ts_open: int
    text: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Sifted:
    """The bars that a page is good for, oldest first, and what was wrong with the rest of it."""

    bars: tuple[Bar, ...]
    findings: tuple[Finding, ...]

    @property
    def repaired(self) -> int:
        return sum(finding.flaw.is_repaired for finding in self.findings)


def sift(candles: Sequence[Candle], instrument: InstrumentId, interval: Interval, closed_by: int) -> Sifted:
    """Make bars of the candles that had closed by `closed_by` (ns); of one that still goes on nothing is said."""
    findings: list[Finding] = []
    kept: dict[int, Candle] = {}
    contradicted: set[int] = set()
    latest = -1
    for candle in candles:
        if candle.ts_open + interval.nanos > closed_by:
            continue
        if found := flaw_of(candle, interval):
            findings.append(found)
            continue
        known = kept.get(candle.ts_open)
        if known is None:
            kept[candle.ts_open] = candle
            if candle.ts_open < latest:
                findings.append(_found(Flaw.OUT_OF_ORDER, candle, f"it comes after {moment(latest)}"))
        elif known.values == candle.values:
            findings.append(_found(Flaw.REPEATED, candle, "it is there twice"))
        else:
            contradicted.add(candle.ts_open)
            text = f"it is there twice, closing at {known.close:g} and at {candle.close:g}"
            findings.append(_found(Flaw.CONTRADICTED, candle, text))
        latest = max(latest, candle.ts_open)
    bars = [
        _bar(candle, instrument, interval) for ts_open, candle in sorted(kept.items()) if ts_open not in contradicted
    ]
    return Sifted(tuple(bars), tuple(findings))


def flaw_of(candle: Candle, interval: Interval) -> Finding | None:
    """Say what is wrong with a candle by itself; None if nothing is."""
    if not all(map(math.isfinite, candle.values)):
        names = ("open", "high", "low", "close", "volume")
        wrong = [name for name, value in zip(names, candle.values, strict=True) if not math.isfinite(value)]
        return _found(Flaw.NOT_A_NUMBER, candle, f"{', '.join(wrong)}: not a number")
    if candle.ts_open < 0 or candle.ts_open % interval.nanos:
        return _found(Flaw.OFF_GRID, candle, f"no bar of {interval.value} opens then")
    if min(candle.open, candle.high, candle.low, candle.close) <= 0:
        return _found(Flaw.NOT_POSITIVE, candle, "a price is not above zero")
    if candle.volume < 0 or candle.trades < 0:
        return _found(Flaw.NOT_POSITIVE, candle, f"the volume is {candle.volume:g}")
    if not candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high:
        text = f"open {candle.open:g} and close {candle.close:g} do not lie within [{candle.low:g}, {candle.high:g}]"
        return _found(Flaw.INCONSISTENT, candle, text)
    return None


def outliers(bars: Sequence[Bar], deviations: float) -> tuple[Bar, ...]:
    """Name the bars whose price went more than `deviations` robust deviations away from the close before them, and
    that the next bar has nothing left of.

    The deviation is that of all excursions among `bars`. The first and the last are not judged: so what is said of some
    bars depends on them alone.
    """
    if len(bars) < 3:
        return ()
    excursions = [_excursion(bar, before.close) for before, bar in pairwise(bars)]
    far = deviations * max(MAD_TO_DEVIATION * median(excursions), LEAST_DEVIATION)
    return tuple(
        bar
        for before, bar, after, excursion in zip(bars, bars[1:], bars[2:], excursions, strict=False)
        if excursion > far and _excursion(after, before.close) <= RETURNED * excursion
    )


def alerts(findings: Sequence[Finding], who: str, what: str, now: int) -> Iterator[Alert]:
    """Tell of findings: one alert for each kind of flaw, with the first of its kind; what was put right needs none."""
    by_flaw: dict[Flaw, list[Finding]] = {}
    for finding in findings:
        by_flaw.setdefault(finding.flaw, []).append(finding)
    for flaw, found in by_flaw.items():
        if flaw.is_repaired:
            continue
        first = found[0]
        text = (
            f"{what}: {flaw.value.replace('_', ' ')} {len(found)}x, first at {moment(first.ts_open)}: {first.text}. "
            f"{_REMEDY[flaw]}"
        )
        yield Alert(
            ts_event=now,
            ts_init=now,
            component=who,
            severity=Severity.INFO if flaw is Flaw.GAP else Severity.WARNING,
            code=f"candles_{flaw.value}",
            message=text[:MAX_TEXT],
        )


_MISSING = "What is refused counts as missing, and is not asked for again"
_REMEDY: Mapping[Flaw, str] = {
    Flaw.REPEATED: "",
    Flaw.OUT_OF_ORDER: "",
    Flaw.CONTRADICTED: _MISSING,
    Flaw.OFF_GRID: _MISSING,
    Flaw.NOT_A_NUMBER: _MISSING,
    Flaw.NOT_POSITIVE: _MISSING,
    Flaw.INCONSISTENT: _MISSING,
    Flaw.OUTLIER: "Whether such bars are kept is HMM_INGEST_OUTLIERS",
    Flaw.GAP: "The source has no good bar there",
}


def _excursion(bar: Bar, close: float) -> float:
    """How far (log) a bar went from the close before it."""
    return max(abs(math.log(bar.high / close)), abs(math.log(bar.low / close)))


def _found(flaw: Flaw, candle: Candle, text: str) -> Finding:
    return Finding(flaw, max(candle.ts_open, 0), text, candle.line)


def _bar(candle: Candle, instrument: InstrumentId, interval: Interval) -> Bar:
    ts_close = candle.ts_open + interval.nanos
    return Bar(
        ts_event=ts_close,
        ts_init=ts_close,
        instrument=instrument,
        interval=interval,
        ts_open=candle.ts_open,
        ts_close=ts_close,
        open=candle.open,
        high=candle.high,
        low=candle.low,
        close=candle.close,
        volume=candle.volume,
        trades=candle.trades,
    )
