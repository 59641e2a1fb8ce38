"""The examination: a run with all the past, and short ones that begin within it, compared over the same windows."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product, takewhile

from pydantic import BaseModel

from contracts.control import DeadLetter
from contracts.event import Event
from contracts.market import Bar, Funding, MarketGap, Quote, Trade
from contracts.ownership import ROLES
from contracts.types import Interval
from services.backtest.lookahead.examination import Preparing
from services.backtest.lookahead.futures import begins
from services.backtest.playing import Reached, play
from services.backtest.run import Ending, Run
from services.backtest.settings import BacktestSettings, Unusable
from services.backtest.sources import as_told
from services.backtest.warmup.comparing import Comparison, compare, within
from services.backtest.warmup.decisions import Decisions, Kind
from services.backtest.wiring import STRATEGIES, Wiring

LEARNERS = ("params",)
"""Components that learn from trades: what they know is experience, of which there is never enough."""

_MARKET = (Quote, Trade, Bar, Funding, MarketGap, DeadLetter)


@dataclass(frozen=True)
class Plan:
    """How much past is given, in bars, and what is compared."""

    starts: tuple[int, ...] = (0, 25, 50, 100, 200, 400)
    places: int = 8
    """So many times each is given, before windows that lie evenly over the later half of the data."""
    window: int = 200
    """Bars behind each place in which decisions are compared: what differs after that is another history."""
    tolerance: float = 1e-4
    """Amounts that differ by no more than this share are the same."""
    experience: bool = False
    """Let presets be chosen by past trades; by default nobody does."""


@dataclass(frozen=True)
class Examination:
    """What was found. `bar` is the unit of `past`, `windows` (ns) are where decisions were compared."""

    bar: Interval
    windows: tuple[range, ...]
    whole_past: int
    """How many bars there were before the first window."""
    left_out: tuple[int, ...]
    """Starts for which there is not enough data."""
    comparisons: tuple[Comparison, ...]

    @property
    def kinds(self) -> list[Kind]:
        return sorted({one.kind for one in self.comparisons}, key=lambda kind: (kind.who, kind.what))

    @property
    def shortest_start(self) -> int:
        return min(one.past for one in self.comparisons)

    def enough(self, kind: Kind, *, undue: bool = False) -> int | None:
        """Give the shortest past from which on nothing differs; None if even with the longest something does.

        With `undue` only what differs though the same was held counts.
        """
        found: int | None = None
        for one in sorted(self.of(kind), key=lambda one: -one.past):
            if one.undue if undue else one.differing:
                return found
            found = one.past
        return found

    def of(self, kind: Kind) -> list[Comparison]:
        return [one for one in self.comparisons if one.kind == kind]

    @property
    def failing(self) -> list[Comparison]:
        """List who speaks too early in the runs with the shortest past."""
        return [one for one in self.comparisons if one.past == self.shortest_start and one.too_early]


def examine(prepare: Preparing, asked: BacktestSettings, plan: Plan, begun: Callable[[int], Reached]) -> Examination:
    """Make the run with all the past, then one for each start and place; raises `Unusable` where that cannot be.

    `begun` is told before each run which one it is, from 1, and gives who follows its progress.
    """
    whole = Decisions()
    run, bar = _played(prepare, asked, plan, whole, None, begun(1))
    assert run.first_ts is not None
    assert run.last_ts is not None
    windows = _windows(run.first_ts, run.last_ts, plan, bar)
    whole_past = (windows[0].start - run.first_ts) // bar.nanos
    starts = sorted({start for start in plan.starts if start < whole_past})
    if not starts:
        raise Unusable(
            f"there are only {whole_past:,} bars of {bar.value} before what is compared",
            "give more data, or fewer bars with --starts",
        )
    found: dict[tuple[int, Kind], Comparison] = {}
    for number, (start, window) in enumerate(product(starts, windows), start=2):
        part = Decisions(window.start)
        stretch = range(window.start - start * bar.nanos, window.stop)
        _played(prepare, asked, plan, part, stretch, begun(number))
        for kind in {kind for one in (whole, part) for kind in one.made if within(one, kind, window)}:
            compare(found.setdefault((start, kind), Comparison(start, kind)), whole, part, window, plan.tolerance)
    if not found:
        raise Unusable("nobody decided anything where it is compared", "give more data, or other strategies")
    left_out = tuple(sorted(set(plan.starts) - set(starts)))
    return Examination(bar, windows, whole_past, left_out, tuple(found.values()))


def _played(
    prepare: Preparing,
    asked: BacktestSettings,
    plan: Plan,
    hearer: Decisions,
    stretch: range | None,
    reached: Reached,
) -> tuple[Run, Interval]:
    with prepare(as_told if stretch is None else lambda events: from_moment(events, stretch.start)) as there:
        wiring = there.wiring if plan.experience else without_learners(there.wiring)
        run, source = Run(wiring, None, hearer), there.source
        if stretch is not None:
            source = replace(source, events=takewhile(lambda event: event.ts_init < stretch.stop, source.events))
        ending, why = play(run, source, asked, reached)
    if ending is not Ending.COMPLETE:
        raise Unusable(f"a run {ending.value}: {why}", "look at it with hmm backtest")
    if stretch is None and not run.events:
        raise Unusable("there are no events in that time", "look at --from and --to")
    return run, bar_of(wiring.settings)


def from_moment(events: Iterator[Event], begin: int) -> Iterator[Event]:
    """Leave out the market before `begin` (ns); models and an operator's words stay, since they hold from then on."""
    return (event for event in events if not isinstance(event, _MARKET) or begins(event) >= begin)


def without_learners(wiring: Wiring) -> Wiring:
    return replace(wiring, settings={name: its for name, its in wiring.settings.items() if name not in LEARNERS})


def bar_of(settings: Mapping[str, BaseModel]) -> Interval:
    """Give the longest bars that a strategy of the run decides on; of one that tells none, minutes."""
    own = [its for name, its in settings.items() if name in STRATEGIES or name not in ROLES]
    told = [interval for its in own if isinstance(interval := getattr(its, "interval", None), Interval)]
    return max(told, key=lambda interval: interval.nanos, default=Interval.M1)


def _windows(first: int, last: int, plan: Plan, bar: Interval) -> tuple[range, ...]:
    """Lay windows evenly over the later half; each begins with a bar, as do runs that begin so many bars before it."""
    begin, length = last - (last - first) // 2, plan.window * bar.nanos
    room = max(0, last - length - begin)
    begins_at = {begin + room * number // max(1, plan.places - 1) for number in range(plan.places)}
    aligned = sorted({at - at % bar.nanos for at in begins_at})
    return tuple(range(at, min(at + length, last + 1)) for at in aligned)
