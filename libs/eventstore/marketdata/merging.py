"""Files in a row or beside each other, as one stream in order of time; each is opened when its time has come."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

from contracts.event import Event
from contracts.market import Bar, MarketGap, Trade
from contracts.types import GapKind
from eventstore.marketdata.columns import DataKind
from eventstore.marketdata.faults import Fault, Policy, Repairs
from eventstore.marketdata.files import Limits, MarketFile
from eventstore.marketdata.forms import BadFile
from eventstore.marketdata.ordering import told_gap
from eventstore.marketdata.times import SECOND, moment

Lists = Iterator[list[Event]]

_known = attrgetter("ts_init")


class Stream:
    """Events in order of time, of which some are at hand."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists
        self._now: list[Event] = []
        self._at = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing is left; only now is looked further, so that what is at hand was given before that fails."""
        while 0 <= self._at >= len(self._now):
            following = next(self._lists, None)
            self._now, self._at = ([], -1) if following is None else (following, 0)
        return self._at < 0

    @property
    def next_at(self) -> int:
        return self._now[self._at].ts_init

    def take(self, before: int | None, *, included: bool) -> list[Event]:
        """Take what is at hand and earlier than `before` (or then, if `included`); None: all that is at hand."""
        if self.is_over:
            return []
        cut = bisect_right if included else bisect_left
        end = len(self._now) if before is None else cut(self._now, before, lo=self._at, key=_known)
        taken = self._now[self._at : end]
        self._at = end
        return taken

    def take_until(self, last: int) -> list[Event]:
        """Take all up to `last` (ns), included."""
        taken: list[Event] = []
        while not self.is_over and self.next_at <= last:
            taken.extend(self.take(last, included=True))
        return taken


def merged(streams: Sequence[Stream]) -> Lists:
    """Merge streams that stand beside each other; of equal times the earlier stream comes first."""
    open_ = [stream for stream in streams if not stream.is_over]
    while len(open_) > 1:
        first = min(range(len(open_)), key=lambda at: (open_[at].next_at, at))
        other = min((at for at in range(len(open_)) if at != first), key=lambda at: (open_[at].next_at, at))
        if events := open_[first].take(open_[other].next_at, included=first < other):
            yield events
        if open_[first].is_over:
            del open_[first]
    for stream in open_:
        while events := stream.take(None, included=True):
            yield events


@dataclass(frozen=True, slots=True)
class Parts:
    """Files of one kind of one instrument, which continue each other. `files` is in the order in which they begin."""

    files: Sequence[MarketFile]
    policy: Policy
    limits: Limits
    repairs: Repairs

    def lists(self) -> Lists:
        """Give their events; parts that overlap are an error, or are merged. Raises `BadFile`."""
        active: list[Stream] = []
        last: int | None = None
        for before, part in zip((None, *self.files), self.files, strict=False):
            for events in self._until(active, part.first):
                last = events[-1].ts_init
                yield events
            held = [event for stream in active for event in stream.take_until(part.first)]
            active = [stream for stream in active if not stream.is_over]
            if active and before is not None:
                self._overlap(before, part)
            if not active and not held and last is not None:
                yield from self._gap(part, last)
            active = [Stream(iter([held])), *active, Stream(part.events(self.policy, self.limits, self.repairs))]
        yield from self._until(active, None)

    def _until(self, active: Sequence[Stream], time: int | None) -> Lists:
        """Give what is earlier than `time`: from there on the next part tells too."""
        while open_ := [stream for stream in active if not stream.is_over]:
            now = min(stream.next_at for stream in open_)
            if time is not None and now >= time:
                return
            if len(open_) == 1:
                yield open_[0].take(time, included=False)
            elif events := self._once([event for stream in open_ for event in stream.take_until(now)]):
                yield events

    def _once(self, events: list[Event]) -> list[Event]:
        """Keep of events of one time those that are there twice once, and of bars that differ none."""
        kept: list[Event] = []
        for event in events:
            if not any(self._is_same(event, other) for other in kept):
                kept.append(event)
        if len(kept) < len(events):
            text = f"what it tells of {moment(events[0].ts_init)} is told by another file too"
            self._found(self.files[-1], Fault.REPEATED, text, len(events) - len(kept))
        bars = [event for event in kept if isinstance(event, Bar)]
        if len(bars) < 2:
            return kept
        text = f"another file tells another bar of {moment(bars[0].ts_open)}, closing at {bars[0].close:g}"
        self._found(self.files[-1], Fault.CONTRADICTED, text, len(bars))
        return [event for event in kept if not isinstance(event, Bar)]

    def _is_same(self, one: Event, other: Event) -> bool:
        if isinstance(one, Trade):
            return self._have_ids and isinstance(other, Trade) and one.trade_id == other.trade_id
        return one == other

    @property
    def _have_ids(self) -> bool:
        return all(file.has_ids for file in self.files)

    def _overlap(self, before: MarketFile, part: MarketFile) -> None:
        text = f"it begins at {moment(part.first)}, and {before.path.name} goes on after that"
        if part.kind is DataKind.TRADES and not self._have_ids:
            raise BadFile(f"{part.path.name}: {text}; without ids nobody can tell which trades are the same: cut one")
        self._found(part, Fault.OVERLAP, f"{text} (is one of them of another time zone, or there twice?)", 1)

    def _gap(self, part: MarketFile, last: int) -> Lists:
        """Tell of what is missing between two parts."""
        short = part.interval.nanos if part.interval is not None else 0
        missing = part.first - last - short
        if missing <= (0 if part.interval is not None else int(self.limits.silence_s * SECOND)):
            return
        now = part.first - short
        self._found(part, Fault.GAP, told_gap(last - short, now, part.interval), 1)
        yield [MarketGap(ts_event=now, ts_init=now, instrument=part.instrument, kind=GapKind.SILENCE, missing=missing)]

    def _found(self, file: MarketFile, fault: Fault, text: str, times: int) -> None:
        try:
            file.judge(self.policy, self.repairs).found(fault, None, text, times)
        except BadFile as bad:
            raise BadFile(f"{file.path.name}: {bad}") from None
