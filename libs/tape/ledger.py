"""Know that the ledger holds a message: what it holds is on disk."""

import asyncio
import logging
import time

from nats.aio.client import Client
from nats.errors import Error as NatsError

from tape.headers import STREAM_SOURCE
from tape.streams import LEDGER, api, source_position

logger = logging.getLogger(__name__)

ANSWER_WITHIN_S = 1.0
ASK_AGAIN_AFTER_S = 0.001
ASK_AGAIN_AT_LEAST_EVERY_S = 0.05
SAY_EVERY_S = 2.0


class LedgerWatch:
    """Waits until the ledger holds a message: nothing may leave for a venue before.

    The ledger's server answers for the last message on a subject only when it has synced it, so asking is enough.
    """

    def __init__(self, nc: Client) -> None:
        self._nc = nc

    async def reached(self, subject: str, position: int) -> None:
        """Wait, for as long as it takes, until the ledger holds the message at `position` of the tape.

        `subject` is that message's own.
        """
        pause, said = ASK_AGAIN_AFTER_S, time.monotonic()
        while (held := await self._last_held(subject)) < position:
            if time.monotonic() - said > SAY_EVERY_S:
                said = time.monotonic()
                logger.warning(
                    "waiting for LEDGER to hold %s at position %s; it has got to %s", subject, position, held
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, ASK_AGAIN_AT_LEAST_EVERY_S)

    async def _last_held(self, subject: str) -> int:
        """Give the position of the last message on `subject` that the ledger holds; 0 if none, or if it is away."""
        try:
            found = await self._nc.request(api(LEDGER, f"DIRECT.GET.{LEDGER}.{subject}"), timeout=ANSWER_WITHIN_S)
        except (NatsError, TimeoutError):
            if self._nc.is_closed:
                raise
            return 0
        return source_position((found.headers or {}).get(STREAM_SOURCE, ""))
