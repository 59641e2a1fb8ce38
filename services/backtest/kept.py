"""What was read once for a backtest is not read again: the same events come from a cache of decoded ones."""

import hashlib
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version

import contracts
import eventstore
import services.backtest
import services.feed
import tape
from contracts.event import Event
from eventstore.marketdata.decoded import Decoded, Told
from eventstore.marketdata.decodedcache import DecodedCache
from services.backtest.datafiles import DataFile
from services.backtest.settings import BacktestSettings, DataKind
from services.backtest.sourcecode import sha256_of
from services.backtest.sources import Reading

_CODE = (contracts, eventstore, tape, services.backtest, services.feed)
"""What has a part in reading: of a strategy that changes, the cache stays."""

READING = ("venue", "repair", "symbol", "columns", "sizes", "zone", "bar_time")
"""What of that which is asked for changes what is read; the rest is done with it afterwards."""


def key_of(kind: DataKind, data: Sequence[DataFile], record: str | None, asked: BacktestSettings) -> str:
    """Name what is read: the bytes of files in their order, or a stretch of a record, and the code that reads them."""
    document = {
        "kind": kind.value,
        "files": [[file.sha256, file.name] for file in data],
        "record": record,
        "asked": asked.model_dump(mode="json", include=set(READING)),
        "code": [version("pyarrow"), sha256_of(_CODE)],
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(slots=True)
class _Place:
    """How far the reading had come behind the events that were given last."""

    rows: int = 0
    repairs: Mapping[str, int] = field(default_factory=dict)


def kept(reading: Reading, cache: DecodedCache, key: str, asked: BacktestSettings) -> Reading:
    """Give what `reading` gives, from the cache where it is there, else into it."""
    found = cache.find(key, asked.ends_at)
    if found is None:
        told = cache.keeping(key, _told(reading))
        return Reading(_events(told), reading.rows_done, reading.repairs)
    return _again(found, asked.begins_at)


def _again(found: Decoded, begins_at: int | None) -> Reading:
    place = _Place()

    def lists() -> Generator[list[Event], None, None]:
        for told in found.told(begins_at):
            place.rows, place.repairs = told.rows, told.repairs
            if told.events:
                yield told.events
        place.rows, place.repairs = found.rows, found.repairs

    return Reading(lists(), lambda: place.rows, lambda: place.repairs)


def _told(reading: Reading) -> Iterator[Told]:
    for events in reading.lists:
        yield Told(events, reading.rows_done(), reading.repairs())
    yield Told([], reading.rows_done(), reading.repairs())


def _events(told: Generator[Told, None, None]) -> Generator[list[Event], None, None]:
    with closing(told):
        for one in told:
            if one.events:
                yield one.events
