"""The report of a whole system's run: one page that needs nothing else, and says what the figures say."""

import base64
import re
from pathlib import Path

import pytest

from contracts.recorded import Recorded
from services.backtest.page import money
from services.backtest.report import write_report
from services.backtest.summary import Summary
from tests.pages import Outline, page_of
from tests.played import market, played

ASSUMPTION = "Our orders move nobody."
MANIFEST = """{
"run_id": "abc",
"run": {
    "data": {"files": [{"name": "a.csv", "rows": 3, "octets": 99, "sha256": "5e3"}]},
    "arguments": {"seed": 7, "capital": null},
    "code": {"version": "1", "sha256": "cafe"}
},
"result": {"events": 1234, "positions": 5678, "log_sha256": "beef"}
}"""
PNG = b"\x89PNG\r\n"
MOST_OCTETS = 3_000_000


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
    write_report(summary, MANIFEST, out)
    return summary, out


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
    assert {"equity", "holding", "returns", "exposure", "costs", "strategies", "outcomes", "excursions"} <= names
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
        *("abc", "beef", "a.csv", "1,234"),
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
    assert "hmm why ORDER --run DIR" in text


def test_the_page_is_small_enough_to_be_sent(written: tuple[Summary, Path]) -> None:
    assert (written[1] / "report.html").stat().st_size < MOST_OCTETS


def test_every_picture_says_in_words_what_is_on_it_and_wide_parts_scroll(written: tuple[Summary, Path]) -> None:
    page = page_of(written[1])
    told = re.findall(r'<img alt="([^"]+)"', page)
    assert len(told) == len(list(written[1].glob("*.png")))
    assert all(len(words) > 10 for words in told)
    assert page.count("<table") == page.count('<div class="wide"') - len(told)


def test_the_page_has_a_dark_and_a_printed_form(written: tuple[Summary, Path]) -> None:
    page = page_of(written[1])
    assert all(form in page for form in ("prefers-color-scheme: dark", "@media print", "max-width: 800px"))
