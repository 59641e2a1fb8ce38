"""The page of a parity comparison: what both sides brought, where they differ, and why; one file."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from services.backtest.page import NONE, Part, answers, number, section, table, text
from services.backtest.parity import Match, Parity, Spread

MOST_SHOWN = 500
_STYLE = Path(__file__).with_name("report.css")


@dataclass(frozen=True)
class Told:
    """A comparison, with what is said about it: positions `first` to `last`, and what the audit of them has found."""

    parity: Parity
    source: str
    first: int
    last: int
    audited: int
    diverging: int
    notes: tuple[str, ...]


def page_of(told: Told) -> str:
    parts = (
        Part("outcome", "Outcome", _outcome(told)),
        Part("causes", "Why they differ", _causes(told.parity)),
        Part("books", "What was held and earned", _books(told.parity)),
        Part("decisions", "Decisions that differ", _decisions(told.parity)),
    )
    body = "".join(map(section, parts))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Parity</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE.read_text()}</style></head><body><main><h1>Parity: live and backtest</h1>\n{body}"
        "</main></body></html>\n"
    )


def _outcome(told: Told) -> str:
    parity = told.parity
    rows = [
        ("positions", f"{told.first:,} to {told.last:,} of {escape(told.source)}"),
        ("audit", f"{told.diverging:,} divergences in {told.audited:,} outputs"),
        ("decisions of both", f"{parity.both:,}"),
        ("only live", f"{parity.only_live:,}"),
        ("only in the run", f"{parity.only_run:,}"),
        ("profit live", f"{parity.live_pnl:+,.4f}"),
        ("profit in the run", f"{parity.run_pnl:+,.4f}"),
        ("difference", f"{parity.live_pnl - parity.run_pnl:+,.4f}"),
        *((name, escape(words)) for name, words in spreads(parity)),
        *(("note", escape(note)) for note in told.notes),
    ]
    return answers(rows)


def spreads(parity: Parity) -> Iterator[tuple[str, str]]:
    """Tell by how much matched orders differ: live less run."""
    for name, unit, spread in (
        ("decided later", "ms", parity.later_ms),
        ("filled later", "quotes", parity.later_quotes),
        ("filled worse", "bps", parity.slippage_bps),
    ):
        if spread is not None:
            yield name, _spread(spread, unit)


def _spread(spread: Spread, unit: str) -> str:
    of = f"{spread.count:,} orders"
    return f"{spread.mean:+,.3f} {unit} on average of {of}, median {spread.median:+,.3f}, most {spread.largest:+,.3f}"


def _causes(parity: Parity) -> str:
    rows = [
        (escape(cause.value), f"{counted.count:,}", f"{counted.worth:+,.4f}")
        for cause, counted in parity.causes.items()
    ]
    total = sum(counted.worth for counted in parity.causes.values())
    rows.append(("together", f"{sum(counted.count for counted in parity.causes.values()):,}", f"{total:+,.4f}"))
    return table((text("cause"), number("differences"), number("live brought more by")), rows)


def _books(parity: Parity) -> str:
    columns = [text("strategy"), text("instrument"), number("held live"), number("held in the run")]
    columns += [number("profit live"), number("profit in the run"), number("difference")]
    rows = [
        (
            escape(held.strategy),
            escape(held.instrument),
            f"{held.live:.8g}",
            f"{held.run:.8g}",
            f"{held.live_pnl:+,.4f}",
            f"{held.run_pnl:+,.4f}",
            f"{held.live_pnl - held.run_pnl:+,.4f}",
        )
        for held in parity.books
    ]
    return table(columns, rows) if rows else "<p>Nothing was traded.</p>"


def _decisions(parity: Parity) -> str:
    differing = parity.differing
    if not differing:
        return "<p>None.</p>"
    columns = [text("decided"), text("order live"), text("order in the run"), text("what differs"), text("live")]
    columns += [text("run"), text("cause"), text("because"), number("worth")]
    rows = [row for match in differing[:MOST_SHOWN] for row in _rows(match)]
    more = f"<p>The first {MOST_SHOWN:,} of {len(differing):,}.</p>" if len(differing) > MOST_SHOWN else ""
    return table(columns, rows) + more


def _rows(match: Match) -> Iterator[tuple[str, ...]]:
    for difference in match.differences:
        yield (
            moment(match.decided_at),
            escape(match.live.order_id) if match.live else "&ndash;",
            escape(match.run.order_id) if match.run else "&ndash;",
            escape(difference.aspect.value),
            escape(difference.live),
            escape(difference.run),
            escape(difference.cause.value),
            escape(difference.detail),
            f"{difference.worth:+,.4f}" if difference.worth else NONE,
        )


def moment(ts: int) -> str:
    return f"{datetime.fromtimestamp(ts / 1e9, UTC):%m-%d %H:%M:%S.%f}"[:-3]
