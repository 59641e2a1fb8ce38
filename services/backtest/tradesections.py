"""The sections of a report about strategies, trades and what became of orders, in words and tables."""

from collections.abc import Callable, Sequence
from html import escape

from services.backtest.figures import Figures, Trade, Traded, Trades
from services.backtest.page import (
    NONE,
    beside,
    bps,
    change,
    code,
    gain,
    hidden,
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
    title,
)
from services.backtest.tallies import Shown

TRACE = (
    "Each order can be followed from the quote that caused it to its profit: hmm why ORDER --run DIR, where DIR is the "
    "folder of this page."
)


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
    """Write what trades of each kind brought."""
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


def statistics(figures: Figures) -> str:
    """Write what trades were like: all of them, longs and shorts, and what they came to."""
    if not figures.trades.count:
        return ""
    told = [Traded("all", figures.trades), *figures.kinds.sides]
    figures_of: tuple[tuple[str, Callable[[Trades], str]], ...] = (
        ("net", lambda one: gain(one.net)),
        ("trades", lambda one: f"{one.count:,}"),
        ("win rate", lambda one: percent(one.win_rate)),
        ("profit factor", lambda one: ratio(one.profit_factor)),
        ("profit of a trade", lambda one: gain(one.expectancy)),
        ("mean winner", lambda one: gain(one.average_win)),
        ("mean loser", lambda one: gain(None if one.average_loss is None else -one.average_loss)),
        ("payoff", lambda one: ratio(one.payoff)),
        ("best", lambda one: gain(one.best)),
        ("worst", lambda one: gain(one.worst)),
        ("held in the mean", lambda one: lasting(one.average_held)),
        ("longest run of losers", lambda one: f"{one.longest_losing_streak:,}"),
    )
    rows = [[name, *(shown(one.trades) for one in told)] for name, shown in figures_of]
    return table([text("trades"), *(number(one.name) for one in told)], rows) + note(
        f"Of the net result, {money(figures.net_pnl - figures.trades.net, signed=True)} is in what was still held "
        "at the end, or was paid for it."
    )


def excursions(figures: Figures) -> str:
    """Write how far prices went against trades and for them before they ended."""
    if not figures.excursions:
        return ""
    rows = [
        [
            escape(one.name),
            f"{one.count:,}",
            bps(-one.adverse),
            bps(one.favourable),
            bps(one.change),
            percent(one.change / one.favourable) if one.favourable > 0 else NONE,
        ]
        for one in figures.excursions
    ]
    titles = ("trades", "against (bps)", "for (bps)", "at the exit (bps)", "kept of the best")
    return table([text("trades"), *map(number, titles)], rows) + note(
        "Means, in basis points of the entry price, before costs (Sweeney 1997). Seen are the prices at which the "
        "books were marked while it was held."
    )


def times(figures: Figures) -> str:
    """Write when trades brought what, and how long they were held."""
    kinds = figures.kinds
    if not kinds.hours:
        return ""
    return (
        title("By how long it was held")
        + traded_table("held", kinds.held)
        + title("By what closed it")
        + traded_table("closed by", kinds.ends)
        + hidden(
            "by hour and weekday of the entry (UTC)",
            traded_table("hour", kinds.hours) + traded_table("weekday", kinds.weekdays),
        )
    )


def trade_tables(shown: Shown) -> str:
    """Write the best, the worst and the last trades; each names its orders."""
    if not shown.latest:
        return note("No position was closed.")
    parts = [note(f"{TRACE} All trades are in the log.")]
    for name, trades in (("Best", shown.winners), ("Worst", shown.losers), ("Last", list(reversed(shown.latest)))):
        if trades:
            parts.append(title(name) + _trades(trades))
    return "".join(parts)


def _trades(trades: Sequence[Trade]) -> str:
    strategies = {one.strategy for one in trades}
    rows = [
        [
            *([code(one.strategy)] if len(strategies) > 1 else []),
            f"{escape(one.instrument)} {'long' if one.long else 'short'}",
            escape(one.quantity),
            moment(one.opened_at),
            lasting(one.closed_at - one.opened_at),
            price(one.entry_price),
            price(one.exit_price) + (" <small>stop</small>" if one.stopped else ""),
            gain(one.net),
            bps(-one.adverse),
            bps(one.favourable),
            escape(one.regime or "") or NONE,
            code(one.entry_order),
            code(one.exit_order),
        ]
        for one in trades
    ]
    return table(
        [
            *([text("strategy")] if len(strategies) > 1 else []),
            text("position"),
            number("quantity"),
            number("opened"),
            number("held"),
            number("entry"),
            number("exit"),
            number("net"),
            number("MAE bps"),
            number("MFE bps"),
            text("regime"),
            text("entry order"),
            text("exit order"),
        ],
        rows,
        "trades",
    )


def orders(figures: Figures) -> str:
    known = [[escape(name), f"{count:,}"] for name, count in figures.orders.items()]
    rows = [["approved by risk", f"{figures.approved:,}"], *known]
    return title("Orders") + table([text("what became of them"), number("orders")], rows)


def rails(figures: Figures) -> str:
    """Write how often each rail refused or made smaller; the first order names itself."""
    if not figures.rails:
        return title("Verdicts of the rails") + note("No rail refused anything.")
    rows = [
        [code(one.rail), f"{one.rejected:,}", f"{one.resized:,}", escape(one.detail), code(one.order_id)]
        for one in figures.rails
    ]
    columns = [text("rail"), number("refused"), number("made smaller"), text("the first time"), text("order")]
    return title("Verdicts of the rails") + table(columns, rows) + note(TRACE)


def orders_and_rails(figures: Figures) -> str:
    return beside(orders(figures), rails(figures))
