"""The sections of a report about equity and returns, in words and tables."""

from collections.abc import Callable
from html import escape

from quant.honesty import Interval
from quant.performance import Drawdown
from services.backtest.figures import Figures
from services.backtest.measures import LEVEL
from services.backtest.page import (
    NONE,
    answers,
    beside,
    change,
    coloured,
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
    tile,
    title,
)

_DAY = 86_400 * 10**9
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FULL_SHADE = 0.1
"""A month that brought so much has the full colour."""
_SHORT = "run too short"


def headline(figures: Figures) -> str:
    """Write the figures that one asks for first, each with where it may lie."""
    told, trades = figures.headline, figures.trades
    if told is None:
        return ""
    deepest, holding, exposure = told.drawdown, figures.holding, figures.exposure
    within = figures.intervals.get
    costs = figures.fees + figures.slippage
    capital = f"{escape(figures.currency or '')} of {money(figures.capital)}"
    tiles = [
        tile("net result", gain(figures.net_pnl), capital),
        tile("total return", change(told.total_return), _between(within("total_return"), percent)),
        tile("annual return (CAGR)", change(told.annual_return), "" if told.annual_return is not None else _SHORT),
        tile(
            "max drawdown",
            coloured(percent(-deepest.depth), -1) if deepest else percent(0),
            _between(within("max_drawdown"), lambda depth: percent(-depth)),
        ),
        tile("Sharpe ratio", ratio(told.sharpe), _between(within("sharpe"), ratio) or _SHORT),
        tile("Sortino ratio", ratio(told.sortino), "" if told.sortino is not None else _SHORT),
        tile("Calmar ratio", ratio(told.calmar), "" if told.calmar is not None else _SHORT),
        tile("volatility a year", percent(told.volatility), _between(within("volatility"), percent) or _SHORT),
        tile("buy and hold", change(holding.performance.total_return) if holding else NONE, "of what was traded"),
        tile("longest way back", lasting(_longest(figures)) if deepest else NONE, _when(figures)),
        tile("ulcer index", percent(told.ulcer_index)),
        tile("costs", money(costs), f"fees {money(figures.fees)}, slippage {money(figures.slippage)}"),
        tile("trades", f"{trades.count:,}", f"held for {lasting(trades.average_held)}" if trades.count else ""),
        tile("win rate", percent(trades.win_rate), _between(within("win_rate"), percent)),
        tile("profit factor", ratio(trades.profit_factor), _between(within("profit_factor"), ratio)),
        tile("profit of a trade", gain(trades.expectancy), _between(within("expectancy"), money)),
        tile("time in the market", percent(figures.exposed)),
        tile("mean exposure", percent(exposure.mean_gross / figures.capital) if exposure else NONE, "of the capital"),
        tile("turnover a year", NONE if figures.turnover is None else f"{figures.turnover:,.0f} x"),
        tile("payoff", ratio(trades.payoff), "mean winner / mean loser"),
    ]
    below = note(
        f"Below a figure: where it lies with {LEVEL:.0%} probability, if this past was one draw of many like it "
        f"(stationary bootstrap; trades are drawn one by one). Returns are of {lasting(told.period)} each; a "
        "year has 365 days."
    )
    return f'<div class="tiles">{"".join(tiles)}</div>\n{below}'


def _between(interval: Interval | None, shown: Callable[[float], str]) -> str:
    if interval is None:
        return ""
    low, high = shown(interval.low), shown(interval.high)
    return f"{low} … {high}"


def _longest(figures: Figures) -> int:
    return max((fall.length for fall in figures.drawdowns), default=0)


def _when(figures: Figures) -> str:
    fall = max(figures.drawdowns, key=lambda one: one.length, default=None)
    if fall is None:
        return ""
    return f"from {moment(fall.peak_at)[:16]}" + ("" if fall.recovered is not None else ", not back yet")


def months(figures: Figures) -> str:
    """Write a table of months, a row for each year."""
    if not figures.months:
        return ""
    known = {(one.year, one.month): one.change for one in figures.months}
    rows = []
    for year in sorted({one.year for one in figures.months}):
        changes = [known.get((year, month)) for month in range(1, 13)]
        whole = 1.0
        for one in changes:
            whole *= 1 + (one or 0.0)
        rows.append([str(year), *(_shaded(one) for one in changes), change(whole - 1)])
    return title("Returns by month") + table([number("year"), *map(number, _MONTHS), number("whole")], rows, "months")


def _shaded(value: float | None) -> str:
    if value is None:
        return NONE
    share = min(1.0, abs(value) / _FULL_SHADE) * 0.35 + 0.05 if value else 0.0
    colour = "31,138,91" if value > 0 else "200,56,79"
    return (
        f'<span style="display:block;padding:2px 4px;border-radius:4px;background:rgba({colour},{share:.2f})">'
        f"{percent(value, signed=True)}</span>"
    )


