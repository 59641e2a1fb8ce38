"""Reports on their way to us: they come later than what they are about, in its order."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from contracts.codec import CODEC, type_header, write
from contracts.event import Event
from contracts.types import LARGEST
from contracts.venue import FundingPaid, VenueAmendRejected, VenueCancelRejected, VenueFilled, VenueRejected
from venues.simulated.latency import Delays
from venues.simulated.script import Script

_REFUSALS = (VenueRejected, VenueCancelRejected, VenueAmendRejected)


@dataclass(slots=True)
class Waiting:
    """A report that is to be heard at `due` (ns), as it is written on the tape: by fields alone types are not told."""

    due: int
    header: str
    text: str


class Delivery:
    """Keeps reports until market events bring the time. None overtakes another, but for what an outage refuses."""

    def __init__(self, waiting: list[Waiting], delays: Delays, script: Script) -> None:
        self.waiting = waiting
        self._delays = delays
        self._script = script
        self.is_late = delays.hold_reports or script.holds_reports or bool(waiting)

    @property
    def next_at(self) -> int:
        """When something is heard next (ns)."""
        return self.waiting[0].due if self.waiting else LARGEST

    def post(self, said: Iterable[Event], moment: int) -> None:
        """Send what is said at `moment`."""
        for event in said:
            due = moment + self._delays.from_the_exchange() + self._script.slower_by(moment)
            sent = Waiting(due, type_header(type(event)), write(event).decode())
            if isinstance(event, _REFUSALS) and self._script.refuses_at_once(moment):
                self._put_before_what_is_held(sent)
                continue
            sent.due = max(self._script.back_at(due), self.waiting[-1].due if self.waiting else 0)
            self.waiting.append(sent)

    def _put_before_what_is_held(self, sent: Waiting) -> None:
        """Let the refusal of an outage come while that lasts: it is no report of the exchange."""
        place = len(self.waiting)
        while place and self.waiting[place - 1].due > sent.due:
            place -= 1
        self.waiting.insert(place, sent)

    def heard(self, moment: int, now: Event) -> Iterator[Event]:
        """Give what has come by `moment`, which is the time of `now`.

        What is paid for a position comes with a later event than the trade that made it: whoever books it must have
        booked that before.
        """
        traded = False
        while self.waiting and self.waiting[0].due <= moment:
            event = CODEC.reader(self.waiting[0].header)(self.waiting[0].text.encode())
            if traded and isinstance(event, FundingPaid):
                return
            traded = traded or isinstance(event, VenueFilled)
            del self.waiting[0]
            yield replace(event, ts_init=now.ts_init)
