"""Files that continue each other, as one stream in order of time; each is opened when its time has come."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from contracts.event import Event
from contracts.market import Bar, MarketGap, Trade
from contracts.types import GapKind
from eventstore.marketdata.columns import DataKind
from eventstore.marketdata.faults import Fault, Policy, Repairs
from eventstore.marketdata.files import Limits, MarketFile
from eventstore.marketdata.forms import BadFile
from eventstore.marketdata.ordering import told_gap
from eventstore.marketdata.streams import Stream
from eventstore.marketdata.times import SECOND, moment

Lists = Iterator[list[Event]]


@dataclass(frozen=True, slots=True)
class Parts:
    """Files of one kind of one instrument, which continue each other. `files` is in the order in which they begin."""

    files: Sequence[MarketFile]
    policy: Policy
    limits: Limits
    repairs: Repairs

    def lists(self) -> Lists:
        """Give their events; parts that overlap are an error, or are merged. Raises `BadFile`."""
        active: list[Stream[Event]] = []
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

    def _until(self, active: Sequence[Stream[Event]], time: int | None) -> Lists:
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
