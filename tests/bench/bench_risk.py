"""What a verdict costs, all rails asked, beside a risk that only looks up the mark and compares one number.

The floor answers an intent as plainly as can be: a look into a dict, one comparison, one event. Both are measured in
turn in the same run, in CPU time; a ratio says how many plain verdicts one with all rails costs. It must not grow with
orders that are under way or over, and little with what is held.

Run it with `python -m tests.bench.bench_risk`.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from statistics import median
from time import process_time

from contracts.event import Event
from contracts.market import Quote
from contracts.orders import OrderIntent, RiskApproved
from contracts.types import InstrumentId, OrderType, Side, instrument_id
from services.risk.rules import Risk
from services.risk.settings import RiskSettings
from tape.component import Handler
from tests.builders import canceled, conditional, filled, intent, linked, quote, terms
from venues.instruments import Instrument, Listing, listing

ROUNDS = 7
VERDICTS = 1_000
QUOTES = 50_000
INSTRUMENTS = [instrument_id("sim", f"C{number}USDT") for number in range(50)]
TRADED = INSTRUMENTS[:2]
MARKET: Listing = listing(
    Instrument(name, "C", "USDT", tick=Decimal("0.1"), lot=Decimal("0.001"), min_notional=Decimal(10))
    for name in INSTRUMENTS
)
HUGE = RiskSettings(
    max_order_notional=1e12,
    max_symbol_exposure=1e12,
    max_venue_exposure=1e12,
    max_strategy_exposure=1e12,
    max_total_exposure=1e12,
    max_correlated_exposure=1e11,
    starting_capital=1e13,
    max_open_orders=100_000,
    max_strategy_open_orders=100_000,
    order_burst=1_000_000,
)
RESIZING = HUGE.model_copy(update={"resize": True, "max_order_notional": 90.0})


class Plain:
    """The floor: the mark is known and the order is not too large."""

    def __init__(self) -> None:
        self.quotes: dict[InstrumentId, Quote] = {}

    def on_quote(self, shown: Quote) -> None:
        self.quotes[shown.instrument] = shown

    def on_intent(self, wish: OrderIntent) -> tuple[RiskApproved] | None:
        shown = self.quotes.get(wish.order.instrument)
        if shown is None or float(wish.order.quantity) * shown.mid > HUGE.max_order_notional:
            return None
        return (RiskApproved(ts_event=wish.ts_event, ts_init=wish.ts_init, order=wish.order, mark=shown.mid),)


@dataclass(frozen=True)
class Line:
    """Something measured beside what it is compared with, in seconds for each event and round."""

    what: str
    seconds: Sequence[float]
    beside: str
    floor: Sequence[float]
    most: float
    """Above this ratio, something is wrong that is not the weather on the machine."""

    @property
    def ratio(self) -> float:
        return median(own / floor for own, floor in zip(self.seconds, self.floor, strict=True))

    def __str__(self) -> str:
        own, floor = median(self.seconds) * 1e6, median(self.floor) * 1e6
        return f"{self.what:<42} {own:>8.2f} us   {self.beside:<24} {floor:>8.2f} us   {self.ratio:>6.2f}"


def shown(at: float = 0.0) -> list[Quote]:
    return [quote(99.9, 100.1, instrument=name, at=at) for name in INSTRUMENTS]


def orders(count: int, prefix: str) -> list[OrderIntent]:
    """Buy and sell in turn, so that exposure does not run away."""
    return [
        intent(
            terms(
                tuple(Side)[number % 2],
                "1",
                order_id=f"{prefix}-{number}",
                instrument=TRADED[number // 2 % len(TRADED)],
            )
        )
        for number in range(count)
    ]


def brackets(count: int, prefix: str) -> list[OrderIntent]:
    made = []
    for one in orders(count, prefix):
        entry = linked(replace(one.order, side=Side.BUY))
        stop = conditional(OrderType.STOP_MARKET, trigger="95", reduce_only=True, instrument=entry.instrument)
        own = linked(replace(stop, client_order_id=f"{entry.client_order_id}-s"), parent=entry)
        made.append(replace(one, order=entry, attached=(own,)))
    return made


def timed(handler: Handler, events: Sequence[Event]) -> float:
    """Give the seconds that an event takes."""
    gc.collect()
    began = process_time()
    for event in events:
        handler(event)
    return (process_time() - began) / len(events)


def judging(settings: RiskSettings, *, positions: int = 0, under_way: int = 0, over: int = 0) -> Risk:
    """Give a risk that has seen something: positions of 4 strategies, open orders, and orders that are over."""
    risk = Risk(settings, MARKET)
    handlers = risk.handlers()
    past: list[Event] = list(shown())
    for number in range(positions):
        order = terms(
            order_id=f"p-{number}", strategy=f"s{number % 4}", instrument=INSTRUMENTS[number // 4 % len(INSTRUMENTS)]
        )
        past.append(filled(order))
    past += orders(under_way, "open")
    for one in orders(over, "over"):
        past += [one, canceled(one.order)]
    for event in past:
        handlers[type(event)](event)
    return risk


def compare(what: str, own: Callable[[], float], beside: str, floor: Callable[[], float], most: float) -> Line:
    pairs = [(own(), floor()) for _ in range(ROUNDS)]
    return Line(what, [pair[0] for pair in pairs], beside, [pair[1] for pair in pairs], most)


def plain_verdict() -> float:
    plain = Plain()
    for one in shown():
        plain.on_quote(one)
    return timed(plain.on_intent, orders(VERDICTS, "x"))


def verdict_of(settings: RiskSettings = HUGE, wishes: Sequence[OrderIntent] | None = None, **seen: int) -> float:
    return timed(judging(settings, **seen).on_intent, wishes or orders(VERDICTS, "x"))


def measure() -> Iterator[Line]:
    stream = [one for second in range(QUOTES // len(INSTRUMENTS)) for one in shown(at=second / 10)]
    yield compare(
        "a quote, returns sampled once a minute",
        lambda: timed(Risk(HUGE, MARKET).on_quote, stream),
        "a quote put into a dict",
        lambda: timed(Plain().on_quote, stream),
        most=4.0,
    )
    for what, judged, most in (
        ("a verdict on an order", verdict_of, 100.0),
        ("a verdict on one that is made smaller", lambda: verdict_of(RESIZING), 300.0),
        ("a verdict on an entry with its stop", lambda: verdict_of(wishes=brackets(VERDICTS, "x")), 200.0),
    ):
        yield compare(what, judged, "a plain verdict", plain_verdict, most)
    for what, judged, most in (
        ("a verdict beside 200 positions", lambda: verdict_of(positions=200), 9.0),
        ("a verdict beside 5,000 orders under way", lambda: verdict_of(under_way=5_000), 1.5),
        ("a verdict after 20,000 orders", lambda: verdict_of(over=20_000), 1.5),
    ):
        yield compare(what, judged, "a verdict on an order", verdict_of, most)


def main() -> list[Line]:
    print(f"\n{'':<42} {'':>8}      {'beside':<24} {'':>8}       ratio")
    lines = []
    for line in measure():
        print(line, flush=True)
        lines.append(line)
    return lines


def test_a_verdict_costs_a_few_plain_ones_however_much_has_happened() -> None:
    assert [str(line) for line in main() if line.ratio > line.most] == []


if __name__ == "__main__":
    main()
