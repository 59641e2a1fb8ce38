"""Capital: divided by policy, never more than there is, and in large steps only with an approval."""

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.books import CapitalAllocated, CapitalProposed, EquityMarked, PositionClosed
from contracts.clock import ClockTick
from contracts.control import Alert, CapitalDecided
from contracts.event import Event
from contracts.ownership import ROLES
from contracts.types import Severity, Side
from services.allocator.metrics import CAPITAL, PROPOSALS, observe
from services.allocator.policies import divide
from services.allocator.rules import Allocator
from services.allocator.settings import AllocatorSettings, Bounds, Policy, TotalOf
from services.allocator.track import Track
from tape.memory import MemoryTape
from tests.builders import BTC, START, ns, tick
from tests.servers import ROOT

HOUR = 3600
DAY = 86_400
MIDNIGHT = DAY - START // 1_000_000_000 % DAY
"""Seconds from `START` until a day begins."""


def equity(strategy: str, amount: float | str, *, at: float = 0.0, currency: str = "USDT") -> EquityMarked:
    worth = Decimal(str(amount))
    return EquityMarked(
        ts_event=ns(at),
        ts_init=ns(at),
        strategy=strategy,
        currency=currency,
        cash=worth,
        equity=worth,
        realized_pnl=Decimal(0),
        unrealized_pnl=Decimal(0),
        fees=Decimal(0),
        peak=worth,
        positions=(),
    )


def closed(strategy: str, *, at: float = 0.0) -> PositionClosed:
    return PositionClosed(
        ts_event=ns(at),
        ts_init=ns(at),
        strategy=strategy,
        instrument=BTC,
        side=Side.BUY,
        quantity=Decimal(1),
        entry_price=Decimal(100),
        exit_price=Decimal(101),
        realized_pnl=Decimal(1),
        fees=Decimal(0),
        funding=Decimal(0),
        opened_at=START,
        closed_at=ns(at),
        closed_by="x-1-0",
        stopped=False,
    )


def decided(proposal: int, *, approved: bool = True, at: float = 1.0) -> CapitalDecided:
    return CapitalDecided(
        ts_event=ns(at), ts_init=ns(at), proposal=proposal, approved=approved, operator="alice", reason="test"
    )


def allocator(*events: Event, **settings: Any) -> MemoryTape:  # noqa: ANN401 # settings have a type each
    tape = MemoryTape([Allocator(AllocatorSettings(**settings))])
    tape.play(events)
    return tape


def given_to(tape: MemoryTape) -> dict[str, Decimal]:
    """What each strategy may bind by now."""
    return {said.strategy: said.capital for said in tape.of_type(CapitalAllocated)}


def positions(tape: MemoryTape) -> dict[str, int]:
    """Where the last proposal for each strategy is."""
    return {
        recorded.event.strategy: recorded.position
        for recorded in tape.recorded
        if isinstance(recorded.event, CapitalProposed)
    }


def codes(tape: MemoryTape) -> list[str]:
    return [alert.code for alert in tape.of_type(Alert)]


def track(returns: Sequence[float] = (), *, trades: int = 0, worth: int = 100) -> Track:
    return Track(Decimal(worth), Decimal(worth), list(returns), [trades, *[0] * (len(returns) - 1)] if returns else [])


def shares(tracks: dict[str, Track], **settings: Any) -> dict[str, float]:  # noqa: ANN401 # as above
    return divide(AllocatorSettings(**settings), tracks).shares


CALM = [0.01, -0.01] * 5
WILD = [0.02, 0.02, -0.02, -0.02] * 2 + [0.02, -0.02]
WINNING = [0.02, 0.01] * 5
LOSING = [-0.02, -0.01] * 5


def test_it_says_and_hears_what_its_role_does() -> None:
    assert set(Allocator.produces) - {Alert} == set(ROLES["allocator"].writes)
    assert set(Allocator.consumes()) == set(ROLES["allocator"].reads)


# -- the total, and who shares in it -----------------------------------------------------------------------------------


def test_by_default_every_strategy_gets_what_its_books_begin_with_and_keeps_it() -> None:
    tape = allocator(
        equity("trend", 100_000), tick(1), equity("scalper", 99_000), equity("momentum", 5), tick(2), tick(DAY * 3)
    )
    assert given_to(tape) == {"trend": 100_000, "scalper": 100_000, "momentum": 100_000}
    assert len(tape.recorded) == 3


