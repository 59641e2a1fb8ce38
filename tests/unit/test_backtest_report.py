"""The report of a run: one page that needs nothing else, that says what the figures say, and that nothing breaks."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from contracts.control import Alert
from contracts.recorded import Recorded
from contracts.types import Severity
from services.backtest.page import lasting, moment, money, percent
from services.backtest.report import write_report
from services.backtest.summary import Summary
from tests.builders import BTC, START, bars
from tests.played import market, played

VOID = {"meta", "img", "br"}
ASSUMPTION = "Our orders move nobody."
PNG = b"\x89PNG\r\n"


class Outline(HTMLParser):
    """Reads a page as a browser does: what is open, where links lead, what is said."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.sources: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        self.ids |= {known["id"]} if "id" in known else set()
        self.links += [known["href"]] if "href" in known else []
        self.sources += [known["src"]] if "src" in known else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def summary_of(events: int) -> Summary:
    summary = Summary(assumptions=[ASSUMPTION])
    for recorded in played(market(events)).tape if events else ():
        if isinstance(recorded, Recorded):
            summary.hear(recorded)
    return summary


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, Path]:
    summary, out = summary_of(800), tmp_path_factory.mktemp("report")
    summary.repaired("row out of order, sorted", 3)
    write_report(summary, '{"seed": 7}', out)
    return summary, out


def page_of(out: Path) -> str:
    return (out / "report.html").read_text(encoding="utf-8")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_page_is_whole_and_needs_nothing_else(written: tuple[Summary, Path]) -> None:
    outline = Outline(page_of(written[1]))
    assert (outline.open, outline.wrong) == ([], [])
    assert all(source.startswith("data:image/png;base64,") for source in outline.sources)
    assert all(link.startswith("#") and link[1:] in outline.ids for link in outline.links)
    assert "<script" not in page_of(written[1])
    assert not re.search(r"url\(|@import|https?://", page_of(written[1]))


def test_every_picture_is_a_file_too_and_the_same(written: tuple[Summary, Path]) -> None:
    _, out = written
    inline = {base64.b64decode(source.partition(",")[2]) for source in Outline(page_of(out)).sources}
    files = {path.read_bytes() for path in out.glob("*.png")}
    assert inline == files
    assert all(one.startswith(PNG) for one in files)
    names = {path.stem for path in out.glob("*.png")}
    assert {"equity", "exposure", "costs", "strategies", "outcomes"} <= names
    assert {f"trades-{instrument}" for instrument in written[0].marks} <= names


def test_the_page_tells_the_figures_the_repairs_the_assumptions_and_the_manifest(
    written: tuple[Summary, Path],
) -> None:
    summary, out = written
    figures, text = summary.figures(), Outline(page_of(out)).text
    assert money(figures.net_pnl, signed=True) in text
    assert f"{figures.trades.count:,}" in text
    for told in (
        ASSUMPTION,
        "row out of order, sorted",
        '{"seed": 7}',
        "double fees",
        *(one.rail for one in figures.rails),
    ):
        assert told in text


def test_every_trade_that_is_shown_names_its_orders(written: tuple[Summary, Path]) -> None:
    summary, out = written
    text = Outline(page_of(out)).text
    shown = [*summary.shown.winners, *summary.shown.losers, *summary.shown.latest]
    assert shown
    assert all(one.entry_order in text and one.exit_order in text for one in shown)


def test_a_summary_gives_the_same_page_and_pictures_again(tmp_path: Path) -> None:
    summary = Summary()
    for number, closed in enumerate(bars([100.0, 103.0, 101.0, 99.0])):
        summary.hear(Recorded(number + 1, None, "test", 0, closed))
    for name in ("first", "second"):
        write_report(summary, "{}", tmp_path / name)
    first, second = (contents(tmp_path / name) for name in ("first", "second"))
    assert first == second
    assert set(first) == {"report.html", f"trades-{BTC}.png"}


def test_a_run_in_which_nothing_happened_has_a_report(tmp_path: Path) -> None:
    write_report(Summary(), "{}", tmp_path)
    outline = Outline(page_of(tmp_path))
    assert (outline.open, outline.wrong) == ([], [])
    assert "Nothing was traded" in outline.text


def test_what_comes_from_outside_is_told_and_never_obeyed(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    summary = Summary(assumptions=[hostile])
    summary.remark(hostile)
    summary.repaired(hostile)
    alert = Alert(ts_event=START, ts_init=START, component="risk", severity=Severity.WARNING, code="x", message=hostile)
    summary.hear(Recorded(1, None, "x", 0, alert))
    write_report(summary, hostile, tmp_path)
    assert "<script" not in page_of(tmp_path)
    assert Outline(page_of(tmp_path)).text.count(hostile) == 5


@pytest.mark.parametrize(
    ("nanos", "told"),
    [
        (0, "0 s"),
        (500_000_000, "0.5 s"),
        (90 * 10**9, "1 min 30 s"),
        (3600 * 10**9, "1 h"),
        (90_061 * 10**9, "1 d 1 h"),
    ],
)
def test_a_length_of_time_is_told_in_its_two_largest_units(nanos: int, told: str) -> None:
    assert lasting(nanos) == told


def test_figures_are_told_with_as_many_digits_as_they_have_to_say() -> None:
    assert (money(1234.5), money(0.00012), money(0)) == ("1,234.50", "0.000120", "0.00")
    assert (percent(0.1234), percent(-12.5), percent(0.00001)) == ("12.34 %", "-1,250.0 %", "0.0010 %")
    assert moment(START + 1) == "2023-11-14 22:00:00"
