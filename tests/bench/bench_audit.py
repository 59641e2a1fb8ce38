"""How fast the past is judged: an audit from the event store beside a loop that only reads and decodes the same.

Run it with `python -m tests.bench.bench_audit`; it starts its own database.
"""

import asyncio
import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import psycopg
from psycopg import sql

from contracts.ownership import ROLES
from eventstore.archive import Archive
from eventstore.migrate import migrate
from eventstore.reader import JsonText
from eventstore.tables import EVENTS, MARKET_TABLE_OF, Table
from services.catalog import BLUEPRINTS
from services.cli.audit import judge
from services.cli.record import BATCH, Source
from services.cli.settings import StackSettings
from tests.played import SETTINGS, market, played
from tests.servers import fresh_database, postgres_server, scratch_directory

MARKET_EVENTS = 150_000
QUOTES_PER_S = 40.0
ROUNDS = 3
FLOOR = "server-side cursor -> decode"

READS_QUOTES = ("trend", "portfolio", "risk")
LEAST_RATIO = {"one": 0.25, "all": 0.1}
"""Below this, something is wrong that is not the weather on the machine. All components share one reading."""


@dataclass(frozen=True)
class Line:
    """Components judged in one pass beside their floor, in events/s for each round."""

    names: Sequence[str]
    rates: Sequence[float]
    floor_rates: Sequence[float]

    @property
    def ratio(self) -> float:
        return median(rate / floor for rate, floor in zip(self.rates, self.floor_rates, strict=True))

    @property
    def least(self) -> float:
        return LEAST_RATIO["one" if len(self.names) == 1 else "all"]

    def __str__(self) -> str:
        what = self.names[0] if len(self.names) == 1 else f"all {len(self.names)} in one pass"
        rate, floor = median(self.rates), median(self.floor_rates)
        return f"audit of {what:<21} {rate:>9,.0f}   {FLOOR:<36} {floor:>9,.0f}   {self.ratio:.2f}"


def wanted_tables(names: Sequence[str]) -> dict[Table, list[str]]:
    """Name the tables that hold what components read and write, and the types wanted from `events`."""
    types = {event_type for name in names for event_type in (*ROLES[name].reads, *ROLES[name].all_writes)}
    tables: dict[Table, list[str]] = {}
    for event_type in types:
        tables.setdefault(MARKET_TABLE_OF.get(event_type, EVENTS), []).append(event_type.type_name)
    return tables


def decode_all(store_url: str, names: Sequence[str]) -> tuple[int, float]:
    """Read and decode, table by table, what these components read and write: how many, and how many a second."""
    decoded, began = 0, perf_counter()
    with psycopg.connect(store_url) as connection:
        for table, types in wanted_tables(names).items():
            query = sql.SQL("SELECT {} FROM {} {} ORDER BY seq").format(
                sql.SQL(", ").join(map(sql.Identifier, table.read_columns)),
                sql.Identifier(table.name),
                sql.SQL("WHERE type = ANY(%s)" if table is EVENTS else ""),
            )
            with connection.cursor(name="floor") as cursor:
                cursor.adapters.register_loader("jsonb", JsonText)
                cursor.execute(query, [types] if table is EVENTS else [], binary=True)
                while rows := cursor.fetchmany(BATCH):
                    decoded += len(list(map(table.recorded_of, rows)))
    return decoded, decoded / (perf_counter() - began)


def audit_beside_decode(store_url: str, names: Sequence[str]) -> Line:
    stack = StackSettings.model_validate({"HMM_DATABASE_URL": store_url})
    settings = {name: SETTINGS[name] for name in names}
    rates, floors = [], []
    for _ in range(ROUNDS):
        events, floor = decode_all(store_url, names)
        outcome = asyncio.run(judge(stack, Source.STORE, settings, frozenset(), None, None))
        assert outcome.diverging == 0
        assert all(verdict.compared for verdict in outcome.verdicts)
        floors.append(floor)
        rates.append(events / outcome.seconds)
    return Line(names, rates, floors)


def fill(store_url: str) -> None:
    migrate(store_url)
    tape = played(market(MARKET_EVENTS, quotes_per_s=QUOTES_PER_S)).tape
    archive = Archive(store_url)
    for at in range(0, len(tape), 10_000):
        archive.write(tape[at : at + 10_000])
    archive.close()
    with psycopg.connect(store_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")  # as the autovacuum of a store that is not new has done


def measure() -> Iterator[Line]:
    with scratch_directory() as run, postgres_server(run) as url, fresh_database(url, "bench_audit") as store_url:
        fill(store_url)
        gc.collect()
        gc.freeze()
        for name in READS_QUOTES:
            yield audit_beside_decode(store_url, [name])
        yield audit_beside_decode(store_url, list(BLUEPRINTS))


def main() -> list[Line]:
    print(f"\n{'':<30} {'events/s':>9}   {'floor':<36} {'events/s':>9}   ratio")
    lines = []
    for line in measure():
        print(line, flush=True)
        lines.append(line)
    return lines


def test_an_audit_is_not_much_slower_than_reading() -> None:
    assert [str(line) for line in main() if line.ratio < line.least] == []


if __name__ == "__main__":
    main()
