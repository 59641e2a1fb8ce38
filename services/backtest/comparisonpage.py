"""The page of a comparison: what differs between two runs, figures side by side, and both curves in one picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from services.backtest.colours import ACCENT, QUIET
from services.backtest.comparison import LEVEL, Difference, Left, Row, Unit
from services.backtest.comparisonlogs import Beside, Order, Parting
from services.backtest.drawing import DAY, in_percent, legend, on_time, picture, rows
from services.backtest.page import (
    NONE,
    Part,
    code,
    image,
    moment,
    money,
    note,
    number,
    percent,
    ratio,
    section,
    table,
    text,
)
from services.backtest.sweep.objective import wealth

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE, PICTURE = "compare.html", "equity.png"
_STYLE = Path(__file__).with_name("report.css")
_FIRST, _SECOND = ACCENT, "#d0772b"
MOST_SHOWN = 200


@dataclass(frozen=True)
class Compared:
    """All that a comparison found; without logs there are figures only."""

    first: Left
    second: Left
    differences: Sequence[Difference]
    rows: Sequence[Row]
    beside: Beside | None
    parting: Parting | None
    words: Sequence[str]


def write_page(compared: Compared, out: Path) -> Path:
    """Write the page and its picture into `out`; gives the path of the page."""
    out.mkdir(parents=True, exist_ok=True)
    png = curves(compared.beside) if compared.beside is not None else None
    if png is not None:
        (out / PICTURE).write_bytes(png)
    path = out / PAGE
    path.write_text(_page(compared, png), encoding="utf-8")
    return path


def curves(beside: Beside) -> bytes | None:
    """Draw both equities from where both begin, and below how far they are apart; None if they share no time."""
    folds, first, second = beside.folds, beside.first, beside.second
    if folds is None or first is None or second is None:
        return None
    fold = folds.folds[0]
    moments = [at / DAY for at in range(fold.begins_at, fold.ends_at + 1, folds.step)]
    mine = [worth - 1 for worth in wealth(first.returns)]
    other = [worth - 1 for worth in wealth(second.returns)]

    def draw(figure: "Figure") -> None:
        above, below = rows(figure, 2.4, 1)
        above.plot(moments, mine, color=_FIRST, linewidth=1.4, label="first run")
        above.plot(moments, other, color=_SECOND, linewidth=1.4, label="second run")
        above.axhline(0, color=QUIET, linewidth=0.8)
        above.set_ylabel("gain")
        in_percent(above)
        legend(above)
        apart = [two - one for one, two in zip(mine, other, strict=True)]
        below.fill_between(moments, apart, 0, color=_SECOND, alpha=0.35, linewidth=0)
        below.plot(moments, apart, color=_SECOND, linewidth=0.9)
        below.axhline(0, color=QUIET, linewidth=0.8)
        below.set_ylabel("second - first")
        in_percent(below)
        on_time((above, below), moments[0], moments[-1])

    return picture(draw, 5.2)


def _page(compared: Compared, png: bytes | None) -> str:
    drawn = "" if png is None else image(png, "Gain of both runs over the time that they share; below, the difference.")
    parts = [
        Part("equity", "Equity", drawn),
        Part("figures", "Figures", _figures(compared.rows)),
        Part("made", "What they were made of", _differences(compared.differences)),
        Part("parting", "Where the logs part", _parting(compared.parting)),
        Part("orders", "Orders", _orders(compared)),
    ]
    links = "\n".join(f'<a href="#{part.anchor}">{escape(part.title)}</a>' for part in parts if part.body)
    said = "".join(f'<p class="remark">{escape(one)}</p>\n' for one in compared.words)
    names = f"{escape(compared.first.path.name)} and {escape(compared.second.path.name)}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Two runs</title>\n<style>\n{_STYLE.read_text(encoding='utf-8')}</style></head>\n<body><main>\n"
        f'<header><h1>Two runs</h1>\n<p class="lead">{names}</p>\n<nav>{links}</nav>\n{said}</header>\n'
        f"{''.join(map(section, parts))}</main></body></html>\n"
    )


def shown(unit: Unit, value: float | None, *, signed: bool = False) -> str:
    """Write a figure in its unit, as HTML."""
    match unit:
        case Unit.MONEY:
            return money(value, signed=signed)
        case Unit.SHARE:
            return percent(value, signed=signed)
        case Unit.RATIO:
            return ratio(value)
        case Unit.COUNT:
            return NONE if value is None else f"{value:+,.0f}" if signed else f"{value:,.0f}"


def _figures(some: Sequence[Row]) -> str:
    columns = (
        *(text("figure"), number("first"), number("second"), number("difference")),
        *(number(f"noise, {LEVEL:.0%}"), text("")),
    )
    cells = []
    for row in some:
        where = ""
        if row.noise is not None:
            low, high = (shown(row.unit, end, signed=True) for end in (row.noise.low, row.noise.high))
            where = f"{low} to {high}"
        told = {None: "", True: "<b>beyond noise</b>", False: '<span class="quiet">within noise</span>'}
        values = (shown(row.unit, row.first), shown(row.unit, row.second), shown(row.unit, row.difference, signed=True))
        cells.append((escape(row.name), *values, where or NONE, told[row.is_beyond_noise]))
    words = (
        "Noise is where the difference lies in resamples of the time that both share (paired stationary bootstrap): if "
        "that holds zero, another past like this one could have turned it around."
    )
    return table(columns, cells) + note(words)


def _differences(some: Sequence[Difference]) -> str:
    if not some:
        return note("They were made of the same: data, settings and code.")
    cells = [
        (escape(one.kind.value), code(one.place), code(_short(one.first)), code(_short(one.second)))
        for one in some[:MOST_SHOWN]
    ]
    return table((text("kind"), text("what"), text("first"), text("second")), cells)


def _short(value: object) -> str:
    told = "" if value is None else str(value)
    return told if len(told) <= 60 else f"{told[:57]}..."


def _parting(found: Parting | None) -> str:
    if found is None:
        return ""
    cells = []
    for name, line in (("first", found.first), ("second", found.second)):
        if line is None:
            cells.append((name, "", "the log is over", ""))
        else:
            cells.append((name, f"{line.position:,}", code(line.header), code(line.payload.decode())))
    return table((text("run"), number("position"), text("event"), text("says")), cells)


def _orders(compared: Compared) -> str:
    if compared.beside is None:
        return ""
    orders = compared.beside.orders
    counts = table(
        (number("both have"), number("only the first"), number("only the second")),
        [(f"{orders.both:,}", f"{orders.only_first:,}", f"{orders.only_second:,}")],
    )
    return counts + "".join(_only(name, some) for name, some in (("first", orders.first), ("second", orders.second)))


def _only(name: str, some: Sequence[Order]) -> str:
    if not some:
        return ""
    columns = (text("time"), text("order"), text("strategy"), text("instrument"), text("side"), number("quantity"))
    return f"<h3>Only in the {name} run</h3>\n" + table(columns, _cells(some))


def _cells(some: Sequence[Order]) -> Iterator[tuple[str, ...]]:
    for one in some:
        told = (escape(one.strategy), escape(one.instrument), escape(one.side), escape(one.quantity))
        yield moment(one.at), code(one.order_id), *told
