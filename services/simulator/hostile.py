"""A hostile venue: the simulated exchange, but its reports come late, twice, or in another order, and some are wrong.

It is a component like the gateway it stands in for, so that all that is promised of components is promised of it too:
what happens to a report follows from the seed and the report's place in the history.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar, TypedDict

from pydantic import Field

from contracts.codec import CODEC, type_header, write
from contracts.event import Event
from contracts.market import Funding, Quote, Trade
from contracts.orders import OrderTerms
from contracts.ownership import VENUE_ACCOUNT, VENUE_COMMANDS, VENUE_REPORTS
from contracts.types import InstrumentId
from contracts.venue import (
    AmendOrder,
    CancelOrder,
    QueryOrder,
    SubmitOrder,
    VenueFilled,
    VenueRejected,
    VenueReport,
)
from tape.blueprint import Blueprint
from tape.component import Component, Outputs, on
from venues.instruments import BINANCE_SPOT
from venues.simulated import ExchangeState, SimulatedExchange, SimulationSettings


class HostileSettings(SimulationSettings):
    """How badly we are treated: shares of the reports."""

    seed: int = Field(default=0, description="of all that goes wrong")
    late: float = Field(default=0.3, ge=0, le=1, description="reports that are held back")
    late_ms: int = Field(default=2_000, ge=1, description="the longest that one is held back, in event time")
    twice: float = Field(default=0.2, ge=0, le=1, description="reports that come again")
    refused: float = Field(default=0.1, ge=0, le=1, description="orders that are refused for no reason")
    taken_away: float = Field(default=0.1, ge=0, le=1, description="orders that are canceled, and nobody asked for it")
    wrong: float = Field(default=0.05, ge=0, le=1, description="reports that come with one that cannot be true")


@dataclass(slots=True)
class Held:
    """A report that is held back until then: written down, for reports of two kinds may have the same fields."""

    until: int
    type_header: str
    payload: str


@dataclass(slots=True)
class HostileState:
    exchange: ExchangeState
    held: list[Held]


class HostileGateway(Component):
    produces: ClassVar[tuple[type[Event], ...]] = (*VENUE_REPORTS, *VENUE_ACCOUNT)
    durable: ClassVar[tuple[type[Event], ...]] = VENUE_COMMANDS
    State = HostileState

    def __init__(self, settings: HostileSettings) -> None:
        super().__init__("gateway")
        self.settings = settings
        self.exchange = SimulatedExchange(BINANCE_SPOT, settings)
        self.held: list[Held] = []

    def state(self) -> HostileState:
        return HostileState(self.exchange.state(), self.held)

    def restore(self, state: HostileState) -> None:
        self.exchange.restore(state.exchange)
        self.held = state.held

    @on(Quote)
    def on_quote(self, quote: Quote) -> Outputs:
        return self._spoil(self.exchange.on_quote(quote), quote)

    @on(Trade)
    def on_trade(self, trade: Trade) -> Outputs:
        return self._spoil(self.exchange.on_trade(trade), trade)

    @on(SubmitOrder)
    def on_submit(self, command: SubmitOrder) -> Outputs:
        chance = self._random("submit").random()
        if chance < self.settings.refused:
            return self._spoil([VenueRejected(**_of(command.order, command), reason="we do not feel like it")], command)
        reports = list(self.exchange.command(command) or ())
        if chance < self.settings.refused + self.settings.taken_away:
            reports += self.exchange.command(CancelOrder(**_of(command.order, command))) or ()
        return self._spoil(reports, command)

    @on(CancelOrder, AmendOrder, QueryOrder)
    def on_request(self, command: CancelOrder | AmendOrder | QueryOrder) -> Outputs:
        return self._spoil(self.exchange.command(command), command)

    @on(Funding)
    def on_funding(self, funding: Funding) -> Outputs:
        return self._spoil(self.exchange.on_funding(funding), funding)

    def _spoil(self, reports: Outputs, now: Event) -> Iterator[Event] | None:
        due = [held for held in self.held if held.until <= now.ts_init]
        if reports is None and not due:
            return None
        return self._spoiled(list(reports or ()), due, now)

    def _spoiled(self, reports: list[Event], due: list[Held], now: Event) -> Iterator[Event]:
        random = self._random("reports")
        self.held = [held for held in self.held if held.until > now.ts_init]
        coming = [
            *(CODEC.reader(held.type_header)(held.payload.encode()) for held in due),
            *self._let_through(reports, random, now),
        ]
        random.shuffle(coming)
        yield from coming

    def _let_through(self, reports: list[Event], random: Random, now: Event) -> Iterator[Event]:
        settings = self.settings
        for report in reports:
            if not isinstance(report, VenueReport):
                yield report
                continue
            for _ in range(2 if random.random() < settings.twice else 1):
                if random.random() < settings.late:
                    until = now.ts_init + random.randrange(1, settings.late_ms * 1_000_000)
                    self.held.append(Held(until, type_header(type(report)), write(report).decode()))
                else:
                    yield report
            if random.random() < settings.wrong:
                yield _untrue(report, random)

    def _random(self, what: str) -> Random:
        """Give chance for the event in hand: the same whenever it is handled again."""
        return Random(f"{self.settings.seed}/{self.moment.position}/{what}")


class _Of(TypedDict):
    ts_event: int
    ts_init: int
    client_order_id: str
    instrument: InstrumentId


def _of(order: OrderTerms, now: Event) -> _Of:
    return _Of(
        ts_event=now.ts_event, ts_init=now.ts_init, client_order_id=order.client_order_id, instrument=order.instrument
    )


def _untrue(report: VenueReport, random: Random) -> VenueReport:
    """Make of a report one that cannot be true: of an order that nobody sent, or of more than was ordered."""
    if isinstance(report, VenueFilled) and random.random() < 0.5:
        return replace(report, trade_id=f"{report.trade_id}-more", quantity=report.quantity * 1000)
    return replace(report, client_order_id=f"{report.client_order_id}-not")


HOSTILE = Blueprint("gateway", HostileSettings, HostileGateway)