def test_nothing_is_allocated_while_no_strategy_is_known() -> None:
    assert allocator(tick(0), tick(HOUR), tick(DAY)).recorded == []


def test_a_given_total_is_divided_and_never_exceeded_by_rounding() -> None:
    tape = allocator(tick(0), strategies=("a", "b", "c"), total_capital=Decimal(100))
    assert given_to(tape) == dict.fromkeys("abc", Decimal("33.33"))


def test_fixed_shares_go_first_and_the_rest_is_divided() -> None:
    tape = allocator(tick(0), shares={"a": 0.5}, strategies=("b", "c"), total_capital=Decimal(1000))
    assert given_to(tape) == {"a": 500, "b": 250, "c": 250}


def test_where_fixed_shares_take_everything_others_get_nothing() -> None:
    tape = allocator(equity("b", 5), tick(0), shares={"a": 1.0}, total_capital=Decimal(1000))
    assert given_to(tape) == {"a": 1000, "b": 0}


def test_equity_as_the_total_follows_gains_and_losses_up_to_the_given_total() -> None:
    settings = {"total_of": TotalOf.EQUITY, "total_capital": Decimal(1030), "capital_each": Decimal(500)}
    tape = allocator(equity("a", 500), equity("b", 500), tick(0), **settings)
    assert given_to(tape) == {"a": 500, "b": 500}
    tape.play([equity("a", 480), tick(HOUR)])
    assert given_to(tape) == {"a": 490, "b": 490}
    tape.play([equity("a", 900), tick(2 * HOUR)])
    assert given_to(tape) == {"a": 515, "b": 515}


def test_a_strategy_without_equity_left_gets_nothing() -> None:
    assert shares({"a": track(worth=0), "b": track(), "c": track(worth=-1)}) == {"a": 0, "b": 1, "c": 0}


def test_ignored_strategies_get_none() -> None:
    assert allocator(equity("external", 10), tick(0)).recorded == []


@pytest.mark.parametrize(
    ("marked", "code"),
    [(equity("a", 10, currency="EUR"), "foreign_currency"), (equity("a", "1e16"), "unbelievable_equity")],
)
def test_equity_that_cannot_be_counted_is_told_once_and_not_used(marked: EquityMarked, code: str) -> None:
    tape = allocator(marked, marked, tick(0))
    (alert,) = tape.of_type(Alert)
    assert (alert.code, alert.severity) == (code, Severity.WARNING)
    assert len(tape.recorded) == 1


# -- policies ----------------------------------------------------------------------------------------------------------


def test_risk_parity_gives_half_to_what_moves_twice_as_much() -> None:
    divided = shares({"calm": track(CALM), "wild": track(WILD)}, policy=Policy.RISK_PARITY, covariance_shrinkage=1)
    assert divided == pytest.approx({"calm": 2 / 3, "wild": 1 / 3}, abs=0.01)


@pytest.mark.parametrize("unmeasured", [track(), track(CALM[:9]), track([0.0] * 10)], ids=["new", "short", "still"])
def test_what_is_not_measured_gets_an_equal_part(unmeasured: Track) -> None:
    tracks = {"calm": track(CALM), "wild": track(WILD), "new": unmeasured}
    divided = shares(tracks, policy=Policy.RISK_PARITY, covariance_shrinkage=1)
    assert divided == pytest.approx({"calm": 4 / 9, "wild": 2 / 9, "new": 1 / 3}, abs=0.01)


def test_returns_of_the_same_time_are_compared() -> None:
    long = track([9.0, -0.9, *CALM])
    assert shares({"a": long, "b": track(CALM)}, policy=Policy.RISK_PARITY) == pytest.approx({"a": 0.5, "b": 0.5})


@pytest.mark.parametrize("policy", [Policy.RISK_PARITY, Policy.PERFORMANCE])
def test_before_anything_is_measured_all_get_the_same(policy: Policy) -> None:
    assert shares({"a": track(), "b": track(CALM[:9])}, policy=policy) == {"a": 0.5, "b": 0.5}


def test_performance_tilts_toward_what_earned_more_for_its_risk() -> None:
    tracks = {"won": track(WINNING, trades=30), "lost": track(LOSING, trades=30)}
    divided = shares(tracks, policy=Policy.PERFORMANCE, prior_trades=1e-6, tilt=0.5)
    assert divided == pytest.approx({"won": 0.75, "lost": 0.25})


