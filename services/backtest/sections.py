"""The sections of a report in words and tables."""

from collections.abc import Callable, Sequence
from html import escape

from quant.honesty import Interval
from services.backtest.figures import Execution, Figures, Trade, Traded, Trades
from services.backtest.measures import LEVEL
from services.backtest.page import (
    NONE,
    change,
    code,
    coloured,
    gain,
    lasting,
    moment,
    money,
    note,
    number,
    percent,
    price,
    ratio,
    table,
    text,
    tile,
)
from services.backtest.tallies import Shown

_DAY = 86_400 * 10**9
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FULL_SHADE = 0.1
"""A month that brought so much has the full colour."""


def headline(figures: Figures) -> str:
    """Write the figures that one asks for first, each with where it may lie."""
    told, trades, currency = figures.headline, figures.trades, escape(figures.currency or "")
    if told is None:
        return ""
    deepest = told.drawdown
    within = figures.intervals.get
    tiles = [
        tile("net result", f"{gain(figures.net_pnl)}", f"{currency} on a capital of {money(figures.capital)}"),
        tile("total return", change(told.total_return), _between(within("total_return"), percent)),
        tile("annual return", change(told.annual_return), "" if told.annual_return is not None else "run too short"),
        tile("Sharpe ratio", ratio(told.sharpe), _between(within("sharpe"), ratio) or "run too short"),
        tile("Sortino ratio", ratio(told.sortino)),
        tile("Calmar ratio", ratio(told.calmar)),
        tile("volatility a year", percent(told.volatility), _between(within("volatility"), percent)),
        tile(
            "max drawdown",
            coloured(percent(-deepest.depth), -1) if deepest else percent(0),
            _between(within("max_drawdown"), lambda depth: percent(-depth)),
        ),
        tile("longest way back", lasting(deepest.length) if deepest else NONE, _when(figures)),
        tile("ulcer index", percent(told.ulcer_index)),
        tile("trades", f"{trades.count:,}", f"held for {lasting(trades.average_held)}" if trades.count else ""),
        tile("win rate", percent(trades.win_rate), _between(within("win_rate"), percent)),
        tile("profit factor", ratio(trades.profit_factor), _between(within("profit_factor"), ratio)),
        tile("profit of a trade", gain(trades.expectancy), _between(within("expectancy"), money)),
        tile("time in the market", percent(figures.exposed)),
        tile("turnover a year", NONE if figures.turnover is None else f"{figures.turnover:,.0f} x"),
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


def _when(figures: Figures) -> str:
    deepest = figures.headline.drawdown if figures.headline else None
    if deepest is None:
        return ""
    return f"from {moment(deepest.peak_at)[:16]}" + ("" if deepest.recovered is not None else ", not back yet")


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
    return "<h3>Returns by month</h3>\n" + table(
        [number("year"), *map(number, _MONTHS), number("whole")], rows, "months"
    )


def _shaded(value: float | None) -> str:
    if value is None:
        return NONE
    share = min(1.0, abs(value) / _FULL_SHADE) * 0.35 + 0.05 if value else 0.0
    colour = "31,138,91" if value > 0 else "200,56,79"
    return (
        f'<span style="display:block;padding:2px 4px;border-radius:4px;background:rgba({colour},{share:.2f})">'
        f"{percent(value, signed=True)}</span>"
    )


def robustness(figures: Figures) -> str:
    """Say how much of the result could be luck."""
    told = figures.headline
    if told is None:
        return note("Nothing was traded.")
    rows = [
        ["probability that the true Sharpe ratio is above zero", percent(figures.skill)],
        ["time it takes to be 95 % sure of that, if it goes on like this", _days(figures.least_days)],
        ["length of this run", lasting(told.span)],
        ["returns measured", f"{told.observations:,}"],
        ["best and worst return", f"{percent(told.best, signed=True)} and {percent(told.worst, signed=True)}"],
        ["skewness, kurtosis of returns (normal: 0 and 3)", f"{ratio(told.skewness)} and {ratio(told.kurtosis)}"],
        ["longest run of losing trades", f"{figures.trades.longest_losing_streak:,}"],
    ]
    return table([text("question"), number("answer")], rows) + note(
        "Probabilistic Sharpe ratio (Bailey, López de Prado 2012). It takes this run for the only one that was tried: "
        "the more settings were tried before, the less it says; hmm sweep deflates it by their number."
    )


def _days(value: float | None) -> str:
    return "it would take for ever" if value is None else lasting(value * _DAY)


def strategy_table(figures: Figures) -> str:
    """Write what each strategy added, cost and risked."""
    rows = [
        [
            code(one.name),
            gain(one.net_pnl),
            change(one.performance.total_return),
            ratio(one.performance.sharpe),
            percent(-one.performance.drawdown.depth) if one.performance.drawdown else percent(0),
            *_traded_cells(one.trades)[1:4],
            money(one.fees),
            money(one.execution.slippage),
            gain(one.funding),
            percent(one.exposed),
        ]
        for one in figures.strategies
    ]
    titles = ("net", "return", "Sharpe", "drawdown", "trades", "win rate", "factor", "fees", "slippage", "funding")
    columns = [text("strategy"), *map(number, titles), number("in the market")]
    return table(columns, rows) if rows else note("No strategy traded.")


def traded_table(kind: str, told: Sequence[Traded]) -> str:
    if not told:
        return ""
    titles = ("net", "trades", "win rate", "factor", "mean", "best", "worst", "held")
    rows = [[code(one.name), *_traded_cells(one.trades)] for one in told]
    return table([text(kind), *map(number, titles)], rows)


def _traded_cells(trades: Trades) -> list[str]:
    return [
        gain(trades.net),
        f"{trades.count:,}",
        percent(trades.win_rate),
        ratio(trades.profit_factor),
        gain(trades.expectancy),
        gain(trades.best),
        gain(trades.worst),
        lasting(trades.average_held),
    ]


def trade_tables(shown: Shown) -> str:
    """Write the best, the worst and the last trades; each names its orders."""
    if not shown.latest:
        return note("No position was closed.")
    told = note(
        "hmm why ORDER follows an order from the quote that caused it to its profit. All trades are in the log."
    )
    parts = [told]
    for title, trades in (("Best", shown.winners), ("Worst", shown.losers), ("Last", list(reversed(shown.latest)))):
        if trades:
            parts.append(f"<h3>{title}</h3>\n{_trades(trades)}")
    return "".join(parts)


def _trades(trades: Sequence[Trade]) -> str:
    rows = [
        [
            code(one.strategy),
            f"{escape(one.instrument)} {'long' if one.long else 'short'}",
            escape(one.quantity),
            moment(one.opened_at),
            lasting(one.closed_at - one.opened_at),
            price(one.entry_price),
            price(one.exit_price) + (" <small>stop</small>" if one.stopped else ""),
            gain(one.net),
            escape(one.regime or "") or NONE,
            code(one.entry_order),
            code(one.exit_order),
        ]
        for one in trades
    ]
    return table(
        [
            text("strategy"),
            text("position"),
            number("quantity"),
            number("opened"),
            number("held"),
            number("entry"),
            number("exit"),
            number("net"),
            text("regime"),
            text("entry order"),
            text("exit order"),
        ],
        rows,
        "trades",
    )


def costs(figures: Figures) -> str:
    """Write what execution cost, by who waited in the book and by strategy."""
    titles = ("fills", "notional", "fees", "fees (bps)", "slippage", "slippage (bps)")
    rows = [[code(name), *_execution(one)] for name, one in figures.execution.items()]
    rows += [[code(one.name), *_execution(one.execution)] for one in figures.strategies]
    if not rows:
        return note("Nothing was filled.")
    unvalued = sum(one.unvalued for one in figures.execution.values())
    told = "Slippage is against the middle of the market when risk judged the order: half a spread is in it."
    more = f" {unvalued:,} fees in a coin without a price of its own are not in this table." if unvalued else ""
    return table([text("fills as, or of"), *map(number, titles)], rows) + note(told + more)


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
        "The same fills, paid for differently: what would have been decided otherwise is not in it. "
        "Drawdowns are those between the returns that are measured."
    )


