"""Who says what and who hears it: one table, and nothing on the tape outside of it."""

import json
from pathlib import Path

import pytest

from contracts.books import PositionChanged, PositionClosed
from contracts.control import Alert, CapitalDecided, DeadLetter, LeaseTaken, LockLifted, TradingStateSet
from contracts.event import EVENT_TYPES, Event, subject_pattern
from contracts.examples import examples
from contracts.market import Bar, Quote
from contracts.models import ModelDecided, ModelPromoted, ModelPublished, ModelRetired
from contracts.orders import ExecutionOverride, OrderIntent, ProtectiveIntent, RiskApproved
from contracts.ownership import (
    ORDER_EVENTS,
    ROLES,
    VENUE_ACCOUNT,
    VENUE_COMMANDS,
    VENUE_REPORTS,
    Kind,
    matches,
    overlapping,
    strategy,
)
from contracts.presets import PresetPinned
from contracts.regimes import CalibrationSet
from services.allocator.rules import Allocator
from services.bars.rules import Bars
from services.clock.rules import MarketClock
from services.depeg.rules import Depeg
from services.drift.rules import Drift
from services.funding.rules import FundingGuard
from services.gateway.rules import Gateway
from services.hmm_ensemble.rules import HmmEnsemble
from services.params.rules import Params
from services.portfolio.rules import Portfolio
from services.probe.rules import Probe
from services.regime.rules import Regime
from services.risk.rules import Risk
from services.router.rules import Router
from services.scheduler.rules import Scheduler
from services.stops.rules import Stops
from services.trend.rules import Trend
from tape.component import Component

DECLARED = Path(__file__).parents[2] / "deploy/nats"
TAPE = json.loads((DECLARED / "streams/TAPE.json").read_text())
LEDGER_CONSUMER = json.loads((DECLARED / "consumers/LEDGER.json").read_text())
EXAMPLES = {event_type: event_type.subject_of(examples()[event_type]) for event_type in EVENT_TYPES.values()}
COMPONENTS: dict[str, type[Component]] = {
    "allocator": Allocator,
    "bars": Bars,
    "clock": MarketClock,
    "depeg": Depeg,
    "drift": Drift,
    "funding": FundingGuard,
    "gateway": Gateway,
    "hmm_ensemble": HmmEnsemble,
    "params": Params,
    "portfolio": Portfolio,
    "probe": Probe,
    "regime": Regime,
    "risk": Risk,
    "router": Router,
    "scheduler": Scheduler,
    "stops": Stops,
    "trend": Trend,
}


def writers_of(*event_types: type[Event]) -> set[str]:
    return {role.name for role in ROLES.values() if set(event_types) & set(role.writes)}


def test_no_subject_belongs_to_two_writers() -> None:
    owned = [(role.name, pattern) for role in ROLES.values() for pattern in role.write_subjects()]
    owners = {pattern: name for name, pattern in owned}
    assert len(owners) == len(owned)
    assert overlapping(owners) == []


def test_every_event_type_has_one_writer_unless_its_subject_names_who_says_it() -> None:
    of_everyone = {Alert, DeadLetter, LeaseTaken}
    for event_type in set(EVENT_TYPES.values()) - of_everyone:
        patterns = {role.subject(event_type) for role in ROLES.values() if event_type in role.writes}
        assert patterns
        assert len(patterns) == 1 or subject_pattern(event_type) not in patterns


def test_everything_that_is_written_is_kept_by_the_archive() -> None:
    assert set(ROLES["archive"].reads) == set(EVENT_TYPES.values())


@pytest.mark.parametrize("event_type", EVENT_TYPES.values(), ids=EVENT_TYPES)
def test_every_subject_is_taken_by_the_tape(event_type: type[Event]) -> None:
    subject = event_type.subject_of(examples()[event_type])
    assert any(overlapping([subject, taken]) for taken in TAPE["subjects"])


