"""One order between the command that asked for it and its end, as the gateway knows it."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from contracts.orders import Amendment, OrderTerms
from venues.reconciliation.views import VenueStatus

ZERO = Decimal(0)


class Phase(Enum):
    """What the tape says of an order at the venue."""

    ASKED = "asked"
    """It was commanded and nothing was reported: it may or may not have reached the venue."""
    ACCEPTED = "accepted"
    ENDED = "ended"
    REFUSED = "refused"


@dataclass(slots=True)
class End:
    """How the venue ended an order; not reported while trades are missing or a replacement is on its way."""

    status: VenueStatus
    reason: str
    at: int


@dataclass(slots=True)
class Pending:
    """A request that was not answered yet: the position of its command."""

    position: int
    amendment: Amendment | None = None


@dataclass(slots=True)
class Entry:
    """An order in the book. `fills` are the reported quantities by trade id; `asked_at` is when it was commanded (ns).

    `quantity` includes what is filled. `filled_of` is the most that the venue has said to be filled, by its own order
    ids: an order that was changed at a venue which cannot change one has several, numbered by `generation`.
    """

    terms: OrderTerms
    position: int
    asked_at: int
    quantity: Decimal
    limit_price: Decimal | None
    phase: Phase = Phase.ASKED
    venue_order_id: str | None = None
    generation: int = 0
    fills: dict[str, Decimal] = field(default_factory=dict)
    filled_of: dict[str, Decimal] = field(default_factory=dict)
    seen_at: int = 0
    end: End | None = None
    ended_at: int = 0
    cancel: Pending | None = None
    amend: Pending | None = None

    @property
    def id(self) -> str:
        return self.terms.client_order_id

    @property
    def filled(self) -> Decimal:
        return sum(self.fills.values(), ZERO)

    @property
    def venue_filled(self) -> Decimal:
        return sum(self.filled_of.values(), ZERO)

    @property
    def leaves(self) -> Decimal:
        return max(self.quantity - self.filled, ZERO)

    @property
    def is_live(self) -> bool:
        """Whether it may still be open at the venue, as far as the tape says."""
        return self.phase in (Phase.ASKED, Phase.ACCEPTED)

    @property
    def lacks_trades(self) -> bool:
        """Whether the venue has said that more was traded than the trades we know."""
        calls_it_filled = self.end is not None and self.end.status is VenueStatus.FILLED and self.leaves > 0
        return self.venue_filled > self.filled or calls_it_filled

    @property
    def name_at_venue(self) -> str:
        """The client order id under which the venue has it now."""
        return name_of(self.id, self.generation)


def name_of(client_order_id: str, generation: int) -> str:
    """Name a replacement at the venue: a point, which no id of ours holds, and the position of the command for it."""
    return client_order_id if generation == 0 else f"{client_order_id}.{generation}"


def read_name(name: str) -> tuple[str, int]:
    """Read the order's own id and the generation back from a name at the venue."""
    base, _, generation = name.partition(".")
    return (base, int(generation)) if generation.isdecimal() and len(generation) < 19 else (name, 0)
