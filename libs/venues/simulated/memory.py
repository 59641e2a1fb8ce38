"""What the exchange remembers of orders that have ended: that they came, and for a while what became of them."""

from collections import OrderedDict, deque

from contracts.orders import OrderTerms
from contracts.venue import VenueFilled
from venues.simulated.book import Ending, Past

REMEMBERED_ORDERS = 10_000
"""How many orders are remembered against a repetition, beyond those that are open."""
REMEMBERED_ENDS = 1_000
"""Of how many of these it is also remembered what became of them, for whoever asks."""


class Memory:
    """`known` by id, the oldest first; None where only the id is remembered.

    A plain dict would look for its oldest key past all those that were taken out of it before.
    """

    def __init__(self, known: dict[str, Past | None]) -> None:
        self.known = OrderedDict(known)
        self._ends = deque(name for name, past in known.items() if past is not None)

    def remember(self, terms: OrderTerms, fills: list[VenueFilled], ending: Ending, reason: str = "") -> None:
        self.known[terms.client_order_id] = Past(terms.instrument, fills, ending, reason)
        self._ends.append(terms.client_order_id)
        if len(self._ends) > REMEMBERED_ENDS:
            forgotten = self._ends.popleft()
            if forgotten in self.known:
                self.known[forgotten] = None
        if len(self.known) > REMEMBERED_ORDERS:
            self.known.popitem(last=False)
