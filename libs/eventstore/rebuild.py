"""Folds projections anew from the events, says whether they were right, and puts them in place while readers go on."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
from psycopg import Connection, errors

from eventstore.ahead import garbage_looked_for_rarely, read_ahead
from eventstore.migrate import LOCK
from eventstore.projections import PROJECTIONS
from eventstore.projections.fresh import Comparison, Difference, FreshTable
from eventstore.projections.projection import AnyProjection
from eventstore.projections.writer import ProjectionWriter
from eventstore.reader import last_position_of, read_again

SCHEMA = "hmm_rebuild"
BATCH = 2_000
"""Events folded at a time; with the few batches read ahead, the memory a rebuild takes, whatever the tape's length."""

CLOSE = 20_000
"""Positions behind the archive that are near enough to stop it and fold the rest."""

PASSES = 10
SWAP_TRIES = 20
LOCK_TIMEOUT = "2s"
RETRY_SECONDS = 0.5

Progress = Callable[[int, int], None]
"""Called with the position that was reached and the one to reach."""


class RebuildRefused(RuntimeError):
    """The rebuild cannot be done now; the projections are as they were."""


@dataclass(frozen=True)
class RebuildReport:
    """What came out for one projection; `seconds` is the whole run, since all are folded in one pass."""

    projection: str
    events: int
    seconds: float
    rows_before: int
    rows_after: int
    differing: int
    sample: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        return self.differing == 0


def rebuild(
    database_url: str, names: Sequence[str] | None = None, progress: Progress = lambda _reached, _target: None
) -> list[RebuildReport]:
    """Rebuild the named projections (None: all) and put the result in place of what was there, equal or not.

    Raises `RebuildRefused`.
    """
    chosen = _chosen(names)
    with (
        psycopg.connect(database_url, autocommit=True, application_name="hmm-rebuild") as connection,
        psycopg.connect(database_url, autocommit=True, application_name="hmm-rebuild-read") as source,
        garbage_looked_for_rarely(),
    ):
        _lock_out_others(connection)
        return _Rebuild(chosen, connection, source, progress).run()


def _chosen(names: Sequence[str] | None) -> list[AnyProjection]:
    if names is None:
        return list(PROJECTIONS.values())
    if unknown := [name for name in names if name not in PROJECTIONS]:
        raise RebuildRefused(f"no projection {', '.join(unknown)}; there are {', '.join(PROJECTIONS)}")
    return [PROJECTIONS[name] for name in dict.fromkeys(names)]


def _lock_out_others(connection: Connection) -> None:
    """Take the lock of the migrations: neither they nor another rebuild may change the tables meanwhile."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
    if row != (True,):
        raise RebuildRefused("another rebuild or a migration is running on this database; try again when it is done")


class _Rebuild:
    def __init__(
        self, projections: Sequence[AnyProjection], connection: Connection, source: Connection, progress: Progress
    ) -> None:
        self._projections = projections
        self._connection = connection
        self._source = source
        self._progress = progress
        self._tables = [FreshTable(projection, SCHEMA) for projection in projections]
        self._writer = ProjectionWriter(projections, SCHEMA)
        self._position = 0
        self._events: Counter[str] = Counter()

    def run(self) -> list[RebuildReport]:
        began = time.monotonic()
        self._make_tables()
        self._catch_up()
        comparisons = self._swap_patiently()
        self._connection.execute(f"DROP SCHEMA {SCHEMA}")
        seconds = time.monotonic() - began
        return [
            RebuildReport(
                projection=projection.name,
                events=self._events[projection.name],
                seconds=seconds,
                rows_before=comparison.rows_before,
                rows_after=comparison.rows_after,
                differing=comparison.differing,
                sample=comparison.sample,
            )
            for projection, comparison in zip(self._projections, comparisons, strict=True)
        ]

    def _make_tables(self) -> None:
        # The one that a killed rebuild left behind.
        self._connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        with self._connection.transaction():
            self._connection.execute(f"CREATE SCHEMA {SCHEMA}")
            for table in self._tables:
                table.create(self._connection)

    def _catch_up(self) -> None:
        """Fold until the archive is near; one that writes faster than we fold is stopped in the end."""
        # Nothing of this needs to survive a power cut before the swap, which waits for the disk.
        self._connection.execute("SET synchronous_commit = off")
        for _ in range(PASSES):
            target = last_position_of(self._source)
            self._fold(target)
            if last_position_of(self._source) - target <= CLOSE:
                break
        self._complete()

    def _complete(self) -> None:
        """Make the indexes, in both connections at the same time."""

        def complete(connection: Connection, tables: Sequence[FreshTable]) -> None:
            for table in tables:
                table.complete(connection)

        with ThreadPoolExecutor(1) as thread:
            half = thread.submit(complete, self._source, self._tables[1::2])
            complete(self._connection, self._tables[::2])
            half.result()

    def _fold(self, target: int) -> None:
        batches = read_again(self._source, self._position + 1, target, self._writer.handles, BATCH)
        with read_ahead(batches) as ready:
            for batch in ready:
                with self._connection.transaction(), self._connection.cursor() as cursor:
                    self._events.update(self._writer.write(cursor, batch))
                self._position = batch[-1].position
                self._progress(self._position, target)
        self._position = target
        self._progress(target, target)

    def _swap_patiently(self) -> list[Comparison]:
        """Swap as soon as no reader holds a table for longer than new readers may be kept waiting."""
        for _ in range(SWAP_TRIES):
            reached, counted = self._position, self._events.copy()
            try:
                with self._connection.transaction():
                    return self._swap()
            except errors.LockNotAvailable:
                # What was folded since then is rolled back.
                self._position, self._events = reached, counted
                time.sleep(RETRY_SECONDS)
        names = ", ".join(projection.name for projection in self._projections)
        raise RebuildRefused(f"{names}: read without a pause by somebody; end long queries and rebuild again")

    def _swap(self) -> list[Comparison]:
        """Stop the archive, fold the rest, compare and exchange, all in the transaction around this."""
        connection = self._connection
        connection.execute("SET LOCAL synchronous_commit = on")
        connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        # Whoever archives updates the checkpoints first: it waits here until we are done.
        connection.execute("LOCK TABLE checkpoints IN SHARE ROW EXCLUSIVE MODE")
        self._fold(last_position_of(self._source))
        comparisons = [table.compare(connection) for table in self._tables]
        for table in self._tables:
            table.lock_live(connection)
        for table in self._tables:
            table.take_place(connection)
        names = [projection.name for projection in self._projections]
        connection.execute(
            "INSERT INTO checkpoints (name, position) SELECT name, %s FROM unnest(%s::text[]) AS name "
            "ON CONFLICT (name) DO UPDATE SET position = excluded.position, moved_at = now()",
            [self._position, names],
        )
        return comparisons
