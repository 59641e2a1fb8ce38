"""What a run decided, by what it says and not by where it stands: comparable between runs of other lengths."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal

from contracts.event import Event
from contracts.orders import AmendIntent, CancelIntent, OrderFilled, OrderIntent
from contracts.ownership import ROLES
from contracts.ownership import Kind as RoleKind
from contracts.presets import PresetSelected
from contracts.recorded import Recorded
from contracts.regimes import DirectionInferred, DriftDetected, RegimeInferred, ShadowInferred
from contracts.signals import SignalGiven
from contracts.types import InstrumentId

WISHES = (OrderIntent, AmendIntent, CancelIntent)
VIEWS = (SignalGiven, RegimeInferred, ShadowInferred, DirectionInferred, DriftDetected)
DECISIONS = frozenset[type[Event]]({*WISHES, *VIEWS, PresetSelected})

PLACES = frozenset({"ts_event", "ts_init", "client_order_id", "list_id", "parent", "siblings", "slice_of"})
"""Fields that hold a time, which is compared before, or a position."""
WORDS = frozenset({"reason"})
"""Fields that tell people what other fields tell."""
PRICES = frozenset({"price", "close", "reference_price", "stop", "target"})
"""Floats that are compared by ratio, as money is; others (shares, scores, scaled features) as they are."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Who decides what."""

    who: str
    what: str


@dataclass(frozen=True, slots=True)
class Place:
    """Which decision it is: when (ns), about what, and the how manieth of these."""

    at: int
    subject: str
    number: int


@dataclass(frozen=True, slots=True)
class Amount:
    field: str
    value: float
    by_ratio: bool

    def differs_by(self, other: "Amount") -> float:
        """Give how far they are apart: as a share of the larger one, or of 1 for what is not compared by ratio."""
        unit = max(abs(self.value), abs(other.value), 0.0 if self.by_ratio else 1.0)
        return abs(self.value - other.value) / unit if unit else 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided: `exact` has to be the same, `amounts` nearly. `of` says on account of which position."""

    exact: tuple[tuple[str, object], ...]
    amounts: tuple[Amount, ...]
    of: tuple[str, InstrumentId] | None


def decision(who: str, event: Event) -> Decision:
    """Read what an event decides."""
    exact: list[tuple[str, object]] = []
    amounts: list[Amount] = []
    for field, value in _parts("", event):
        name = field.rpartition(".")[2]
        if isinstance(value, Decimal):
            amounts.append(Amount(field, float(value), by_ratio=True))
        elif isinstance(value, float):
            amounts.append(Amount(field, value, by_ratio=name in PRICES))
        else:
            exact.append((field, value))
    of = (who, _instrument(event)) if isinstance(event, (*WISHES, SignalGiven)) else None
    return Decision(tuple(exact), tuple(amounts), of)


def _parts(field: str, value: object) -> Iterator[tuple[str, object]]:
    """Give the parts that are none of parts, each with its place."""
    if is_dataclass(value):
        for one in fields(value):
            if one.name not in PLACES and one.name not in WORDS:
                yield from _parts(f"{field}.{one.name}" if field else one.name, getattr(value, one.name))
    elif isinstance(value, tuple):
        yield f"{field}.count", len(value)
        for part in value:
            yield from _parts(field, part)
    else:
        yield field, value


def _instrument(event: Event) -> InstrumentId:
    match event:
        case OrderIntent():
            return event.order.instrument
        case AmendIntent():
            return event.amendment.instrument
        case CancelIntent() | SignalGiven():
            return event.instrument
        case _:
            raise AssertionError(f"{type(event).__name__} is of no position")


Position = tuple[Decimal, int] | None
"""What is held, and when it was last traded (ns); None: nothing."""


class Positions:
    """What each strategy held at any time, by its fills."""

    def __init__(self) -> None:
        self._times: defaultdict[tuple[str, InstrumentId], list[int]] = defaultdict(list)
        self._held: defaultdict[tuple[str, InstrumentId], list[Decimal]] = defaultdict(list)

    def take(self, fill: OrderFilled) -> None:
        whose = (fill.strategy, fill.instrument)
        before = self._held[whose][-1] if self._held[whose] else Decimal(0)
        self._times[whose].append(fill.ts_init)
        self._held[whose].append(before + fill.side.sign * fill.quantity)

    def before(self, whose: tuple[str, InstrumentId], at: int) -> Position:
        """Give what was held before `at` (ns)."""
        times = self._times.get(whose, [])
        number = bisect_left(times, at)
        if number == 0 or self._held[whose][number - 1] == 0:
            return None
        return self._held[whose][number - 1], times[number - 1]


class Decisions:
    """Hears a run and keeps what it decided from `since` (ns) on."""

    def __init__(self, since: int = 0) -> None:
        self.since = since
        self.first_words: dict[tuple[Kind, str], int] = {}
        """When each kind was first decided about each subject, in the whole run (ns)."""
        self.made: defaultdict[Kind, dict[Place, Decision]] = defaultdict(dict)
        self.positions = Positions()
        self._counts: Counter[tuple[Kind, str]] = Counter()
        self._at = -1

    def hear(self, recorded: Recorded) -> None:
        event = recorded.event
        if isinstance(event, OrderFilled):
            self.positions.take(event)
        if type(event) not in DECISIONS or recorded.cause is None:
            return
        who, subject = recorded.msg_id.partition("/")[0], type(event).subject_of(event)
        if isinstance(event, WISHES) and who in ROLES and ROLES[who].kind is not RoleKind.STRATEGY:
            return
        kind = Kind(who, type(event).type_name)
        self.first_words.setdefault((kind, subject), event.ts_init)
        if event.ts_init < self.since:
            return
        if event.ts_init != self._at:
            self._counts.clear()
            self._at = event.ts_init
        number = self._counts[kind, subject]
        self._counts[kind, subject] += 1
        self.made[kind][Place(event.ts_init, subject, number)] = decision(who, event)
