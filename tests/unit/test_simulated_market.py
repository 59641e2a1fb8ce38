"""The simulated market: the same seed is the same market, and it looks like one."""

import math
from decimal import Decimal
from itertools import islice, pairwise
from statistics import fmean, pstdev

import pytest

from contracts.codec import encode
from contracts.market import Quote, Trade
from contracts.types import Side
from tests.builders import BTC, ETH, LISTING, START
from venues.instruments import BINANCE_SPOT
from venues.market import BEHAVIOUR, JUMPS_PER_HOUR, Regime, SimulatedMarket, SimulatedSymbol, start_price

COINS = list(LISTING.values())


def market(count: int, *, seed: str = "7", quotes_per_s: float = 20.0) -> list[Quote | Trade]:
    simulated = SimulatedMarket(COINS, seed, START, {BTC: 60_000.0})
    return list(islice(simulated.events(quotes_per_s), count))


SECONDS = 30_000
EVENTS = market(6_000)
QUOTES = [event for event in EVENTS if isinstance(event, Quote)]
TRADES = [event for event in EVENTS if isinstance(event, Trade)]


def test_the_same_seed_gives_the_same_market_and_another_seed_another_one() -> None:
    assert market(500) == market(500)
    assert market(500, seed="8") != market(500)


def test_a_symbol_is_the_same_whatever_else_is_traded() -> None:
    alone = SimulatedMarket(COINS[:1], "7", START, {BTC: 60_000.0}).events(20.0)
    assert [event.bid for event in islice(alone, 100) if isinstance(event, Quote)][:50] == [
        quote.bid for quote in QUOTES if quote.instrument == BTC
    ][:50]


def test_it_goes_on_at_the_prices_it_is_given() -> None:
    assert QUOTES[0].instrument == BTC
    assert QUOTES[0].bid == pytest.approx(60_000.0, rel=0.001)
    assert start_price(COINS[1]) == 2_500.0


def test_every_event_can_be_written_to_the_tape() -> None:
    assert all(encode(event) for event in EVENTS)


def test_prices_are_positive_on_the_tick_and_apart() -> None:
    for quote in QUOTES:
        rules = LISTING[quote.instrument]
        assert 0 < quote.bid < quote.ask
        assert rules.is_price(Decimal(repr(quote.bid))) and rules.is_price(Decimal(repr(quote.ask)))


def test_sizes_are_whole_lots() -> None:
    for event in EVENTS:
        sizes = (event.size,) if isinstance(event, Trade) else (event.bid_size, event.ask_size)
        assert all(LISTING[event.instrument].is_quantity(Decimal(repr(size))) for size in sizes)


def test_trades_happen_at_the_quote_and_are_numbered() -> None:
    shown: dict[str, Quote] = {}
    for event in EVENTS:
        if isinstance(event, Quote):
            shown[event.instrument] = event
        else:
            last = shown[event.instrument]
            assert event.price == (last.ask if event.aggressor is Side.BUY else last.bid)
    numbers = [int(trade.trade_id) for trade in TRADES if trade.instrument == BTC]
    assert numbers == list(range(1, len(numbers) + 1))


def test_time_never_runs_backwards_and_quotes_come_as_often_as_asked() -> None:
    assert all(before.ts_init <= after.ts_init for before, after in pairwise(EVENTS))
    seconds = (QUOTES[-1].ts_init - START) / 1e9
    assert len(QUOTES) / seconds == pytest.approx(2 * 20.0, rel=0.01)


def test_about_a_third_of_quotes_come_with_a_trade_of_either_side() -> None:
    assert 0.27 < len(TRADES) / len(QUOTES) < 0.33
    assert 0.4 < fmean(trade.aggressor is Side.BUY for trade in TRADES) < 0.6


def test_a_penny_stays_a_price() -> None:
    simulated = SimulatedMarket(
        [BINANCE_SPOT[name] for name in BINANCE_SPOT], "7", START, dict.fromkeys(BINANCE_SPOT, 1e-9)
    )
    assert all(encode(event) for event in islice(simulated.events(20.0), 200))


@pytest.fixture(scope="module")
def moves() -> dict[Regime, list[float]]:
    """Half a day of one symbol, second by second: how its price moved in each regime."""
    symbol = SimulatedSymbol(LISTING[BTC], "7", 60_000.0)
    moved: dict[Regime, list[float]] = {regime: [] for regime in Regime}
    last = 60_000.0
    for number in range(SECONDS):
        regime = symbol.regime
        (quote, *_) = symbol.step(START + number, dt_s=1.0)
        assert isinstance(quote, Quote)
        moved[regime].append(math.log(quote.bid / last))
        last = quote.bid
    return moved


def usual(regime: Regime) -> float:
    return BEHAVIOUR[regime].volatility * math.sqrt(1 / (365 * 86_400))


def test_every_regime_is_visited_for_about_as_long_as_it_lasts(moves: dict[Regime, list[float]]) -> None:
    whole = sum(behaviour.lasts_s for behaviour in BEHAVIOUR.values())
    for regime, its_moves in moves.items():
        assert len(its_moves) / SECONDS == pytest.approx(BEHAVIOUR[regime].lasts_s / whole, rel=0.5)


def test_prices_shake_as_their_regime_has_it(moves: dict[Regime, list[float]]) -> None:
    for regime, its_moves in moves.items():
        without_jumps = [move for move in its_moves if abs(move) <= 8 * usual(regime)]
        assert pstdev(without_jumps) == pytest.approx(usual(regime), rel=0.1)


def test_jumps_are_rare(moves: dict[Regime, list[float]]) -> None:
    jumps = sum(abs(move) > 8 * usual(regime) for regime, its_moves in moves.items() for move in its_moves)
    assert 2 <= jumps <= 3 * JUMPS_PER_HOUR * SECONDS / 3600


def test_rising_markets_rise_and_falling_markets_fall(moves: dict[Regime, list[float]]) -> None:
    assert fmean(moves[Regime.RISING]) > 0 > fmean(moves[Regime.FALLING])


def test_symbols_take_turns_within_each_step() -> None:
    assert [quote.instrument for quote in QUOTES[:4]] == [BTC, ETH, BTC, ETH]
