"""Whoever hears quotes, each of them as far in a span of quotes as it has to be."""

from bisect import bisect_left
from collections.abc import Sequence

from contracts.market import Quote
from contracts.types import LARGEST
from tape.component import Component, Handler
from tape.span import Skims, Span

Ear = tuple[Handler, str]
"""The handler of quotes of a component, and its name."""


class Audience:
    """Lets components take the quotes that they have nothing to say to at once, before they hear anything else.

    How far each has come shows in nothing that anybody says: a component is asked up to where it is quiet, hears the
    quote there, and takes all there was (`wake`) before anything else than a quote comes to it. Those that only keep
    the last quote for some time are asked together, and one of them that wants a quote has all of them hear it.
    """

    def __init__(self, components: Sequence[Component]) -> None:
        hearing = [component for component in components if Quote in component.handlers()]
        self.woken_by = {event_type for one in hearing for event_type in one.handlers()} - {Quote}
        self._ears: list[Ear] = [(one.handlers()[Quote], one.name) for one in hearing]
        self._skim = [one for one in hearing if isinstance(one, Skims)]
        self._skim_ears = [ear for ear, one in zip(self._ears, hearing, strict=True) if isinstance(one, Skims)]
        self._keep = [handler for handler, name in self._ears if (handler, name) not in self._skim_ears]
        self._rests_until = [one.rests_until for one in hearing if not isinstance(one, Skims)]
        self._taken = [0] * len(self._skim)
        self._quiet_to = [0] * len(self._skim)
        """By component that skims: the next quote that it wants to hear itself."""
        self._kept = self._kept_to = 0

    def attend(self, span: Span) -> None:
        """Begin a span."""
        self._span, self._end, self._last_time = span, len(span.quotes), span.times[-1]
        self._taken = [0] * len(self._skim)
        self._quiet_to = [0] * len(self._skim)
        self._kept = self._kept_to = 0
        self.ask(0)

    def next(self) -> int:
        """Give the next quote that anybody wants to hear itself; the end of the span if there is none."""
        return min(self._kept_to, *self._quiet_to) if self._quiet_to else self._kept_to

    def concerned(self, at: int) -> list[Ear]:
        """Give those who are to hear this quote now: they have taken all before it."""
        due = [which for which, quiet_to in enumerate(self._quiet_to) if quiet_to <= at]
        for which in due:
            if self._taken[which] < at:
                self._skim[which].skim(self._span, self._taken[which], at)
            self._taken[which] = at + 1
        ears = [self._skim_ears[which] for which in due]
        if self._kept_to > at:
            return ears
        self._keep_to(at)
        self._kept = at + 1
        return [ear for ear in self._ears if ear not in self._skim_ears or ear in ears]

    def heard_all(self, cursor: int) -> None:
        """Ask everyone, after all of them heard each quote before `cursor`."""
        self._kept, self._taken = cursor, [cursor] * len(self._skim)
        self._kept_to, self._quiet_to = 0, [0] * len(self._skim)
        self.ask(cursor)

    def wake(self, cursor: int) -> None:
        """Let everyone take all there was before `cursor`."""
        self._keep_to(cursor)
        for which, taken in enumerate(self._taken):
            if taken < cursor:
                self._skim[which].skim(self._span, taken, cursor)
        self._taken = [cursor] * len(self._skim)
        self._quiet_to = [0] * len(self._skim)
        self._kept_to = 0

    def ask(self, cursor: int) -> None:
        """Ask those who have heard anything how far they are quiet from `cursor` on."""
        span, end = self._span, self._end
        if cursor == end:
            self._kept_to, self._quiet_to = end, [end] * len(self._skim)
            return
        if self._kept_to <= cursor:
            until = min([rests_until(span.instrument) for rests_until in self._rests_until], default=LARGEST)
            self._kept_to = end if until > self._last_time else bisect_left(span.times, until, cursor, end)
            if self._kept_to == cursor:  # to look further ahead may be dear, and would be in vain
                self._quiet_to = [max(quiet_to, cursor) for quiet_to in self._quiet_to]
                return
        for which, quiet_to in enumerate(self._quiet_to):
            if quiet_to <= cursor:
                try:
                    self._quiet_to[which] = self._skim[which].quiet_to(span, cursor, end)
                except Exception:  # noqa: BLE001 # whatever it is: its handler will raise it at the quote
                    self._quiet_to[which] = cursor

    def _keep_to(self, cursor: int) -> None:
        if self._kept < cursor:
            self._kept, last = cursor, self._span.quotes[cursor - 1]
            for keep in self._keep:
                keep(last)
