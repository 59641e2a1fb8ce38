"""What all pictures share: their size and place on the page, axes of time and money, and regimes behind the curves."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from contracts.regimes import UNKNOWN
from services.backtest.colours import ACCENT, GRID, INK, QUIET, colours
from services.backtest.curves import Period, Point, prevailing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DAY = 86_400 * 10**9
STEPS = "steps-post"
"""What was marked holds until the next mark: nothing moved in between."""
_DPI = 130
_COMPRESSION = 4
"""A little larger than the usual 6, in half the time."""
_WIDTH = 12.0
_SHADE = 0.17
_BINS = 240
"""So many stretches of the width have a colour of their own."""
_LEFT, _RIGHT, _BOTTOM = 1.0, 0.15, 0.52
"""Room around axes for what is written there (inches): to measure it takes as long as to draw."""
NAMED, BARE = 0.32, 0.12
"""Room above axes with a legend, and without one."""

Draw = Callable[["Figure"], None]


def picture(draw: Draw, height: float) -> bytes:
    """Draw one picture of the width of the page; gives a PNG. The same input gives the same bytes."""
    from matplotlib import rc_context  # noqa: PLC0415 # slow to import
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with rc_context({"font.family": "DejaVu Sans", "axes.edgecolor": QUIET, "axes.labelcolor": QUIET}):
        figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white", layout="constrained")
        canvas = FigureCanvasAgg(figure)
        draw(figure)
        stored = BytesIO()
        kept = {"compress_level": _COMPRESSION}
        canvas.print_png(stored, metadata={"Software": None}, pil_kwargs=kept)  # type: ignore[no-untyped-call]
    return stored.getvalue()


def rows(figure: "Figure", *ratios: float, above: float = NAMED) -> list["Axes"]:
    """Put axes above each other, of these heights, with one axis of time below the last one."""
    made = _grid(figure, len(ratios), 1, above, height_ratios=ratios, hspace=0.07)
    for axes in made[:-1]:
        axes.sharex(made[-1])
        axes.tick_params(labelbottom=False)
    return made


def columns(figure: "Figure", *ratios: float, above: float = NAMED) -> list["Axes"]:
    """Put axes beside each other, of these widths."""
    return _grid(figure, 1, len(ratios), above, width_ratios=ratios, wspace=0.14)


def _grid(figure: "Figure", down: int, across: int, above: float, **shape: object) -> list["Axes"]:
    figure.set_layout_engine("none")
    height = figure.get_figheight()
    grid = figure.add_gridspec(
        down,
        across,
        left=_LEFT / _WIDTH,
        right=1 - _RIGHT / _WIDTH,
        top=1 - above / height,
        bottom=_BOTTOM / height,
        **shape,
    )
    return [figure.add_subplot(grid[number]) for number in range(down * across)]


def days(points: Sequence[Point]) -> list[float]:
    """Give moments as matplotlib counts time."""
    return [moment / DAY for moment, _ in points]


def fallen(values: Sequence[float]) -> list[float]:
    """Give what was lost since the highest one so far: 0 at a peak, below it else."""
    lost, peak = [], values[0]
    for value in values:
        peak = max(peak, value)
        lost.append(value / peak - 1 if peak > 0 else 0.0)
    return lost


def shade(axes: "Axes", periods: Sequence[Period]) -> None:
    """Colour each stretch of the width with the regime that prevailed in it."""
    painted = colours(sorted({period.regime for period in periods} - {UNKNOWN}))
    shown = prevailing(periods, _BINS)
    for regime, colour in painted.items():
        spans = [(one.start / DAY, (one.end - one.start) / DAY) for one in shown if one.regime == regime]
        axes.broken_barh(
            spans, (0, 1), transform=axes.get_xaxis_transform(), color=colour, alpha=_SHADE, linewidth=0, zorder=0
        )


def legend(axes: "Axes", periods: Sequence[Period] = ()) -> None:
    """Name the lines and the regimes in one row above the axes."""
    from matplotlib.patches import Patch  # noqa: PLC0415 # slow to import

    seen = {period.regime for period in periods}
    painted = colours(sorted(seen - {UNKNOWN}))
    regimes: list[object] = [
        Patch(facecolor=colour, alpha=0.55, label=regime) for regime, colour in painted.items() if regime in seen
    ]
    handles = [*axes.get_legend_handles_labels()[0], *regimes]
    if handles:
        axes.legend(
            handles=handles,
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=9,
            frameon=False,
            fontsize=9,
            handlelength=1.4,
            columnspacing=1.4,
            borderpad=0,
        )


def in_percent(axes: "Axes", *, across: bool = False) -> None:
    """Write shares as per cent, on the upright axis or `across`."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415 # slow to import

    axis = axes.xaxis if across else axes.yaxis
    axis.set_major_locator(MaxNLocator(9 if across else 4))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.3g} %"))


def in_money(axes: "Axes") -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415 # slow to import

    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def on_time(all_axes: "Sequence[Axes]", first: float, last: float) -> None:
    """Let axes that share their time reach from `first` to `last` (days)."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415 # slow to import

    for axes in all_axes:
        tidy(axes)
    lowest = all_axes[-1]
    if first < last:
        lowest.set_xlim(first, last)
    locator = AutoDateLocator(minticks=5, maxticks=12, tz="UTC")  # type: ignore[no-untyped-call] # matplotlib's
    lowest.xaxis.set_major_locator(locator)
    lowest.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz="UTC"))  # type: ignore[no-untyped-call]


def tidy(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_linewidth(0.8)
    axes.tick_params(colors=QUIET, labelsize=9)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)


def naught(axes: "Axes", at: float = 0.0) -> None:
    """Draw where nothing was won or lost."""
    axes.axhline(at, color=QUIET, linewidth=0.8)


def tell(axes: "Axes", at: float, height: float, words: str) -> None:
    """Write above a bar."""
    axes.annotate(
        words,
        (at, height),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=9,
        color=INK,
    )


def line(axes: "Axes", points: Sequence[Point], colour: str = ACCENT, width: float = 1.3, label: str = "") -> None:
    """Draw a value that holds until the next one."""
    values = [value for _, value in points]
    axes.plot(days(points), values, color=colour, linewidth=width, drawstyle=STEPS, label=label)
