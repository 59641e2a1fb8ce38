"""Find the last message on a subject."""

import time
from datetime import datetime
from typing import TypeVar

from nats.aio.client import Client
from nats.js.errors import NotFoundError

from contracts.codec import Undecodable, decode
from contracts.event import Event
from tape.headers import TYPE, Headers
from tape.provision import TAPE

E = TypeVar("E", bound=Event)


async def last_message(nc: Client, subject: str) -> tuple[int, Headers]:
    """Give position and headers of the last message on a subject pattern; (0, {}) if there is none."""
    try:
        message = await nc.jetstream(timeout=10).get_last_msg(TAPE, subject, direct=True)
    except NotFoundError:
        return 0, {}
    return message.seq or 0, message.headers or {}


async def last_event(nc: Client, event_type: type[E], subject: str) -> E | None:
    """Give the last event of a type on a subject pattern; None if there is none that can be read."""
    try:
        message = await nc.jetstream(timeout=10).get_last_msg(TAPE, subject, direct=True)
        event = decode((message.headers or {}).get(TYPE, ""), message.subject or "", message.data or b"")
    except (NotFoundError, Undecodable):
        return None
    return event if isinstance(event, event_type) else None


def age_s(headers: Headers) -> float:
    """How long ago the server stored a message that it was asked for, by its clock and ours; for ever if unknown."""
    try:
        stored = datetime.fromisoformat(headers["Nats-Time-Stamp"])
    except (KeyError, ValueError):
        return float("inf")
    return time.time() - stored.timestamp()
