"""The pictures of trades: on candles, how they ended, how far prices went in between, when, and what they cost."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from services.backtest.colours import GAIN, INK, LOSS, QUIET
from services.backtest.curves import Candle, Marks, Period
from services.backtest.drawing import (
    BARE,
    DAY,
    NAMED,
    columns,
    in_money,
    in_percent,
    legend,
    naught,
    on_time,
    picture,
    rows,
    shade,
    tell,
    tidy,
)
from services.backtest.figures import Figures, Trade, Traded
from services.backtest.tracks import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import Locator

_BOUGHT, _SOLD = "#1455c0", "#7a1fa2"
MOST_ARROWS = 120
"""More fills than that hide the candles: what trades brought is drawn below them instead."""


def candles(chart: Chart, marks: Marks | None, periods: Sequence[Period]) -> bytes:
    """Draw all of a market as candles, with its fills or with what trades brought, shaded with regimes."""
    few = marks is None or marks.heard <= MOST_ARROWS

    def draw(figure: "Figure") -> None:
        above = NAMED if periods or marks is not None else BARE
        axes, *below = rows(figure, 5, 1, above=above) if few else rows(figure, 5, 1, 1, above=above)
        drawn, step = chart.candles.candles, chart.candles.step
        shade(axes, periods)
        _candles(axes, below[0], drawn, step)
        if few:
            for bought, shape, colour in ((True, "^", _BOUGHT), (False, "v", _SOLD)):
                some = [mark for mark in (marks.in_order if marks else ()) if mark.bought is bought]
                points = [(mark.at, mark.price) for mark in some]
                _arrows(axes, points, shape, colour, "bought" if bought else "sold")
        else:
            _brought(below[1], chart)
        legend(axes, periods)
        on_time((axes, *below), drawn[0].at / DAY, (drawn[-1].at + step) / DAY)

    return picture(draw, 4.8 if few else 5.4)


def detail(chart: Chart) -> bytes:
    """Draw the last bars one by one, and each trade on them from its entry to its exit."""

    def draw(figure: "Figure") -> None:
        axes, below = rows(figure, 5, 1)
        drawn = list(chart.recent)
        _candles(axes, below, drawn, chart.step)
        begin, end = drawn[0].at, drawn[-1].at + chart.step
        inside = [trade for trade in chart.trades if trade.opened_at >= begin]
        for trade in inside:
            axes.plot(
                (trade.opened_at / DAY, trade.closed_at / DAY),
                (trade.entry_price, trade.exit_price),
                color=GAIN if trade.net > 0 else LOSS,
                linewidth=1.4,
                linestyle="-" if trade.long else "--",
                zorder=4,
            )
        for long, shape, colour, name in ((True, "^", _BOUGHT, "long"), (False, "v", _SOLD, "short (dashed)")):
            entries = [(one.opened_at, one.entry_price) for one in inside if one.long is long]
            _arrows(axes, entries, shape, colour, f"{name}: entry")
        exits = [(one.closed_at, one.exit_price) for one in inside]
        _arrows(axes, exits, "o", INK, "exit")
        legend(axes)
        on_time((axes, below), begin / DAY, end / DAY)

    return picture(draw, 4.8)


def _candles(axes: "Axes", below: "Axes", drawn: Sequence[Candle], step: int) -> None:
    """Draw prices above and volumes below."""
    width = step / DAY * 0.72
    for rising, colour in ((True, GAIN), (False, LOSS)):
        some = [one for one in drawn if (one.close >= one.open) is rising]
        middle = [(one.at + step / 2) / DAY for one in some]
        axes.vlines(middle, [one.low for one in some], [one.high for one in some], color=colour, linewidth=0.7)
        low = [min(one.open, one.close) for one in some]
        bodies = [max(abs(one.close - one.open), one.close * 1e-6) for one in some]
        _boxes(axes, middle, width, low, bodies, colour, 1.0)
        _boxes(below, middle, width, [0.0] * len(some), [one.volume for one in some], colour, 0.5)
    axes.set_ylabel("price")
    in_money(axes)
    below.set_ylabel("volume")
    below.set_yticks(())


def _arrows(axes: "Axes", points: Sequence[tuple[int, float]], shape: str, colour: str, name: str) -> None:
    axes.scatter(
        [at / DAY for at, _ in points],
        [price for _, price in points],
        marker=shape,
        s=34 if shape != "o" else 14,
        color=colour,
        edgecolors="white",
        linewidths=0.6,
        zorder=5,
        label=name,
    )


def _brought(axes: "Axes", chart: Chart) -> None:
    """Draw what the trades that were closed in each stretch brought."""
    for won, colour in ((True, GAIN), (False, LOSS)):
        some = [(at, value) for at, value in chart.closed.read() if (value > 0) is won]
        middle = [(at + chart.closed.step / 2) / DAY for at, _ in some]
        lows, tall = [min(0.0, value) for _, value in some], [abs(value) for _, value in some]
        _boxes(axes, middle, chart.closed.step / DAY * 0.72, lows, tall, colour, 0.85)
    naught(axes)
    axes.set_ylabel("brought")
    axes.yaxis.set_major_locator(_few())


def _few() -> "Locator":
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 # slow to import

    return MaxNLocator(3)


def _boxes(
    axes: "Axes",
    middle: Sequence[float],
    width: float,
    low: Sequence[float],
    height: Sequence[float],
    colour: str,
    alpha: float,
) -> None:
    """Draw many bars at once: one by one they take most of the time of a report."""
    from matplotlib.collections import PolyCollection  # noqa: PLC0415 # slow to import

    half = width / 2
    corners = [
        ((at - half, bottom), (at - half, bottom + tall), (at + half, bottom + tall), (at + half, bottom))
        for at, bottom, tall in zip(middle, low, height, strict=True)
    ]
    axes.add_collection(PolyCollection(corners, facecolors=colour, alpha=alpha, linewidths=0))
    axes.autoscale_view()


def outcomes(nets: Sequence[float], currency: str) -> bytes:
    """Draw how profits of trades are spread; the outermost 1 % are in the outermost bars."""

    def draw(figure: "Figure") -> None:
        import numpy as np  # noqa: PLC0415 # slow to import

        (axes,) = rows(figure, 1)
        values = np.asarray(nets, dtype=np.float64)
        low, high = np.quantile(values, (0.01, 0.99))
        least = max(float(np.abs(values).max()) * 1e-6, 1e-9)
        low, high = min(float(low), -least), max(float(high), least)
        width = (high - low) / 50
        edges = np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        middle = (edges[:-1] + edges[1:]) / 2
        axes.bar(middle, counts, width=width * 0.92, color=[GAIN if at > 0 else LOSS for at in middle], alpha=0.75)
        mean = float(values.mean())
        axes.axvline(mean, color=INK, linewidth=1, linestyle=(0, (4, 3)), label=f"mean {mean:+,.2f}")
        axes.set_xlabel(f"net profit of a trade ({currency}); the outermost 1 % are in the outermost bars")
        axes.set_ylabel("trades")
        tidy(axes)
        legend(axes)

    return picture(draw, 2.8)


def excursions(trades: Sequence[Trade]) -> bytes:
    """Draw for each trade how far the price went against it and for it, and where it ended."""

    def draw(figure: "Figure") -> None:
        against, along = columns(figure, 1, 1)
        for won, colour in ((True, GAIN), (False, LOSS)):
            some = [trade for trade in trades if (trade.net > 0) is won]
            ends, name = [trade.change for trade in some], "won" if won else "lost"
            for axes, far in ((against, [-one.adverse for one in some]), (along, [one.favourable for one in some])):
                axes.scatter(far, ends, s=9, color=colour, alpha=0.5, linewidths=0, label=name)
        for axes, words in ((against, "farthest against it (MAE)"), (along, "farthest for it (MFE)")):
            naught(axes)
            axes.axvline(0, color=QUIET, linewidth=0.8)
            edge = axes.get_xlim()
            axes.plot(edge, edge, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), scalex=False, scaley=False)
            axes.set_xlabel(f"{words}, share of the entry price")
            in_percent(axes)
            in_percent(axes, across=True)
            tidy(axes)
        against.set_ylabel("at the exit")
        legend(against)

    return picture(draw, 3.8)


def clock(hours: Sequence[Traded], weekdays: Sequence[Traded], currency: str) -> bytes:
    """Draw what trades brought by the hour and by the weekday of their entry (UTC)."""

    def draw(figure: "Figure") -> None:
        left, right = columns(figure, 2.4, 1, above=BARE)
        _bars(left, ((one.name[:2], one.trades.net) for one in hours))
        _bars(right, ((one.name[:3], one.trades.net) for one in weekdays))
        left.set_xlabel("hour of the entry (UTC)")
        right.set_xlabel("weekday of the entry (UTC)")
        left.set_ylabel(f"net ({currency})")

    return picture(draw, 2.7)


def _bars(axes: "Axes", named: Iterable[tuple[str, float]]) -> None:
    told = list(named)
    axes.bar(
        range(len(told)),
        [value for _, value in told],
        color=[GAIN if value > 0 else LOSS for _, value in told],
        alpha=0.75,
        width=0.7,
    )
    axes.set_xticks(range(len(told)), [name for name, _ in told])
    naught(axes)
    in_money(axes)
    tidy(axes)


def costs(figures: Figures) -> bytes:
    """Draw the way from what the market gave to what was left: a bar for each cost."""
    gross = figures.net_pnl + figures.fees + figures.slippage - figures.funding
    steps = [("spread and slippage", -figures.slippage), ("fees", -figures.fees), ("funding", figures.funding)]

    def draw(figure: "Figure") -> None:
        (axes,) = rows(figure, 1, above=BARE)
        axes.use_sticky_edges = False
        names, at = ["at the middle of the market"], gross
        axes.bar(0, gross, color=GAIN if gross >= 0 else LOSS, width=0.6)
        tell(axes, 0, max(gross, 0.0), f"{gross:+,.2f}")
        for number, (name, change) in enumerate(steps, start=1):
            axes.bar(number, change, bottom=at, color=GAIN if change >= 0 else LOSS, alpha=0.65, width=0.6)
            axes.plot((number - 0.7, number + 0.3), (at, at), color=QUIET, linewidth=0.7)
            tell(axes, number, max(at, at + change), f"{change:+,.2f}")
            names.append(name)
            at += change
        axes.plot((len(names) - 0.7, len(names) + 0.3), (at, at), color=QUIET, linewidth=0.7)
        axes.bar(len(names), at, color=GAIN if at >= 0 else LOSS, width=0.6)
        tell(axes, len(names), max(at, 0.0), f"{at:+,.2f}")
        axes.set_xticks(range(len(names) + 1), [*names, "net result"])
        naught(axes)
        axes.margins(y=0.14)
        axes.set_ylabel(f"{figures.currency}")
        in_money(axes)
        tidy(axes)
        axes.grid(visible=False, axis="x")

    return picture(draw, 3.2)


def slippage(counted: dict[int, int], edge: int) -> bytes:
    """Draw how often a fill was so many basis points worse (or better) than the middle of the market."""

    def draw(figure: "Figure") -> None:
        from matplotlib.ticker import FuncFormatter  # noqa: PLC0415 # slow to import

        (axes,) = rows(figure, 1, above=BARE)
        bins = range(min(counted), max(counted) + 1)
        shades = [LOSS if bps > 0 else GAIN if bps < 0 else QUIET for bps in bins]
        axes.bar(list(bins), [counted.get(bps, 0) for bps in bins], color=shades, alpha=0.75, width=0.9)
        axes.set_xlabel(f"basis points worse than the middle of the market (beyond {edge}: in the outermost bar)")
        axes.set_ylabel("fills")
        if max(counted.values()) > 50 * min(counted.values()):
            axes.set_yscale("log")
            axes.minorticks_off()
            axes.set_ylim(bottom=0.7)
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_xlim(min(-3, min(counted) - 1), max(3, max(counted) + 1))
        tidy(axes)

    return picture(draw, 2.6)
