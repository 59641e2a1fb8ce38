"""What follows from what a run left: its figures."""

from typing import TYPE_CHECKING

from contracts.types import Severity
from quant.chance import stream
from quant.honesty import least_track_record, probabilistic_sharpe
from quant.performance import DAY, Performance, TradeTally, monthly, periods_per_year, returns, sharpe, turnover
from services.backtest.figures import Execution, Figures, Finding, Strategy, Traded, Trades
from services.backtest.measures import measured, of_returns, of_trades, sampled, scenarios
from services.backtest.tallies import Books, TradeTallies

if TYPE_CHECKING:
    from services.backtest.summary import Summary


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
        intervals={**intervals, **of_trades(summary.drawn.values, stream(summary.seed, "expectancy"))},
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
        repairs=summary.told_repairs(),
        assumptions=tuple(summary.assumptions),
        remarks=tuple(_remarks(summary, currency)),
    )


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
    """Give equity at the end of every day, and at the beginning."""
    days = sorted(point for point, _ in books.curve.days.values())
    moments = [first, *(moment for moment, _ in days)]
    return moments, [books.capital, *(books.capital + pnl for _, pnl in days)]


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
