"""An audit finds nothing where nothing is wrong, and everything that is."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise

import pytest
from pydantic import BaseModel

from contracts.books import EquityMarked
from contracts.clock import ClockTick
from contracts.control import DeadLetter, LeaseTaken
from contracts.event import Event
from contracts.market import Bar, Quote
from contracts.orders import OrderFilled, OrderIntent
from contracts.recorded import Recorded, Unreadable
from contracts.types import Interval, Side
from services.bars.settings import BarsSettings, PriceSource
from services.catalog import BLUEPRINTS
from services.clock.settings import ClockSettings, ClockSource
from services.portfolio.settings import PortfolioSettings
from tape.audit import SHOWN, Audit, Audits
from tape.blueprint import Blueprint
from tape.component import Component, on
from tape.verdict import Difference, Divergence, Kind, Span, Verdict
from tests.builders import START, bar, tick
from tests.played import SETTINGS, Message, Stage, first_lease, lease, market, played

LENGTH = 400
TAPE = played(market(LENGTH)).tape
END = len(TAPE)

every_component = pytest.mark.parametrize("name", SETTINGS)


def judged(
    name: str,
    tape: Sequence[Message],
    span: Span | None = None,
    *,
    what_if: BaseModel | None = None,
    blueprint: Blueprint | None = None,
) -> Verdict:
    """Judge one component by a tape, all of it where no span is given."""
    span = span or Span(1, tape[-1].position)
    blueprint = blueprint or BLUEPRINTS[name]
    settings = what_if or blueprint.settings_of(first_lease(tape, name), SETTINGS[name])
    audits = Audits([Audit(blueprint, settings, span, keep_settings=what_if is not None)])
    audits.take([message for message in tape if message.position <= span.stop])
    (verdict,) = audits.verdicts()
    return verdict


def outputs(name: str, tape: Sequence[Message] = TAPE) -> list[Recorded]:
    return [told for told in tape if isinstance(told, Recorded) and told.msg_id.startswith(f"{name}/") and told.cause]


QUIET = ("allocator", "depeg", "funding")
"""Those who have little or nothing to say in a calm minute."""

every_talkative_component = pytest.mark.parametrize("name", [name for name in SETTINGS if name not in QUIET])


def with_message(changed: Recorded, tape: Sequence[Message] = TAPE) -> list[Message]:
    return [changed if message.position == changed.position else message for message in tape]


def without(position: int, tape: Sequence[Message] = TAPE) -> list[Message]:
    return [message for message in tape if message.position != position]


def only(verdict: Verdict) -> Divergence:
    (divergence,) = verdict.first
    assert verdict.diverging == 1
    return divergence


def later(event: Event) -> Event:
    return replace(event, ts_event=event.ts_event + 1)


# -- a clean history ---------------------------------------------------------------------------------------------------


@every_component
def test_what_was_said_is_what_would_be_said(name: str) -> None:
    verdict = judged(name, TAPE)
    assert verdict.diverging == verdict.pending == verdict.silent == verdict.unverifiable == 0
    assert verdict.compared == len(outputs(name))
    assert verdict.compared > 2 or name in QUIET
    assert verdict.others == 1
    assert verdict.events > verdict.compared / 2


def test_all_are_judged_in_one_pass_as_they_are_alone() -> None:
    span = Span(1, END)
    audits = Audits([Audit(BLUEPRINTS[name], SETTINGS[name], span) for name in SETTINGS])
    for at in range(0, END, 100):
        audits.take(TAPE[at : at + 100])
    assert audits.verdicts() == [judged(name, TAPE) for name in SETTINGS]


@every_component
@pytest.mark.parametrize("cut", [8, 100, 333])
def test_what_had_no_time_to_be_said_is_no_divergence(name: str, cut: int) -> None:
    said = outputs(name, TAPE[:cut])
    verdict = judged(name, TAPE[:cut])
    assert verdict.diverging == 0
    assert verdict.compared == len(said)
    assert verdict.pending == len([told for told in outputs(name) if told.cause <= cut < told.position])  # type: ignore[operator]


@every_component
def test_stretches_of_a_tape_are_judged_each_for_itself(name: str) -> None:
    whole = judged(name, TAPE)
    cuts = [1, 50, 51, 300, END + 1]
    parts = [judged(name, TAPE, Span(a, b - 1)) for a, b in pairwise(cuts)]
    assert sum(part.compared for part in parts) == whole.compared
    assert all(part.diverging == 0 for part in parts)


# -- what is wrong is found --------------------------------------------------------------------------------------------


@every_talkative_component
def test_a_changed_field_is_named(name: str) -> None:
    said = outputs(name)[-2]
    found = only(judged(name, with_message(replace(said, event=later(said.event)))))
    assert (found.kind, found.position, found.cause) == (Kind.DIFFERENT, said.position, said.cause)
    assert found.computed == said.event
    assert found.differences == (Difference("ts_event", said.event.ts_event + 1, said.event.ts_event),)


def test_a_changed_field_is_named_by_its_place() -> None:
    said = next(told for told in outputs("trend") if isinstance(told.event, OrderIntent) and told.event.exit)
    assert isinstance(said.event, OrderIntent) and said.event.exit is not None
    order = replace(said.event.order, side=said.event.order.side.opposite)
    forged = replace(said.event, order=order, exit=replace(said.event.exit, stop=1.0))
    found = only(judged("trend", with_message(replace(said, event=forged))))
    assert found.differences == (
        Difference("order.side", order.side, order.side.opposite),
        Difference("exit.stop", 1.0, said.event.exit.stop),
    )


def test_a_changed_list_is_compared_part_by_part() -> None:
    said = next(told for told in outputs("portfolio") if isinstance(told.event, EquityMarked) and told.event.positions)
    assert isinstance(said.event, EquityMarked)
    held = said.event.positions[0]
    forged = replace(said.event, positions=(*said.event.positions, held))
    found = only(judged("portfolio", with_message(replace(said, event=forged))))
    assert found.differences == (Difference(f"positions.{len(said.event.positions)}", held, None),)


def test_another_type_is_a_difference() -> None:
    said = outputs("bars")[3]
    dead = DeadLetter(ts_event=1, ts_init=1, component="bars", source="", reason="", excerpt="")
    assert only(judged("bars", with_message(replace(said, event=dead)))).differences == (
        Difference("type", "DeadLetter", "Bar"),
    )


def test_an_output_that_cannot_be_read_any_more_is_a_difference() -> None:
    said = outputs("bars")[3]
    damaged = Unreadable(said.position, "md.bar.1s.binance.BTCUSDT", {"Nats-Msg-Id": said.msg_id}, b"?", "no JSON")
    tape = [damaged if message.position == said.position else message for message in TAPE]
    found = only(judged("bars", tape))
    assert (found.kind, found.recorded, found.computed) == (Kind.DIFFERENT, damaged, said.event)


def test_another_cause_than_the_id_names_is_a_difference() -> None:
    said = outputs("bars")[3]
    found = only(judged("bars", with_message(replace(said, cause=1))))
    assert found.differences == (Difference("cause", 1, said.cause),)


@every_talkative_component
def test_an_output_that_is_gone_is_missing(name: str) -> None:
    gone, following = outputs(name)[-3:-1]
    found = only(judged(name, without(gone.position)))
    assert (found.kind, found.cause, found.computed) == (Kind.MISSING, gone.cause, gone.event)
    assert found.position == following.position
    assert found.recorded is None


@every_talkative_component
def test_an_output_that_was_said_twice_is_unexpected(name: str) -> None:
    said = outputs(name)[-1]
    found = only(judged(name, [*TAPE, replace(said, position=END + 1)]))
    assert (found.kind, found.position, found.recorded) == (Kind.UNEXPECTED, END + 1, said.event)


def test_an_output_that_nothing_led_to_is_unexpected() -> None:
    at = END + 1
    invented = Recorded(at, at - 1, f"bars/{at - 1}/0", 0, bar(1.0))
    assert only(judged("bars", [*TAPE, invented])).kind is Kind.UNEXPECTED


def test_an_output_of_the_future_is_unexpected_and_hides_nothing() -> None:
    said = outputs("bars")[-1]
    assert said.cause is not None
    invented = Recorded(said.position, said.position + 9, f"bars/{said.position + 9}/0", 0, said.event)
    moved = [replace(message, position=message.position + 1) for message in TAPE[said.position - 1 :]]
    tape = [*TAPE[: said.position - 1], invented, *moved]
    assert only(judged("bars", tape)).position == invented.position


def test_a_changed_input_shows_in_what_was_said_of_it() -> None:
    intent = outputs("trend")[-1]
    heard = next(m for m in TAPE if m.position == outputs("trend")[0].cause)
    assert isinstance(heard, Recorded) and isinstance(heard.event, Bar)
    quieter = replace(heard.event, open=1.0, high=1.0, low=1.0, close=1.0)
    verdict = judged("trend", with_message(replace(heard, event=quieter)))
    assert verdict.diverging > 0
    assert verdict.first[0].position <= intent.position


def test_only_the_first_divergences_are_kept_whole_and_all_are_counted() -> None:
    tape = [m if not isinstance(m, Recorded) or m.cause is None else replace(m, event=later(m.event)) for m in TAPE]
    verdict = judged("bars", tape)
    assert verdict.divergences == {Kind.DIFFERENT: verdict.compared, Kind.MISSING: 0, Kind.UNEXPECTED: 0}
    assert len(verdict.first) == SHOWN


def test_what_lies_outside_the_span_is_not_looked_at() -> None:
    said = outputs("bars")[10]
    tape = with_message(replace(said, event=later(said.event)))
    assert judged("bars", tape, Span(said.position + 1, END)).diverging == 0
    assert judged("bars", tape, Span(1, said.position - 1)).diverging == 0
    assert judged("bars", tape, Span(said.position, said.position)).diverging == 1


# -- leases and settings -----------------------------------------------------------------------------------------------

OTHER = {
    "bars": BarsSettings(intervals=(Interval.S5, Interval.S15), source=PriceSource.MID),
    "portfolio": PortfolioSettings(mark_every_s=3),
}


def restarted(name: str) -> Stage:
    """Let a component go on under other settings in the midst of it."""
    stage = Stage()
    stage.enter(*SETTINGS)
    events = market(LENGTH)
    stage.play(islice(events, LENGTH // 2))
    stage.enter(**{name: OTHER[name]})
    stage.play(events)
    return stage


@pytest.mark.parametrize("name", OTHER)
def test_settings_are_those_of_each_lease(name: str) -> None:
    tape = restarted(name).tape
    assert judged(name, tape).diverging == 0
    assert judged(name, tape).others == 2
    assert judged(name, tape, what_if=SETTINGS[name]).diverging > 0
    assert judged(name, tape, what_if=OTHER[name]).diverging > 0


@pytest.mark.parametrize("name", OTHER)
def test_a_lease_with_settings_that_were_not_in_force_is_found(name: str) -> None:
    forged = [
        replace(message, event=lease(name, "forged", OTHER[name]))
        if isinstance(message, Recorded) and message.event == first_lease(TAPE, name)
        else message
        for message in TAPE
    ]
    assert judged(name, TAPE).diverging == 0
    assert judged(name, forged).diverging > 0


def test_a_lease_of_other_code_changes_nothing() -> None:
    alien = LeaseTaken(ts_event=START, ts_init=START, component="bars", instance="alien", settings='{"x": 1}')
    tape = [*TAPE[:100], Recorded(101, None, "bars/lease/alien-1", 0, alien)]
    verdict = judged("bars", tape)
    assert (verdict.diverging, verdict.others) == (0, 2)


def test_a_late_joiner_learns_in_silence() -> None:
    stage = Stage()
    stage.enter(*(name for name in SETTINGS if name != "portfolio"))
    events = market(LENGTH)
    stage.play(islice(events, LENGTH // 2))
    stage.enter("portfolio")
    stage.play(events)
    verdict = judged("portfolio", stage.tape)
    assert verdict.diverging == verdict.pending == 0
    assert verdict.silent > 0
    assert verdict.compared > 0


def test_what_is_said_before_the_first_lease_is_unexpected() -> None:
    tape = [
        message for message in TAPE if not isinstance(message, Recorded) or message.event != first_lease(TAPE, "bars")
    ]
    verdict = judged("bars", tape)
    assert verdict.divergences[Kind.UNEXPECTED] == verdict.compared == verdict.silent


def test_what_a_dead_instance_owed_is_pending_until_the_next_one_says_it() -> None:
    stage = Stage()
    stage.enter(*SETTINGS)
    events = market(LENGTH)
    stage.play(islice(events, LENGTH // 2))
    stage.leave("bars")
    stage.play(events)
    dead = judged("bars", stage.tape)
    assert (dead.diverging, dead.pending > 0) == (0, True)
    stage.enter("bars")
    revived = judged("bars", stage.tape)
    assert (revived.diverging, revived.pending) == (0, 0)
    assert revived.compared == dead.compared + dead.pending


# -- edges -------------------------------------------------------------------------------------------------------------

WALL = ClockSettings(source=ClockSource.WALL)


def ticking(stage: Stage, seconds: int) -> None:
    """Let the wall clock tick, which is an edge."""
    stage.leave("clock")
    stage.say(lease("clock", f"wall-{stage.position}", WALL), msg_id=f"clock/lease/wall-{stage.position}")
    for second in range(seconds):
        stage.say(tick(1_000.0 + second), msg_id=f"clock/wall-{second}")


def test_of_an_edge_nothing_is_judged() -> None:
    stage = Stage()
    stage.enter("clock")
    stage.tape.clear()
    ticking(stage, 5)
    verdict = judged("clock", stage.tape)
    assert verdict.edge
    assert (verdict.events, verdict.compared, verdict.others) == (0, 0, 6)


def test_a_component_may_have_been_an_edge_for_a_while() -> None:
    stage = played(market(LENGTH))
    ticking(stage, 5)
    stage.play(islice(market(2 * LENGTH), LENGTH, None))
    silent = judged("clock", stage.tape)
    assert not silent.edge
    assert (silent.diverging, silent.others, silent.silent > 0) == (0, 7, True)
    stage.enter("clock")
    stage.play(islice(market(3 * LENGTH), 2 * LENGTH, None))
    verdict = judged("clock", stage.tape)
    assert (verdict.diverging, verdict.silent) == (0, silent.silent)
    assert verdict.compared > silent.compared


def test_an_edge_may_have_become_a_component() -> None:
    stage = Stage()
    stage.enter("clock")
    stage.tape.clear()
    ticking(stage, 5)
    stage.say(lease("clock", "market", SETTINGS["clock"]), msg_id="clock/lease/market-1")
    stage.say(Recorded(0, None, "", 0, next(iter(market(1)))).event, msg_id="sim/1")
    verdict = judged("clock", stage.tape)
    assert not verdict.edge
    assert (verdict.diverging, verdict.pending) == (0, 1)


# -- what goes wrong on the way ----------------------------------------------------------------------------------------


def test_what_was_said_of_something_unreadable_is_compared() -> None:
    stage = played(market(50))
    stage.babble("md.quote.binance.BTCUSDT", b"nonsense")
    stage.babble("alert.feed")
    stage.play(islice(market(LENGTH), 50, None))
    dead = [told for told in outputs("bars", stage.tape) if isinstance(told.event, DeadLetter)]
    assert len(dead) == 1
    assert judged("bars", stage.tape).diverging == 0
    forged = with_message(replace(dead[0], event=later(dead[0].event)), stage.tape)
    assert only(judged("bars", forged)).differences[0].field == "ts_event"


class Odd(Component):
    """Says what no reader takes, what comes back changed, and falls over."""

    @on(Quote)
    def on_quote(self, quote: Quote) -> Iterator[Bar]:
        yield replace(bar(100.0), volume=10**17 + 1)
        yield replace(bar(100.0), low=200.0)
        if quote.instrument.endswith("ETHUSDT"):
            raise ValueError("no ether, please")


def test_what_cannot_be_said_is_compared_as_the_dead_letter_that_was_said_instead() -> None:
    blueprint = Blueprint("bars", BarsSettings, lambda _settings: Odd("bars"))
    stage = Stage({"bars": blueprint})
    stage.enter("bars")
    stage.play(market(20))
    reasons = [told.event.reason for told in outputs("bars", stage.tape) if isinstance(told.event, DeadLetter)]
    assert any("do not lie within" in reason for reason in reasons)
    assert any("no ether, please" in reason for reason in reasons)
    verdict = judged("bars", stage.tape, blueprint=blueprint)
    assert (verdict.diverging, verdict.compared) == (0, len(outputs("bars", stage.tape)))


# -- what is not on record ---------------------------------------------------------------------------------------------


def test_what_follows_from_a_lost_position_cannot_be_verified() -> None:
    said = outputs("trend")[5]
    assert said.cause is not None
    verdict = judged("trend", without(said.cause), Span(1, END, holes=(range(said.cause, said.cause + 1),)))
    assert verdict.unverifiable == 1
    assert judged("trend", without(said.cause)).divergences[Kind.UNEXPECTED] >= 1


def test_a_hole_without_a_power_cut_excuses_nothing_else() -> None:
    gone = outputs("bars")[5]
    verdict = judged("bars", without(gone.position), Span(1, END, holes=(range(gone.position, gone.position + 1),)))
    assert only(verdict).kind is Kind.MISSING


def test_whoever_spoke_before_a_power_cut_may_have_known_more() -> None:
    last, again = outputs("bars")[10], outputs("bars")[14]
    lost = range(last.position - 3, last.position)
    kept = [*TAPE[: lost.start - 1], replace(last, event=later(last.event))]
    span = Span(1, END, holes=(lost,), cuts=(lost,))
    before = judged("bars", kept, span)
    assert (before.diverging, before.unverifiable > 0) == (0, True)
    new = Recorded(last.position + 1, None, "bars/lease/new-1", 0, lease("bars", "new", SETTINGS["bars"]))
    invented = Recorded(again.position, new.position, f"bars/{new.position}/0", 0, again.event)
    after = judged("bars", [*kept, new, invented], span)
    assert (after.diverging, after.unverifiable) == (1, before.unverifiable)


def test_a_record_that_begins_amidst_is_judged_from_there() -> None:
    begins = outputs("bars")[8].position - 1
    tape = TAPE[begins - 1 :]
    verdict = judged("bars", tape, Span(1, END, begins=begins, whole_from=begins))
    assert verdict.unverifiable > 0
    assert verdict.compared == len(outputs("bars", tape))


def test_nothing_is_compared_before_the_record_is_whole() -> None:
    whole_from = outputs("gateway")[8].position
    kept = [
        m for m in TAPE if m.position >= whole_from or not isinstance(m, Recorded) or not isinstance(m.event, Quote)
    ]
    verdict = judged("gateway", kept, Span(1, END, whole_from=whole_from))
    assert verdict.compared == len([told for told in outputs("gateway") if told.position >= whole_from])


def test_the_history_that_these_tests_are_about_has_it_all() -> None:
    types = {type(told.event) for told in TAPE if isinstance(told, Recorded)}
    assert types >= {Quote, Bar, ClockTick, OrderIntent, OrderFilled, EquityMarked, LeaseTaken}
    sides = {told.event.side for told in TAPE if isinstance(told, Recorded) and isinstance(told.event, OrderFilled)}
    assert sides == set(Side)
