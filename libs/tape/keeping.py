"""Keep the snapshots of a component in the key-value store, and find the last one again."""

import logging

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from tape.snapshot import Snapshot, UnusableSnapshot, packed, read_head, unpacked

logger = logging.getLogger(__name__)

BUCKET = "KV_snapshots"
TIMEOUT_S = 5.0


class SnapshotKeeper:
    """The snapshots of one component; the last one is what counts."""

    def __init__(self, nc: Client, name: str) -> None:
        self._nc = nc
        self._name = name
        self._generation = 0

    async def load(self) -> Snapshot | None:
        """Give the last snapshot; None if there is none, or, with a warning, if it cannot be used."""
        try:
            kept = await self._get(self._name)
            if not kept:
                return None  # somebody deleted it
            head = read_head(kept)
            self._generation = int(head.parts[0].rpartition(".")[2].partition("-")[0]) if head.parts else 0
            return unpacked(head, [await self._get(key) for key in head.parts])
        except NotFoundError:
            return None
        except UnusableSnapshot as error:
            logger.warning("the snapshot of %s is ignored: %s", self._name, error)
            return None

    async def save(self, snapshot: Snapshot) -> bool:
        """Keep `snapshot`: first the parts, then the head that makes it count. False when the server is away."""
        head, parts = packed(snapshot, self._generation + 1)
        js = self._nc.jetstream(timeout=TIMEOUT_S)
        try:
            for key, part in parts:
                await js.publish(f"$KV.snapshots.{key}", part)
            await js.publish(f"$KV.snapshots.{self._name}", head)
        except (NatsError, TimeoutError) as error:
            logger.warning("the snapshot of %s at position %s is not kept: %r", self._name, snapshot.position, error)
            return False
        self._generation += 1
        return True

    async def _get(self, key: str) -> bytes:
        js = self._nc.jetstream(timeout=TIMEOUT_S)
        message = await js.get_msg(BUCKET, subject=f"$KV.snapshots.{key}", direct=True)
        return message.data or b""
