"""A connection to the NATS server for the length of one command."""

import os

from nats.aio.client import Client
from nats.errors import Error as NatsError


class Unreachable(Exception):
    """There is no NATS server at that address, or it does not let us in; the text says which and why."""


async def connect(url: str, *, timeout_seconds: int = 2) -> Client:
    """Connect at once or not at all: by itself the client would try for two minutes."""
    reasons: list[Exception] = []

    async def remember(error: Exception) -> None:
        reasons.append(error)

    client = Client()
    try:
        await client.connect(
            url,
            name="hmm",
            connect_timeout=timeout_seconds,
            allow_reconnect=False,
            max_reconnect_attempts=1,  # 0 would be no limit
            reconnect_time_wait=0,
            error_cb=remember,
        )
    except (OSError, NatsError, ValueError) as error:
        raise Unreachable(f"no answer from {url}: {_in_words(reasons[0] if reasons else error)}") from None
    return client


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
