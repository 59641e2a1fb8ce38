"""A router alone on a tape, what it says to what it hears, and the laws that all of it keeps."""

from collections.abc import Iterable

from contracts.event import Event
from contracts.laws import Law, Laws, Violation
from contracts.orders import OrderTerms
from contracts.recorded import Recorded
from contracts.types import OrderStatus
from contracts.venue import SubmitOrder
from services.router.book import Order
from services.router.rules import Router
from services.router.settings import RouterSettings
from tape.memory import MemoryTape
from tests.builders import LISTING

OF_ORDERS = frozenset({Law.ROUTE, Law.LIFE, Law.COMMAND, Law.FILL})


class Routed:
    """Plays to a router; `whole` is the tape with what was played to it."""

    def __init__(self, *events: Event, settings: RouterSettings | None = None) -> None:
        self.router = Router(settings or RouterSettings(), LISTING)
        self.tape = MemoryTape([self.router])
        self.whole: list[Recorded] = []
        self.hear(*events)

    def hear(self, *events: Event) -> list[Event]:
        """Give what the router says to these."""
        said: list[Event] = []
        for event in events:
            before, position = len(self.tape.recorded), self.tape.position + 1
            self.tape.play([event])
            answers = self.tape.recorded[before:]
            self.whole += [Recorded(position, None, "", 0, event), *answers]
            said += [recorded.event for recorded in answers]
        return said

    def order(self, terms: OrderTerms) -> Order:
        return self.router.orders[terms.client_order_id]

    def status(self, terms: OrderTerms) -> OrderStatus:
        return self.order(terms).life.status

    def submitted(self) -> list[OrderTerms]:
        return [command.order for command in self.tape.of_type(SubmitOrder)]

    def violations(self) -> list[Violation]:
        """Give what breaks a law of orders; the wishes and leases of a whole system are missing here."""
        laws = Laws()
        found = [violation for recorded in self.whole for violation in laws.look(recorded)]
        at_rest = [violation for violation in laws.at_rest() if violation.law is not Law.ROUTE]
        return [violation for violation in (*found, *at_rest) if violation.law in OF_ORDERS]


def types(said: Iterable[Event]) -> list[str]:
    """Name what was said, for a story that is read at a glance."""
    return [type(event).__name__ for event in said]
