"""Know how far the ledger has got: what it holds is on disk."""

import asyncio
import logging
from collections.abc import Sequence

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from tape.headers import STREAM_SOURCE
from tape.provision import LEDGER, source_position

logger = logging.getLogger(__name__)

ASK_AGAIN_AFTER_S = 2.0


class LedgerWatch:
    """Waits until the ledger holds a tape position: nothing may leave for a venue before."""

    def __init__(self, nc: Client, subjects: Sequence[str]) -> None:
        self._nc = nc
        self._subjects = list(subjects)
        self._subscription: Subscription | None = None
        self._moved = asyncio.Event()
        self.position = 0

    async def start(self) -> None:
        if self._subscription is not None:
            await self._subscription.unsubscribe()
        inbox = self._nc.new_inbox()
        self._subscription = await self._nc.subscribe(inbox, cb=self._on_message)
        await self._nc.jetstream(timeout=10).add_consumer(
            LEDGER,
            ConsumerConfig(
                deliver_subject=inbox,
                filter_subjects=self._subjects,
                deliver_policy=DeliverPolicy.LAST,
                ack_policy=AckPolicy.NONE,
                inactive_threshold=30.0,
            ),
        )

    async def reached(self, position: int) -> None:
        """Wait until the ledger holds the tape up to `position`, of the subjects that are watched."""
        while self.position < position:
            self._moved.clear()
            try:
                async with asyncio.timeout(ASK_AGAIN_AFTER_S):
                    await self._moved.wait()
            except TimeoutError:
                logger.warning("the ledger has not reached position %s yet: asking again", position)
                await self.start()

    async def _on_message(self, message: Msg) -> None:
        self.position = max(self.position, source_position((message.headers or {}).get(STREAM_SOURCE, "")))
        self._moved.set()

    async def stop(self) -> None:
        if self._subscription is not None and not self._nc.is_closed:
            await self._subscription.unsubscribe()
