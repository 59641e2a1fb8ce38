"""The report of a run: one page that needs nothing else, and its pictures as files."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

from contracts.types import InstrumentId
from quant.performance import returns
from services.backtest import charts, runsections, sections, tradecharts, tradesections
from services.backtest.curves import Marks, Period
from services.backtest.figures import Figures
from services.backtest.measures import held_instead, rolling, sampled
from services.backtest.page import Part, image, lasting, moment, section
from services.backtest.summary import SLIPPAGE_EDGE, Summary
from services.backtest.tracks import Track

REPORT = "report.html"
MOST_INSTRUMENTS = 8
"""Those with the most fills have a picture of their own."""
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
    yield from _of_equity(summary, figures)
    yield from _of_trades(summary, figures)
    yield from _candles(summary)


def _of_equity(summary: Summary, figures: Figures) -> Iterator[tuple[str, tuple[bytes, str]]]:
    currency, first, last = figures.currency, summary.first, summary.last
    if currency is None or first is None or last is None or figures.headline is None:
        return
    books = summary.books[currency]
    samples = sampled(books.curve, first, last)
    equity = samples.equity(books.capital)
    instrument, periods = _most_traded_regimes(summary)
    shaded = f" Shaded: the regime of {instrument} that prevailed, as it was known at the time." if instrument else ""
    png = charts.equity(books.curve, first, books.capital, periods, currency)
    yield "equity", (png, f"Equity and drawdown.{shaded}")
    if figures.holding is not None:
        tracks = [track for name in figures.holding.instruments if (track := _track(summary, name)) is not None]
        png = charts.holding(samples.at, equity, held_instead(tracks, samples, books.capital))
        yield "holding", (png, "This run beside buying and holding what it traded.")
    rolled = rolling(samples, books.capital)
    if rolled is not None:
        yield (
            "rolling",
            (charts.rolled(rolled, first), f"Sharpe ratio and volatility of the last {lasting(rolled.window)}."),
        )
    changes = returns(equity)
    if figures.tails is not None and any(changes):
        yield "returns", (charts.distribution(changes, figures.tails), "How returns are spread.")
    png = charts.exposure(summary.gross[currency], summary.net[currency], first, last, currency)
    yield "exposure", (png, "What was held, in the mean of each stretch: gross (all) and net (longs less shorts).")
    if figures.strategies:
        named = [(one.name, summary.strategies[one.name].curve) for one in figures.strategies]
        yield "strategies", (charts.strategies(named, first, currency), "What each strategy added.")


def _track(summary: Summary, name: str) -> Track | None:
    return summary.charts[InstrumentId(name)].track


def _of_trades(summary: Summary, figures: Figures) -> Iterator[tuple[str, tuple[bytes, str]]]:
    currency, trades = figures.currency or "", summary.drawn.trades
    if figures.headline is not None:
        yield "costs", (tradecharts.costs(figures), "From the result at the middle of the market to what was left.")
    if summary.slippages:
        png = tradecharts.slippage(dict(summary.slippages), SLIPPAGE_EDGE)
        yield "slippage", (png, "How fills compare with the middle of the market.")
    if len(trades) > 1:
        part = f" Drawn: {len(trades):,} of {summary.drawn.heard:,}." if summary.drawn.heard > len(trades) else ""
        yield (
            "outcomes",
            (tradecharts.outcomes(summary.drawn.values, currency), f"How profits of trades are spread.{part}"),
        )
        png = tradecharts.excursions(trades)
        yield "excursions", (png, f"How far prices went in a trade, and where it ended; dashed: at that point.{part}")
    if len(figures.kinds.hours) > 1:
        png = tradecharts.clock(figures.kinds.hours, figures.kinds.weekdays, currency)
        yield "clock", (png, "What trades brought by the time of their entry.")


def _most_traded_regimes(summary: Summary) -> tuple[str | None, list[Period]]:
    traded = sorted(summary.marks, key=lambda instrument: -summary.marks[instrument].heard)
    instrument = next((one for one in traded if one in summary.regimes), None)
    return (None, []) if instrument is None else (instrument, summary.regimes[instrument].periods())


def _candles(summary: Summary) -> Iterator[tuple[str, tuple[bytes, str]]]:
    traded = sorted(summary.charts, key=lambda one: -summary.marks[one].heard if one in summary.marks else 0)
    for instrument in traded[:MOST_INSTRUMENTS]:
        chart, marks = summary.charts[instrument], summary.marks.get(instrument)
        known = summary.regimes.get(instrument)
        png = tradecharts.candles(chart, marks, known.periods() if known is not None else [])
        yield f"trades-{instrument}", (png, f"{instrument}, candles of {lasting(chart.candles.step)}{_fills(marks)}.")
        if chart.trades and chart.candles.step > chart.step:
            bars = f"the last {len(chart.recent)} bars of {lasting(chart.step)}"
            told = f"{instrument}, {bars}: each trade from entry to exit, green if it won."
            yield f"trades-{instrument}-end", (tradecharts.detail(chart), told)


def _fills(marks: Marks | None) -> str:
    if marks is None:
        return ""
    if marks.heard <= tradecharts.MOST_ARROWS:
        return f"; {marks.heard:,} fills"
    return f"; {marks.heard:,} fills. At the bottom: what the trades that were closed brought"


def _subject(summary: Summary, figures: Figures) -> str:
    """Say who traded what, and when."""
    who = ", ".join(one.name for one in figures.strategies) or "nobody"
    seen = sorted(summary.charts)
    more = f" and {len(seen) - MOST_INSTRUMENTS} more" if len(seen) > MOST_INSTRUMENTS else ""
    what = ", ".join(seen[:MOST_INSTRUMENTS]) + more or "nothing"
    return f"{escape(who)} on {escape(what)}<br>{moment(figures.first)} to {moment(figures.last)} UTC"


def _page(summary: Summary, figures: Figures, pictures: Pictures, manifest_text: str) -> str:
    def shown(*names: str) -> str:
        return "".join(image(*pictures[name]) for name in names if name in pictures)

    traded = [name for name in pictures if name.startswith("trades-")]
    equity, trades, run = sections, tradesections, runsections
    parts = [
        Part(
            "equity",
            "Equity and drawdown",
            shown("equity") + equity.months(figures) + equity.drawdowns(figures),
        ),
        Part("holding", "Beside buy and hold", shown("holding") + equity.holding(figures)),
        Part("returns", "Returns", shown("rolling", "returns") + equity.returns(figures)),
        Part("robustness", "How sure is it", equity.robustness(figures)),
        Part("strategies", "By strategy", shown("strategies") + trades.strategy_table(figures)),
        Part(
            "kinds",
            "By instrument and regime",
            trades.traded_table("instrument", figures.instruments)
            + trades.traded_table("regime at the entry", figures.regimes),
        ),
        Part(
            "trades",
            "Trades",
            trades.statistics(figures)
            + shown("outcomes", "excursions")
            + trades.excursions(figures)
            + shown("clock")
            + trades.times(figures),
        ),
        Part("candles", "Trades on candles", shown(*traded)),
        Part("orders", "Best, worst and last trades", trades.trade_tables(summary.shown)),
        Part("exposure", "Exposure", shown("exposure") + equity.exposure(figures)),
        Part("costs", "Fees and slippage", shown("costs") + run.costs(figures) + shown("slippage")),
        Part("sensitivity", "If costs had been others", run.sensitivity(figures)),
        Part("rails", "Orders and rails", trades.orders_and_rails(figures)),
        Part("findings", "Alerts", run.findings(figures)),
        Part("data", "Data", run.data(figures)),
        Part("assumptions", "What is assumed in our favour", run.assumptions(figures)),
        Part("manifest", "Manifest", run.manifest(manifest_text)),
    ]
    links = "\n".join(f'<a href="#{part.anchor}">{escape(part.title)}</a>' for part in parts if part.body)
    remarks = "".join(f'<p class="remark">{escape(remark)}</p>\n' for remark in figures.remarks)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>Backtest report</title>\n<style>\n{_STYLE.read_text(encoding='utf-8')}</style></head>\n<body><main>\n"
        f'<header><h1>Backtest</h1>\n<p class="lead">{_subject(summary, figures)}</p>\n'
        f"<nav>{links}</nav>\n{remarks}</header>\n{sections.headline(figures)}"
        f"{''.join(map(section, parts))}</main></body></html>\n"
    )
