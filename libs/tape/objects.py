"""Large things beside the tape: bytes under a name in a NATS object store, read and written without consumers.

The layout is that of the NATS object store, so that `nats object ls` and `get` work. nats-py's own store reads through
consumers, which roles may not make; a direct get of each part is enough, and as strict.
"""

import asyncio
import base64
import hashlib
import json
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NothingCame
from nats.js.errors import APIError

Bucket = Literal["chunks", "models"]

PART_BYTES = 128 * 1024
ANSWER_WITHIN_S = 3.0
TRY_AGAIN_AFTER_S = 0.5
GIVE_UP_AFTER_S = 60.0
"""Within the time in which the server knows a repeated part by its id."""

NOBODY_FOR_S = 2.0
"""So long after its start a server may not know its streams yet; after that there is no such bucket."""
SILENT_FOR_S = 20.0

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGEST = "SHA-256="
_NOT_FOUND = "404"


class ObjectMissing(RuntimeError):
    """There is no object of that name."""


class ObjectDamaged(RuntimeError):
    """An object is not what was put there: the text says in what."""


class ObjectsAway(RuntimeError):
    """The server does not answer for a bucket, or has none of that name."""


@dataclass(frozen=True, slots=True)
class _Description:
    """What the store says of an object: on which subject its parts lie, how many bytes, and their digest."""

    parts: str
    size: int
    digest: str


class Objects:
    """One bucket. An object whose name is a SHA-256 has to be the bytes with that hash."""

    def __init__(self, nc: Client, bucket: Bucket) -> None:
        self._nc = nc
        self._bucket = bucket
        self._direct = f"$JS.API.DIRECT.GET.OBJ_{bucket}"

    async def put(self, name: str, data: bytes, description: str = "") -> None:
        """Keep `data` as `name`; it is there when this returns. The same again changes nothing.

        Parts of an attempt that was broken off stay behind unseen. Raises `ObjectsAway`.
        """
        digest = _digest_of(data)
        found = await self._describe(name)
        if found is not None and (found.size, found.digest) == (len(data), digest):
            return
        nuid = self._nc._nuid.next().decode()  # noqa: SLF001 # as nats-py's own store names the parts
        subject = f"$O.{self._bucket}.C.{nuid}"
        parts = [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)]
        for number, part in enumerate(parts):
            await self._publish(subject, part, {"Nats-Msg-Id": f"{nuid}/{number}"})
        document = {
            "name": name,
            "description": description,
            "options": {"max_chunk_size": PART_BYTES},
            "bucket": self._bucket,
            "nuid": nuid,
            "size": len(data),
            "chunks": len(parts),
            "digest": digest,
            "mtime": datetime.now(UTC).isoformat(),
        }
        await self._publish(self._meta(name), json.dumps(document).encode(), {"Nats-Rollup": "sub"})

    async def get(self, name: str) -> bytes:
        """Give the bytes of `name`. Raises `ObjectMissing`, `ObjectDamaged`, `ObjectsAway`."""
        described = await self._describe(name)
        if described is None:
            raise ObjectMissing(f"{self._bucket}: there is no object {name}")
        data = await self._read(described)
        if len(data) != described.size:
            raise ObjectDamaged(f"{self._bucket}: {name} has {len(data)} bytes of {described.size}")
        if _digest_of(data) != described.digest:
            raise ObjectDamaged(f"{self._bucket}: {name} was changed: its bytes do not have the digest it was put with")
        if _SHA256.fullmatch(name) and hashlib.sha256(data).hexdigest() != name:
            raise ObjectDamaged(f"{self._bucket}: {name} was replaced: its bytes do not have the hash it is named by")
        return data

    async def has(self, name: str) -> bool:
        """Say whether there is an object of that name. Raises `ObjectsAway`."""
        return await self._describe(name) is not None

    async def _describe(self, name: str) -> _Description | None:
        found = await self._stored({"last_by_subj": self._meta(name)})
        if found is None:
            return None
        try:
            document = json.loads(found.data)
            if document.get("deleted"):
                return None
            return _Description(
                f"$O.{self._bucket}.C.{document['nuid']}", int(document["size"]), str(document["digest"])
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ObjectDamaged(f"{self._bucket}: what is said of {name} cannot be read ({error!r})") from None

    async def _read(self, described: _Description) -> bytes:
        """Read part after part, until there are enough bytes or no more parts."""
        data = bytearray()
        sequence = 1
        while len(data) < described.size:
            part = await self._stored({"seq": sequence, "next_by_subj": described.parts})
            if part is None:
                break
            data += part.data
            sequence = int((part.headers or {})["Nats-Sequence"]) + 1
        return bytes(data)

    async def _stored(self, request: dict[str, Any]) -> Msg | None:
        """Get one stored message, also over a short absence of the server; None if there is none."""
        reply = await self._asked(json.dumps(request).encode())
        headers = reply.headers or {}
        if headers.get("Status") == _NOT_FOUND:
            return None
        if "Nats-Sequence" not in headers:
            said = headers.get("Description") or headers.get("Status")
            raise ObjectsAway(f"the server does not give from the bucket {self._bucket}: {said}")
        return reply

    async def _asked(self, request: bytes) -> Msg:
        began = time.monotonic()
        while True:
            try:
                return await self._nc.request(self._direct, request, timeout=ANSWER_WITHIN_S)
            except (NoRespondersError, NothingCame) as error:
                patience = NOBODY_FOR_S if isinstance(error, NoRespondersError) else SILENT_FOR_S
                if self._nc.is_closed or time.monotonic() - began > patience:
                    raise ObjectsAway(
                        f"the server does not answer for the bucket {self._bucket} ({type(error).__name__}): is it "
                        "there? hmm provision makes what is missing"
                    ) from None
            await asyncio.sleep(TRY_AGAIN_AFTER_S)

    async def _publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> None:
        """Put a message into the bucket, also over a short absence of the server."""
        until = time.monotonic() + GIVE_UP_AFTER_S
        while True:
            try:
                await self._nc.jetstream(timeout=ANSWER_WITHIN_S).publish(subject, payload, headers=headers)
                return
            except APIError as error:
                raise ObjectsAway(f"the bucket {self._bucket} does not take {subject}: {error.description}") from None
            except (NatsError, TimeoutError) as error:
                if self._nc.is_closed or time.monotonic() > until:
                    raise ObjectsAway(f"the bucket {self._bucket} did not take {subject}: {error!r}") from None
            await asyncio.sleep(TRY_AGAIN_AFTER_S)

    def _meta(self, name: str) -> str:
        return f"$O.{self._bucket}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"


def _digest_of(data: bytes) -> str:
    """Write a digest as the NATS object store does."""
    return _DIGEST + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()
