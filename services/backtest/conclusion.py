"""What follows from what a run left: its figures."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from contracts.types import Severity
from quant.benchmark import relation
from quant.chance import stream
from quant.honesty import Interval, least_track_record, probabilistic_sharpe
from quant.performance import (
    DAY,
    Performance,
    TradeTally,
    monthly,
    performance,
    periods_per_year,
    returns,
    sharpe,
    turnover,
    worst_drawdowns,
)
from quant.tails import Tails
from services.backtest.figures import (
    Excursion,
    Execution,
    Exposure,
    Figures,
    Finding,
    Holding,
    Repair,
    Sides,
    Strategy,
    Traded,
    Trades,
)
from services.backtest.measures import (
    Samples,
    every_point,
    held_instead,
    measured,
    of_returns,
    of_trades,
    sampled,
    scenarios,
)
from services.backtest.tallies import LENGTHS, LONGER, WEEKDAYS, Books, Kinds, TradeTallies

if TYPE_CHECKING:
    from services.backtest.summary import Summary

DEAD_LETTER = "dead_letter"
"""The code of a finding that is an input which could not be taken."""


def conclude(summary: "Summary") -> Figures:
    """Measure everything. Books in more than one currency are not added up: the first one is told."""
    currency = next(iter(summary.books), None)
    books = summary.books[currency] if currency is not None else Books()
    first, last = summary.first or 0, summary.last or 0
    samples = sampled(books.curve, first, last)
    traded = books.capital > 0 and len(samples.at) > 1
    equity = samples.equity(books.capital)
    headline = measured(books.curve, samples, books.capital) if traded else None
    changes, per_year = returns(equity), periods_per_year(samples.at)
    plain = sharpe(changes, 1.0)
    intervals = of_returns(changes, per_year, stream(summary.seed, "returns")) if traded else {}
    notional = sum(one.notional for one in summary.execution.values())
    return Figures(
        currency=currency,
        first=summary.first,
        last=summary.last,
        events=summary.events,
        capital=books.capital,
        net_pnl=books.pnl,
        fees=books.fees,
        funding=books.funding,
        slippage=summary.slippage[currency] if currency is not None else 0.0,
        headline=headline,
        exposed=_exposed(books, first, last),
        turnover=turnover(notional, equity, last - first) if traded else None,
        skill=_skill(plain, headline),
        least_days=_least_days(plain, headline),
        intervals={**intervals, **_of_all_trades(summary)},
        months=tuple(monthly(*_daily(books, first))) if traded else (),
        trades=Trades.of(summary.trades),
        strategies=tuple(_strategies(summary, first, last)),
        instruments=_traded(summary.by_instrument),
        regimes=_traded(summary.by_regime),
        execution={name: summary.execution[name] for name in sorted(summary.execution)},
        scenarios=scenarios(samples, books.capital) if traded else (),
        approved=summary.approved,
        rails=tuple(sorted(summary.rails.values(), key=lambda one: -(one.rejected + one.resized))),
        orders=dict(sorted(summary.orders.items())),
        findings=tuple(sorted(summary.findings.values(), key=_gravest_first)),
        repairs=tuple(Repair(what, count) for what, count in sorted(summary.repairs.items())),
        assumptions=tuple(summary.assumptions),
        gaps=tuple(replace(gap) for _, gap in sorted(summary.gaps.items())),
        dead_letters=sum(one.count for one in summary.findings.values() if one.code == DEAD_LETTER),
        drawdowns=tuple(worst_drawdowns(*every_point(books.curve, first, books.capital))) if traded else (),
        tails=Tails.of(changes) if traded else None,
        holding=_holding(summary, samples, changes, books.capital) if traded else None,
        exposure=_exposure(summary, currency, last - first) if traded and currency is not None else None,
        kinds=_kinds(summary.kinds),
        excursions=tuple(
            Excursion(name, one.count, one.adverse / one.count, one.favourable / one.count, one.change / one.count)
            for name, one in sorted(summary.kinds.moved.items(), key=lambda item: _MOVED.index(item[0]))
        ),
        venues={name: summary.venues[name] for name in sorted(summary.venues)},
        remarks=tuple(_remarks(summary, currency)),
    )


def _of_all_trades(summary: "Summary") -> dict[str, Interval]:
    """Give intervals around what all trades came to; how wide they are is known from those that were drawn."""
    whole = {
        "win_rate": summary.trades.win_rate,
        "expectancy": summary.trades.expectancy,
        "profit_factor": summary.trades.profit_factor,
    }
    found = of_trades(summary.drawn.values, stream(summary.seed, "expectancy"))
    return {name: replace(one, value=value) for name, one in found.items() if (value := whole[name]) is not None}


def _exposure(summary: "Summary", currency: str, span: int) -> Exposure:
    gross, net = summary.gross[currency], summary.net[currency]
    return Exposure(gross.mean(span), net.mean(span), gross.highest)


def _holding(summary: "Summary", samples: Samples, changes: Sequence[float], capital: float) -> Holding | None:
    """Say what the traded instruments would have brought to whoever bought them at their first price."""
    tracks = {name: summary.charts[name].track for name in sorted(summary.marks) if name in summary.charts}
    known = {name: track for name, track in tracks.items() if track is not None}
    if not known or len(known) < len(summary.marks):
        return None
    equity = held_instead(list(known.values()), samples, capital)
    theirs = returns(equity)
    return Holding(
        instruments=tuple(known),
        performance=performance(samples.at, equity),
        relation=relation(changes, theirs, periods_per_year(samples.at)),
    )


def _kinds(kinds: Kinds) -> Sides:
    """Put trades of a kind in the order of the clock, and not of what they brought."""
    lengths = [*(name for name, _ in LENGTHS), LONGER]
    return Sides(
        sides=_in_order(kinds.sides, ("long", "short")),
        hours=_in_order(kinds.hours, [f"{hour:02}:00" for hour in range(24)]),
        weekdays=_in_order(kinds.weekdays, WEEKDAYS),
        held=_in_order(kinds.held, lengths),
        ends=_traded(kinds.ends),
    )


def _in_order(tallies: TradeTallies, names: Sequence[str]) -> tuple[Traded, ...]:
    return tuple(Traded(name, Trades.of(tallies.by[name])) for name in names if name in tallies.by)


_MOVED = ("all", "winners", "losers", "long", "short")
_GRAVITY = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


def _gravest_first(finding: Finding) -> tuple[int, int]:
    return _GRAVITY[Severity(finding.severity)], finding.position


def _remarks(summary: "Summary", currency: str | None) -> list[str]:
    remarks = list(summary.remarks)
    others = [name for name in summary.books if name != currency]
    if others:
        remarks.append(f"Books in {', '.join(others)} are not among these figures, which are in {currency}.")
    if currency is None:
        remarks.append("Nothing was traded: there is no equity to measure. The rails and alerts below may tell why.")
    return remarks


def _exposed(books: Books, first: int, last: int) -> float:
    """Give the share of the time in which something was held; what is held now, is held until the end."""
    still = last - books.marked_at if books.held and books.marked_at is not None else 0
    return (books.held_ns + max(0, still)) / (last - first) if last > first else 0.0


def _skill(plain: float | None, headline: Performance | None) -> float | None:
    if plain is None or headline is None or headline.skewness is None or headline.kurtosis is None:
        return None
    return probabilistic_sharpe(plain, headline.observations, headline.skewness, headline.kurtosis)


def _least_days(plain: float | None, headline: Performance | None) -> float | None:
    if plain is None or headline is None or headline.skewness is None or headline.kurtosis is None:
        return None
    needed = least_track_record(plain, headline.skewness, headline.kurtosis)
    return None if needed is None else needed * headline.period / DAY


def _daily(books: Books, first: int) -> tuple[list[int], list[float]]:
    """Give equity at the end of every day, and at the beginning; a day on which nothing changed is like that before."""
    days = sorted(point for point, _ in books.curve.days.values())
    moments, equity = [first], [books.capital]
    for (moment, pnl), (after, _) in pairwise([(first, 0.0), *days, (days[-1][0] if days else first, 0.0)]):
        if moment > first:
            moments.append(moment)
            equity.append(books.capital + pnl)
        for day in range(moment // DAY + 1, after // DAY):
            moments.append(day * DAY)
            equity.append(equity[-1])
    return moments, equity


def _strategies(summary: "Summary", first: int, last: int) -> list[Strategy]:
    """Give what each strategy added, the one that added most first."""
    found = []
    for name, books in summary.strategies.items():
        if books.capital <= 0 or last <= first:
            continue
        samples = sampled(books.curve, first, last)
        found.append(
            Strategy(
                name=name,
                capital=books.capital,
                net_pnl=books.pnl,
                fees=books.fees,
                funding=books.funding,
                exposed=_exposed(books, first, last),
                performance=measured(books.curve, samples, books.capital),
                trades=Trades.of(summary.by_strategy.by.get(name, TradeTally())),
                execution=summary.executions.get(name, Execution()),
            )
        )
    return sorted(found, key=lambda one: -one.net_pnl)


def _traded(tallies: TradeTallies) -> tuple[Traded, ...]:
    return tuple(Traded(name, Trades.of(tally)) for name, tally in tallies)
