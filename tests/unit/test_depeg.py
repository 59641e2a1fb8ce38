"""Depeg guard: acts only on what most fresh sources say for long enough, and undoes it when the coin is back."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from contracts.books import PositionChanged
from contracts.control import Alert, GuardSet
from contracts.event import Event
from contracts.market import Bar
from contracts.orders import Denial, OrderFilled, OrderIntent, OrderRejected, OrderTerms, ProtectiveIntent, RiskRejected
from contracts.types import InstrumentId, OrderType, PositionSide, Rail, Severity, Side, TradingState, instrument_id
from services.depeg.blueprint import BLUEPRINT
from services.depeg.pegs import by_most
from services.depeg.rules import Depeg
from services.depeg.settings import DepegAction, DepegSettings, Peg, PegHedge, PegSource
from services.gateway.rules import Gateway
from services.portfolio.rules import Portfolio
from services.portfolio.settings import PortfolioSettings
from services.risk.rules import Risk
from services.risk.settings import RiskSettings
from services.router.rules import Router
from services.router.settings import RouterSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, LISTING, bar, filled, intent, ns, quote, terms, tick
from venues.instruments import Instrument
from venues.simulated import SimulationSettings

EUR = instrument_id("sim", "BTCEUR")
LISTED = {**LISTING, EUR: Instrument(EUR, "BTC", "EUR", Decimal("0.1"), Decimal("0.001"), Decimal(10))}
SOURCES = [instrument_id("sim", f"{coin}USDT") for coin in ("USDC", "FDUSD", "TUSD")]
PEG = Peg(coin="USDT", sources=tuple(PegSource(instrument=name, inverted=True) for name in SOURCES))
HEDGED = Peg(coin="USDT", sources=PEG.sources, hedge=PegHedge(instrument=ETH, notional=Decimal(1000)))
FALLEN = (0.99, 0.99, 0.99)
WHOLE = (1.0, 1.0, 1.0)


def depeg(**settings: Any) -> MemoryTape:  # noqa: ANN401 (settings are of any kind)
    return MemoryTape([guard(**settings)])


def guard(**settings: Any) -> Depeg:  # noqa: ANN401
    return Depeg(DepegSettings.model_validate({"dry_run": False, "pegs": (PEG,), **settings}), LISTED)


def market(start: int, end: int, *worths: float | None) -> Iterator[Event]:
    """Seconds in which each source trades every 5 s at what USDT is worth there; None: it does not trade."""
    for second in range(start, end):
        if second % 5 == 0:
            yield from (traded(name, second, worth) for name, worth in zip(SOURCES, worths, strict=True) if worth)
        yield tick(second)


def traded(name: InstrumentId, second: int, worth: float) -> Bar:
    return bar(1 / worth, number=second // 5 - 1, instrument=name)


def position(
    quantity: str, *, strategy: str = "trend", instrument: InstrumentId = BTC, mark: str = "100", at: float = 0
) -> PositionChanged:
    return PositionChanged(
        ts_event=ns(at),
        ts_init=ns(at),
        strategy=strategy,
        instrument=instrument,
        quantity=Decimal(quantity),
        average_price=Decimal(100) if Decimal(quantity) else None,
        realized_pnl=Decimal(0),
        fees=Decimal(0),
        mark=Decimal(mark),
    )


def refused(order: OrderTerms, *, at: float) -> RiskRejected:
    return RiskRejected(
        ts_event=ns(at), ts_init=ns(at), order=order, reasons=(Denial(rail=Rail.STALE_MARK, detail="no quote"),)
    )


def rejected(order: OrderTerms, *, at: float) -> OrderRejected:
    return OrderRejected(
        ts_event=ns(at),
        ts_init=ns(at),
        client_order_id=order.client_order_id,
        strategy=order.strategy,
        instrument=order.instrument,
        reason="venue is busy",
    )


def permissions(tape: MemoryTape) -> list[TradingState]:
    return [said.state for said in tape.of_type(GuardSet)]


def codes(tape: MemoryTape) -> list[str]:
    return [alert.code for alert in tape.of_type(Alert)]


def played(events: Iterable[Event], **settings: Any) -> MemoryTape:  # noqa: ANN401
    tape = depeg(**settings)
    tape.play(events)
    return tape


# -- judging -----------------------------------------------------------------------------------------------------------


def test_a_coin_that_most_sources_see_off_its_peg_for_long_enough_is_acted_upon() -> None:
    tape = played([position("2"), *market(0, 11, *FALLEN)])
    (said,) = tape.of_type(GuardSet)
    assert (said.guard, said.state, said.ts_init) == ("depeg", TradingState.REDUCE_ONLY, ns(10))
    (alert,) = tape.of_type(Alert)
    assert (alert.severity, alert.code) == (Severity.CRITICAL, "depeg")
    assert "USDT is -100.0 bps from its peg by most of 3 of 3 sources: reduce_only + trim" in alert.message
    assert len(tape.of_type(ProtectiveIntent)) == 1


def test_a_short_fall_is_not() -> None:
    assert played([*market(0, 10, *FALLEN), *market(10, 60, *WHOLE)]).recorded == []


def test_the_time_counts_from_when_it_was_last_on_its_peg() -> None:
    tape = played([*market(0, 8, *FALLEN), *market(10, 15, *WHOLE), *market(15, 25, *FALLEN)])
    assert tape.recorded == []
    tape.play([tick(25)])
    assert permissions(tape) == [TradingState.REDUCE_ONLY]


@pytest.mark.parametrize("worth", [0.9951, 1.0049])
def test_less_than_the_threshold_is_on_its_peg(worth: float) -> None:
    assert played(market(0, 60, worth, worth, worth)).recorded == []


@pytest.mark.parametrize("worth", [0.9949, 1.0051])
def test_off_is_off_below_and_above(worth: float) -> None:
    assert permissions(played(market(0, 60, worth, worth, worth))) == [TradingState.REDUCE_ONLY]


def test_one_source_of_three_alone_changes_nothing() -> None:
    assert played(market(0, 60, 0.5, 1.0, 1.0)).recorded == []


@pytest.mark.parametrize(
    ("deviations", "judged"),
    [
        ([-80.0], -80.0),
        ([0.0, -1000.0], 0.0),
        ([-60.0, -1000.0], -60.0),
        ([60.0, 1000.0], 60.0),
        ([-60.0, 1000.0], 0.0),
        ([-1000.0, -60.0, 5.0], -60.0),
        ([-70.0, -60.0, -5.0, 5.0], -5.0),
    ],
)
def test_the_judgement_is_what_more_than_half_of_the_sources_reach(deviations: list[float], judged: float) -> None:
    assert by_most(deviations) == judged
    assert by_most(deviations[::-1]) == judged


def test_a_source_without_trades_is_not_asked() -> None:
    silent = [replace(shown, trades=0) if isinstance(shown, Bar) else shown for shown in market(0, 59, *FALLEN)]
    assert played(silent).recorded == []


def test_a_source_that_stopped_trading_no_longer_counts() -> None:
    tape = played([*market(0, 5, 1.0, 1.0, None), *market(5, 61, None, None, 0.9)], min_sources=1, max_age_s=50)
    assert permissions(tape) == []
    tape.play(market(61, 62, None, None, 0.9))
    assert permissions(tape) == [TradingState.REDUCE_ONLY]


def test_with_too_few_sources_nothing_is_judged_and_an_operator_told_once() -> None:
    tape = played(market(0, 200, None, None, 0.9))
    assert permissions(tape) == []
    (alert,) = tape.of_type(Alert)
    assert (alert.code, alert.ts_init) == ("peg_out_of_sight", ns(60))
    assert "USDT has 1 of 3 sources that traded; min_sources is 2" in alert.message


def test_what_is_off_stays_off_while_nothing_can_be_judged() -> None:
    tape = played([*market(0, 11, *FALLEN), *market(11, 300, None, None, 1.0)])
    assert permissions(tape) == [TradingState.REDUCE_ONLY]
    tape.play(market(300, 361, *WHOLE))
    assert permissions(tape) == [TradingState.REDUCE_ONLY, TradingState.ACTIVE]
    assert codes(tape) == ["depeg", "peg_out_of_sight", "peg_in_sight", "repeg"]


def test_it_comes_back_below_the_lower_threshold_only_and_after_a_while() -> None:
    between, within = (0.997,) * 3, (0.9985,) * 3
    tape = played([*market(0, 11, *FALLEN), *market(15, 200, *between), *market(200, 260, *within)])
    assert permissions(tape) == [TradingState.REDUCE_ONLY]
    tape.play([tick(260)])
    assert permissions(tape) == [TradingState.REDUCE_ONLY, TradingState.ACTIVE]
    assert codes(tape) == ["depeg", "repeg"]


# -- acting ------------------------------------------------------------------------------------------------------------


def test_a_dry_run_only_alerts() -> None:
    tape = played([position("2"), *market(0, 11, *FALLEN), *market(15, 90, *WHOLE)], dry_run=True)
    assert {type(recorded.event) for recorded in tape.recorded} == {Alert}
    assert [alert.message.rpartition(": ")[2] for alert in tape.of_type(Alert)] == ["dry run, nothing is done"] * 2


def test_trading_can_be_halted() -> None:
    tape = played([position("2"), *market(0, 11, *FALLEN)], actions=["halt"])
    assert permissions(tape) == [TradingState.HALTED]
    assert tape.of_type(ProtectiveIntent) == []


def test_every_position_that_depends_on_the_coin_is_trimmed_for_its_strategy_in_whole_lots() -> None:
    held = [
        position("0.005"),
        position("-3", strategy="scalper", instrument=ETH),
        position("1", strategy="scalper", instrument=EUR),
        position("0.5", strategy="depeg"),
    ]
    tape = played([*held, *market(0, 11, *FALLEN)])
    long, short = tape.of_type(ProtectiveIntent)
    assert (long.order.strategy, long.order.instrument, long.order.side) == ("trend", BTC, Side.SELL)
    assert (short.order.strategy, short.order.instrument, short.order.side) == ("scalper", ETH, Side.BUY)
    assert (long.order.quantity, short.order.quantity) == (Decimal("0.003"), Decimal("1.50"))
    assert {long.by, short.by} == {"depeg"}
    assert long.order.reduce_only and long.order.order_type is OrderType.MARKET
    assert [one.order.client_order_id.rpartition("-")[::2] for one in (long, short)] == [
        (long.order.client_order_id[:-2], "0"),
        (long.order.client_order_id[:-2], "1"),
    ]
    assert long.order.client_order_id.startswith("depeg-")


def test_the_price_of_a_trim_is_the_last_one_traded() -> None:
    tape = played([position("2", mark="100"), bar(107.0), *market(0, 11, *FALLEN)])
    (trim,) = tape.of_type(ProtectiveIntent)
    assert trim.reference_price == 107.0


def trimming(quantity: str = "2") -> tuple[MemoryTape, OrderTerms]:
    """A guard whose first trim is under way."""
    tape = played([position(quantity), *market(0, 11, *FALLEN)])
    (trim,) = tape.of_type(ProtectiveIntent)
    return tape, trim.order


def trims(tape: MemoryTape) -> list[Decimal]:
    return [wish.order.quantity for wish in tape.of_type(ProtectiveIntent)]


def test_a_position_is_trimmed_once() -> None:
    tape, order = trimming()
    tape.play([*market(11, 20, *FALLEN), filled(order, at=20), position("1", at=20), *market(20, 200, *FALLEN)])
    assert trims(tape) == [Decimal(1)]


def test_a_fill_that_the_books_have_not_taken_in_is_not_trimmed_again() -> None:
    tape, order = trimming()
    tape.play([filled(order, at=11), *market(12, 15, *FALLEN), position("1", at=15), *market(15, 60, *FALLEN)])
    assert trims(tape) == [Decimal(1)]


def test_a_position_that_grows_again_is_trimmed_again() -> None:
    tape, order = trimming()
    tape.play([filled(order, at=11), position("1", at=11), position("1.25", at=12), *market(12, 15, *FALLEN)])
    assert trims(tape) == [Decimal(1), Decimal("0.25")]


def test_a_position_that_is_opened_meanwhile_is_trimmed_too() -> None:
    tape = played([*market(0, 11, *FALLEN), position("-4", at=11), *market(12, 20, *FALLEN)])
    assert trims(tape) == [Decimal(2)]


def test_nothing_is_trimmed_any_more_when_the_coin_is_back() -> None:
    tape, order = trimming()
    tape.play([filled(order, at=11), position("1", at=11), *market(15, 90, *WHOLE), position("5", at=90), tick(91)])
    assert trims(tape) == [Decimal(1)]


def test_a_trim_that_failed_is_tried_again_later_each_time_and_told_once() -> None:
    tape, order = trimming()
    tape.play([refused(order, at=11)])
    for second in range(11, 40):
        before = len(tape.of_type(ProtectiveIntent))
        tape.play([tick(second)])
        new = tape.of_type(ProtectiveIntent)[before:]
        tape.play(rejected(retried.order, at=second) for retried in new)
    assert [wish.ts_init for wish in tape.of_type(ProtectiveIntent)] == list(map(ns, (10, 12, 14, 18, 26)))
    (_, alert) = tape.of_type(Alert)
    assert alert.code == "guard_failed"
    assert f"{order.client_order_id} did not trim trend in {BTC}: stale_mark: no quote" in alert.message


def test_longs_and_shorts_that_are_kept_apart_are_trimmed_apart() -> None:
    long = replace(position("2"), position_side=PositionSide.LONG)
    short = replace(position("-1"), position_side=PositionSide.SHORT)
    tape = played([long, short, *market(0, 11, *FALLEN)])
    assert [(one.order.side, one.order.quantity) for one in tape.of_type(ProtectiveIntent)] == [
        (Side.SELL, Decimal(1)),
        (Side.BUY, Decimal("0.5")),
    ]


# -- hedging -----------------------------------------------------------------------------------------------------------


def hedging(*events: Event) -> MemoryTape:
    return played(events, pegs=(HEDGED,), actions=["hedge"])


def test_a_fall_is_hedged_in_its_own_name_and_the_hedge_ends_with_it() -> None:
    tape = hedging(bar(300.0, instrument=ETH), *market(0, 20, *FALLEN))
    (opened,) = tape.of_type(OrderIntent)
    assert (opened.order.strategy, opened.order.side, opened.order.quantity) == ("depeg", Side.SELL, Decimal("3.33"))
    tape.play([filled(opened.order, at=20), bar(400.0, number=4, instrument=ETH), *market(21, 60, *FALLEN)])
    assert tape.of_type(OrderIntent) == [opened]
    tape.play(market(60, 130, *WHOLE))
    _, closed = tape.of_type(OrderIntent)
    assert (closed.order.side, closed.order.quantity, closed.order.reduce_only) == (Side.BUY, Decimal("3.33"), True)
    assert (closed.reference_price, closed.reason) == (400.0, "no coin off its peg has to be acted upon")
    tape.play([filled(closed.order, at=130), *market(131, 140, *WHOLE)])
    assert len(tape.of_type(OrderIntent)) == 2


def test_a_hedge_waits_for_a_price_and_says_so() -> None:
    tape = hedging(*market(0, 20, *FALLEN))
    assert tape.of_type(OrderIntent) == []
    assert "hedge, as soon as sim.ETHUSDT is listed and has a price" in tape.of_type(Alert)[0].message
    tape.play([bar(300.0, number=3, instrument=ETH), tick(21)])
    assert len(tape.of_type(OrderIntent)) == 1


def test_a_hedge_is_taken_against_a_fall_only() -> None:
    tape = hedging(bar(300.0, instrument=ETH), *market(0, 20, 1.01, 1.01, 1.01))
    assert tape.of_type(OrderIntent) == []
    assert "but a hedge is taken against a fall only" in tape.of_type(Alert)[0].message


def test_a_hedge_that_was_refused_is_tried_again() -> None:
    tape = hedging(bar(300.0, instrument=ETH), *market(0, 11, *FALLEN))
    (first,) = tape.of_type(OrderIntent)
    tape.play([refused(first.order, at=11), *market(11, 13, *FALLEN)])
    assert [wish.ts_init for wish in tape.of_type(OrderIntent)] == [ns(10), ns(12)]
    assert codes(tape) == ["depeg", "guard_failed"]


# -- with the others ---------------------------------------------------------------------------------------------------


def test_a_trim_passes_the_halt_that_the_guard_itself_has_set() -> None:
    order_path = (
        Risk(RiskSettings(), LISTED),
        Router(RouterSettings(), LISTED),
        Gateway(SimulationSettings(), LISTED),
        Portfolio(PortfolioSettings()),
    )
    tape = MemoryTape([guard(actions=["halt", "trim"]), *order_path])
    tape.play([quote(99.9, 100.1, size=10), intent(terms(Side.BUY, "2")), quote(99.9, 100.1, size=10)])
    for told in market(0, 15, *FALLEN):
        tape.play([told, quote(99.9, 100.1, size=10, at=(told.ts_init - ns(0)) / 1e9)])
    assert permissions(tape) == [TradingState.HALTED]
    assert [fill.quantity for fill in tape.of_type(OrderFilled)] == [Decimal(2), Decimal(1)]
    assert tape.of_type(PositionChanged)[-1].quantity == Decimal(1)


# -- settings and state ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"leave_bps": 50}, "leave_bps (50.0) must be below enter_bps (50)"),
        ({"pegs": (PEG, PEG)}, "each coin has one"),
        ({"min_sources": 4}, "USDT has 3 sources, min_sources is 4"),
        ({"pegs": (Peg(coin="USDT", sources=PEG.sources * 2),)}, "USDT asks a source twice"),
        ({"actions": [DepegAction.HEDGE]}, "USDT has no hedge"),
        ({"actions": [DepegAction.HEDGE, DepegAction.HALT], "pegs": (HEDGED,)}, "a hedge opens a position"),
        (
            {"actions": [DepegAction.HEDGE], "pegs": (HEDGED, HEDGED.model_copy(update={"coin": "USDC"}))},
            "each hedge has an instrument of its own",
        ),
        ({"surprise": 1}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint.replace("(", r"\(").replace(")", r"\)")):
        guard(**settings)


def test_by_default_nothing_is_watched_and_nothing_is_done() -> None:
    assert DepegSettings().dry_run
    assert DepegSettings().pegs == ()
    assert isinstance(BLUEPRINT.build(DepegSettings()), Depeg)


@pytest.mark.parametrize("settings", [{"pegs": ()}, {"dry_run": True}])
def test_what_was_done_is_undone_when_the_settings_no_longer_want_it(settings: dict[str, Any]) -> None:
    before = guard()
    MemoryTape([before]).play([position("2"), *market(0, 11, *FALLEN)])
    adapter = TypeAdapter(Depeg.State)
    after = guard(**settings)
    after.restore(adapter.validate_json(adapter.dump_json(before.state())))
    tape = MemoryTape([after])
    tape.play([tick(12)])
    assert permissions(tape) == [TradingState.ACTIVE]
    assert after.holdings["trend", BTC, PositionSide.NET].ceiling is None
