"""A hostile venue: the simulated exchange, whose reports come late, twice, or in another order.

It is a component like the gateway it stands in for, so that all that is promised of components is promised of it too:
what happens to a report follows from the seed and the report's place in the history.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from pydantic import Field

from contracts.event import Event
from contracts.market import Quote, Trade
from contracts.ownership import VENUE_COMMANDS, VENUE_REPORTS
from contracts.venue import (
    CancelOrder,
    SubmitOrder,
    VenueAccepted,
    VenueCanceled,
    VenueCancelRejected,
    VenueExpired,
    VenueFilled,
    VenueRejected,
)
from tape.blueprint import Blueprint
from tape.component import Component, Outputs, on
from venues.instruments import BINANCE_SPOT
from venues.simulated import ExchangeState, SimulatedExchange, SimulationSettings

Report = VenueAccepted | VenueRejected | VenueFilled | VenueCanceled | VenueExpired | VenueCancelRejected


class HostileSettings(SimulationSettings):
    """How badly we are treated: shares of the reports."""

    seed: int = Field(default=0, description="of all that goes wrong")
    late: float = Field(default=0.3, ge=0, le=1, description="reports that are held back")
    late_ms: int = Field(default=2_000, ge=1, description="the longest that one is held back, in event time")
    twice: float = Field(default=0.2, ge=0, le=1, description="reports that come again")


@dataclass(slots=True)
class HostileState:
    exchange: ExchangeState
    held: list[tuple[int, Report]]
    """What is held back, and until when."""


class HostileGateway(Component):
    produces: ClassVar[tuple[type[Event], ...]] = VENUE_REPORTS
    durable: ClassVar[tuple[type[Event], ...]] = VENUE_COMMANDS
    State = HostileState

    def __init__(self, settings: HostileSettings) -> None:
        super().__init__("gateway")
        self.settings = settings
        self.exchange = SimulatedExchange(BINANCE_SPOT, settings)
        self.held: list[tuple[int, Report]] = []

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

    @on(SubmitOrder, CancelOrder)
    def on_command(self, command: SubmitOrder | CancelOrder) -> Outputs:
        return self._spoil(self.exchange.command(command), command)

    def _spoil(self, reports: Outputs, now: Event) -> Iterator[Event] | None:
        due = [held for held in self.held if held[0] <= now.ts_init]
        if reports is None and not due:
            return None
        return self._spoiled(list(reports or ()), due, now)

    def _spoiled(self, reports: list[Event], due: list[tuple[int, Report]], now: Event) -> Iterator[Event]:
        random = Random(f"{self.settings.seed}/{self.moment.position}")
        self.held = [held for held in self.held if held not in due]
        coming = [*(report for _, report in due), *self._let_through(reports, random, now)]
        random.shuffle(coming)
        yield from coming

    def _let_through(self, reports: list[Event], random: Random, now: Event) -> Iterator[Event]:
        settings = self.settings
        for report in reports:
            assert isinstance(report, Report)
            for _ in range(2 if random.random() < settings.twice else 1):
                if random.random() < settings.late:
                    self.held.append((now.ts_init + random.randrange(settings.late_ms * 1_000_000), report))
                else:
                    yield report


HOSTILE = Blueprint("gateway", HostileSettings, HostileGateway)
