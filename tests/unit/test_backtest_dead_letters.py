"""A component that raises in a backtest does what it does live: it says a dead letter, and all goes on."""

from dataclasses import replace
from pathlib import Path

from contracts.control import DeadLetter
from contracts.market import Bar
from contracts.orders import OrderFilled, OrderIntent
from services.backtest.summary import Summary
from services.backtest.wiring import ORDER, Wiring
from services.trend.rules import Trend
from services.trend.settings import TrendSettings
from tape.audit import Audit, Audits
from tape.component import on
from tape.verdict import Span
from tests.backtested import USUAL, Played, events_of, played, waves, wired
from venues.instruments import LISTING

STUMBLES_AT = 20


class Stumbling(Trend):
    """Breaks at one bar, when its averages have already taken it."""

    bars = 0

    @on(Bar)
    def on_bar(self, bar: Bar) -> tuple[OrderIntent] | None:
        said = super().on_bar(bar)
        self.bars += 1
        if self.bars == STUMBLES_AT:
            raise ZeroDivisionError("no volume")
        return said


def broken() -> Wiring:
    whole = wired()

    def build(settings: TrendSettings) -> Trend:
        return Stumbling(settings, LISTING)

    trend = replace(whole.blueprints["trend"], build=build)
    return Wiring({**whole.blueprints, "trend": trend}, whole.settings)


def run_of(folder: Path) -> Played:
    return played(events_of(waves(folder)), folder, broken())


def test_the_run_goes_on_behind_one_dead_letter_that_names_the_event_and_the_place(tmp_path: Path) -> None:
    log = run_of(tmp_path).log
    (letter,) = [one for one in log if isinstance(one.event, DeadLetter)]
    bars = [one for one in log if isinstance(one.event, Bar) and one.position == letter.cause]
    assert len(bars) == 1
    assert isinstance(letter.event, DeadLetter)
    assert letter.event.source == f"position {letter.cause}, {Bar.subject_of(bars[0].event)}"
    assert "ZeroDivisionError: no volume" in letter.event.reason
    behind = [type(one.event) for one in log if one.position > letter.position]
    assert OrderIntent in behind
    assert OrderFilled in behind


def test_an_audit_of_such_a_run_agrees_with_every_word_of_it(tmp_path: Path) -> None:
    run, wiring = run_of(tmp_path), broken()
    span = Span(1, run.run.position)
    audits = Audits([Audit(wiring.blueprints[name], USUAL[name], span) for name in ORDER])
    audits.take(run.log)
    assert [verdict.component for verdict in audits.verdicts() if verdict.diverging or verdict.pending] == []


def test_the_report_lists_it_among_what_was_found(tmp_path: Path) -> None:
    summary = Summary()
    for recorded in run_of(tmp_path).log:
        summary.hear(recorded)
    (found,) = [finding for finding in summary.figures().findings if finding.code == "dead_letter"]
    assert (found.component, found.count) == ("trend", 1)
    assert "no volume" in found.message
