"""What an order costs from its approval to its fill, through the router and the simulated exchange.

The floor says the same events for an order that knows no table, no list and no trigger: a dict of statuses. Both are
measured in turn in the same run, in CPU time. The cost must not grow with the orders that are over, nor with those that
wait for a price elsewhere, and a quote must cost next to nothing while no order of ours concerns it.

Run it with `python -m tests.bench.bench_orders`.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from time import process_time
from typing import TypedDict

from contracts.event import Event
from contracts.market import Quote
from contracts.orders import OrderAccepted, OrderFilled, OrderInitialized, OrderSubmitted, OrderTerms, RiskApproved
from contracts.types import InstrumentId, Liquidity, OrderStatus, OrderType, Side
from contracts.venue import SubmitOrder, VenueAccepted, VenueFilled
from services.router.rules import Router
from services.router.settings import RouterSettings
from tests.bench.bench_risk import Line, compare, timed
from tests.builders import BTC, ETH, LISTING, approval, conditional, listed, quote, terms
from venues.simulated import SimulatedExchange, SimulationSettings

ORDERS = 1_000
QUOTES = 50_000
FAST = RouterSettings.model_validate({"pace": {"per_s": 10_000, "burst": 100_000}})
"""Nobody waits for a turn: what is measured is work."""


class _Of(TypedDict):
    ts_event: int
    ts_init: int
    client_order_id: str
    instrument: InstrumentId


class _Fill(TypedDict):
    trade_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    currency: str
    liquidity: Liquidity


class Bare:
    """The floor: every order is accepted and filled at the ask, and nothing is asked of it."""

    def __init__(self) -> None:
        self.orders: dict[str, OrderStatus] = {}
        self.quotes: dict[str, Quote] = {}

    def on_quote(self, shown: Quote) -> None:
        self.quotes[shown.instrument] = shown

    def trade(self, approved: RiskApproved) -> list[Event]:
        order, name = approved.order, approved.order.client_order_id
        of: _Of = {
            "ts_event": approved.ts_event,
            "ts_init": approved.ts_init,
            "client_order_id": name,
            "instrument": order.instrument,
        }
        price = LISTING[order.instrument].price(self.quotes[order.instrument].ask)
        fill: _Fill = {
            "trade_id": name,
            "side": order.side,
            "price": price,
            "quantity": order.quantity,
            "fee": price * order.quantity / 1000,
            "currency": "USDT",
            "liquidity": Liquidity.TAKER,
        }
        left = order.quantity - order.quantity
        self.orders[name] = OrderStatus.FILLED
        return [
            OrderInitialized(ts_event=approved.ts_event, ts_init=approved.ts_init, order=order),
            OrderSubmitted(**of, strategy=order.strategy),
            SubmitOrder(ts_event=approved.ts_event, ts_init=approved.ts_init, order=order),
            VenueAccepted(**of, venue_order_id=name),
            OrderAccepted(**of, strategy=order.strategy, venue_order_id=name),
            VenueFilled(**of, **fill),
            OrderFilled(**of, **fill, strategy=order.strategy, cumulative=order.quantity, leaves=left),
        ]


class Path:
    """A router and its exchange, wired by hand; it has seen `over` orders, and `waiting` wait for a price."""

    def __init__(self, *, over: int = 0, waiting: int = 0) -> None:
        self.router = Router(FAST, LISTING)
        self.exchange = SimulatedExchange(LISTING, SimulationSettings())
        self._hear = self.router.handlers()
        for instrument in (BTC, ETH):
            self.show(quote(99.0, 101.0, size=1e9, instrument=instrument))
        for one in approvals(over, "over"):
            self.trade(one)
        for number in range(waiting):
            stop = conditional(OrderType.STOP_MARKET, trigger="50", instrument=ETH, order_id=f"waits-{number}")
            self.tell(approval(stop))

    def show(self, shown: Quote) -> None:
        self.tell(shown)
        listed(self.exchange.on_quote(shown))

    def tell(self, event: Event) -> list[Event]:
        return listed(self._hear[type(event)](event))

    def trade(self, approved: RiskApproved) -> list[Event]:
        said = self.tell(approved)
        commands = [event for event in said if isinstance(event, SubmitOrder)]
        reports = [report for command in commands for report in listed(self.exchange.command(command))]
        return [*said, *reports, *(step for report in reports for step in self.tell(report))]


def approvals(count: int, prefix: str) -> list[RiskApproved]:
    return [approval(market(tuple(Side)[number % 2], f"{prefix}-{number}")) for number in range(count)]


def market(side: Side, order_id: str) -> OrderTerms:
    return terms(side, "1", order_id=order_id)


def path(*, over: int = 0, waiting: int = 0) -> float:
    return timed(Path(over=over, waiting=waiting).trade, approvals(ORDERS, "x"))


def bare() -> float:
    floor = Bare()
    floor.on_quote(quote(99.0, 101.0))
    return timed(floor.trade, approvals(ORDERS, "x"))


def of_no_concern(shown: Sequence[Quote], *, waiting: int = 0) -> float:
    """Give what a quote costs the router, for an instrument in which it has nothing to do."""
    router = Path(waiting=waiting).router
    began = process_time()
    for one in shown:
        router.on_quote(one)
    return (process_time() - began) / len(shown)


def measure() -> Iterator[Line]:
    shown = [quote(99.0, 101.0, at=number / 1000) for number in range(QUOTES)]
    assert {type(event) for event in Path().trade(approval(market(Side.BUY, "one")))} >= {OrderFilled, VenueFilled}
    yield compare("an order, from approval to fill", path, "the same words, unasked", bare, most=40.0)
    yield compare("the same after 20,000 orders", lambda: path(over=20_000), "an order", path, most=1.5)
    yield compare("beside 2,000 that wait elsewhere", lambda: path(waiting=2_000), "an order", path, most=1.5)
    yield compare(
        "a quote of no concern, 2,000 wait elsewhere",
        lambda: of_no_concern(shown, waiting=2_000),
        "a quote put into a dict",
        lambda: timed(Bare().on_quote, shown),
        most=8.0,
    )


def main() -> list[Line]:
    print(f"\n{'':<42} {'':>8}      {'beside':<24} {'':>8}       ratio")
    lines = []
    for line in measure():
        print(line, flush=True)
        lines.append(line)
    return lines


def test_an_order_costs_the_same_however_many_came_before_it() -> None:
    assert [str(line) for line in main() if line.ratio > line.most] == []


if __name__ == "__main__":
    main()
