"""A simulated exchange alone: it is told of the market and of commands, and what it says is listed."""

from contracts.event import Event
from contracts.market import Funding, Quote, Trade
from contracts.venue import AmendOrder, CancelOrder, QueryOrder, SubmitOrder
from tests.builders import listed
from venues.simulated import SimulatedExchange


def heard(at: SimulatedExchange, *events: Event) -> list[Event]:
    """Tell it of events in order; gives all that it says to them."""
    said: list[Event] = []
    for event in events:
        match event:
            case Quote():
                said += listed(at.on_quote(event))
            case Trade():
                said += listed(at.on_trade(event))
            case Funding():
                said += listed(at.on_funding(event))
            case SubmitOrder() | CancelOrder() | AmendOrder() | QueryOrder():
                said += listed(at.command(event))
            case _:
                raise AssertionError(f"nobody tells an exchange of {event}")
    return said
