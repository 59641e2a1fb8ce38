"""Laws of capital: never more than there is, no large step without an approval, and each one exactly once."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.books import CapitalAllocated, CapitalProposed
from contracts.control import CapitalDecided
from contracts.event import Event
from services.allocator.policies import divide
from services.allocator.rules import Allocator, AllocatorState
from services.allocator.settings import AllocatorSettings, Bounds, Policy, TotalOf
from services.allocator.track import Track
from tape.memory import MemoryTape
from tests.builders import tick
from tests.unit.test_allocator import closed, decided, equity

NAMES = ("a", "b", "c", "d")
STATE: TypeAdapter[AllocatorState] = TypeAdapter(AllocatorState)
ZERO = Decimal(0)

names = st.sampled_from(NAMES)
worths = st.integers(-10, 1_000)
parts = st.floats(0, 1).map(lambda part: round(part, 3))


@dataclass(frozen=True)
class Marked:
    strategy: str
    worth: int


@dataclass(frozen=True)
class Closed:
    strategy: str


@dataclass(frozen=True)
class Waited:
    seconds: int


@dataclass(frozen=True)
class Decided:
    """Decide over one of the proposals so far (counted from the last), or over nothing."""

    back: int
    approved: bool


Step = Marked | Closed | Waited | Decided

waits = st.sampled_from([1, 60, 3600, 90_000]) | st.integers(1, 200_000)
decisions = st.builds(Decided, st.integers(0, 4), st.sampled_from([True, True, False]))
steps = st.one_of(
    st.builds(Marked, names, worths),
    st.builds(Waited, waits),
    decisions,
    st.builds(Closed, names),
)
plans = st.builds(
    lambda begun, rounds: [*begun, Waited(1), *(step for one in rounds for step in one)],
    st.lists(st.builds(Marked, names, worths), max_size=4),
    st.lists(
        st.tuples(st.builds(Marked, names, worths), st.builds(Waited, waits), decisions) | st.tuples(steps),
        max_size=25,
    ),
)
"""Mostly: a strategy wins or loses, capital is divided, somebody decides."""


@st.composite
def all_settings(draw: st.DrawFn) -> AllocatorSettings:
    low, high = sorted((draw(parts), draw(parts)))
    return AllocatorSettings(
        policy=draw(st.sampled_from(Policy)),
        total_of=draw(st.sampled_from(TotalOf)),
        total_capital=draw(st.none() | st.sampled_from([10, 300, 1000]).map(Decimal)),
        capital_each=Decimal(100),
        strategies=draw(st.sampled_from([(), NAMES[:2]])),
        shares=draw(st.dictionaries(names, st.sampled_from([0.0, 0.1, 0.25]), max_size=4)),
        bounds=Bounds(least=low / 4, most=high),
        return_every_s=draw(st.sampled_from([1, 3600])),
        least_returns=2,
        returns=5,
        rebalance_every_s=draw(st.sampled_from([1, 60, 3600])),
        least_step=draw(st.sampled_from([0.0, 0.005, 0.02])),
        free_step=draw(st.sampled_from([0.02, 0.05, 0.1, 0.5])),
        proposal_valid_s=draw(st.sampled_from([60, 3600, 86_400])),
        refusal_holds_s=draw(st.sampled_from([1, 86_400])),
        remembered_proposals=draw(st.sampled_from([1, 1000])),
    )


def event_of(step: Step, tape: MemoryTape, at: int) -> Event:
    match step:
        case Marked(strategy, worth):
            return equity(strategy, worth, at=at)
        case Closed(strategy):
            return closed(strategy, at=at)
        case Waited():
            return tick(at)
        case Decided(back, approved):
            proposals = [said.position for said in tape.recorded if isinstance(said.event, CapitalProposed)]
            return decided(proposals[-back] if 0 < back <= len(proposals) else 0, approved=approved, at=at)


def played(component: Allocator, plan: Sequence[Step], tape: MemoryTape | None = None, at: int = 0) -> MemoryTape:
    """Play a plan from the second `at` on; decisions are over proposals that the tape holds."""
    tape = MemoryTape([component]) if tape is None else tape
    for step in plan:
        at += step.seconds if isinstance(step, Waited) else 0
        tape.play([event_of(step, tape, at)])
    return tape


class Watched(Allocator):
    """Keeps every decision it heard, and the total that was in force at every allocation."""

    def __init__(self, settings: AllocatorSettings) -> None:
        super().__init__(settings)
        self.decisions: list[CapitalDecided] = []
        self.totals: list[Decimal] = []

    def on_decided(self, decided: CapitalDecided) -> Any:  # noqa: ANN401 # as the one it stands before
        self.decisions.append(decided)
        return super().on_decided(decided)

    def _give(self, event: Event, name: str, capital: Decimal, reason: str, proposal: int | None = None) -> Event:
        self.totals.append(self._total())
        return super()._give(event, name, capital, reason, proposal)


@given(settings=all_settings(), plan=plans)
def test_what_is_given_never_rises_above_the_total(settings: AllocatorSettings, plan: list[Step]) -> None:
    component = Watched(settings)
    allocations = played(component, plan).of_type(CapitalAllocated)
    given_to: dict[str, Decimal] = {}
    for said, total in zip(allocations, component.totals, strict=True):
        given_to[said.strategy] = said.capital
        assert said.capital >= 0
        assert said.capital <= said.before or sum(given_to.values()) <= total


@given(settings=all_settings(), plan=plans)
def test_every_allocation_goes_on_from_the_one_before(settings: AllocatorSettings, plan: list[Step]) -> None:
    last: dict[str, Decimal] = {}
    for said in played(Allocator(settings), plan).of_type(CapitalAllocated):
        assert said.before == last.get(said.strategy, ZERO)
        last[said.strategy] = said.capital


@given(settings=all_settings(), plan=plans)
def test_without_an_approval_a_day_changes_no_more_than_the_free_step(
    settings: AllocatorSettings, plan: list[Step]
) -> None:
    component = Watched(settings)
    allocations = played(component, plan).of_type(CapitalAllocated)
    days: dict[str, int] = {}
    anchors: dict[str, Decimal] = {}
    for said, total in zip(allocations, component.totals, strict=True):
        day = said.ts_init // 86_400_000_000_000
        if said.strategy not in anchors or said.proposal is not None:
            anchors[said.strategy] = said.capital
        elif days[said.strategy] != day:
            anchors[said.strategy] = said.before
        days[said.strategy] = day
        assert abs(said.capital - anchors[said.strategy]) <= total * Decimal(repr(settings.free_step))


@given(settings=all_settings(), plan=plans)
def test_a_proposal_is_followed_at_most_once_and_only_when_it_was_approved_in_time(
    settings: AllocatorSettings, plan: list[Step]
) -> None:
    component = Watched(settings)
    tape = played(component, plan)
    proposals = {said.position: said.event for said in tape.recorded if isinstance(said.event, CapitalProposed)}
    approvals = {decision.proposal: decision for decision in component.decisions if decision.approved}
    followed = [said for said in tape.of_type(CapitalAllocated) if said.proposal is not None]
    assert len({said.proposal for said in followed}) == len(followed)
    for said in followed:
        assert said.proposal is not None
        wanted = proposals[said.proposal]
        assert (said.strategy, said.capital) == (wanted.strategy, wanted.capital)
        assert said.proposal in approvals
        assert said.ts_init - wanted.ts_init <= settings.proposal_valid_s * 1_000_000_000


@given(settings=all_settings(), plan=plans)
def test_changes_below_the_least_step_are_not_made(settings: AllocatorSettings, plan: list[Step]) -> None:
    component = Watched(settings)
    allocations = played(component, plan).of_type(CapitalAllocated)
    known: set[str] = set()
    for said, total in zip(allocations, component.totals, strict=True):
        if said.strategy in known and said.proposal is None:
            assert abs(said.capital - said.before) >= total * Decimal(repr(settings.least_step))
        known.add(said.strategy)


@given(settings=all_settings(), plan=plans, cut=st.integers(0, 80))
def test_one_that_was_kept_and_restored_goes_on_the_same(
    settings: AllocatorSettings, plan: list[Step], cut: int
) -> None:
    whole = played(Allocator(settings), plan)
    before = Allocator(settings)
    first = played(before, plan[:cut])
    kept = STATE.validate_json(STATE.dump_json(before.state()))
    assert kept == before.state()
    after = Allocator(settings)
    after.restore(kept)
    second = MemoryTape([after])
    second.position, second.recorded = first.position, list(first.recorded)
    elapsed = sum(step.seconds for step in plan[:cut] if isinstance(step, Waited))
    played(after, plan[cut:], second, elapsed)
    assert second.recorded == whole.recorded


@st.composite
def tracks(draw: st.DrawFn) -> dict[str, Track]:
    measured = st.lists(st.floats(-0.9, 5).map(lambda value: round(value, 6)), max_size=5)
    drawn = {}
    for name in NAMES[: draw(st.integers(1, 4))]:
        returns = draw(measured)
        worth = Decimal(draw(worths))
        drawn[name] = Track(worth, worth, returns, [draw(st.integers(0, 100)) for _ in returns])
    return drawn


@given(settings=all_settings(), known=tracks())
def test_shares_are_parts_of_one_within_their_bounds(settings: AllocatorSettings, known: dict[str, Track]) -> None:
    division = divide(settings, known)
    assert division.shares.keys() == known.keys()
    assert sum(division.shares.values()) <= 1 + 1e-9
    for name, share in division.shares.items():
        if known[name].is_ruined:
            assert share == 0
        elif name in settings.shares:
            assert share == settings.shares[name]
        else:
            assert share <= settings.bounds.most + 1e-9
            assert division.objection is not None or share >= min(settings.bounds.least, 1) - 1e-9
