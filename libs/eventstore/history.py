"""The event store as what a host reads where the tape no longer reaches back."""

import os
from collections.abc import Iterator
from heapq import merge
from operator import attrgetter

import psycopg

from contracts.control import LeaseTaken
from contracts.ownership import EventTypes
from contracts.recorded import Recorded, Unreadable
from eventstore.reader import last_position, read

_UNREADABLE = """
    SELECT seq, subject, headers, payload, reason FROM unreadable WHERE seq BETWEEN %s AND %s ORDER BY seq
"""
_FIRST_LEASE = "SELECT min(seq) FROM events WHERE type = 'LeaseTaken' AND payload ->> 'component' = %s"
_LAST_OF_RUN = """
    SELECT msg_id FROM (
        SELECT seq, msg_id FROM quotes WHERE msg_id LIKE %(pattern)s
        UNION ALL SELECT seq, msg_id FROM trades WHERE msg_id LIKE %(pattern)s
        UNION ALL SELECT seq, msg_id FROM events WHERE msg_id LIKE %(pattern)s
    ) AS said ORDER BY seq DESC LIMIT 1
"""


class StoredHistory:
    """Reads the event store at `database_url`; each call has a connection of its own."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url

    def last(self) -> int:
        return last_position(self._url)

    def read(self, start: int, stop: int, types: EventTypes | None) -> Iterator[Recorded | Unreadable]:
        """Give the events of `types` (None: all), and what is unreadable, in order."""
        return merge(self._unreadable(start, stop), read(self._url, start, stop, types), key=attrgetter("position"))

    def first_lease(self, name: str) -> LeaseTaken | None:
        with _reading(self._url) as connection:
            found = connection.execute(_FIRST_LEASE, [name]).fetchone()
        if found is None or found[0] is None:
            return None
        (recorded,) = read(self._url, found[0], found[0], (LeaseTaken,))
        assert isinstance(recorded.event, LeaseTaken)
        return recorded.event

    def last_id_of(self, run: str) -> str | None:
        """Give the id of the last message whose id begins with `run`; None if there is none."""
        pattern = run.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "/%"
        with _reading(self._url) as connection:
            found = connection.execute(_LAST_OF_RUN, {"pattern": pattern}).fetchone()
        return None if found is None else str(found[0])

    def _unreadable(self, start: int, stop: int) -> Iterator[Unreadable]:
        with _reading(self._url) as connection:
            rows = connection.execute(_UNREADABLE, [start, stop]).fetchall()
        return (Unreadable(seq, subject, headers, bytes(payload), why) for seq, subject, headers, payload, why in rows)


def stored_history() -> StoredHistory | None:
    """Give the history that `HMM_DATABASE_URL` names; None without one."""
    url = os.environ.get("HMM_DATABASE_URL")
    return StoredHistory(url) if url else None


def _reading(url: str) -> psycopg.Connection:
    return psycopg.connect(
        url, autocommit=True, options="-c default_transaction_read_only=on", application_name="hmm-history"
    )
