"""The sections of a report about costs, data, assumptions and what the run was made of, in words and tables."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from services.backtest.figures import Execution, Figures, Gap
from services.backtest.page import (
    answers,
    change,
    code,
    folded,
    gain,
    lasting,
    moment,
    money,
    note,
    number,
    percent,
    ratio,
    table,
    text,
    title,
)

_SAME = "The same manifest gives the same log, byte for byte: hmm backtest --again DIR/manifest.json proves it."
_SILENT = "silence"
_GRANTED = "What is taken for granted of the data is among the assumptions; which files it was, in the manifest."


def costs(figures: Figures) -> str:
    """Write what execution cost: by who waited in the book, by strategy, by instrument."""
    if not figures.execution:
        return note("Nothing was filled.")
    titles = ("fills", "notional", "fees", "fees (bps)", "slippage", "slippage (bps)")
    told = [
        *(("as", name, one) for name, one in figures.execution.items()),
        *(("of", one.name, one.execution) for one in figures.strategies),
        *(("in", name, one) for name, one in figures.venues.items()),
    ]
    rows = [[f'<span class="quiet">{word}</span> {code(name)}', *_execution(one)] for word, name, one in told]
    unvalued = sum(one.unvalued for one in figures.execution.values())
    against = "Slippage is against the middle of the market when risk judged the order: half a spread is in it."
    more = f" {unvalued:,} fees in a coin without a price of its own are not in this table." if unvalued else ""
    return table([text("fills"), *map(number, titles)], rows) + note(against + more)


def _execution(one: Execution) -> list[str]:
    return [
        f"{one.fills:,}",
        money(one.notional),
        money(one.fees),
        ratio(one.fee_bps),
        money(one.slippage),
        ratio(one.slippage_bps),
    ]


def sensitivity(figures: Figures) -> str:
    """Write the result at other costs, and at which costs nothing would be left."""
    rows = [
        [
            escape(one.name),
            gain(one.net_pnl),
            change(one.total_return),
            ratio(one.sharpe),
            percent(-one.max_drawdown),
        ]
        for one in figures.scenarios
    ]
    if not rows:
        return note("Nothing was traded.")
    titles = ("net", "return", "Sharpe", "drawdown")
    return table([text("costs"), *map(number, titles)], rows) + note(
        f"{_break_even(figures)} The same fills, paid for differently: what would have been decided otherwise is not "
        "in it. Drawdowns are those between the returns that are measured."
    )


def _break_even(figures: Figures) -> str:
    costs = figures.fees + figures.slippage
    gross = figures.net_pnl + costs
    if gross <= 0:
        return "It would have lost without any costs too."
    return f"Nothing would be left at {gross / costs:.2f} times these costs." if costs > 0 else ""


def findings(figures: Figures) -> str:
    """Write alerts and inputs that could not be taken, the gravest first."""
    if not figures.findings:
        return note("None.")
    rows = [
        [
            escape(one.severity),
            code(one.component),
            code(one.code),
            f"{one.count:,}",
            f"{one.position:,}",
            escape(one.message),
        ]
        for one in figures.findings
    ]
    columns = [text("severity"), text("component"), text("code"), number("times"), number("first at"), text("message")]
    alerts = sum(one.count for one in figures.findings) - figures.dead_letters
    return table(columns, rows) + note(
        f"Alerts: {alerts:,}; dead letters (inputs that could not be taken): {figures.dead_letters:,}. "
        "First at: the position in the log; hmm why POSITION --run DIR shows what was said there."
    )


def data(figures: Figures) -> str:
    """Write what was put right in the data, and what was missing from it."""
    if figures.repairs:
        rows = [[escape(one.what), f"{one.count:,}"] for one in figures.repairs]
        repairs = table([text("what was put right or left out"), number("times")], rows)
    else:
        repairs = note("None: the data was played as it is.")
    return title("Repairs") + repairs + title("Gaps") + _gaps(figures) + note(_GRANTED)


def _gaps(figures: Figures) -> str:
    if not figures.gaps:
        return note("None were found.")
    rows = [
        [
            code(gap.instrument),
            escape(gap.kind.replace("_", " ")),
            f"{gap.count:,}",
            _missing(gap, gap.missing),
            _missing(gap, gap.longest),
            moment(gap.first),
        ]
        for gap in figures.gaps
    ]
    columns = [text("instrument"), text("kind"), *map(number, ("times", "missing", "the longest", "the first"))]
    return table(columns, rows) + note("Played as they were: nothing was put in their place.")


def _missing(gap: Gap, count: int) -> str:
    return lasting(count) if gap.kind == _SILENT else f"{count:,} trades"


def assumptions(figures: Figures) -> str:
    """List what a real market may do to us that this one did not."""
    if not figures.assumptions:
        return note("None were told.")
    return "<ul>" + "".join(f"<li>{escape(one)}</li>" for one in figures.assumptions) + "</ul>\n"


def manifest(words: str) -> str:
    """Write what the run was made of: the important in a table, all of it behind a click."""
    try:
        document = json.loads(words)
        known = answers(_made_of(document)) + _files(document)
    except (ValueError, LookupError, TypeError, AttributeError):
        known = ""
    return known + note(_SAME) + folded("all of it", words)


def _made_of(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    run, outcome = document["run"], document["result"]
    yield "run", code(document["run_id"])
    yield "events played", f"{outcome['events']:,}"
    yield "positions in the log", f"{outcome['positions']:,}"
    yield "sha256 of the log", code(outcome["log_sha256"] or "")
    yield "code", code(f"{run['code']['version']} {run['code']['sha256'][:16]}")
    for name, value in run["arguments"].items():
        if value not in (None, False, [], ["all"]):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield name.replace("_", " "), code(shown)


def _files(document: Mapping[str, Any]) -> str:
    rows = [
        [code(file["name"]), f"{file['rows']:,}" if file["rows"] else "", f"{file['octets']:,}", code(file["sha256"])]
        for file in document["run"]["data"]["files"]
    ]
    columns = [text("file"), number("rows"), number("octets"), text("sha256")]
    return table(columns, rows, "trades") if rows else ""