def test_performance_counts_for_nothing_without_closed_positions_and_more_with_each() -> None:
    def part_of_winner(trades: int) -> float:
        tracks = {"won": track(WINNING, trades=trades), "slow": track(WILD[:6] + WINNING[:4], trades=trades)}
        return shares(tracks, policy=Policy.PERFORMANCE, prior_trades=30)["won"]

    parts = [part_of_winner(trades) for trades in (0, 3, 30, 300)]
    assert parts[0] == pytest.approx(0.5)
    assert parts == sorted(parts)
    assert parts[-1] > 0.6


def test_when_nobody_earned_anything_all_get_the_same() -> None:
    tracks = {"a": track(LOSING, trades=9), "b": track(CALM, trades=9)}
    assert shares(tracks, policy=Policy.PERFORMANCE) == {"a": 0.5, "b": 0.5}


def test_bounds_hold_for_all_and_for_single_strategies() -> None:
    tracks = {name: track() for name in "abcd"}
    divided = shares(tracks, bounds=Bounds(most=0.3), strategy_bounds={"a": Bounds(most=0.1), "b": Bounds(least=0.4)})
    assert divided == pytest.approx({"a": 0.1, "b": 0.4, "c": 0.25, "d": 0.25})


def test_bounds_are_parts_of_the_total_beside_fixed_shares_too() -> None:
    divided = shares({"a": track(), "b": track(), "c": track()}, shares={"a": 0.5}, bounds=Bounds(most=0.2))
    assert divided == pytest.approx({"a": 0.5, "b": 0.2, "c": 0.2})


def test_bounds_that_cannot_all_hold_are_lowered_in_proportion_and_told_once() -> None:
    settings = {"total_capital": Decimal(1000), "strategy_bounds": {"a": Bounds(least=0.9), "b": Bounds(least=0.6)}}
    tape = allocator(equity("a", 1), equity("b", 1), tick(0), tick(HOUR), **settings)
    assert given_to(tape) == {"a": 600, "b": 400}
    assert codes(tape) == ["impossible_bounds"]


def test_returns_are_measured_in_pieces_of_event_time_and_the_oldest_are_forgotten() -> None:
    component = Allocator(AllocatorSettings(return_every_s=HOUR, returns=2, least_returns=2))
    tape = MemoryTape([component])
    worths = [100, 110, 99, 198]
    tape.play(e for hour, worth in enumerate(worths) for e in (equity("a", worth), closed("a"), tick(hour * HOUR)))
    assert component.tracks["a"].returns == pytest.approx([-0.1, 1.0])
    assert component.tracks["a"].trades == [1, 1]


@pytest.mark.parametrize("ruined", [0, -10])
def test_from_nothing_there_is_no_return(ruined: int) -> None:
    component = Allocator(AllocatorSettings(return_every_s=1))
    worths = [100, ruined, 50, 75]
    MemoryTape([component]).play(e for at, worth in enumerate(worths) for e in (equity("a", worth), tick(at)))
    assert component.tracks["a"].returns == [0.5]


# -- steps, proposals and approvals ------------------------------------------------------------------------------------


def two_of_a_hundred(**settings: Any) -> MemoryTape:  # noqa: ANN401 # as above
    """Divide 100 by two strategies; gains and losses of `a` then move the total."""
    given = {"total_of": TotalOf.EQUITY, "free_step": 0.1, "least_step": 0.02, **settings}
    return allocator(equity("a", 50), equity("b", 50), tick(0), **given)


@pytest.mark.parametrize(
    ("worth", "told"),
    [("53.9", None), ("54.2", CapitalAllocated), ("70", CapitalAllocated), ("80", CapitalProposed)],
    ids=["too_little", "small", "largest", "too_large"],
)
def test_small_changes_are_not_made_and_large_ones_wait(worth: str, told: type[Event] | None) -> None:
    tape = two_of_a_hundred()
    before = len(tape.recorded)
    tape.play([equity("a", worth), tick(HOUR)])
    assert [type(recorded.event) for recorded in tape.recorded[before:]] == ([] if told is None else [told, told])


def test_a_proposal_says_what_it_wants_and_why() -> None:
    tape = two_of_a_hundred()
    tape.play([equity("a", 100), tick(HOUR)])
    proposal = tape.of_type(CapitalProposed)[0]
    assert (proposal.capital, proposal.before) == (Decimal(75), Decimal(50))
    assert (proposal.share, proposal.policy) == (0.5, "fixed")
    assert proposal.reason == "50.00% of 150.00 USDT: equal parts for 2"


