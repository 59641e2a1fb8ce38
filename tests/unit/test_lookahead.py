"""The examination for lookahead: whoever uses the future is found where he first does, whoever does not is not."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.event import Event
from contracts.market import Bar, Funding, Quote, Trade
from contracts.orders import OrderIntent
from contracts.types import Side
from services.backtest.lookahead.examination import DATA, Examination, Plan, Prepared, Preparing, examine
from services.backtest.lookahead.filecuts import same_beginning
from services.backtest.lookahead.futures import Future, begins, behind, mirrored, price_of
from services.backtest.lookahead.moments import chosen
from services.backtest.lookahead.stamps import Early
from services.backtest.settings import BacktestSettings, DataSource, Unusable
from services.backtest.sources import Change, Source, files
from services.backtest.wiring import Nature, wire
from tape.component import on
from tape.strategy import Strategy
from tests.backtested import USUAL
from tests.builders import BTC, LISTING, START, bar, ns, quote, trade
from tests.own_strategy import with_own
from tests.regime_builders import artifact, promoted, regime_model

QUOTES = 200


class Momentum(Strategy):
    """Honest: is long after a rise of the mid price, and flat after a fall."""

    def __init__(self) -> None:
        super().__init__("own")
        self.last: float | None = None
        self.count = 0

    def rises(self, quote: Quote) -> bool:
        return self.last is not None and quote.mid > self.last

    @on(Quote)
    def on_quote(self, quote: Quote) -> tuple[OrderIntent] | None:
        rises = self.rises(quote)
        self.last, self.count = quote.mid, self.count + 1
        if not self.is_free(quote.instrument) or rises is (self.position(quote.instrument) > 0):
            return None
        side = Side.BUY if rises else Side.SELL
        return (
            self.market_order(
                quote, quote.instrument, side, Decimal("0.1"), reference_price=quote.mid, reason="it moved"
            ),
        )


class Peeker(Momentum):
    """A cheater: looks into a list of all prices, the next one among them."""

    def __init__(self, prices: Sequence[float]) -> None:
        super().__init__()
        self.prices = prices

    def rises(self, quote: Quote) -> bool:
        ahead = self.prices[self.count + 1 : self.count + 2]
        return bool(ahead) and ahead[0] > quote.mid


class Rememberer(Momentum):
    """A cheater of another kind: keeps in its class what it saw when it was run before."""

    seen: Mapping[int, float] = {}

    def rises(self, quote: Quote) -> bool:
        ahead = self.seen.get(self.count + 1)
        type(self).seen = {**self.seen, self.count: quote.mid}
        return ahead is None or ahead > quote.mid


def market(count: int = QUOTES) -> list[Event]:
    steps = [((number * 7919) % 13 - 6) / 10 for number in range(count)]
    mids = [1_000 + sum(steps[: number + 1]) for number in range(count)]
    return [quote(mid - 0.1, mid + 0.1, at=number / 5) for number, mid in enumerate(mids)]


@dataclass
class Shared:
    """What a reader of whole files might leave lying about."""

    prices: list[float]


def preparing(events: Sequence[Event], build: Callable[[Shared], Strategy]) -> Preparing:
    @contextmanager
    def prepare(change: Change) -> Iterator[Prepared]:
        told = list(change(iter(events)))
        shared = Shared([price_of(event) for event in told if isinstance(event, Quote)])
        source = Source(iter(told), LISTING, Nature(), lambda: 0, dict)
        yield Prepared(source, with_own(lambda: build(shared)))

    return prepare


def examined(
    prepare: Callable[[Change], AbstractContextManager[Prepared]], *futures: Future, cuts: int = 4
) -> Examination:
    plan = Plan(cuts=cuts, seed=3, futures=futures or (Future.MIRRORED, Future.GONE))
    return examine(prepare, BacktestSettings(), plan, lambda _run: lambda _rows, _events: None)


def test_an_honest_strategy_passes_and_all_that_was_said_before_each_cut_was_compared() -> None:
    found = examined(preparing(market(), lambda _shared: Momentum()))
    assert found.is_clean
    assert found.acts["own"] > 20
    assert all(cut.told and cut.said["portfolio"] for cut in found.cuts)
    assert {cut.cut.acted for cut in found.cuts} == {"own", None}


@pytest.mark.parametrize("future", Future)
def test_a_strategy_that_looks_one_quote_ahead_is_found_at_the_act_before_the_cut(future: Future) -> None:
    found = examined(preparing(market(), lambda shared: Peeker(shared.prices)), future, cuts=8)
    at_acts = [cut for cut in found.cuts if cut.cut.acted is not None]
    assert not found.is_clean
    assert found.divergences
    for divergence in found.divergences:
        assert divergence.who == "own"
        assert divergence.at < divergence.cut.at
    assert any(cut.divergence and cut.divergence.at == cut.cut.at - 1 for cut in at_acts)


def test_what_it_said_otherwise_is_shown_side_by_side() -> None:
    found = examined(preparing(market(), lambda shared: Peeker(shared.prices)), Future.MIRRORED)
    first = found.divergences[0]
    said = [event for event in (first.whole, first.other) if event is not None]
    assert said
    assert all(isinstance(event, OrderIntent) for event in said)
    assert first.position is not None


def test_a_strategy_that_remembers_an_earlier_run_is_found() -> None:
    Rememberer.seen = {}
    with pytest.raises(Unusable, match="something else each time"):
        examined(preparing(market(), lambda _shared: Rememberer()))


def test_a_source_that_tells_of_what_lies_ahead_is_found() -> None:
    @contextmanager
    def prepare(change: Change) -> Iterator[Prepared]:
        told = [event for event in change(iter(market())) if isinstance(event, Quote)]
        ahead = [*told[1:], *told[-1:]]
        leaking = [replace(now, bid_size=later.ask) for now, later in zip(told, ahead, strict=True)]
        yield Prepared(Source(iter(leaking), LISTING, Nature(), lambda: 0, dict), with_own(Momentum))

    found = examined(prepare, Future.MIRRORED)
    assert {divergence.who for divergence in found.divergences} == {DATA}
    assert [one.field for one in found.divergences[0].differences] == ["bid_size"]


def test_a_strategy_that_says_nothing_any_more_without_its_future_is_found() -> None:
    class Fearful(Peeker):
        def rises(self, quote: Quote) -> bool:
            return self.count + 1 < len(self.prices) and super(Peeker, self).rises(quote)

    found = examined(preparing(market(), lambda shared: Fearful(shared.prices)), Future.GONE)
    assert any(divergence.who == "own" for divergence in found.divergences)


# -- futures -----------------------------------------------------------------------------------------------------------


@given(
    closes=st.lists(st.floats(1.0, 1e5), min_size=1, max_size=30),
    cut=st.integers(0, 30),
    future=st.sampled_from(Future),
)
def test_the_past_is_the_same_in_every_future(closes: list[float], cut: int, future: Future) -> None:
    events: list[Event] = [quote(close, close * 1.001, at=number) for number, close in enumerate(closes)]
    other = list(behind(iter(events), ns(cut), future))
    past = [event for event in events if event.ts_init < ns(cut)]
    assert other[: len(past)] == past
    assert len(other) == (len(past) if future is Future.GONE else len(events))


@given(open_=st.floats(1.0, 1e5), close=st.floats(1.0, 1e5), reach=st.floats(0, 0.5), about=st.floats(1.0, 1e5))
def test_in_a_mirror_what_rose_falls_as_much_and_nothing_contradicts_itself(
    open_: float, close: float, reach: float, about: float
) -> None:
    usual = replace(bar(close, high=max(open_, close) * (1 + reach), low=min(open_, close) * (1 - reach)), open=open_)
    other = mirrored(usual, about)
    assert isinstance(other, Bar)
    assert other.close / other.open == pytest.approx(open_ / close)
    assert other.high / other.low == pytest.approx(usual.high / usual.low)
    assert other.low <= min(other.open, other.close) * (1 + 1e-12)
    assert price_of(mirrored(trade(close), about)) == pytest.approx(about * about / close)
    shown = mirrored(quote(close, close * (1 + reach)), about)
    assert isinstance(shown, Quote)
    assert shown.contradiction() is None


def test_a_mirror_turns_sides_and_rates() -> None:
    sold = mirrored(trade(100.0, aggressor=Side.SELL), 100.0)
    paid = Funding(ts_event=1, ts_init=1, instrument=BTC, mark=100.0, index=99.0, rate=0.0001, next_at=2)
    assert isinstance(sold, Trade)
    assert sold.aggressor is Side.BUY
    assert getattr(mirrored(paid, 100.0), "rate", None) == -0.0001


def test_a_bar_in_which_the_cut_lies_stays_as_it_was() -> None:
    first, second = bar(100.0, number=0), bar(101.0, number=1)
    cut = (second.ts_open + second.ts_close) // 2
    assert list(behind(iter([first, second]), cut, Future.GONE)) == [first, second]
    assert list(behind(iter([first, second]), second.ts_open, Future.GONE)) == [first]
    assert begins(second) == first.ts_close


# -- cuts --------------------------------------------------------------------------------------------------------------


def test_cuts_lie_right_behind_acts_of_each_strategy_in_turn_and_anywhere() -> None:
    acts = [(ns(at), who) for at in range(100) for who in ("a", "b")]
    cuts = chosen(acts, [ns(at / 2) for at in range(200)], 8, 1, (Future.GONE,))
    assert [cut.at for cut in cuts] == sorted(cut.at for cut in cuts)
    assert [cut.acted for cut in cuts].count("a") == [cut.acted for cut in cuts].count("b") == 2
    assert all((cut.at - 1 - START) % 10**9 == 0 for cut in cuts if cut.acted)


def test_there_are_as_many_cuts_as_wanted_where_strategies_act_seldom_and_no_more_than_moments() -> None:
    times = [ns(at) for at in range(50)]
    assert len(chosen([(ns(7), "a")], times, 6, 1, tuple(Future))) == 6
    assert len(chosen([], times[:2], 6, 1, tuple(Future))) == 2


def test_the_same_seed_chooses_the_same_cuts_and_another_one_others() -> None:
    times = [ns(at) for at in range(1_000)]
    first, again, other = (chosen([], times, 5, seed, tuple(Future)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


# -- times -------------------------------------------------------------------------------------------------------------


def test_events_out_of_order_or_heard_before_they_happened_are_told() -> None:
    events = market(100)
    events[40], events[41] = events[41], events[40]
    events[60] = replace(events[60], ts_event=events[60].ts_init + 2_000_000_000)
    found = examined(preparing(events, lambda _shared: Momentum()))
    assert {stamp.early: stamp.count for stamp in found.stamps if stamp.who == DATA} == {
        Early.OUT_OF_ORDER: 1,
        Early.CLOCKS: 1,
    }
    assert not found.is_clean


def test_words_of_another_clock_among_the_market_are_compared_where_they_stand() -> None:
    events = market()
    said = promoted(artifact(regime_model()), at=0)
    late = [*events[:120], said, *events[120:160], said, *events[160:]]
    found = examined(preparing(late, lambda _shared: Momentum()), cuts=8)
    assert found.is_clean
    assert found.stamps == ()


def test_an_exchange_whose_clock_is_ahead_is_told_and_is_no_use_of_the_future() -> None:
    ahead = [replace(event, ts_event=event.ts_event + 2_000_000_000) for event in market(60)]
    found = examined(preparing(ahead, lambda _shared: Momentum()))
    assert {(stamp.who, stamp.early) for stamp in found.stamps} == {(DATA, Early.CLOCKS)}
    assert found.is_clean


def test_an_answer_that_tells_of_a_time_that_has_not_come_is_told() -> None:
    class Prophetic(Momentum):
        @on(Quote)
        def on_quote(self, quote: Quote) -> tuple[OrderIntent] | None:
            return super().on_quote(replace(quote, ts_event=quote.ts_event + 3_600 * 10**9))

    found = examined(preparing(market(60), lambda _shared: Prophetic()))
    assert (("own", Early.BEFORE_IT_HAPPENED)) in {(stamp.who, stamp.early) for stamp in found.stamps}
    assert not found.is_clean


def test_a_bar_that_is_heard_before_it_closes_is_told() -> None:
    early = bar(100.0)
    events = [*market(10), replace(early, ts_init=market(10)[-1].ts_init)]
    found = examined(preparing(events, lambda _shared: Momentum()))
    assert Early.BEFORE_IT_CLOSED in {stamp.early for stamp in found.stamps}


def test_an_answer_that_does_not_bear_the_time_of_its_cause_is_told() -> None:
    class Backdating(Momentum):
        @on(Quote)
        def on_quote(self, quote: Quote) -> tuple[OrderIntent] | None:
            return super().on_quote(replace(quote, ts_init=quote.ts_init - 1_000_000))

    found = examined(preparing(market(100), lambda _shared: Backdating()))
    assert {(stamp.who, stamp.early) for stamp in found.stamps} == {("own", Early.OTHER_TIME)}


def test_a_model_that_was_learned_from_bars_that_lie_ahead_is_told() -> None:
    honest = promoted(artifact(regime_model()), at=0)
    ahead = replace(honest.artifact.trained_on, last=ns(3_600))
    fitted = promoted(replace(honest.artifact, trained_on=ahead), at=0)
    of_each = {
        name: examined(preparing([model, *market(30)], lambda _shared: Momentum()))
        for name, model in (("honest", honest), ("fitted", fitted))
    }
    assert of_each["honest"].stamps == ()
    assert {stamp.early for stamp in of_each["fitted"].stamps} == {Early.BEFORE_ITS_DATA}
    assert not of_each["fitted"].is_clean


# -- files -------------------------------------------------------------------------------------------------------------


def rows(path: Path, count: int) -> Path:
    lines = [
        f"{1_700_000_000 // 60 * 60 + 60 * at},{100 + at % 7},108,99,{100 + at % 5},{5 + at}" for at in range(count)
    ]
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *lines]) + "\n")
    return path


def reading(paths: Sequence[Path]) -> Iterator[Event]:
    named = ",".join(map(str, paths))
    return files(DataSource.parse(f"bars:{named}"), BacktestSettings()).events


def test_a_file_that_is_cut_off_is_read_the_same_up_to_there(tmp_path: Path) -> None:
    both = [rows(tmp_path / "BTCUSDT-1m.csv", 90), rows(tmp_path / "ETHUSDT-1m.csv", 60)]
    folder = tmp_path / "cut"
    folder.mkdir()
    cut = same_beginning(both, [40, 30], folder, reading)
    assert cut.divergence is None
    assert cut.events > 30 * 2 * 9 - 40


def test_a_reader_that_looks_at_the_whole_file_first_is_found(tmp_path: Path) -> None:
    def scaled(paths: Sequence[Path]) -> Iterator[Event]:
        events = list(reading(paths))
        most = max(event.size for event in events if isinstance(event, Trade))
        return (replace(event, size=event.size / most) if isinstance(event, Trade) else event for event in events)

    file = rows(tmp_path / "BTCUSDT-1m.csv", 90)
    folder = tmp_path / "cut"
    folder.mkdir()
    cut = same_beginning([file], [40], folder, scaled)
    assert cut.divergence is not None
    assert [one.field for one in cut.divergence.differences] == ["size"]


def test_the_path_inside_bars_tells_nothing_of_later_bars(tmp_path: Path) -> None:
    source = DataSource.parse(f"bars:{rows(tmp_path / 'BTCUSDT-1m.csv', 60)}")
    asked = BacktestSettings()

    @contextmanager
    def prepare(change: Change) -> Iterator[Prepared]:
        told = files(source, asked, change)
        yield Prepared(told, wire(asked, USUAL, told.listing, told.nature))

    assert examine(prepare, asked, Plan(cuts=3), lambda _run: lambda _rows, _events: None).is_clean
