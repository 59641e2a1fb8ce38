"""What a backtest may not do: trade at better prices than were shown, or earn money that no fill explains."""

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import floats

from contracts.books import EquityMarked
from contracts.market import Quote
from contracts.orders import OrderFilled
from contracts.types import InstrumentId, Interval, Liquidity, Side
from services.backtest.settings import BacktestSettings, DataSource
from services.backtest.sources import files
from services.backtest.tables import on_tick, quoted
from services.backtest.wiring import wire
from services.portfolio.settings import PortfolioSettings
from tests.backtested import USUAL, Played, events_of, played, waves, wired
from tests.builders import LISTING, quote, trade

CAPITAL = PortfolioSettings().capital
START_S = 1_700_000_000


def rows_of_bars(path: Path, count: int) -> Path:
    """Write minutes of a market that rises for half an hour and falls for half an hour."""
    price, lines = 50_000.0, ["timestamp,open,high,low,close,volume"]
    for number in range(count):
        step = 25.0 if number // 30 % 2 == 0 else -25.0
        high, low = max(price, price + step) + 4, min(price, price + step) - 4
        lines.append(f"{START_S // 60 * 60 + 60 * number},{price},{high},{low},{price + step},12.5")
        price += step
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module", params=["frames", "bars"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("honest")
    if request.param == "frames":
        return played(events_of(waves(folder)), folder, wired("gateway.latency_ms=120"))
    asked = BacktestSettings(changes=("trend.rsi_min=0", "trend.rsi_max=100", "trend.target_atr=1"))
    source = files(DataSource.parse(f"bars:{rows_of_bars(folder / 'BTCUSDT-1m.csv', 240)}"), asked)
    return played(source.events, folder, wire(asked, USUAL, source.listing, source.nature))


def fills(run: Played) -> list[OrderFilled]:
    return [recorded.event for recorded in run.log if isinstance(recorded.event, OrderFilled)]


def test_it_trades(run: Played) -> None:
    assert len(fills(run)) > 5


def test_nothing_is_taken_at_a_better_price_than_the_market_showed(run: Played) -> None:
    shown: dict[InstrumentId, Quote] = {}
    for recorded in run.log:
        event = recorded.event
        if isinstance(event, Quote):
            shown[event.instrument] = event
        if isinstance(event, OrderFilled) and event.liquidity is Liquidity.TAKER:
            quote = shown[event.instrument]
            assert float(event.price) >= quote.ask if event.side is Side.BUY else float(event.price) <= quote.bid


def test_the_last_equity_is_the_capital_and_what_fills_made_of_it(run: Played) -> None:
    last = [recorded.event for recorded in run.log if isinstance(recorded.event, EquityMarked)][-1]
    traded = [fill for fill in fills(run) if fill.ts_init <= last.ts_init]
    paid = sum((fill.side.sign * fill.quantity * fill.price + fill.fee for fill in traded), Decimal(0))
    held = sum((position.value for position in last.positions), Decimal(0))
    assert last.equity == CAPITAL - paid + held


def test_every_fill_pays_the_fee_of_the_exchange(run: Played) -> None:
    for fill in fills(run):
        assert fill.fee == fill.price * fill.quantity * Decimal("0.001")


def test_a_signal_of_the_future_changes_nothing_before_it(tmp_path: Path) -> None:
    events = events_of(waves(tmp_path))
    cut = len(events) // 2
    whole, part = played(events, tmp_path), played(events[:cut], tmp_path)
    assert whole.log[: len(part.log)] == part.log


def test_a_file_of_bars_is_shown_in_order_of_time_and_to_its_end(tmp_path: Path) -> None:
    path = rows_of_bars(tmp_path / "BTCUSDT-1m.csv", 60)
    source = files(DataSource.parse(f"bars:{path}"), BacktestSettings())
    assert source.nature.interval is Interval.M1
    assert source.rows_done() <= 60
    events = list(source.events)
    assert all(one.ts_init <= two.ts_init for one, two in pairwise(events))
    assert source.rows_done() == 60


def test_around_each_trade_stands_a_quote_that_costs_half_the_spread_on_either_side() -> None:
    sold = trade(price=200.0)
    quote, told = quoted(iter([sold]), spread_bps=10)
    assert told is sold
    assert isinstance(quote, Quote)
    assert quote.bid == pytest.approx(199.9)
    assert quote.ask == pytest.approx(200.1)
    assert quote.bid_size == quote.ask_size == sold.size


@given(bid=floats(0.0051, 1e6), spread=floats(0, 100))
def test_quotes_that_were_made_up_stand_on_the_tick_and_are_never_narrowed(bid: float, spread: float) -> None:
    made_up = quote(bid=bid, ask=bid + spread)
    (shown,) = on_tick(iter([made_up]), LISTING)
    assert isinstance(shown, Quote)
    rules = LISTING[shown.instrument]
    assert rules.is_price(Decimal(repr(shown.bid)))
    assert rules.is_price(Decimal(repr(shown.ask)))
    assert shown.bid <= max(bid, float(rules.tick))
    assert shown.ask >= made_up.ask
