"""The pictures of equity: drawdown, what holding had brought, rolling figures, returns, exposure, each strategy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from quant.tails import Tails
from services.backtest.colours import ACCENT, GAIN, INK, LOSS, QUIET, SPARE
from services.backtest.curves import Curve, Level, Period
from services.backtest.drawing import (
    BARE,
    DAY,
    NAMED,
    STEPS,
    days,
    fallen,
    in_money,
    in_percent,
    legend,
    line,
    naught,
    on_time,
    picture,
    rows,
    shade,
    tidy,
)
from services.backtest.measures import Rolling

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["distribution", "equity", "exposure", "holding", "picture", "rolled", "strategies"]

_OTHER = "#c28e2c"
_MOST_BARS = 60


def equity(curve: Curve, first: int, capital: float, periods: Sequence[Period], currency: str) -> bytes:
    """Draw equity above its drawdown, shaded with the regimes that were known at the time."""

    def draw(figure: "Figure") -> None:
        above, below = rows(figure, 2.6, 1, above=NAMED if periods else BARE)
        points = [(first, capital), *((at, capital + pnl) for at, pnl in curve.outline())]
        shade(above, periods)
        above.axhline(capital, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)))
        line(above, points, width=1.5)
        above.set_ylabel(f"equity ({currency})")
        in_money(above)
        moments, lost = days(points), fallen([value for _, value in points])
        below.fill_between(moments, lost, 0, color=LOSS, alpha=0.35, linewidth=0, step="post")
        below.plot(moments, lost, color=LOSS, linewidth=0.9, drawstyle=STEPS)
        below.set_ylabel("drawdown")
        in_percent(below)
        legend(above, periods)
        on_time((above, below), moments[0], moments[-1])

    return picture(draw, 5.6)


def holding(at: Sequence[int], mine: Sequence[float], theirs: Sequence[float]) -> bytes:
    """Draw the run's equity beside what holding would have brought, and the way back of both."""

    def draw(figure: "Figure") -> None:
        above, below = rows(figure, 2, 1)
        for equities, name, colour in ((theirs, "buy and hold", _OTHER), (mine, "this run", ACCENT)):
            since = [(moment, value / equities[0] - 1) for moment, value in zip(at, equities, strict=True)]
            line(above, since, colour, label=f"{name}  {since[-1][1] * 100:+.3g} %")
            line(below, list(zip(at, fallen(equities), strict=True)), colour, width=1.0)
        naught(above)
        above.set_ylabel("return")
        below.set_ylabel("drawdown")
        in_percent(above)
        in_percent(below)
        legend(above)
        on_time((above, below), at[0] / DAY, at[-1] / DAY)

    return picture(draw, 4.4)


def rolled(told: Rolling, first: int) -> bytes:
    """Draw how volatility and the Sharpe ratio of the last stretch moved."""

    def draw(figure: "Figure") -> None:
        above, below = rows(figure, 1, 1, above=BARE)
        for axes, values, colour in ((above, told.sharpe, ACCENT), (below, told.volatility, _OTHER)):
            known = [(moment, value) for moment, value in zip(told.at, values, strict=True) if value is not None]
            axes.plot(days(known), [value for _, value in known], color=colour, linewidth=1.2)
            naught(axes)
        above.set_ylabel("Sharpe ratio")
        below.set_ylabel("volatility a year")
        in_percent(below)
        on_time((above, below), first / DAY, told.at[-1] / DAY)

    return picture(draw, 3.8)


def distribution(changes: Sequence[float], tails: Tails) -> bytes:
    """Draw how often returns were how large, beside the normal distribution of the same mean and deviation."""

    def draw(figure: "Figure") -> None:
        import numpy as np  # noqa: PLC0415 # slow to import

        (axes,) = rows(figure, 1)
        values = np.asarray([change for change in changes if change], dtype=np.float64)
        edge = float(np.quantile(np.abs(values), 0.995))
        width = 2 * edge / _MOST_BARS
        edges = (np.arange(_MOST_BARS + 1) - _MOST_BARS / 2) * width
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        middle = (edges[:-1] + edges[1:]) / 2
        shades = [GAIN if at > 0 else LOSS for at in middle]
        axes.bar(middle, counts, width=width * 0.92, color=shades, alpha=0.75)
        spread, mean = float(values.std()), float(values.mean())
        if spread > 0:
            normal = np.exp(-(((middle - mean) / spread) ** 2) / 2) * width / spread / np.sqrt(2 * np.pi) * len(values)
            axes.plot(middle, normal, color=INK, linewidth=1.1, label="normal distribution")
        at_risk, shortfall = tails.value_at_risk, tails.expected_shortfall
        for value, name, style in ((at_risk, "value at risk 95 %", "--"), (shortfall, "expected shortfall", ":")):
            if value:
                axes.axvline(value, color=LOSS, linewidth=1.3, linestyle=style, label=name)
        axes.set_xlabel("return of a period that moved; the outermost 0.5 % are in the outermost bars")
        axes.set_ylabel("periods")
        in_percent(axes, across=True)
        tidy(axes)
        legend(axes)

    return picture(draw, 3.0)


def exposure(gross: Level, net: Level, first: int, last: int, currency: str) -> bytes:
    """Draw what was held over time: all of it, and what remains of longs less shorts; means of each stretch."""

    def draw(figure: "Figure") -> None:
        (axes,) = rows(figure, 1)
        for level, name, colour, opacity in ((gross, "gross", ACCENT, 0.15), (net, "net", _OTHER, 0.3)):
            points = level.means()
            points = [(first, 0.0), *points, (last, points[-1][1] if points else 0.0)]
            values = [value for _, value in points]
            axes.fill_between(days(points), values, 0, color=colour, alpha=opacity, linewidth=0, step="post")
            line(axes, points, colour, width=0.9, label=name)
        naught(axes)
        axes.set_ylabel(f"exposure ({currency})")
        legend(axes)
        in_money(axes)
        on_time((axes,), first / DAY, last / DAY)

    return picture(draw, 3.0)


def strategies(named: Sequence[tuple[str, Curve]], first: int, currency: str) -> bytes:
    """Draw what each strategy added over time."""

    def draw(figure: "Figure") -> None:
        (axes,) = rows(figure, 1)
        last = first
        for number, (name, curve) in enumerate(named):
            points = [(first, 0.0), *curve.outline()]
            last = max(last, points[-1][0])
            line(axes, points, SPARE[number % len(SPARE)], label=f"{name}  {points[-1][1]:+,.2f}")
        naught(axes)
        axes.set_ylabel(f"profit ({currency})")
        legend(axes)
        in_money(axes)
        on_time((axes,), first / DAY, last / DAY)

    return picture(draw, 3.4)
