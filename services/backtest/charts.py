"""The pictures of a report: equity and drawdown, exposure, what each strategy added, costs, and trades on candles."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from contracts.regimes import UNKNOWN
from services.backtest.colours import ACCENT, GAIN, GRID, INK, LOSS, QUIET, SPARE, colours
from services.backtest.curves import Candles, Curve, Level, Marks, Period, Point, prevailing
from services.backtest.figures import Figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DAY = 86_400 * 10**9
_DPI = 130
_WIDTH = 12.0
_SHADE = 0.17
_STEPS = "steps-post"
"""What was marked holds until the next mark: nothing moved in between."""
_BINS = 240
"""So many stretches of the width have a colour of their own."""

Draw = Callable[["Figure"], None]


def picture(draw: Draw, height: float) -> bytes:
    """Draw one picture of the width of the page; gives a PNG. The same input gives the same bytes."""
    from matplotlib import rc_context  # noqa: PLC0415 # slow to import
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with rc_context({"font.family": "DejaVu Sans", "axes.edgecolor": QUIET, "axes.labelcolor": QUIET}):
        figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        stored = BytesIO()
        figure.savefig(stored, format="png", metadata={"Software": None})
    return stored.getvalue()


def equity(curve: Curve, first: int, capital: float, periods: Sequence[Period], currency: str) -> bytes:
    """Draw equity above its drawdown, shaded with the regimes that were known at the time."""

    def draw(figure: "Figure") -> None:
        grid = figure.add_gridspec(2, 1, height_ratios=(2.6, 1))
        above = figure.add_subplot(grid[0])
        below = figure.add_subplot(grid[1], sharex=above)
        points = [(first, 0.0), *curve.outline()]
        moments, values = _days(points), [capital + pnl for _, pnl in points]
        _shade((above,), periods)
        above.axhline(capital, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)))
        above.plot(moments, values, color=ACCENT, linewidth=1.5, drawstyle=_STEPS)
        above.set_ylabel(f"equity ({currency})")
        _money(above)
        lost = _underwater(values)
        below.fill_between(moments, lost, 0, color=LOSS, alpha=0.35, linewidth=0, step="post")
        below.plot(moments, lost, color=LOSS, linewidth=0.9, drawstyle=_STEPS)
        below.set_ylabel("drawdown")
        _percent(below)
        above.tick_params(labelbottom=False)
        _legend_of_regimes(above, periods)
        _finish((above, below), moments)

    return picture(draw, 5.6)


def exposure(gross: Level, net: Level, first: int, last: int, currency: str) -> bytes:
    """Draw what was held over time: all of it, and what remains of longs less shorts; means of each stretch."""

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        for level, name, colour, shade in ((gross, "gross", ACCENT, 0.15), (net, "net", "#c28e2c", 0.3)):
            points = level.means()
            points = [(first, 0.0), *points, (last, points[-1][1] if points else 0.0)]
            moments, values = _days(points), [value for _, value in points]
            axes.fill_between(moments, values, 0, color=colour, alpha=shade, linewidth=0, step="post")
            axes.plot(moments, values, color=colour, linewidth=0.9, drawstyle=_STEPS, label=name)
        axes.axhline(0, color=QUIET, linewidth=0.8)
        axes.set_ylabel(f"exposure ({currency})")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, frameon=False, fontsize=9, borderpad=0)
        _money(axes)
        _finish((axes,), (first / _DAY, last / _DAY))

    return picture(draw, 2.9)


def strategies(named: Sequence[tuple[str, Curve]], first: int, currency: str) -> bytes:
    """Draw what each strategy added over time."""

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        moments: list[float] = []
        for number, (name, curve) in enumerate(named):
            points = [(first, 0.0), *curve.outline()]
            moments += _days(points)
            colour = SPARE[number % len(SPARE)]
            values = [value for _, value in points]
            axes.plot(
                _days(points),
                values,
                color=colour,
                linewidth=1.2,
                drawstyle=_STEPS,
                label=f"{name}  {values[-1]:+,.2f}",
            )
        axes.axhline(0, color=QUIET, linewidth=0.8)
        axes.set_ylabel(f"profit ({currency})")
        axes.legend(loc="best", frameon=False, fontsize=9)
        _money(axes)
        _finish((axes,), sorted(moments))

    return picture(draw, 3.4)


def costs(figures: Figures) -> bytes:
    """Draw the way from what the market gave to what was left: a bar for each cost."""
    gross = figures.net_pnl + figures.fees + figures.slippage - figures.funding
    steps = [("spread and\nslippage", -figures.slippage), ("fees", -figures.fees), ("funding", figures.funding)]

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        names, at = ["at the middle\nof the market"], gross
        axes.bar(0, gross, color=GAIN if gross >= 0 else LOSS, width=0.6)
        _tell(axes, 0, max(gross, 0.0), gross)
        for number, (name, change) in enumerate(steps, start=1):
            axes.bar(number, change, bottom=at, color=GAIN if change >= 0 else LOSS, alpha=0.65, width=0.6)
            axes.plot((number - 0.7, number + 0.3), (at, at), color=QUIET, linewidth=0.7)
            _tell(axes, number, max(at, at + change), change)
            names.append(name)
            at += change
        axes.bar(len(names), at, color=GAIN if at >= 0 else LOSS, width=0.6)
        _tell(axes, len(names), max(at, 0.0), at)
        axes.set_xticks(range(len(names) + 1), [*names, "net result"])
        axes.axhline(0, color=QUIET, linewidth=0.8)
        axes.margins(y=0.16)
        axes.set_ylabel(f"{figures.currency}")
        _money(axes)
        _tidy(axes)

    return picture(draw, 3.2)


def slippage(counted: dict[int, int], edge: int) -> bytes:
    """Draw how often a fill was so many basis points worse (or better) than the middle of the market."""

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        bins = range(min(counted), max(counted) + 1)
        shades = [LOSS if bps > 0 else GAIN if bps < 0 else QUIET for bps in bins]
        axes.bar(list(bins), [counted.get(bps, 0) for bps in bins], color=shades, alpha=0.75, width=0.9)
        axes.set_xlabel(f"basis points worse than the middle of the market (beyond {edge}: in the outermost bar)")
        axes.set_ylabel("fills")
        axes.set_xlim(min(-3, min(counted) - 1), max(3, max(counted) + 1))
        _tidy(axes)

    return picture(draw, 2.6)


def outcomes(nets: Sequence[float], currency: str) -> bytes:
    """Draw how profits of trades are spread; the outermost 1 % are in the outermost bars."""

    def draw(figure: "Figure") -> None:
        import numpy as np  # noqa: PLC0415 # slow to import

        axes = figure.add_subplot()
        values = np.asarray(nets, dtype=np.float64)
        low, high = np.quantile(values, (0.01, 0.99))
        least = max(float(np.abs(values).max()) * 1e-6, 1e-9)
        low, high = min(float(low), -least), max(float(high), least)
        width = (high - low) / 50
        edges = np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        middle = (edges[:-1] + edges[1:]) / 2
        axes.bar(middle, counts, width=width * 0.92, color=[GAIN if at > 0 else LOSS for at in middle], alpha=0.75)
        axes.axvline(float(values.mean()), color=INK, linewidth=1, linestyle=(0, (4, 3)), label="mean")
        axes.set_xlabel(f"net profit of a trade ({currency})")
        axes.set_ylabel("trades")
        axes.legend(frameon=False, fontsize=9)
        _tidy(axes)

    return picture(draw, 2.8)


def candles(drawn: Candles, marks: Marks | None, periods: Sequence[Period]) -> bytes:
    """Draw prices as candles with what was bought and sold on them, shaded with regimes."""

    def draw(figure: "Figure") -> None:
        grid = figure.add_gridspec(2, 1, height_ratios=(5, 1))
        axes = figure.add_subplot(grid[0])
        below = figure.add_subplot(grid[1], sharex=axes)
        _shade((axes,), periods)
        width = drawn.step / _DAY * 0.72
        for rising, colour in ((True, GAIN), (False, LOSS)):
            some = [one for one in drawn.candles if (one.close >= one.open) is rising]
            middle = [(one.at + drawn.step / 2) / _DAY for one in some]
            axes.vlines(middle, [one.low for one in some], [one.high for one in some], color=colour, linewidth=0.7)
            low = [min(one.open, one.close) for one in some]
            bodies = [max(abs(one.close - one.open), one.close * 1e-6) for one in some]
            _boxes(axes, middle, width, low, bodies, colour, 1.0)
            _boxes(below, middle, width, [0.0] * len(some), [one.volume for one in some], colour, 0.5)
        for bought, shape, colour in ((True, "^", "#1455c0"), (False, "v", "#7a1fa2")):
            some_marks = [mark for mark in (marks.in_order if marks else ()) if mark.bought is bought]
            axes.scatter(
                [mark.at / _DAY for mark in some_marks],
                [mark.price for mark in some_marks],
                marker=shape,
                s=26 if len(some_marks) < 200 else 13,
                color=colour,
                edgecolors="white",
                linewidths=0.5,
                zorder=5,
                label="bought" if bought else "sold",
            )
        axes.set_ylabel("price")
        below.set_ylabel("volume")
        below.set_yticks(())
        axes.tick_params(labelbottom=False)
        _money(axes)
        _legend_of_regimes(axes, periods, marked=bool(marks))
        ends = (drawn.candles[0].at / _DAY, (drawn.candles[-1].at + drawn.step) / _DAY)
        _finish((axes, below), ends)

    return picture(draw, 4.6)


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


def _days(points: Sequence[Point]) -> list[float]:
    """Give moments as matplotlib counts time."""
    return [moment / _DAY for moment, _ in points]


def _underwater(values: Sequence[float]) -> list[float]:
    lost, peak = [], values[0]
    for value in values:
        peak = max(peak, value)
        lost.append(value / peak - 1 if peak > 0 else 0.0)
    return lost


def _shade(all_axes: "Sequence[Axes]", periods: Sequence[Period]) -> None:
    """Colour each stretch of the width with the regime that prevailed in it."""
    painted = colours(sorted({period.regime for period in periods} - {UNKNOWN}))
    shown = prevailing(periods, _BINS)
    for regime, colour in painted.items():
        spans = [(one.start / _DAY, (one.end - one.start) / _DAY) for one in shown if one.regime == regime]
        for axes in all_axes:
            axes.broken_barh(
                spans, (0, 1), transform=axes.get_xaxis_transform(), color=colour, alpha=_SHADE, linewidth=0, zorder=0
            )


def _legend_of_regimes(axes: "Axes", periods: Sequence[Period], *, marked: bool = False) -> None:
    from matplotlib.patches import Patch  # noqa: PLC0415 # slow to import

    seen = {period.regime for period in periods}
    painted = colours(sorted(seen - {UNKNOWN}))
    handles: list[object] = [
        Patch(facecolor=colour, alpha=0.55, label=regime) for regime, colour in painted.items() if regime in seen
    ]
    if marked:
        handles += axes.get_legend_handles_labels()[0]
    if handles:
        axes.legend(
            handles=handles,
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=9,
            frameon=False,
            fontsize=9,
            handlelength=1.2,
            columnspacing=1.4,
            borderpad=0,
        )


def _tell(axes: "Axes", at: int, height: float, value: float) -> None:
    """Write an amount above a bar."""
    axes.annotate(
        f"{value:+,.2f}",
        (at, height),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=9,
        color=INK,
    )


def _percent(axes: "Axes") -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415 # slow to import

    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.3g} %"))


def _money(axes: "Axes") -> None:
    from matplotlib.ticker import FuncFormatter  # noqa: PLC0415 # slow to import

    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def _finish(all_axes: "Sequence[Axes]", moments: Sequence[float]) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415 # slow to import

    for axes in all_axes:
        _tidy(axes)
    last = all_axes[-1]
    if moments[0] < moments[-1]:
        last.set_xlim(moments[0], moments[-1])
    locator = AutoDateLocator(minticks=5, maxticks=12, tz="UTC")  # type: ignore[no-untyped-call] # matplotlib's
    last.xaxis.set_major_locator(locator)
    last.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz="UTC"))  # type: ignore[no-untyped-call]


def _tidy(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_linewidth(0.8)
    axes.tick_params(colors=QUIET, labelsize=9)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
