"""The report of a run: what is on the page, part by part, and that nothing breaks it."""

from dataclasses import replace
from pathlib import Path

import pytest

from contracts.control import Alert, DeadLetter
from contracts.market import MarketGap
from contracts.recorded import Recorded
from contracts.types import GapKind, Severity
from quant.performance import Drawdown
from services.backtest import runsections, sections, tradesections
from services.backtest.figures import Execution, Figures, Scenario, Verdicts
from services.backtest.page import change, lasting, moment, money, percent, ratio
from services.backtest.report import write_report
from services.backtest.summary import Summary
from tests.builders import BTC, START, bars
from tests.pages import Outline, page_of

DAY = 86_400 * 10**9


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def of(figures: Figures, **changed: object) -> Figures:
    return replace(figures, **changed)  # type: ignore[arg-type] # names are those of the figures


def text_of(html: str) -> str:
    return " ".join(Outline(html).text.split())


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


def test_at_which_costs_nothing_would_be_left_is_told() -> None:
    figures = Summary().figures()
    won = of(figures, net_pnl=50.0, fees=40.0, slippage=10.0, scenarios=_one_scenario())
    assert "at 2.00 times these costs" in text_of(runsections.sensitivity(won))
    lost = of(won, net_pnl=-60.0)
    assert "would have lost without any costs too" in text_of(runsections.sensitivity(lost))


def _one_scenario() -> tuple[Scenario, ...]:
    return (Scenario("as it was", 50.0, 0.05, 1.0, 0.01),)


def test_costs_are_told_by_who_waited_and_by_instrument() -> None:
    cost = Execution(fills=2, notional=1_000.0, fees=1.0, slippage=0.5, judged=1_000.0)
    told = text_of(runsections.costs(of(Summary().figures(), execution={"taker": cost}, venues={BTC: cost})))
    assert f"as taker 2 1,000.00 1.00 10.00 0.50 5.00 in {BTC} 2" in told


def test_dead_letters_and_alerts_are_counted_apart() -> None:
    summary = Summary()
    alert = Alert(ts_event=START, ts_init=START, component="risk", severity=Severity.WARNING, code="x", message="look")
    dead = DeadLetter(ts_event=START, ts_init=START, component="feed", source="a:7", reason="no price", excerpt="{}")
    for number, event in enumerate((alert, alert, dead)):
        summary.hear(Recorded(number + 1, None, "x", 0, event))
    told = text_of(runsections.findings(summary.figures()))
    assert "Alerts: 2; dead letters (inputs that could not be taken): 1." in told
    assert "critical feed dead_letter 1 3 a:7: no price" in told


def test_gaps_are_told_with_how_much_was_missing_and_repairs_beside_them() -> None:
    summary = Summary()
    summary.repaired("row out of order, sorted", 3)
    for kind, missing in ((GapKind.SILENCE, 5 * 10**9), (GapKind.SILENCE, 65 * 10**9), (GapKind.MISSING_TRADES, 12)):
        gap = MarketGap(ts_event=START, ts_init=START, instrument=BTC, kind=kind, missing=missing)
        summary.hear(Recorded(1, None, "x", 0, gap))
    told = text_of(runsections.data(summary.figures()))
    assert "row out of order, sorted 3" in told
    assert f"{BTC} silence 2 1 min 10 s 1 min 5 s" in told
    assert f"{BTC} missing trades 1 12 trades 12 trades" in told


def test_drawdowns_are_told_from_peak_to_recovery() -> None:
    lasts = Drawdown(0.2, 200.0, 0, DAY, None, 3 * DAY)
    over = Drawdown(0.1, 90.0, 0, DAY, 2 * DAY, 2 * DAY)
    told = text_of(sections.drawdowns(of(Summary().figures(), drawdowns=(lasts, over))))
    assert "-20.00 % 200.00 1970-01-01 00:00:00 1970-01-02 00:00:00 not yet 1 d 2 d so far" in told
    assert "-10.00 % 90.00 1970-01-01 00:00:00 1970-01-02 00:00:00 1970-01-03 00:00:00 1 d 1 d" in told


def test_a_manifest_that_is_none_is_shown_as_it_is() -> None:
    assert "[1, 2]" in text_of(runsections.manifest("[1, 2]"))
    assert "nonsense" in text_of(runsections.manifest("nonsense"))


def test_the_one_command_that_follows_an_order_is_told_with_the_rails() -> None:
    rail = Verdicts("spread", "trend-1-0", "9 > 8", rejected=2)
    told = text_of(tradesections.rails(of(Summary().figures(), rails=(rail,))))
    assert "spread 2 0 9 > 8 trend-1-0" in told
    assert "hmm why ORDER --run DIR" in told


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
    assert (percent(-3.14e-7), ratio(-0.000084), ratio(12.3456)) == ("-0.000031 %", "-0.000084", "12.35")
    assert ("gain" in change(0.1), "loss" in change(-0.1), change(0.0)) == (True, True, "+0.00 %")
    assert moment(START + 1) == "2023-11-14 22:00:00"
