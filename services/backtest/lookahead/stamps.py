"""Whether an event was heard before its time: of quotes, bars and models, and of what components make of them."""

from dataclasses import dataclass
from enum import Enum

from contracts.event import Event
from contracts.market import Bar
from contracts.models import ModelPromoted, ModelPublished
from contracts.recorded import Recorded
from services.backtest.lookahead.futures import PricedEvent
from services.backtest.prequentialmodels import data_end


class Early(Enum):
    """How an event was known too early."""

    OUT_OF_ORDER = "it was told after later prices"
    CLOCKS = "it happened later than it was heard, by the exchange's clock"
    BEFORE_IT_HAPPENED = "it tells of a time that nobody had told of"
    BEFORE_IT_CLOSED = "the bar was heard before it closed"
    BEFORE_ITS_DATA = "the model was learned from data that lies ahead of it"
    OTHER_TIME = "it does not bear the time of the event that led to it"

    @property
    def is_harmless(self) -> bool:
        """Whether it is no use of the future: two clocks differ, and everything is decided by ours."""
        return self is Early.CLOCKS


@dataclass
class StampFinding:
    """The first event of a writer that was known too early in this way, and how many there were."""

    who: str
    early: Early
    position: int | None
    """None: of what a source told, quotes and trades for instance."""
    at: int
    """When it was heard (ns)."""
    detail: str
    count: int = 1


class Stamps:
    """Looks at the times of every event of a run."""

    def __init__(self) -> None:
        self.checked = 0
        self.findings: dict[tuple[str, Early], StampFinding] = {}
        self._last = 0
        self._latest = 0
        """Of all times at which something happened that was told so far."""

    def told(self, event: Event) -> None:
        """Look at what a source told."""
        self.checked += 1
        is_market = isinstance(event, PricedEvent)
        if is_market and event.ts_init < self._last:
            self._find("data", Early.OUT_OF_ORDER, None, event, f"{self._last - event.ts_init:,} ns before it")
        elif event.ts_event > event.ts_init:
            self._find("data", Early.CLOCKS, None, event, f"{event.ts_event - event.ts_init:,} ns")
        if is_market:
            self._last = max(self._last, event.ts_init)
        self._latest = max(self._latest, event.ts_event)
        self._look_inside("data", None, event)

    def heard(self, recorded: Recorded) -> None:
        """Look at what a component said; `ts_recorded` is when the event in hand was known."""
        event = recorded.event
        if recorded.cause is None:
            return
        self.checked += 1
        who, place = recorded.msg_id.partition("/")[0], recorded.position
        if event.ts_init != recorded.ts_recorded:
            detail = f"{event.ts_init - recorded.ts_recorded:+,} ns off"
            self._find(who, Early.OTHER_TIME, place, event, detail)
        elif event.ts_event > max(event.ts_init, self._latest):
            self._find(who, Early.BEFORE_IT_HAPPENED, place, event, f"{event.ts_event - event.ts_init:,} ns before it")
        self._look_inside(who, place, event)

    def _look_inside(self, who: str, position: int | None, event: Event) -> None:
        if isinstance(event, Bar) and event.ts_close > event.ts_init:
            detail = f"{event.ts_close - event.ts_init:,} ns before it"
            self._find(who, Early.BEFORE_IT_CLOSED, position, event, detail)
        elif isinstance(event, ModelPublished | ModelPromoted):
            learned = data_end(event)
            if learned > event.ts_init:
                detail = f"model {event.model_id}: by {learned - event.ts_init:,} ns"
                self._find(who, Early.BEFORE_ITS_DATA, position, event, detail)

    def _find(self, who: str, early: Early, position: int | None, event: Event, detail: str) -> None:
        found = self.findings.get((who, early))
        if found is not None:
            found.count += 1
            return
        text = f"{type(event).type_name}: {detail}"
        self.findings[who, early] = StampFinding(who, early, position, event.ts_init, text)