def drawdowns(figures: Figures) -> str:
    """Write the deepest falls, from when to when, and how long the way back was."""
    if not figures.drawdowns:
        return ""
    rows = [
        [
            coloured(percent(-fall.depth), -1),
            money(fall.loss),
            moment(fall.peak_at),
            moment(fall.trough_at),
            moment(fall.recovered) if fall.recovered is not None else "not yet",
            lasting(fall.trough_at - fall.peak_at),
            lasting(fall.until - fall.trough_at) + ("" if fall.recovered is not None else " so far"),
        ]
        for fall in figures.drawdowns
    ]
    columns = ("depth", "lost", "peak", "trough", "back at the peak", "way down", "way back")
    return title("Deepest drawdowns") + table([number(name) for name in columns], rows)


def holding(figures: Figures) -> str:
    """Write the run beside what it would have brought to buy and hold."""
    told, held = figures.headline, figures.holding
    if told is None or held is None:
        return note("Nothing to compare with: the prices of what was traded are not known from the beginning.")
    theirs = held.performance
    rows = [
        ["total return", change(told.total_return), change(theirs.total_return)],
        ["annual return", change(told.annual_return), change(theirs.annual_return)],
        ["volatility a year", percent(told.volatility), percent(theirs.volatility)],
        ["Sharpe ratio", ratio(told.sharpe), ratio(theirs.sharpe)],
        ["Sortino ratio", ratio(told.sortino), ratio(theirs.sortino)],
        ["max drawdown", _depth(told.drawdown), _depth(theirs.drawdown)],
    ]
    relation = held.relation
    with_it = answers(
        [
            ("beta: the share of its moves that the run made too", ratio(relation.beta)),
            ("alpha a year: what the run brought beyond that", percent(relation.alpha, signed=True)),
            ("correlation of returns", ratio(relation.correlation)),
            ("information ratio a year", ratio(relation.information_ratio)),
            ("tracking error a year", percent(relation.tracking_error)),
        ]
    )
    compared = table([text("figure"), number("this run"), number("buy and hold")], rows)
    return beside(compared, with_it) + note(
        f"Buy and hold: equal parts of the capital in {', '.join(held.instruments)}, bought at the first price, "
        "without fees and funding. Beta and alpha: Jensen 1968, riskless rate 0."
    )


def _depth(fall: Drawdown | None) -> str:
    return percent(-fall.depth) if fall is not None else percent(0)


def returns(figures: Figures) -> str:
    """Write how returns are distributed."""
    told, tails = figures.headline, figures.tails
    if told is None or tails is None:
        return ""
    period = lasting(told.period)
    left = [
        ("returns measured", f"{told.observations:,} of {period} each"),
        ("best return", change(told.best)),
        ("worst return", change(told.worst)),
        ("above zero, of those that moved", percent(tails.positive)),
        ("skewness (normal: 0)", ratio(told.skewness)),
        ("kurtosis (normal: 3)", ratio(told.kurtosis)),
    ]
    right = [
        ("value at risk 95 % (of the past)", change(tails.value_at_risk)),
        ("value at risk 95 % (if it were normal)", change(tails.normal_value_at_risk)),
        ("expected shortfall 95 % (CVaR)", change(tails.expected_shortfall)),
        ("tail ratio: 95 % end over 5 % end", ratio(tails.tail_ratio)),
    ]
    return beside(answers(left), answers(right))


def robustness(figures: Figures) -> str:
    """Say how much of the result could be luck."""
    told = figures.headline
    if told is None:
        return note("Nothing was traded.")
    rows = [
        [name, shown(interval.value), shown(interval.low), shown(interval.high)]
        for key, name, shown in _INTERVALS
        if (interval := figures.intervals.get(key)) is not None
    ]
    columns = [text("figure"), number("as it was"), number("low"), number("high")]
    luck = answers(
        [
            ("probability that the true Sharpe ratio is above zero", percent(figures.skill)),
            ("time it takes to be 95 % sure of that, if it goes on like this", _days(figures.least_days)),
            ("length of this run", lasting(told.span)),
            ("longest run of losing trades", f"{figures.trades.longest_losing_streak:,}"),
        ]
    )
    return beside(table(columns, rows) if rows else "", luck) + note(
        f"Low and high hold {LEVEL:.0%} of the resamples (Politis, Romano 1994). Probabilistic Sharpe ratio: Bailey, "
        "López de Prado 2012. It takes this run for the only one that was tried: the more settings were tried before, "
        "the less it says; hmm sweep deflates it by their number."
    )


_INTERVALS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("total_return", "total return", percent),
    ("sharpe", "Sharpe ratio", ratio),
    ("volatility", "volatility a year", percent),
    ("max_drawdown", "max drawdown", percent),
    ("win_rate", "win rate", percent),
    ("profit_factor", "profit factor", ratio),
    ("expectancy", "profit of a trade", money),
)


def _days(value: float | None) -> str:
    return "it would take for ever" if value is None else lasting(value * _DAY)


def exposure(figures: Figures) -> str:
    """Write how much was held, as money and as a share of the capital."""
    told = figures.exposure
    if told is None or figures.capital <= 0:
        return note("Nothing was held.")
    rows = [
        [name, money(value), percent(value / figures.capital)]
        for name, value in (
            ("gross, in the mean over all the time", told.mean_gross),
            ("net (longs less shorts), in the mean", told.mean_net),
            ("gross, at most", told.most_gross),
        )
    ]
    return table([text("held"), number(f"{figures.currency}"), number("of the capital")], rows)