@pytest.mark.parametrize("event_type", EVENT_TYPES.values(), ids=EVENT_TYPES)
def test_the_pattern_of_a_type_holds_its_subjects_and_those_of_no_other(event_type: type[Event]) -> None:
    pattern = subject_pattern(event_type)
    for other, example in examples().items():
        assert bool(overlapping([pattern, other.subject_of(example)])) is (other is event_type)


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_says_and_hears_exactly_what_its_role_does(name: str) -> None:
    role, component = ROLES[name], COMPONENTS[name]
    assert set(component.produces) - {Alert} == set(role.writes)
    assert set(component.consumes()) == set(role.reads)


def test_components_and_edges_are_told_apart() -> None:
    strategies = {role.name for role in ROLES.values() if role.kind is Kind.STRATEGY}
    assert strategies == {"trend", "depeg", "funding", "probe", "hmm_ensemble"}
    assert {role.name for role in ROLES.values() if role.kind is Kind.EDGE} == {
        "archive",
        "clock",
        "feed",
        "gateway",
        "ops",
        "ingest",
        "backfill",
        "importer",
        "trainer",
    }


def test_only_risk_lets_orders_through_and_only_the_router_brings_them_to_a_venue() -> None:
    assert writers_of(RiskApproved) == {"risk"}
    assert writers_of(*ORDER_EVENTS) == {"router"}
    assert writers_of(*VENUE_COMMANDS) == {"router"}


def test_nobody_but_the_gateway_hears_venue_commands_and_nobody_but_risk_hears_intents() -> None:
    hearing = {role.name: set(role.reads) for role in ROLES.values() if role.name != "archive"}
    assert {name for name, reads in hearing.items() if reads & set(VENUE_COMMANDS)} == {"gateway"}
    assert {name for name, reads in hearing.items() if {OrderIntent, ProtectiveIntent} & reads} == {"risk"}
    assert {name for name, reads in hearing.items() if RiskApproved in reads} == {"router", "stops"}


def test_a_strategy_can_only_wish_under_its_own_name() -> None:
    scalper = strategy("scalper", Quote)
    wishes = ["intent.scalper.*.*", "intent.cancel.scalper.*.*", "intent.amend.scalper.*.*"]
    assert scalper.write_subjects() == [*wishes, "alert.scalper", "dead.scalper", "lease.taken.scalper"]


def test_everyone_alerts_and_takes_its_lease_under_its_own_name() -> None:
    assert ROLES["bars"].write_subjects() == ["md.bar.*.*.*", "alert.bars", "dead.bars", "lease.taken.bars"]


def test_the_ledger_copies_orders_fills_positions_models_and_what_the_operator_says() -> None:
    copied = LEDGER_CONSUMER["config"]["filter_subjects"]
    assert set(copied) <= set(TAPE["subjects"])
    assert overlapping(copied) == []
    kept = {event_type for event_type, subject in EXAMPLES.items() if any(matches(subject, p) for p in copied)}
    orders = {*ORDER_EVENTS, *VENUE_COMMANDS, *VENUE_REPORTS, *VENUE_ACCOUNT, ExecutionOverride}
    books, models = {PositionChanged, PositionClosed}, {ModelPublished, ModelPromoted, ModelRetired}
    operator = {TradingStateSet, LockLifted, CapitalDecided, ModelDecided, CalibrationSet, PresetPinned}
    assert kept == orders | books | models | operator


def test_a_pattern_can_be_narrowed() -> None:
    assert subject_pattern(Bar) == "md.bar.*.*.*"
    assert subject_pattern(Bar, interval="5s") == "md.bar.5s.*.*"
    assert subject_pattern(Bar, instrument="binance.BTCUSDT") == "md.bar.*.binance.BTCUSDT"


@pytest.mark.parametrize(
    ("first", "second", "meet"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.*", "a.b", True),
        ("a.*", "*.b", True),
        ("a.*", "a.b.c", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a.*", True),
        ("a.>", "b.>", False),
        ("a.>", "a", False),
        ("a", "a.>", False),
        (">", "a", True),
        ("a.*.c", "a.b.*", True),
        ("a.b.c", "a.b", False),
    ],
)
def test_two_patterns_overlap_when_a_subject_matches_both(first: str, second: str, *, meet: bool) -> None:
    assert bool(overlapping([first, second])) is meet
