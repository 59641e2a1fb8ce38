"""Notice what did not come: trade ids that were skipped, instruments that fell silent."""

from contracts.market import Funding, MarketGap, Quote, Trade
from contracts.types import GapKind, InstrumentId


class GapWatch:
    """Looks at each market event of a feed in turn, on the feed's own time."""

    def __init__(self, stale_after_ns: int) -> None:
        self._stale_after_ns = stale_after_ns
        self._last_heard: dict[InstrumentId, int] = {}
        self._last_trade: dict[InstrumentId, int] = {}

    def look(self, event: Quote | Trade | Funding) -> list[MarketGap]:
        """Say what is missing before `event`."""
        gaps = []
        silence = event.ts_init - self._last_heard.get(event.instrument, event.ts_init)
        self._last_heard[event.instrument] = event.ts_init
        if silence > self._stale_after_ns:
            gaps.append(_gap(event, GapKind.SILENCE, silence))
        if isinstance(event, Trade) and event.trade_id.isdecimal():
            number = int(event.trade_id)
            last = self._last_trade.get(event.instrument, number - 1)
            skipped = number - last - 1
            self._last_trade[event.instrument] = max(last, number)
            if skipped > 0:
                gaps.append(_gap(event, GapKind.MISSING_TRADES, skipped))
        return gaps

    def last_heard(self) -> dict[InstrumentId, int]:
        """When each instrument was last heard of (ns, the feed's own time)."""
        return dict(self._last_heard)


def _gap(event: Quote | Trade | Funding, kind: GapKind, missing: int) -> MarketGap:
    return MarketGap(
        ts_event=event.ts_event, ts_init=event.ts_init, instrument=event.instrument, kind=kind, missing=missing
    )
