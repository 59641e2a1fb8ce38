"""Streams that stand beside each other, as one in order of time."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Generic, Protocol, TypeVar


class Timed(Protocol):
    """Something that is known from a time (ns UTC) on."""

    @property
    def ts_init(self) -> int: ...


T = TypeVar("T", bound=Timed)

_known = attrgetter("ts_init")


class Stream(Generic[T]):
    """Things in order of time, of which some are at hand."""

    def __init__(self, lists: Iterator[list[T]]) -> None:
        self._lists = lists
        self._now: list[T] = []
        self._at = 0
        self.has_more = True
        """Whether more may come than what is at hand."""

    @property
    def is_over(self) -> bool:
        """Whether nothing is left; only now is looked further, so that what is at hand was given before that fails."""
        while self._at >= len(self._now) and self.has_more:
            self.look_further()
        return self._at >= len(self._now)

    @property
    def next_at(self) -> int:
        return self._now[self._at].ts_init

    @property
    def last_at(self) -> int:
        """The time of the last that is at hand."""
        return self._now[-1].ts_init

    def look_further(self) -> None:
        """Take to hand what comes next, behind what is there."""
        following = next(self._lists, None)
        if following is None:
            self.has_more = False
        elif self._at < len(self._now):
            self._now, self._at = self._now[self._at :] + following, 0
        else:
            self._now, self._at = following, 0

    def take(self, before: int | None, *, included: bool) -> list[T]:
        """Take what is at hand and earlier than `before` (or then, if `included`); None: all that is at hand."""
        if self.is_over:
            return []
        cut = bisect_right if included else bisect_left
        end = len(self._now) if before is None else cut(self._now, before, lo=self._at, key=_known)
        taken = self._now if self._at == 0 and end == len(self._now) else self._now[self._at : end]
        self._at = end
        return taken

    def take_until(self, last: int) -> list[T]:
        """Take all up to `last` (ns), included."""
        taken: list[T] = []
        while not self.is_over and self.next_at <= last:
            taken.extend(self.take(last, included=True))
        return taken


def merged(streams: Sequence[Stream[T]]) -> Iterator[list[T]]:
    """Merge streams that stand beside each other; of equal times the earlier stream comes first.

    Where one fails, what all of them have up to there is given before that comes out.
    """
    while len(open_ := [stream for stream in streams if not stream.is_over]) > 1:
        reaching = min((stream for stream in open_ if stream.has_more), key=_last_at, default=None)
        if reaching is None:
            yield _sorted(open_, None)
            return
        bound = reaching.last_at
        if together := _sorted(open_, bound):
            yield together
            continue
        try:
            reaching.look_further()
        except Exception:
            if held := _sorted(open_, bound, included=True):
                yield held
            raise
    for stream in open_:
        while events := stream.take(None, included=True):
            yield events


_last_at = attrgetter("last_at")


def _sorted(streams: Sequence[Stream[T]], before: int | None, *, included: bool = False) -> list[T]:
    parts = [part for stream in streams if (part := stream.take(before, included=included))]
    # Sorting what is made of sorted parts is merging them; of equal times the first stays first.
    return parts[0] if len(parts) == 1 else sorted(chain.from_iterable(parts), key=_known)