def test_an_approved_proposal_is_allocated_and_names_its_position() -> None:
    tape = two_of_a_hundred()
    tape.play([equity("a", 100), tick(HOUR)])
    position = positions(tape)["a"]
    tape.play([decided(position, at=HOUR)])
    last = tape.of_type(CapitalAllocated)[-1]
    assert (last.strategy, last.proposal) == ("a", position)
    assert (last.capital, last.before) == (Decimal(75), Decimal(50))


def test_a_refused_proposal_changes_nothing_and_is_not_made_again_for_a_while() -> None:
    tape = two_of_a_hundred(refusal_holds_s=2 * HOUR)
    tape.play([equity("a", 100), tick(HOUR)])
    refused = positions(tape)
    tape.play([decided(position, approved=False, at=HOUR) for position in refused.values()])
    tape.play([tick(2 * HOUR)])
    assert positions(tape) == refused
    tape.play([tick(3 * HOUR)])
    assert positions(tape).keys() == refused.keys()
    assert min(positions(tape).values()) > max(refused.values())
    assert given_to(tape) == {"a": 50, "b": 50}


def test_a_standing_proposal_is_not_repeated() -> None:
    tape = two_of_a_hundred()
    tape.play([equity("a", 100), *(tick(hour * HOUR) for hour in range(1, 6))])
    assert len(tape.of_type(CapitalProposed)) == 2


def test_a_proposal_is_replaced_when_something_else_is_right() -> None:
    tape = two_of_a_hundred()
    tape.play([equity("a", 100), tick(HOUR)])
    first = positions(tape)["a"]
    tape.play([equity("a", 150), tick(2 * HOUR)])
    second = tape.of_type(CapitalProposed)[-1]
    assert second.capital == 100
    assert "instead of the proposal of 75.00 at " in second.reason
    assert codes(tape) == ["proposal_withdrawn", "proposal_withdrawn"]
    tape.play([decided(first, at=2 * HOUR)])
    assert codes(tape)[-1] == "unknown_proposal"
    assert given_to(tape)["a"] == 50


def test_a_proposal_is_withdrawn_when_all_is_right_again() -> None:
    tape = two_of_a_hundred()
    tape.play([equity("a", 100), tick(HOUR), equity("a", 50), tick(2 * HOUR)])
    assert codes(tape) == ["proposal_withdrawn", "proposal_withdrawn"]
    assert given_to(tape) == {"a": 50, "b": 50}


def test_a_proposal_that_nobody_decides_expires_and_cannot_be_approved_any_more() -> None:
    tape = two_of_a_hundred(proposal_valid_s=60)
    tape.play([equity("a", 100), tick(HOUR)])
    position = positions(tape)["a"]
    tape.play([tick(HOUR + 60)])
    assert codes(tape) == []
    tape.play([tick(HOUR + 61), decided(position, at=HOUR + 61)])
    assert codes(tape) == ["proposal_expired", "proposal_expired", "unknown_proposal"]
    assert "proposal expired" in tape.of_type(Alert)[-1].message
    assert given_to(tape) == {"a": 50, "b": 50}


def test_a_decision_that_comes_too_late_is_none_also_before_the_clock_ticks() -> None:
    tape = two_of_a_hundred(proposal_valid_s=60)
    tape.play([equity("a", 100), tick(HOUR)])
    tape.play([decided(positions(tape)["a"], at=HOUR + 61)])
    assert codes(tape) == ["proposal_expired", "unknown_proposal"]
    assert given_to(tape)["a"] == 50


@pytest.mark.parametrize("again", [True, False])
def test_a_second_decision_over_the_same_proposal_is_told_and_changes_nothing(*, again: bool) -> None:
    tape = two_of_a_hundred()
    tape.play([equity("a", 100), tick(HOUR)])
    position = positions(tape)["a"]
    tape.play([decided(position, at=HOUR), decided(position, approved=again, at=HOUR)])
    assert codes(tape) == ["unknown_proposal"]
    assert "approved before" in tape.of_type(Alert)[-1].message
    assert given_to(tape)["a"] == 75


def test_a_decision_over_nothing_is_told() -> None:
    tape = allocator(decided(17))
    (alert,) = tape.of_type(Alert)
    assert (alert.code, alert.severity) == ("unknown_proposal", Severity.WARNING)
    assert "the proposal at 17" in alert.message


