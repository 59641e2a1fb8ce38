"""How far a recorded session and a backtest of its market differ: orders matched, fills, money, and why.

Money is what fills brought by the last quote of each instrument, which is the same on both sides: so what the two
differ by is exactly the sum of what each order brought more on one side, and each part of that has one cause.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from contracts.types import InstrumentId
from services.backtest.paritycauses import NOTHING, Cause, Difference, Sides, differences, only_in_one
from services.backtest.parityorders import Order
from services.backtest.paritysession import Session


@dataclass(frozen=True, slots=True)
class Match:
    """One decision: of both sides, or of the only one that took it."""

    live: Order | None
    run: Order | None
    differences: tuple[Difference, ...]

    @property
    def order(self) -> Order:
        order = self.live or self.run
        assert order is not None
        return order

    @property
    def decided_at(self) -> int:
        return self.order.decided_at


@dataclass(slots=True)
class Counted:
    """How many differences a cause has, and what they brought live more than in the run (quote currency)."""

    count: int = 0
    worth: float = 0.0


@dataclass(frozen=True, slots=True)
class Held:
    """What a strategy holds of an instrument at the end (base units), and what it brought (quote currency)."""

    strategy: str
    instrument: InstrumentId
    live: float
    run: float
    live_pnl: float
    run_pnl: float


@dataclass(frozen=True, slots=True)
class Spread:
    """How a figure of matched orders is distributed: live less run."""

    count: int
    mean: float
    median: float
    largest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread | None":
        ordered = sorted(values)
        if not ordered:
            return None
        middle = ordered[len(ordered) // 2]
        return cls(len(ordered), sum(ordered) / len(ordered), middle, max(ordered, key=abs))


@dataclass(frozen=True, slots=True)
class Parity:
    """All that was compared. `slippage_bps`: how much worse the price was live, of orders that both have traded."""

    matches: tuple[Match, ...]
    causes: dict[Cause, Counted]
    books: tuple[Held, ...]
    later_ms: Spread | None
    later_quotes: Spread | None
    slippage_bps: Spread | None
    notes: tuple[str, ...] = field(default=())

    @property
    def both(self) -> int:
        return sum(match.live is not None and match.run is not None for match in self.matches)

    @property
    def only_live(self) -> int:
        return sum(match.run is None for match in self.matches)

    @property
    def only_run(self) -> int:
        return sum(match.live is None for match in self.matches)

    @property
    def live_pnl(self) -> float:
        return sum(held.live_pnl for held in self.books)

    @property
    def run_pnl(self) -> float:
        return sum(held.run_pnl for held in self.books)

    @property
    def differing(self) -> list[Match]:
        """List in order of time the decisions that differ in anything."""
        return [match for match in self.matches if match.differences]


def compare(live: Session, run: Session, window_ns: int, since: int = 0) -> Parity:
    """Compare what was decided from `since` (ns) on; decisions further apart than `window_ns` are not the same one."""
    sides, marks = Sides(live, run), run.marks()
    pairs = sorted(matched(_since(live, since), _since(run, since), window_ns), key=lambda pair: _moment(*pair))
    matches = tuple(Match(one, other, _differences(one, other, sides, marks)) for one, other in pairs)
    causes: defaultdict[Cause, Counted] = defaultdict(Counted)
    for match in matches:
        for difference in match.differences:
            causes[difference.cause].count += 1
            causes[difference.cause].worth += difference.worth
    books = tuple(_books(matches, sides, marks))
    funding = sum(_funding(sides, held.strategy, held.instrument) for held in books)
    if abs(funding) > NOTHING:
        causes[Cause.FUNDING] = Counted(1, funding)
    both = [(match.live, match.run) for match in matches if match.live is not None and match.run is not None]
    return Parity(
        matches=matches,
        causes=dict(sorted(causes.items(), key=lambda item: -abs(item[1].worth))),
        books=books,
        later_ms=Spread.of((one.decided_at - other.decided_at) / 1e6 for one, other in both),
        later_quotes=Spread.of(_quotes_later(one, other) for one, other in both if one.fills and other.fills),
        slippage_bps=Spread.of(_slippage(one, other) for one, other in both if one.fills and other.fills),
    )


def matched(live: Iterable[Order], run: Iterable[Order], window_ns: int) -> Iterator[tuple[Order | None, Order | None]]:
    """Pair orders of the same wisher, instrument and side by the nearest moment of decision; each is in one pair."""
    groups: defaultdict[tuple[object, ...], tuple[list[Order], list[Order]]] = defaultdict(lambda: ([], []))
    for side, orders in enumerate((live, run)):
        for order in orders:
            groups[order.strategy, order.instrument, order.side, order.by][side].append(order)
    for ours, theirs in groups.values():
        yield from _nearest(ours, theirs, window_ns)


def _nearest(live: list[Order], run: list[Order], window_ns: int) -> Iterator[tuple[Order | None, Order | None]]:
    for orders in (live, run):
        orders.sort(key=lambda order: (order.decided_at, order.position))
    moments = [order.decided_at for order in run]
    candidates = []
    for mine, order in enumerate(live):
        begin = bisect_left(moments, order.decided_at - window_ns)
        for theirs in range(begin, bisect_right(moments, order.decided_at + window_ns)):
            other = run[theirs]
            apart = abs(order.decided_at - other.decided_at)
            candidates.append((apart, order.order_type != other.order_type, abs(mine - theirs), mine, theirs))
    of_live: dict[int, int] = {}
    taken: set[int] = set()
    for *_, mine, theirs in sorted(candidates):
        if mine not in of_live and theirs not in taken:
            of_live[mine] = theirs
            taken.add(theirs)
    for mine, order in enumerate(live):
        found = of_live.get(mine)
        yield order, None if found is None else run[found]
    yield from ((None, other) for theirs, other in enumerate(run) if theirs not in taken)


def _since(session: Session, since: int) -> list[Order]:
    return [order for order in session.orders.values() if order.decided_at >= since]


def _moment(live: Order | None, run: Order | None) -> tuple[int, int]:
    order = live or run
    assert order is not None
    return order.decided_at, order.position


def _differences(
    live: Order | None, run: Order | None, sides: Sides, marks: Mapping[InstrumentId, float]
) -> tuple[Difference, ...]:
    order = live or run
    assert order is not None
    mark = marks.get(order.instrument, 0.0)
    if live is None or run is None:
        return (only_in_one(order, sides, live=run is None, worth=order.worth(mark)),)
    return tuple(differences(live, run, sides, mark))


def _books(matches: Iterable[Match], sides: Sides, marks: Mapping[InstrumentId, float]) -> Iterator[Held]:
    held: defaultdict[tuple[str, InstrumentId], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0, 0.0])
    for match in matches:
        for side, order in enumerate((match.live, match.run)):
            if order is not None and order.fills:
                sums = held[order.strategy, order.instrument]
                sums[side] += order.signed
                sums[2 + side] += order.worth(marks.get(order.instrument, 0.0))
    for (strategy, instrument), (live, run, live_pnl, run_pnl) in sorted(held.items()):
        key = strategy, instrument
        live_funding, run_funding = (session.funding.get(key, 0.0) for session in (sides.live, sides.run))
        yield Held(
            strategy, instrument, round(live, 10), round(run, 10), live_pnl + live_funding, run_pnl + run_funding
        )


def _funding(sides: Sides, strategy: str, instrument: InstrumentId) -> float:
    key = strategy, instrument
    return sides.live.funding.get(key, 0.0) - sides.run.funding.get(key, 0.0)


def _quotes_later(live: Order, run: Order) -> float:
    """Count how many quotes later the exchange filled it."""
    met, there = live.fills[0].top, run.fills[0].top
    return float(met.number - there.number) if met is not None and there is not None else 0.0


def _slippage(live: Order, run: Order) -> float:
    one, other = live.average, run.average
    assert one is not None
    assert other is not None
    return (one - other) / other * 1e4 * (1 if live.signed > 0 else -1)
