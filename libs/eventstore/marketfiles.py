"""Files of bars, trades or quotes as the events they tell of, for a backtest: merged by time, judged row by row.

    market = read_market([Path("BTCUSDT-1m-2024-01.csv.gz")], FileMapping(venue="binance"), Policy.ERROR)
    for event in market.events: ...

What is recognised, and what each policy does about what is wrong, is told in `docs/marketfiles.md`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import attrgetter
from pathlib import Path

from contracts.event import Event
from contracts.types import InstrumentId, Interval
from eventstore.marketdata.columns import BarTime, DataKind, FileMapping, Role, SizeUnit
from eventstore.marketdata.faults import Fault, Policy, Repairs
from eventstore.marketdata.files import Limits, MarketFile, understand
from eventstore.marketdata.forms import BadFile
from eventstore.marketdata.merging import Parts
from eventstore.marketdata.streams import Stream, merged

__all__ = [
    "BadFile",
    "BarTime",
    "DataKind",
    "Fault",
    "FileMapping",
    "Limits",
    "Market",
    "MarketFile",
    "Policy",
    "Repairs",
    "Role",
    "SizeUnit",
    "read_market",
]


@dataclass(frozen=True, slots=True)
class Market:
    """What files tell. Events come by `ts_init`, can be read once, and raise `BadFile`; `found` grows as they do."""

    lists: Iterator[list[Event]]
    """The events, as many at once as were read at once."""
    instruments: tuple[InstrumentId, ...]
    found: Repairs
    files: tuple[MarketFile, ...]

    @property
    def events(self) -> Iterator[Event]:
        return chain.from_iterable(self.lists)

    @property
    def longest_bar(self) -> Interval | None:
        """The length of the longest bars; None if there are none."""
        lengths = [file.interval for file in self.files if file.interval is not None]
        return max(lengths, key=lambda interval: interval.nanos, default=None)


def read_market(
    files: Sequence[Path],
    mapping: FileMapping = FileMapping(),  # noqa: B008 # it is frozen
    policy: Policy = Policy.ERROR,
    limits: Limits = Limits(),  # noqa: B008
) -> Market:
    """Understand files and give what they tell; they may continue each other or stand beside each other.

    Memory is bounded by batches, not by the length of the files. Raises `BadFile` (one line: file, row, what, remedy):
    at once for what heads and first rows tell, from `events` for the rest.
    """
    if not files:
        raise BadFile("no files were given")
    repairs = Repairs()
    understood = [understand(path, mapping, policy, limits) for path in files]
    _require_one_price(understood)
    repairs.notes += [
        f"{file.path.name}: dates without a time zone are taken as UTC" for file in understood if file.is_taken_as_utc
    ]
    of_a_kind = sorted(understood, key=lambda file: (file.instrument, file.kind.value, file.first, file.path.name))
    rows = [
        Parts(tuple(parts), policy, limits, repairs)
        for _, parts in groupby(of_a_kind, key=attrgetter("instrument", "kind"))
    ]
    return Market(_begun(rows), tuple(sorted({file.instrument for file in understood})), repairs, tuple(understood))


def _begun(rows: Sequence[Parts]) -> Iterator[list[Event]]:
    yield from merged([Stream(parts.lists()) for parts in rows])


def _require_one_price(files: Sequence[MarketFile]) -> None:
    """Refuse what would tell an instrument's price twice: bars of two lengths, or bars beside trades or quotes."""
    known: dict[InstrumentId, MarketFile] = {}
    for file in files:
        other = known.setdefault(file.instrument, file)
        if file.interval is not other.interval:
            raise BadFile(
                f"{file.path.name}: it tells {_said(file)} of {file.instrument}, and {other.path.name} tells "
                f"{_said(other)}: give one of them"
            )


def _said(file: MarketFile) -> str:
    return file.kind.value if file.interval is None else f"{file.interval.value} bars"
