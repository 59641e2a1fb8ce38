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
        known, ends, name = self.known, self._ends, terms.client_order_id
        known[name] = Past(terms.instrument, fills, ending, reason)
        ends.append(name)
        if len(ends) > REMEMBERED_ENDS:
            forgotten = ends.popleft()
            if forgotten in known:
                known[forgotten] = None
        if len(known) > REMEMBERED_ORDERS:
            known.popitem(last=False)
