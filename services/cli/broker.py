"""A connection to the NATS server for the length of one command."""

import os

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nkeys import NkeysError

from services.cli.settings import StackSettings


class Unreachable(Exception):
    """There is no NATS server at that address, or it does not let us in; the text says which and why."""


async def connect(settings: StackSettings, *, timeout_seconds: int = 2) -> Client:
    """Connect as the operator, at once or not at all: by itself the client would try for two minutes."""
    reasons: list[Exception] = []

    async def remember(error: Exception) -> None:
        reasons.append(error)

    url, key = settings.nats_url, settings.operator_key
    if key is not None and not os.access(key, os.R_OK):
        raise Unreachable(f"the key {key}, which would let us into {url}, is not there or not ours to read")
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
            nkeys_seed=str(key) if key else None,
        )
    except (OSError, NatsError, NkeysError, ValueError) as error:
        reason = reasons[0] if reasons else error
        if "authorization violation" in str(reason).lower():
            shown = f"as operator with the key {key}" if key else "without a key"
            raise Unreachable(
                f"{url} does not let us in {shown}: it must be started with the public key that belongs to it. Make "
                "what is missing with hmm keys, and start the server again"
            ) from None
        raise Unreachable(f"no answer from {url}: {_in_words(reason)}") from None
    return client


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
