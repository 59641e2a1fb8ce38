"""What goes wrong at the exchange by script: it cannot be reached, refuses orders, or is slow."""

from collections.abc import Iterable, Iterator

from contracts.event import Event
from contracts.types import InstrumentId
from contracts.venue import (
    AmendOrder,
    CancelOrder,
    QueryOrder,
    SubmitOrder,
    VenueAmendRejected,
    VenueCancelRejected,
    VenueRejected,
)
from quant.chance import Chance
from venues.simulated.book import Command
from venues.simulated.disturbances import Fate, Outage, Rejects, Slowdown
from venues.simulated.reports import of


class Script:
    """Says what is wrong at a moment."""

    def __init__(
        self, outages: Iterable[Outage], rejects: Iterable[Rejects], slowdowns: Iterable[Slowdown], chance: Chance
    ) -> None:
        self._outages = sorted(outages, key=lambda one: one.begins_at)
        self._rejects = list(rejects)
        self._slowdowns = list(slowdowns)
        self._chance = chance
        self.has_outages = bool(self._outages)
        self.refuses_orders = bool(self._rejects)
        self.delays_commands = bool(self._slowdowns)
        self.holds_reports = bool(self._outages or self._slowdowns)

    def outage(self, moment: int) -> Outage | None:
        return next((one for one in self._outages if one.covers(moment)), None)

    def refuses_at_once(self, moment: int) -> bool:
        outage = self.outage(moment)
        return outage is not None and outage.commands is Fate.REFUSED

    def back_at(self, moment: int) -> int:
        """Say when the exchange can be reached again; `moment` itself where nothing is wrong."""
        for one in self._outages:
            if one.covers(moment):
                moment = one.ends_at
        return moment

    def slower_by(self, moment: int) -> int:
        """Say how much longer (ns) it takes what is sent now."""
        return sum(int(one.delay_ms * 1_000_000) for one in self._slowdowns if one.covers(moment))

    def objection(self, instrument: InstrumentId, moment: int) -> str | None:
        """Say why an order is refused that comes now, if it is."""
        for one in self._rejects:
            if not one.covers(moment) or one.instrument not in (None, instrument):
                continue
            if one.share == 1 or self._chance.uniform() < one.share:
                return one.reason
        return None


def unreached(command: Command, outage: Outage, now: Event) -> Iterator[Event]:
    """Answer a command that does not arrive; where it is lost, that is heard when the outage is over."""
    match command:
        case SubmitOrder():
            yield VenueRejected(**of(command.order, now), reason=outage.reason)
        case CancelOrder():
            yield VenueCancelRejected(**of(command, now), reason=outage.reason)
        case AmendOrder():
            yield VenueAmendRejected(**of(command.amendment, now), reason=outage.reason)
        case QueryOrder():
            return
