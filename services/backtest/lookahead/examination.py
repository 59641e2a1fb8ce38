"""The examination: a run made whole, then made again with other futures, and compared event for event."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import takewhile

from contracts.event import Event
from contracts.recorded import Recorded
from services.backtest.lookahead.futures import Future, behind
from services.backtest.lookahead.moments import Cut, chosen
from services.backtest.lookahead.prints import Prints, print_of, print_of_told, writer_of
from services.backtest.lookahead.stamps import StampFinding
from services.backtest.playing import Reached, play
from services.backtest.run import Ending, Run
from services.backtest.settings import BacktestSettings, Unusable
from services.backtest.sources import Change, Source, as_told, within
from services.backtest.wiring import Wiring
from tape.verdict import Difference, differences

DATA = "data"
"""Who tells what a source tells."""


@dataclass(frozen=True)
class Prepared:
    """A source that was opened, and who will hear it."""

    source: Source
    wiring: Wiring


Preparing = Callable[[Change], AbstractContextManager[Prepared]]
"""Opens the same data once more, with this done to its rows."""


@dataclass(frozen=True)
class Divergence:
    """The first event that is another one: `whole` as the whole run has it, `other` with another future; None: none."""

    cut: Cut
    who: str
    position: int | None
    """None: of what the source told, quotes and trades for instance."""
    at: int
    whole: Event | None
    other: Event | None
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Compared:
    """What came of one cut: how much was compared, of whom."""

    cut: Cut
    told: int
    said: dict[str, int]
    divergence: Divergence | None


@dataclass(frozen=True)
class Examination:
    """What was found. `said` is how much each component has said in the whole run."""

    events: int
    rows: int
    """How many rows of the data they were made of."""
    said: dict[str, int]
    acts: dict[str, int]
    """How often each strategy acted: wished for something, or gave a signal."""
    stamps_checked: int
    stamps: tuple[StampFinding, ...]
    cuts: tuple[Compared, ...]

    @property
    def compared(self) -> Counter[str]:
        """Count what was compared of each component, over all cuts."""
        return sum((Counter(cut.said) for cut in self.cuts), Counter())

    @property
    def divergences(self) -> tuple[Divergence, ...]:
        return tuple(cut.divergence for cut in self.cuts if cut.divergence is not None)

    @property
    def is_clean(self) -> bool:
        return not self.divergences and all(stamp.early.is_harmless for stamp in self.stamps)


@dataclass(frozen=True)
class Plan:
    """How a run is examined."""

    cuts: int = 6
    seed: int = 0
    futures: tuple[Future, ...] = (Future.MIRRORED, Future.GONE)
    """Taken in turn."""


def examine(prepare: Preparing, asked: BacktestSettings, plan: Plan, begun: Callable[[int], Reached]) -> Examination:
    """Make the whole run, then one for each cut; raises `Unusable` where the whole run cannot be made.

    `begun` is told before each run which one it is, from 1, and gives who follows its progress.
    """
    whole, counted = Prints(), _Counted()
    with prepare(counted.listen) as there:
        run = Run(there.wiring, None, whole)
        told = whole.listen(within(there.source.events, asked))
        ending, why = play(run, replace(there.source, events=told), asked, begun(1), one_by_one=True)
    if ending is not Ending.COMPLETE:
        raise Unusable(f"the whole run {ending.value}: {why}", "look at it with hmm backtest")
    if not run.events:
        raise Unusable("there are no events in that time", "look at --from and --to")
    cuts = chosen(whole.acts, whole.told_at, plan.cuts, plan.seed, plan.futures)
    compared = [_compare(prepare, asked, whole, cut, begun(number)) for number, cut in enumerate(cuts, start=2)]
    return Examination(
        events=run.events,
        rows=counted.rows,
        said=dict(whole.said),
        acts=dict(Counter(who for _, who in whole.acts)),
        stamps_checked=whole.stamps.checked,
        stamps=tuple(whole.stamps.findings.values()),
        cuts=tuple(compared),
    )


class _Counted:
    """Counts rows as they pass by."""

    def __init__(self) -> None:
        self.rows = 0

    def listen(self, events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            self.rows += 1
            yield event


# -- one cut -----------------------------------------------------------------------------------------------------------


class _Beside:
    """Follows a run beside fingerprints of the whole one, and stops it at the first event that is another one."""

    def __init__(self, whole: Prints, cut: int) -> None:
        self._whole = whole
        self.expected_told = bisect_left(whole.told_at, cut)
        self.expected_heard = bisect_left(whole.heard_at, cut)
        self.told = self.heard = 0
        self.said: Counter[str] = Counter()
        self.strange_told: Event | None = None
        self.strange_heard: Recorded | None = None
        self.run: Run

    @property
    def strange(self) -> bool:
        return self.strange_told is not None or self.strange_heard is not None

    def listen(self, events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            if self.told >= self.expected_told or print_of_told(event) != self._whole.told[self.told]:
                self.strange_told = event
                return
            self.told += 1
            yield event

    def hear(self, recorded: Recorded) -> None:
        if self.strange:
            return
        if self.heard >= self.expected_heard or print_of(recorded) != self._whole.heard[self.heard]:
            self.strange_heard = recorded
            self.run.stopping = True
            return
        self.heard += 1
        if recorded.cause is not None:
            self.said[writer_of(recorded)] += 1


def _compare(prepare: Preparing, asked: BacktestSettings, whole: Prints, cut: Cut, reached: Reached) -> Compared:
    beside = _Beside(whole, cut.at)
    with prepare(lambda events: behind(events, cut.at, cut.future)) as there:
        beside.run = Run(there.wiring, None, beside)
        told = beside.listen(takewhile(lambda event: event.ts_init < cut.at, within(there.source.events, asked)))
        ending, why = play(beside.run, replace(there.source, events=told), asked, reached, one_by_one=True)
    if ending is Ending.FAILED:
        raise Unusable(f"a run with another future failed: {why}", "the whole run did not: look at what is named")
    return Compared(cut, beside.told, dict(beside.said), _divergence(prepare, asked, whole, cut, beside))


def _divergence(
    prepare: Preparing, asked: BacktestSettings, whole: Prints, cut: Cut, beside: _Beside
) -> Divergence | None:
    """Say what is other, with what the whole run has in its place: that one is made once more for it."""
    strange, told = beside.strange_heard, beside.strange_told
    if strange is None and (told is not None or beside.told < beside.expected_told):
        usual = _told_again(prepare, asked, beside.told) if beside.told < beside.expected_told else None
        return _told_otherwise(cut, usual, told)
    if strange is not None or (beside.heard < beside.expected_heard and beside.heard not in whole.waited):
        known = _heard_again(prepare, asked, whole, beside.heard) if beside.heard < beside.expected_heard else None
        return _heard_otherwise(cut, known, strange, tuple(beside.run.wiring.settings))
    return None


def _told_otherwise(cut: Cut, usual: Event | None, other: Event | None) -> Divergence:
    only = other or usual
    assert only is not None
    found = () if usual is None or other is None else tuple(differences(usual, other, None, 0))
    parts = tuple(one for one in found if one.field != "cause")
    return Divergence(cut, DATA, None, only.ts_init, usual, other, parts)


def _heard_otherwise(cut: Cut, usual: Recorded | None, other: Recorded | None, order: Sequence[str]) -> Divergence:
    """Blame whoever should have spoken first: of two answers to one event that is who hears it first."""
    both = [one for one in (other, usual) if one is not None]
    first = min(both, key=lambda one: (one.cause or one.position, _turn(one, order)))
    return Divergence(
        cut=cut,
        who=writer_of(first),
        position=first.position,
        at=first.event.ts_init,
        whole=None if usual is None else usual.event,
        other=None if other is None else other.event,
        differences=_differences(usual, other),
    )


def _turn(recorded: Recorded, order: Sequence[str]) -> int:
    who = writer_of(recorded)
    return order.index(who) if who in order else -1


def _differences(whole: Recorded | None, other: Recorded | None) -> tuple[Difference, ...]:
    if whole is None or other is None:
        return ()
    found = differences(whole.event, other.event, whole.cause, other.cause or 0)
    return tuple(one for one in found if one.field != "cause" or whole.cause != other.cause)


class _Until:
    """Hears a run until its event of this number, and keeps that."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.found: Recorded | None = None
        self.run: Run

    def hear(self, recorded: Recorded) -> None:
        if self.left == 0:
            self.found = recorded
            self.run.stopping = True
        self.left -= 1


def _heard_again(prepare: Preparing, asked: BacktestSettings, whole: Prints, number: int) -> Recorded:
    until = _Until(number)
    with prepare(as_told) as there:
        until.run = Run(there.wiring, None, until)
        play(until.run, there.source, asked, lambda _rows, _events: None, one_by_one=True)
    if until.found is None or print_of(until.found) != whole.heard[number]:
        raise Unusable(
            "the run says something else each time it is made, with the same future too",
            "find out by what: hmm backtest twice, with --again",
        )
    return until.found


def _told_again(prepare: Preparing, asked: BacktestSettings, number: int) -> Event | None:
    with prepare(as_told) as there:
        return next((event for at, event in enumerate(within(there.source.events, asked)) if at == number), None)
