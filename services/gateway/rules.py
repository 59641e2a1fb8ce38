"""Gateway to the simulated exchange, which lives on the tape like everything else: same input, same reports."""

from dataclasses import dataclass
from typing import ClassVar

from contracts.event import Event
from contracts.market import Funding, Quote, Trade
from contracts.ownership import VENUE_ACCOUNT, VENUE_COMMANDS, VENUE_REPORTS
from contracts.types import InstrumentId
from contracts.venue import AmendOrder, CancelOrder, QueryOrder, SubmitOrder
from tape.component import Component, Handler, Outputs, on
from venues.instruments import Listing
from venues.simulated import ExchangeState, SimulatedExchange, SimulationSettings


@dataclass(slots=True)
class GatewayState:
    exchange: ExchangeState


class Gateway(Component):
    produces: ClassVar[tuple[type[Event], ...]] = (*VENUE_REPORTS, *VENUE_ACCOUNT)
    durable: ClassVar[tuple[type[Event], ...]] = VENUE_COMMANDS
    State = GatewayState
    state_version = 3

    def __init__(self, settings: SimulationSettings, listing: Listing) -> None:
        super().__init__("gateway")
        self.exchange = SimulatedExchange(listing, settings)

    def state(self) -> GatewayState:
        return GatewayState(self.exchange.state())

    def restore(self, state: GatewayState) -> None:
        self.exchange.restore(state.exchange)

    @on(Quote)
    def on_quote(self, quote: Quote) -> Outputs:
        return self.exchange.on_quote(quote)

    def rests_until(self, instrument: InstrumentId) -> int:
        return self.exchange.rests_until(instrument)

    @on(Trade)
    def on_trade(self, trade: Trade) -> Outputs:
        return self.exchange.on_trade(trade)

    @on(Funding)
    def on_funding(self, funding: Funding) -> Outputs:
        return self.exchange.on_funding(funding)

    @on(SubmitOrder, CancelOrder, AmendOrder, QueryOrder)
    def on_command(self, command: SubmitOrder | CancelOrder | AmendOrder | QueryOrder) -> Outputs:
        return self.exchange.command(command)

    def handlers(self) -> dict[type[Event], Handler]:
        """Hand market data and commands straight to the exchange: one call less for each."""
        commands: dict[type[Event], Handler] = dict.fromkeys(VENUE_COMMANDS, self.exchange.command)
        return {**super().handlers(), **commands, Quote: self.exchange.on_quote, Trade: self.exchange.on_trade}
