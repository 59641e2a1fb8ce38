"""Where a run is cut: right behind moments at which a strategy acted, and anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from quant.chance import Chance, stream
from services.backtest.lookahead.futures import Future

_PATIENCE = 20
"""So many times as many moments are drawn: the same one may be drawn again where there are few."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Everything that begins at `at` (ns) or later has another future; what was heard before it is compared."""

    at: int
    future: Future
    acted: str | None
    """Who acted on the last event before it; None: it was chosen by chance."""


def chosen(
    acts: Sequence[tuple[int, str]], times: Sequence[int], count: int, seed: int, futures: Sequence[Future]
) -> list[Cut]:
    """Choose `count` cuts in order of time: every second one behind an act, if there are any, of strategies in turn.

    `acts` are times (ns) with who acted, `times` those of all outside events, in order. The same seed chooses the same.
    """
    chance = stream(seed, "cuts")
    by_whom: dict[str, list[int]] = {}
    for at, who in acts:
        by_whom.setdefault(who, []).append(at)
    places: dict[int, str | None] = {}
    for who in islice(cycle(sorted(by_whom)), (count + 1) // 2):
        places[_drawn(by_whom[who], chance) + 1] = who
    for _ in range(_PATIENCE * count):
        if len(places) < count:
            places.setdefault(_drawn(times, chance), None)
    return [
        Cut(at, futures[number % len(futures)], who)
        for number, (at, who) in enumerate(sorted(places.items(), key=lambda place: place[0]))
    ]


def _drawn(times: Sequence[int], chance: Chance) -> int:
    return times[chance.word() % len(times)]
