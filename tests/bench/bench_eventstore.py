"""How near the event store comes to the bare machine: archive and rebuild as ratios of floors taken in the same run.

Run it with `python -m tests.bench.bench_eventstore`; it starts its own database.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import perf_counter

import psycopg
from psycopg import sql

from contracts.codec import decode
from contracts.event import Event
from contracts.recorded import Recorded
from eventstore.archive import Archive
from eventstore.copying import BinaryCopy
from eventstore.migrate import migrate
from eventstore.projections import PROJECTIONS
from eventstore.reader import JsonText, read
from eventstore.rebuild import rebuild
from eventstore.tables import EVENTS, MARKET_TABLE_OF, TABLES, Table
from tests.recordings import recording
from tests.servers import fresh_database, postgres_server, scratch_directory

EVENTS_PER_ROUND = 30_000
ROUNDS = 3

FOLDED_EVENTS = 160_000
"""What is rebuilt: enough that what a rebuild does once does not count."""

LEAST_RATIO = 0.3
"""Below this, something is wrong that is not the weather on the machine."""

FOLDED: frozenset[type[Event]] = frozenset().union(*(projection.handles for projection in PROJECTIONS.values()))

Rows = dict[Table, list[tuple[object, ...]]]


@dataclass(frozen=True)
class Line:
    """One thing measured beside its floor, in events/s for each round."""

    name: str
    floor: str
    rates: Sequence[float]
    floor_rates: Sequence[float]

    @property
    def ratio(self) -> float:
        return median(rate / floor for rate, floor in zip(self.rates, self.floor_rates, strict=True))

    def __str__(self) -> str:
        rate, floor = median(self.rates), median(self.floor_rates)
        return f"{self.name:<30} {rate:>9,.0f}   {self.floor:<36} {floor:>9,.0f}   {self.ratio:.2f}"


def rate(events: int, work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return events / (perf_counter() - began)


def archive_beside_copy(store_url: str, floor_url: str, batch: int) -> Line:
    """Archive the same tape as a loop that only copies ready-made rows and moves a checkpoint."""
    archive = Archive(store_url)
    rates, floors = [], []
    with psycopg.connect(floor_url, autocommit=True) as floor:
        for _ in range(ROUNDS):
            tape = recording(EVENTS_PER_ROUND, start=archive.position() + 1)
            batches = [tape[at : at + batch] for at in range(0, len(tape), batch)]
            ready = [(of_batch[-1].position, rows_of(of_batch)) for of_batch in batches]
            floors.append(rate(len(tape), partial(copy_all, floor, ready)))
            rates.append(rate(len(tape), partial(write_all, archive, batches)))
    archive.close()
    return Line(f"archive, batches of {batch:,}", "COPY of ready rows + checkpoint", rates, floors)


def rows_of(batch: Sequence[Recorded]) -> Rows:
    rows: Rows = {}
    for recorded in batch:
        table = MARKET_TABLE_OF.get(type(recorded.event), EVENTS)
        rows.setdefault(table, []).append(table.row_of(recorded))
    return rows


def write_all(archive: Archive, batches: Sequence[Sequence[Recorded]]) -> None:
    for batch in batches:
        archive.write(batch)


def copy_all(connection: psycopg.Connection, ready: Sequence[tuple[int, Rows]]) -> None:
    copies = {table: BinaryCopy(sql.Identifier(table.name), table.columns) for table in TABLES}
    for position, rows in ready:
        with connection.transaction(), connection.cursor() as cursor:
            for table, of_table in rows.items():
                copies[table].write(cursor, of_table)
            cursor.execute("UPDATE checkpoints SET position = %s WHERE name = 'archive'", [position])


def fill_with_folded(store_url: str) -> None:
    """Archive what projections are folded from, as it lies in a tape of mostly market data."""
    archive = Archive(store_url)
    kept = 0
    while kept < FOLDED_EVENTS:
        tape = recording(EVENTS_PER_ROUND, start=archive.position() + 1)
        folded = [recorded for recorded in tape if type(recorded.event) in FOLDED]
        archive.write(folded)
        kept += len(folded)
    archive.close()


def rebuild_beside_decode(store_url: str) -> Line:
    """Rebuild all projections beside a loop that reads the same events and decodes them."""
    rates, floors = [], []
    for _ in range(ROUNDS):
        began = perf_counter()
        folded = decode_all(store_url)
        floors.append(folded / (perf_counter() - began))
        reports = rebuild(store_url)
        assert all(report.equal for report in reports)
        rates.append(folded / reports[0].seconds)
    return Line("rebuild of all projections", "server-side cursor -> decode", rates, floors)


def read_beside_decode(store_url: str) -> Line:
    """Read everything back, merged, beside the same floor over the events that are decoded from JSON."""
    rates, floors = [], []
    for _ in range(ROUNDS):
        began = perf_counter()
        folded = decode_all(store_url)
        floors.append(folded / (perf_counter() - began))
        began = perf_counter()
        everything = sum(1 for _ in read(store_url))
        rates.append(everything / (perf_counter() - began))
    return Line("reader, all tables merged", "server-side cursor -> decode", rates, floors)


def decode_all(store_url: str) -> int:
    """Decode every event that a projection is folded from; says how many."""
    names = [event_type.type_name for event_type in FOLDED]
    decoded = 0
    with psycopg.connect(store_url) as connection, connection.cursor(name="floor") as cursor:
        cursor.adapters.register_loader("jsonb", JsonText)
        cursor.execute(
            "SELECT type || '.v' || version, subject, payload FROM events WHERE type = ANY(%s) ORDER BY seq",
            [names],
            binary=True,
        )
        while rows := cursor.fetchmany(5_000):
            for header, subject, payload in rows:
                decode(header, subject, payload)
            decoded += len(rows)
    return decoded


def measure() -> Iterator[Line]:
    with (
        scratch_directory() as run,
        postgres_server(run) as url,
        fresh_database(url, "bench") as store_url,
        fresh_database(url, "bench_floor") as floor_url,
        fresh_database(url, "bench_rebuild") as rebuild_url,
    ):
        for each in (store_url, floor_url, rebuild_url):
            migrate(each)
        # What is made once and kept would otherwise be looked through again and again.
        gc.collect()
        gc.freeze()
        for batch in (1_000, 5_000):
            yield archive_beside_copy(store_url, floor_url, batch)
        yield read_beside_decode(store_url)
        fill_with_folded(rebuild_url)
        yield rebuild_beside_decode(rebuild_url)


def main() -> list[Line]:
    print(f"\n{'':<30} {'events/s':>9}   {'floor':<36} {'events/s':>9}   ratio")
    lines = []
    for line in measure():
        print(line, flush=True)
        lines.append(line)
    return lines


def test_the_event_store_is_near_the_bare_machine() -> None:
    assert {line.name: line.ratio for line in main() if line.ratio < LEAST_RATIO} == {}


if __name__ == "__main__":
    main()
