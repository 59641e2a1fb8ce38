"""The report of a run: one page that needs nothing else, and its pictures as files."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

from services.backtest import charts
from services.backtest.curves import Level, Marks, Period
from services.backtest.figures import Figures
from services.backtest.page import Part, folded, image, lasting, moment, note, section
from services.backtest.sections import (
    assumptions,
    costs,
    findings,
    headline,
    months,
    orders,
    rails,
    repairs,
    robustness,
    sensitivity,
    strategy_table,
    trade_tables,
    traded_table,
)
from services.backtest.summary import SLIPPAGE_EDGE, Summary

REPORT = "report.html"
MOST_INSTRUMENTS = 8
"""Those with the most fills have a picture of their own."""
_MANIFEST = "What this run was made of: the same manifest gives the same log, byte for byte."
_STYLE = Path(__file__).with_name("report.css")


def write_report(summary: Summary, manifest_text: str, out: Path) -> Path:
    """Write `report.html` and its pictures into the folder `out`; gives the path of the page.

    The same summary gives the same bytes. OSError if the folder cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    figures = summary.figures()
    pictures = dict(_pictures(summary, figures))
    for name, (png, _) in pictures.items():
        (out / f"{name}.png").write_bytes(png)
    path = out / REPORT
    path.write_text(_page(summary, figures, pictures, manifest_text), encoding="utf-8")
    return path


Pictures = dict[str, tuple[bytes, str]]
"""A PNG, and what is to be seen on it, by name."""


def _pictures(summary: Summary, figures: Figures) -> Iterator[tuple[str, tuple[bytes, str]]]:
    currency, first = figures.currency, summary.first
    if currency is not None and first is not None and figures.headline is not None:
        books = summary.books[currency]
        instrument, periods = _most_traded_regimes(summary)
        shaded = (
            f" Shaded: the regime of {instrument} that prevailed, as it was known at the time." if instrument else ""
        )
        png = charts.equity(books.curve, first, books.capital, periods, currency)
        yield "equity", (png, f"Equity and drawdown.{shaded}")
        png = charts.exposure(
            summary.gross.get(currency, Level()),
            summary.net.get(currency, Level()),
            first,
            summary.last or first,
            currency,
        )
        yield "exposure", (png, "What was held, in the mean of each stretch: gross (all) and net (longs less shorts).")
        yield "costs", (charts.costs(figures), "From the result at the middle of the market to what was left.")
    if figures.strategies and first is not None:
        named = [(one.name, summary.strategies[one.name].curve) for one in figures.strategies]
        yield "strategies", (charts.strategies(named, first, currency or ""), "What each strategy added.")
    if summary.slippages:
        png = charts.slippage(dict(summary.slippages), SLIPPAGE_EDGE)
        yield "slippage", (png, "How fills compare with the middle of the market.")
    if len(summary.drawn.values) > 1:
        yield "outcomes", (charts.outcomes(summary.drawn.values, currency or ""), "How profits of trades are spread.")
    yield from _candles(summary)


def _most_traded_regimes(summary: Summary) -> tuple[str | None, list[Period]]:
    traded = sorted(summary.marks, key=lambda instrument: -summary.marks[instrument].heard)
    instrument = next((one for one in traded if one in summary.regimes), None)
    return (None, []) if instrument is None else (instrument, summary.regimes[instrument].periods())


def _candles(summary: Summary) -> Iterator[tuple[str, tuple[bytes, str]]]:
    traded = sorted(summary.candles, key=lambda one: -summary.marks[one].heard if one in summary.marks else 0)
    for instrument in traded[:MOST_INSTRUMENTS]:
        drawn, marks = summary.candles[instrument], summary.marks.get(instrument)
        known = summary.regimes.get(instrument)
        png = charts.candles(drawn, marks, known.periods() if known is not None else [])
        yield f"trades-{instrument}", (png, f"{instrument}, candles of {lasting(drawn.step)}{_fills(marks)}.")


def _fills(marks: Marks | None) -> str:
    if marks is None:
        return ""
    return f"; {marks.heard:,} fills" + (f", of which one in {marks.every} is drawn" if marks.every > 1 else "")


def _subject(summary: Summary, figures: Figures) -> str:
    """Say who traded what, and when."""
    who = ", ".join(one.name for one in figures.strategies) or "nobody"
    seen = sorted(summary.candles)
    more = f" and {len(seen) - MOST_INSTRUMENTS} more" if len(seen) > MOST_INSTRUMENTS else ""
    what = ", ".join(seen[:MOST_INSTRUMENTS]) + more or "nothing"
    return f"{escape(who)} on {escape(what)}<br>{moment(figures.first)} to {moment(figures.last)} UTC"


def _page(summary: Summary, figures: Figures, pictures: Pictures, manifest_text: str) -> str:
    def shown(*names: str) -> str:
        return "".join(image(*pictures[name]) for name in names if name in pictures)

    traded = [name for name in pictures if name.startswith("trades-")]
    parts = [
        Part("equity", "Equity and drawdown", shown("equity") + months(figures)),
        Part("robustness", "How sure is it", robustness(figures)),
        Part("strategies", "By strategy", shown("strategies") + strategy_table(figures)),
        Part(
            "kinds",
            "By instrument and regime",
            traded_table("instrument", figures.instruments) + traded_table("regime at the entry", figures.regimes),
        ),
        Part("trades", "Trades", shown("outcomes", *traded) + trade_tables(summary.shown)),
        Part("exposure", "Exposure", shown("exposure")),
        Part("costs", "Fees and slippage", shown("costs") + costs(figures) + shown("slippage")),
        Part("sensitivity", "If costs had been others", sensitivity(figures)),
        Part("orders", "Orders and rails", orders(figures) + rails(figures)),
        Part("findings", "Alerts", findings(figures)),
        Part("data", "Repairs of the data", repairs(figures)),
        Part("assumptions", "What is assumed in our favour", assumptions(figures)),
        Part("manifest", "Manifest", note(_MANIFEST) + folded("all of it", manifest_text)),
    ]
    links = "\n".join(f'<a href="#{part.anchor}">{escape(part.title)}</a>' for part in parts if part.body)
    remarks = "".join(f'<p class="remark">{escape(remark)}</p>\n' for remark in figures.remarks)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Backtest report</title>\n<style>\n{_STYLE.read_text(encoding='utf-8')}</style></head>\n<body><main>\n"
        f'<header><h1>Backtest</h1>\n<p class="lead">{_subject(summary, figures)}</p>\n'
        f"<nav>{links}</nav>\n{remarks}</header>\n{headline(figures)}"
        f"{''.join(map(section, parts))}</main></body></html>\n"
    )
