"""The parts that a page is made of: figures as people read them, tables, pictures. Everything foreign is escaped."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from math import floor, log10

NONE = '<span class="quiet">&ndash;</span>'
"""For a figure that nothing determines."""
SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; `text` stands left, numbers stand right."""

    title: str
    text: bool = False


def text(title: str) -> Column:
    return Column(title, text=True)


def number(title: str) -> Column:
    return Column(title)


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """Write a table of cells that are HTML already; where it is too wide for the page, it scrolls."""
    head = "".join(f'<th scope="col"{_side(column)}>{escape(column.title)}</th>' for column in columns)
    body = "".join(
        "<tr>"
        + "".join(f"<td{_side(column)}>{cell}</td>" for column, cell in zip(columns, row, strict=True))
        + "</tr>\n"
        for row in rows
    )
    named = f' class="{kind}"' if kind else ""
    told = escape(f"table: {', '.join(column.title for column in columns)}")
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{told}"><table{named}><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}</tbody></table></div>\n"
    )


def answers(pairs: Iterable[tuple[str, str]]) -> str:
    """Write what something is, line by line: a name and its value, which is HTML already."""
    rows = "".join(
        f'<tr><th scope="row" class="text">{escape(name)}</th><td class="number">{value}</td></tr>\n'
        for name, value in pairs
    )
    return f'<div class="wide"><table class="answers"><tbody>\n{rows}</tbody></table></div>\n'


def beside(*parts: str) -> str:
    """Put parts next to each other where the page is wide enough."""
    return f'<div class="beside">{"".join(f"<div>{part}</div>" for part in parts if part)}</div>\n'


def title(words: str) -> str:
    return f"<h3>{escape(words)}</h3>\n"


def _side(column: Column) -> str:
    return ' class="text"' if column.text else ' class="number"'


@dataclass(frozen=True, slots=True)
class Part:
    """A section of the page; without a body it is left out."""

    anchor: str
    title: str
    body: str


def section(part: Part) -> str:
    if not part.body:
        return ""
    return f'<section id="{part.anchor}"><h2>{escape(part.title)}</h2>\n{part.body}</section>\n'


def note(words: str) -> str:
    return f'<p class="note">{escape(words)}</p>\n'


def folded(name: str, words: str) -> str:
    """Hide a long text behind its name; it is opened by a click."""
    return hidden(name, f"<pre>{escape(words)}</pre>")


def hidden(name: str, body: str) -> str:
    """Hide a part that is HTML already behind its name."""
    return f"<details><summary>{escape(name)}</summary>{body}</details>\n"


def image(png: bytes, told: str) -> str:
    """Put a picture into the page itself."""
    data = b64encode(png).decode()
    return (
        f'<figure><div class="wide" role="region" tabindex="0" aria-label="picture">'
        f'<img alt="{escape(told)}" src="data:image/png;base64,{data}"></div>'
        f"<figcaption>{escape(told)}</figcaption></figure>\n"
    )


def tile(name: str, value: str, below: str = "") -> str:
    return f'<div class="tile"><span>{escape(name)}</span><b>{value}</b><small>{below}</small></div>'


def code(words: str) -> str:
    return f"<code>{escape(words)}</code>" if words else NONE


def money(value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return NONE
    value = value if abs(value) >= 0.005 or value == 0 else float(f"{value:.2g}")
    digits = 2 if abs(value) >= 0.005 or value == 0 else 6
    return f"{value:+,.{digits}f}" if signed else f"{value:,.{digits}f}"


def gain(value: float | None) -> str:
    """Write money that was won or lost in its colour."""
    return coloured(money(value, signed=True), value)


def coloured(words: str, value: float | None) -> str:
    if value is None or value == 0:
        return words
    return f'<span class="{"gain" if value > 0 else "loss"}">{words}</span>'


def percent(value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return NONE
    shown = value * 100
    digits = 1 if abs(shown) >= 100 else 2 if abs(shown) >= 0.1 or shown == 0 else _digits(shown)
    return f"{shown:+,.{digits}f} %" if signed else f"{shown:,.{digits}f} %"


def _digits(value: float) -> int:
    """Count the decimals that show two figures of a number below 1."""
    return min(9, 1 - floor(log10(abs(value))))


def change(value: float | None) -> str:
    return coloured(percent(value, signed=True), value)


def ratio(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:,.{_digits(value) if 0 < abs(value) < 0.01 else 2}f}"


def price(value: float) -> str:
    return f"{value:,.8g}"


def bps(value: float | None) -> str:
    """Write a share in basis points."""
    return NONE if value is None else f"{value * 1e4:+,.1f}"


def moment(at: int | None) -> str:
    """Write a time to the second, UTC."""
    return NONE if at is None else f"{datetime.fromtimestamp(at // SECOND, UTC):%Y-%m-%d %H:%M:%S}"


def lasting(nanos: float | None) -> str:
    """Write a length of time with its two largest units."""
    if nanos is None:
        return NONE
    left, told = round(nanos / SECOND), []
    if left == 0:
        return f"{nanos / SECOND:.3g} s"
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            told.append(f"{count:,} {unit}")
        if len(told) == 2 or (told and not left):
            break
    return " ".join(told)