def test_what_became_of_proposals_is_forgotten_after_so_many() -> None:
    tape = two_of_a_hundred(remembered_proposals=1)
    tape.play([equity("a", 100), tick(HOUR)])
    over = [positions(tape)[name] for name in "ab"]
    tape.play([decided(position, approved=False, at=HOUR) for position in over])
    tape.play([decided(position, at=HOUR) for position in over])
    forgotten, known = [alert.message for alert in tape.of_type(Alert)]
    assert "nothing that is remembered" in forgotten
    assert "alice refused it" in known


def test_many_small_steps_are_no_way_around_an_approval() -> None:
    tape = two_of_a_hundred(least_step=0)
    hours = range(1, 9)
    tape.play(e for hour in hours for e in (equity("a", 50 + 6 * hour), tick(hour * HOUR)))
    assert given_to(tape)["a"] <= Decimal(50 + 15)
    assert positions(tape).keys() == {"a", "b"}


def test_free_steps_are_counted_anew_each_day() -> None:
    tape = two_of_a_hundred()
    tape.play([equity("a", 70), tick(HOUR), equity("a", 90), tick(MIDNIGHT + 1)])
    assert given_to(tape) == {"a": 70, "b": 70}
    assert tape.of_type(CapitalProposed) == []


# -- never more than there is ------------------------------------------------------------------------------------------

THREE: dict[str, Any] = {"total_capital": Decimal(90), "strategies": ("a", "b"), "free_step": 0.1}


def test_a_newcomer_gets_only_what_nobody_has_until_others_give_something_up() -> None:
    tape = allocator(tick(0), equity("new", 1), tick(1), **THREE)
    assert given_to(tape) == {"a": 45, "b": 45, "new": 0}
    wanted = {said.strategy: said.capital for said in tape.of_type(CapitalProposed)}
    assert wanted == {"a": 30, "b": 30, "new": 30}


def test_an_approved_increase_waits_until_there_is_room() -> None:
    tape = allocator(tick(0), equity("new", 1), tick(1), **THREE)
    proposals = positions(tape)
    tape.play([decided(proposals["new"])])
    assert codes(tape) == ["waits_for_room"]
    tape.play([decided(proposals["a"])])
    assert given_to(tape) == {"a": 30, "b": 45, "new": 0}
    tape.play([decided(proposals["b"])])
    assert given_to(tape) == {"a": 30, "b": 30, "new": 30}
    assert tape.of_type(CapitalAllocated)[-1].proposal == proposals["new"]


def test_an_approval_that_waits_for_room_can_be_taken_back() -> None:
    tape = allocator(tick(0), equity("new", 1), tick(1), **THREE)
    proposals = positions(tape)
    tape.play(
        [
            decided(proposals["new"]),
            decided(proposals["new"], approved=False),
            decided(proposals["a"]),
            decided(proposals["b"]),
        ]
    )
    assert given_to(tape) == {"a": 30, "b": 30, "new": 0}


# -- what it goes on from ----------------------------------------------------------------------------------------------


def goes_on(tape: MemoryTape, before: Allocator, settings: AllocatorSettings, events: Iterable[Event]) -> MemoryTape:
    after = Allocator(settings)
    after.restore(before.state())
    went_on = MemoryTape([after])
    went_on.position = tape.position
    went_on.play(events)
    return went_on


def test_room_that_was_promised_is_not_given_to_others() -> None:
    before = Allocator(AllocatorSettings(total_capital=Decimal(90)))
    tape = MemoryTape([before])
    tape.play([*(equity(name, 1) for name in "xyz"), tick(0)])
    settings = AllocatorSettings(total_capital=Decimal(90), shares={"x": 0.6})
    tape = goes_on(tape, before, settings, [tick(HOUR)])
    proposals = positions(tape)
    tape.play([decided(proposals["x"], at=HOUR), decided(proposals["y"], at=HOUR)])
    tape.play([equity("new", 1), tick(HOUR + 1)])
    assert codes(tape)[0] == "waits_for_room"
    assert given_to(tape) == {"y": 12, "new": 0}
    tape.play([decided(positions(tape)["z"], at=HOUR + 1)])
    assert given_to(tape) == {"x": 54, "y": 12, "z": 12, "new": 0}


