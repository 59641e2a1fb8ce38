"""Pictures of regimes: the price with what was known of its regime at the time, and how surely it was known.

Nothing in them looks ahead: what is shaded at a moment is what the filter said when that window closed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.regimes import UNKNOWN
from quant.regime import Inference
from services.backtest.colours import GRID, INK, QUIET, colours

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    from numpy.typing import NDArray

SUFFIXES = (".png", ".svg", ".pdf")

_LEFT = 0.06
_SIZE = (15.0, 9.2)
_DPI = 130
_SHADE = 0.36
_MOST_POINTS = 1_200
_DAY = 86_400 * 10**9
_LEAST_TOLD = 0.12
"""Of the width: what is narrower has no room for words."""
_BREAK = 1.5
"""Windows that are farther apart than so many of their lengths are not joined by a line."""


@dataclass(frozen=True)
class Run:
    """A stretch of time [`start`, `end`) in ns with one regime."""

    regime: str
    start: int
    end: int


@dataclass(frozen=True)
class Picture:
    """What is drawn: inferences in order of time, each of a window of `window` ns.

    `notes` stand beside the name of a state in the legend. The model was fitted to what lies in `trained` (ns), and
    scored on what follows `scored_from` within it.
    """

    title: str
    subtitle: str
    labels: tuple[str, ...]
    inferences: Sequence[Inference]
    window: int
    trained: tuple[int, int]
    scored_from: int | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


def regime_of(inference: Inference, labels: Sequence[str]) -> str:
    """Name the state that is most probable after an observation; unknown where no state explains it."""
    return UNKNOWN if inference.improbable else labels[inference.likeliest]


def runs(inferences: Sequence[Inference], labels: Sequence[str], window: int) -> list[Run]:
    """Join windows that follow each other and have one regime."""
    joined: list[Run] = []
    for (regime, _), group in groupby(
        enumerate(inferences), key=lambda one: (regime_of(one[1], labels), one[1].closed_at - one[0] * window)
    ):
        members = [inference for _, inference in group]
        joined.append(Run(regime, members[0].closed_at - window, members[-1].closed_at))
    return joined


def draw(picture: Picture, path: Path) -> None:
    """Write the picture as PNG, SVG or PDF, whichever the name asks for."""
    from matplotlib import rc_context  # noqa: PLC0415 # slow to import
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    assert picture.inferences, "nothing to draw"
    with rc_context({"font.family": "DejaVu Sans", "svg.hashsalt": "hmm", "axes.edgecolor": QUIET}):
        figure = Figure(figsize=_SIZE, dpi=_DPI, facecolor="white")
        FigureCanvasAgg(figure)
        _draw(figure, picture)
        figure.savefig(path)


def _draw(figure: "Figure", picture: Picture) -> None:
    grid = figure.add_gridspec(
        3, 1, height_ratios=(3.3, 1.5, 0.9), hspace=0.1, left=_LEFT, right=0.985, top=0.845, bottom=0.055
    )
    price = figure.add_subplot(grid[0])
    shares = figure.add_subplot(grid[1], sharex=price)
    certainty = figure.add_subplot(grid[2], sharex=price)
    painted = colours(picture.labels)
    series = _Series.of(picture)
    names = _draw_price(price, picture, series, painted)
    _draw_training(price, picture)
    _draw_shares(shares, picture, series, painted)
    _draw_certainty(certainty, series)
    for axes in (price, shares, certainty):
        _tidy(axes)
    for axes in (price, shares):
        axes.tick_params(labelbottom=False)
    _date(certainty)
    price.set_xlim(float(series.at[0]) - picture.window / _DAY, float(series.at[-1]))
    figure.text(_LEFT, 0.962, picture.title, fontsize=17, fontweight="bold", color=INK)
    figure.text(_LEFT, 0.937, picture.subtitle, fontsize=10.5, color=QUIET)
    figure.legend(
        handles=names,
        loc="upper left",
        bbox_to_anchor=(_LEFT, 0.925),
        ncols=min(5, len(names)),
        frameon=False,
        fontsize=9.5,
        handlelength=1.2,
        handleheight=1.1,
        columnspacing=1.6,
        borderaxespad=0.2,
        borderpad=0.0,
    )


@dataclass(frozen=True)
class _Series:
    """The columns of the picture, `at` in days; where time has a gap, a row of NaN breaks every line."""

    at: "NDArray[np.float64]"
    close: "NDArray[np.float64]"
    probabilities: "NDArray[np.float64]"
    confidence: "NDArray[np.float64]"
    entropy: "NDArray[np.float64]"

    @classmethod
    def of(cls, picture: Picture) -> "_Series":
        import numpy as np  # noqa: PLC0415 # slow to import

        inferences, window = picture.inferences, picture.window
        closed = np.array([one.closed_at for one in inferences], dtype=np.int64)
        columns = np.array(
            [(one.close, one.confidence(), one.entropy, *one.probabilities) for one in inferences], dtype=np.float64
        )
        gaps = np.flatnonzero(np.diff(closed) > _BREAK * window) + 1
        closed = np.insert(closed, gaps, closed[gaps - 1] + window)
        columns = np.insert(columns, gaps, np.nan, axis=0)
        return cls(
            at=closed / _DAY,
            close=columns[:, 0],
            confidence=columns[:, 1],
            entropy=columns[:, 2],
            probabilities=columns[:, 3:],
        )


def _draw_price(axes: "Axes", picture: Picture, series: _Series, painted: Mapping[str, str]) -> "list[Patch]":
    from matplotlib.patches import Patch  # noqa: PLC0415
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator  # noqa: PLC0415

    stretches = runs(picture.inferences, picture.labels, picture.window)
    seen = [label for label in (*picture.labels, UNKNOWN) if any(run.regime == label for run in stretches)]
    for label in seen:
        spans = [_span(run.start, run.end) for run in stretches if run.regime == label]
        axes.broken_barh(
            spans, (0, 1), transform=axes.get_xaxis_transform(), color=painted[label], alpha=_SHADE, linewidth=0
        )
    axes.plot(series.at, series.close, color=INK, linewidth=0.9)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(MaxNLocator(7))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("price (log)", color=QUIET)
    axes.margins(y=0.06)
    return [
        Patch(facecolor=painted[label], alpha=0.8, label=f"{label}  {picture.notes.get(label, '')}".rstrip())
        for label in seen
    ]


def _draw_training(axes: "Axes", picture: Picture) -> None:
    """Mark above the price which part the model was fitted to, which part scored it, and what is new to it."""
    first, last = picture.inferences[0].closed_at - picture.window, picture.inferences[-1].closed_at
    start, end = picture.trained
    scored = end if picture.scored_from is None else picture.scored_from
    across = axes.get_xaxis_transform()
    for begin, stop, colour, text in (
        (start, scored, "#3d4450", "the model was chosen on this"),
        (scored, end, "#9aa1ac", "scored on this (hold-out)"),
        (end, last, "#d9a441", "new to it"),
    ):
        at, length = _span(max(begin, first), min(stop, last))
        if length > 0:
            axes.broken_barh([(at, length)], (1.012, 0.016), transform=across, color=colour, linewidth=0, clip_on=False)
        if length > _LEAST_TOLD * (last - first) / _DAY:
            axes.text(at, 1.036, text, transform=across, fontsize=8.5, color=colour, va="bottom")


def _draw_shares(axes: "Axes", picture: Picture, series: _Series, painted: Mapping[str, str]) -> None:
    axes.stackplot(
        series.at,
        *series.probabilities.T,
        colors=[painted[label] for label in picture.labels],
        alpha=0.85,
        linewidth=0,
    )
    axes.set_ylim(0, 1)
    axes.set_yticks((0, 0.5, 1), ("0", "½", "1"))
    axes.set_ylabel("probability", color=QUIET)


def _draw_certainty(axes: "Axes", series: _Series) -> None:
    """Draw means over as many observations as one cannot tell apart any more."""
    at, entropy, confidence = (_thinned(column) for column in (series.at, series.entropy, series.confidence))
    axes.fill_between(at, entropy, color="#c3c9d3", linewidth=0, label="entropy")
    axes.plot(at, confidence, color=INK, linewidth=0.8, label="confidence, calibrated")
    axes.set_ylim(0, 1.02)
    axes.set_yticks((0, 0.5, 1), ("0", "½", "1"))
    axes.set_ylabel("certainty", color=QUIET)
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 0.97), ncols=2, fontsize=8, frameon=False, borderpad=0, borderaxespad=0.2
    )


def _thinned(column: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Give means of neighbours, so that at most `_MOST_POINTS` are left; a gap stays one."""
    size = -(-len(column) // _MOST_POINTS)
    whole = column[: len(column) // size * size].reshape(-1, size)
    thinned: NDArray[np.float64] = whole.mean(axis=1)
    return thinned


def _tidy(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_linewidth(0.8)
    axes.tick_params(colors=QUIET, labelsize=9.5)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0)


def _date(axes: "Axes") -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415

    locator = AutoDateLocator(minticks=6, maxticks=14, tz="UTC")  # type: ignore[no-untyped-call] # matplotlib's
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz="UTC"))  # type: ignore[no-untyped-call]


def _span(start: int, end: int) -> tuple[float, float]:
    """Give start and length as matplotlib counts time: in days."""
    return start / _DAY, (end - start) / _DAY
