"""The clock of a recorded market: its seconds are those of its data."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from contracts.clock import ClockTick
from contracts.event import Event
from contracts.market import Quote
from services.clock.rules import MarketClock
from tape.memory import MemoryTape
from tests.builders import ns, quote, trade


def ticks(*events: Event) -> list[ClockTick]:
    tape = MemoryTape([MarketClock()])
    tape.play(events)
    return tape.of_type(ClockTick)


def test_a_second_begins_with_the_first_data_of_it() -> None:
    first, second = ticks(quote(at=0.4), quote(at=0.9), trade(1.0, at=1.2), quote(at=1.3))
    assert (first.ts_event, first.ts_init) == (ns(0), ns(0.4))
    assert (second.ts_event, second.ts_init) == (ns(1), ns(1.2))


def test_a_second_without_data_is_not_made_up() -> None:
    assert [tick.ts_event for tick in ticks(quote(at=0.0), quote(at=5.5))] == [ns(0), ns(5)]


def test_data_that_comes_late_turns_no_clock_back() -> None:
    assert len(ticks(quote(at=5.0), quote(at=1.0), quote(at=5.9))) == 1


@given(st.lists(st.floats(0, 20).map(lambda at: quote(at=at)), max_size=30))
def test_seconds_are_full_rise_and_never_lie_ahead(quotes: list[Quote]) -> None:
    seconds = ticks(*quotes)
    assert all(before.ts_event < after.ts_event for before, after in pairwise(seconds))
    assert all(tick.ts_event % 1_000_000_000 == 0 and tick.ts_event <= tick.ts_init for tick in seconds)
    assert bool(seconds) is bool(quotes)