def orders(figures: Figures) -> str:
    known = [[escape(name), f"{count:,}"] for name, count in figures.orders.items()]
    rows = [["approved by risk", f"{figures.approved:,}"], *known]
    return "<h3>Orders</h3>\n" + table([text("what became of them"), number("orders")], rows)


def rails(figures: Figures) -> str:
    """Write how often each rail refused or made smaller; the first order names itself."""
    if not figures.rails:
        return note("No rail refused anything.")
    rows = [
        [code(one.rail), f"{one.rejected:,}", f"{one.resized:,}", escape(one.detail), code(one.order_id)]
        for one in figures.rails
    ]
    columns = [text("rail"), number("refused"), number("made smaller"), text("the first time"), text("order")]
    return "<h3>Verdicts of the rails</h3>\n" + table(columns, rows)


def findings(figures: Figures) -> str:
    """Write alerts, the gravest first."""
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
    return table(columns, rows)


def repairs(figures: Figures) -> str:
    if not figures.repairs:
        return note("None: the data was played as it is.")
    rows = [[escape(one.what), f"{one.count:,}"] for one in figures.repairs]
    return table([text("what"), number("times")], rows)


def assumptions(figures: Figures) -> str:
    """List what a real market may do to us that this one did not."""
    if not figures.assumptions:
        return note("None were told.")
    return "<ul>" + "".join(f"<li>{escape(one)}</li>" for one in figures.assumptions) + "</ul>\n"