def test_capital_stays_when_settings_change_and_what_they_change_much_is_proposed() -> None:
    before = Allocator(AllocatorSettings(total_capital=Decimal(1000)))
    tape = MemoryTape([before])
    tape.play([equity("a", 1), equity("b", 1), tick(0)])
    settings = AllocatorSettings(total_capital=Decimal(1000), shares={"a": 0.8})
    tape = goes_on(tape, before, settings, [tick(1), tick(HOUR)])
    wanted = {said.strategy: (said.before, said.capital) for said in tape.of_type(CapitalProposed)}
    assert wanted == {"a": (Decimal(500), Decimal(800)), "b": (Decimal(500), Decimal(200))}
    assert tape.of_type(CapitalAllocated) == []


def test_an_approved_increase_is_made_when_the_total_has_grown_enough() -> None:
    settings = AllocatorSettings(total_capital=Decimal(90), strategies=("x", "y", "z"), least_step=0.08)
    before = Allocator(settings)
    tape = MemoryTape([before])
    tape.play([tick(0)])
    between = Allocator(settings.model_copy(update={"shares": {"x": 0.6}}))
    between.restore(before.state())
    waiting = MemoryTape([between])
    waiting.play([tick(HOUR)])
    proposals = positions(waiting)
    waiting.play([decided(proposals["x"], at=HOUR), decided(proposals["y"], at=HOUR)])
    assert given_to(waiting) == {"y": 18}
    larger = settings.model_copy(update={"shares": {"x": 0.6}, "total_capital": Decimal(102)})
    tape = goes_on(waiting, between, larger, [tick(2 * HOUR)])
    assert given_to(tape) == {"z": Decimal("20.40"), "x": 54}


def test_a_restart_is_no_way_around_an_approval() -> None:
    settings = AllocatorSettings(total_of=TotalOf.EQUITY, rebalance_every_s=60)
    before = Allocator(settings)
    tape = MemoryTape([before])
    tape.play([equity("a", 50), equity("b", 50), tick(0), equity("a", 70), tick(60)])
    assert given_to(tape) == {"a": 60, "b": 60}
    tape = goes_on(tape, before, settings, [equity("a", 90), tick(120)])
    assert tape.of_type(CapitalAllocated) == []
    assert positions(tape).keys() == {"a", "b"}


def test_returns_over_another_time_and_capital_in_another_currency_begin_anew() -> None:
    before = Allocator(AllocatorSettings(return_every_s=60))
    tape = MemoryTape([before])
    tape.play([equity("a", 1), tick(0), equity("a", 2), tick(60)])
    assert before.tracks["a"].returns == [1.0]
    longer, other = Allocator(AllocatorSettings(return_every_s=120)), Allocator(AllocatorSettings(currency="EUR"))
    other.restore(before.state())
    longer.restore(before.state())
    assert longer.tracks["a"].returns == []
    assert longer.purses["a"].capital == 100_000
    assert other.tracks == {}


# -- settings, metrics, documents --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"shares": {"a": 0.7, "b": 0.4}}, "shares"),
        ({"least_step": 0.2, "free_step": 0.1}, "least_step"),
        ({"returns": 5, "least_returns": 6}, "least_returns"),
        ({"bounds": {"least": 0.5, "most": 0.4}}, "least"),
        ({"strategies": ("external",)}, "ignored"),
        ({"total_capital": Decimal(0)}, "total_capital"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_by_name(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        AllocatorSettings(**settings)


def test_capital_and_proposals_are_measured() -> None:
    tape = two_of_a_hundred()
    tape.play([equity("a", 100), tick(HOUR)])
    observers = observe()
    asked_before = PROPOSALS.labels("a")._value.get()
    for recorded in tape.recorded:
        if observer := observers.get(type(recorded.event)):
            observer(recorded.event, None)
    assert CAPITAL.labels("a")._value.get() == 50
    assert PROPOSALS.labels("a")._value.get() == asked_before + 1


def test_every_setting_is_documented_with_its_default() -> None:
    defaults = AllocatorSettings().model_dump(mode="json")
    rows = [
        f"| `{name}` | `{json.dumps(defaults[name])}` | {field.description} |"
        for name, field in AllocatorSettings.model_fields.items()
    ]
    assert "\n".join(rows) in (ROOT / "docs/allocator.md").read_text()


def test_a_tick_with_nothing_to_do_says_nothing() -> None:
    component = Allocator(AllocatorSettings())
    MemoryTape([component]).play([equity("a", 1), tick(0)])
    assert component.on_tick(ClockTick(ts_event=ns(1), ts_init=ns(1))) is None
