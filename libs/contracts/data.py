"""Market history that was fetched or imported: the ledger of its chunks."""

from contracts.event import Event, event
from contracts.types import Count, Instrument, Interval, Name, Nanos, Sha256, Text


@event("data.chunk.{by}.{interval}.{instrument}")
class DataChunk(Event):
    """A run of closed bars was stored as an object named `sha256` (Parquet): bars that open in [`first`, `last`].

    Chunks of one instrument and interval never overlap. `missing` bars in between did not exist where they come from;
    `repaired` ones were doubled, out of order or wrong there, and were dropped or put right. `source` says where from.
    """

    by: Name
    instrument: Instrument
    interval: Interval
    first: Nanos
    last: Nanos
    rows: Count
    missing: Count
    repaired: Count
    sha256: Sha256
    source: Text

    @property
    def until(self) -> int:
        """When the last of its bars closes (ns)."""
        return self.last + self.interval.nanos

    def contradiction(self) -> str | None:
        nanos = self.interval.nanos
        if self.last < self.first or (self.last - self.first) % nanos:
            return f"last: the bars of a chunk follow each other every {self.interval.value}"
        if self.rows + self.missing != (self.last - self.first) // nanos + 1:
            return "rows: with the missing ones they are as many as there is room for"
        return None
