"""The right to write under a name: one instance holds it and keeps saying so, another takes it when that ends.

The key-value lease decides who *tries*; who *may* is decided by the tape: whoever holds the lease puts a `LeaseTaken`
on it, and each of its messages demands that this is still the last one of its name. So a holder that slept through its
lease is refused by the server, whatever the clocks say.
"""

import asyncio
import logging
import os
import socket
import time

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NotFoundError
from pydantic import BaseModel, ValidationError

from contracts.codec import encode
from contracts.control import LeaseTaken
from tape.headers import MSG_ID, Fence, new_trace, write_headers
from tape.lookup import age_s, last_message

logger = logging.getLogger(__name__)

HEARTBEAT_S = 0.4
EXPIRES_AFTER_S = 1.5
LOOK_AGAIN_AFTER_S = 0.05
TIMEOUT_S = 5.0
WRONG_LAST_SEQUENCE = 10071
RENEW_FENCE_AFTER_S = 3600.0
"""A fence is a message on the tape, and the tape forgets: long before that a new one is put there."""


class LeaseLost(RuntimeError):
    """Somebody else holds the lease now."""


class Hold(BaseModel):
    """What the key-value store keeps: who holds the lease; nobody when it was given back."""

    instance: str | None


def this_instance() -> str:
    """Name this process as no other ever was."""
    return f"{socket.gethostname()[:40]}-{os.getpid()}-{time.time_ns()}"


class Lease:
    """One name's lease, as one instance sees it."""

    def __init__(self, nc: Client, name: str, instance: str) -> None:
        self.name = name
        self._nc = nc
        self._instance = instance
        self._subject = f"$KV.leases.{name}"
        self._revision = 0
        self._given_back = asyncio.Event()
        self._heard_at = 0.0

    async def try_take(self) -> bool:
        """Take the lease if nobody holds it, or whoever did has fallen silent."""
        revision, holder, age_s = await self._look()
        if holder not in (None, self._instance) and age_s < EXPIRES_AFTER_S:
            return False
        return await self._put(Hold(instance=self._instance), revision)

    async def take(self) -> None:
        """Wait until the lease is ours; a holder that gives it back is followed at once."""
        subscription = await self._nc.subscribe(self._subject, cb=self._on_hold)
        try:
            while not await self._tried():
                await self._until_worth_trying()
        finally:
            await _unsubscribed(self._nc, subscription)

    async def renew(self) -> None:
        """Say that we are still there; returns when the server has heard it. Raises `LeaseLost`."""
        while True:
            try:
                if await self._put(Hold(instance=self._instance), self._revision):
                    return
                revision, holder, _ = await self._look()
            except (NatsError, TimeoutError) as error:
                logger.debug("the lease of %s cannot be renewed (%r): trying again", self.name, error)
                await asyncio.sleep(HEARTBEAT_S)
                continue
            if holder != self._instance:
                raise LeaseLost(f"{holder or 'nobody'} holds the lease of {self.name}, and no longer {self._instance}")
            self._revision = revision  # our own message, whose acknowledgement was lost

    async def keep(self) -> None:
        """Renew for ever. Raises `LeaseLost`."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await self.renew()

    async def give_back(self) -> None:
        """Let the next one take it at once, if it is ours; without a server it expires."""
        if not self._revision:
            return
        try:
            await self._put(Hold(instance=None), self._revision)
        except (NatsError, TimeoutError) as error:
            logger.info("the lease of %s is left to expire: %r", self.name, error)

    async def _tried(self) -> bool:
        try:
            return await self.try_take()
        except (NatsError, TimeoutError) as error:
            logger.warning("nobody says who holds the lease of %s (%r): trying again", self.name, error)
            return False

    async def _until_worth_trying(self) -> None:
        """Return when the lease was given back, or when nothing was heard of its holder for too long."""
        self._given_back.clear()
        self._heard_at = max(self._heard_at, time.monotonic() - EXPIRES_AFTER_S + LOOK_AGAIN_AFTER_S)
        while (left := self._heard_at + EXPIRES_AFTER_S - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._given_back.wait()
                    return
            except TimeoutError:
                continue

    async def _on_hold(self, message: Msg) -> None:
        self._heard_at = time.monotonic()
        if _holder(message.data) is None:
            self._given_back.set()

    async def _look(self) -> tuple[int, str | None, float]:
        """Give revision, holder and age of what the store has; the age only says whether taking it is worth a try."""
        try:
            found = await self._nc.jetstream(timeout=TIMEOUT_S).get_msg("KV_leases", subject=self._subject, direct=True)
        except NotFoundError:
            return 0, None, 0.0
        return found.seq or 0, _holder(found.data or b""), age_s(found.headers or {})

    async def _put(self, hold: Hold, revision: int) -> bool:
        headers = {"Nats-Expected-Last-Subject-Sequence": str(revision)}
        js = self._nc.jetstream(timeout=TIMEOUT_S)
        try:
            ack = await js.publish(self._subject, hold.model_dump_json().encode(), headers=headers)
        except APIError as error:
            if error.err_code != WRONG_LAST_SEQUENCE:
                raise
            return False
        self._revision = ack.seq
        return True


async def announce(
    nc: Client, name: str, instance: str, settings: str, number: int, renewed: Fence | None = None
) -> Fence:
    """Put on the tape that `instance` writes as `name` from now on, and give the fence for all that it will say.

    `number` counts the announcements of this instance; `renewed` is the fence that the new one stands in for. Raises
    `LeaseLost` when another instance was faster, or has come since.
    """
    now = time.time_ns()
    lease = LeaseTaken(ts_event=now, ts_init=now, component=name, instance=instance, settings=settings)
    subject, msg_id = LeaseTaken.subject_of(lease), f"{name}/lease/{instance}-{number}"
    js = nc.jetstream(timeout=TIMEOUT_S)
    while True:
        before, headers = await last_message(nc, subject)
        if headers.get(MSG_ID) == msg_id:  # our own, whose acknowledgement was lost
            return Fence(subject, before)
        if renewed is not None and before != renewed.position:
            raise LeaseLost(f"another instance of {name} has begun to write")
        fenced = write_headers(lease, msg_id, None, now, new_trace(now, number)) | Fence(subject, before).headers
        try:
            return Fence(subject, (await js.publish(subject, encode(lease), headers=fenced)).seq)
        except APIError as error:
            if error.err_code != WRONG_LAST_SEQUENCE:
                raise
            _, headers = await last_message(nc, subject)
            if headers.get(MSG_ID) != msg_id:
                raise LeaseLost(f"another instance of {name} has begun to write") from None
        except (NatsError, TimeoutError) as error:
            logger.warning("%s cannot announce itself on the tape (%r): trying again", name, error)
            await asyncio.sleep(HEARTBEAT_S)


def _holder(payload: bytes) -> str | None:
    try:
        return Hold.model_validate_json(payload).instance
    except ValidationError:
        return None


async def _unsubscribed(nc: Client, subscription: Subscription) -> None:
    if not nc.is_closed:
        await subscription.unsubscribe()
