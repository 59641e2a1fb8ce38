"""How fast a feed may go: with the clock, or as fast as the slowest reader of the tape follows."""

import asyncio
import logging
import time
from typing import Protocol

from nats.aio.client import Client
from nats.errors import Error as NatsError
from pydantic_core import from_json

from contracts.ownership import ROLES
from tape.provision import TAPE

logger = logging.getLogger(__name__)

ASK_EVERY = 500
"""Events between two questions to the server about who is behind."""
ASK_AGAIN_AFTER_S = 0.01
COMPLAIN_AFTER_S = 5.0
GIVE_UP_AFTER_S = 60.0


class Pace(Protocol):
    async def wait(self, event_ns: int, /) -> None:
        """Return when an event of this time may go onto the tape."""


class ClockPace:
    """Plays events `times_faster` than they happened."""

    def __init__(self, times_faster: float) -> None:
        self._times_faster = times_faster
        self._began: tuple[float, int] | None = None

    async def wait(self, event_ns: int) -> None:
        if self._began is None:
            self._began = (time.monotonic(), event_ns)
        wall, first_ns = self._began
        due = wall + (event_ns - first_ns) / 1e9 / self._times_faster
        ahead = due - time.monotonic()
        if ahead > 0.001:
            await asyncio.sleep(ahead)


class ReaderPace:
    """Lets events go as fast as every reader on the tape stays within `max_lag` of its end."""

    def __init__(self, nc: Client, max_lag: int) -> None:
        self._nc = nc
        self._max_lag = max_lag
        self._since_asked = 0
        self._given_up: set[str] = set()

    async def wait(self, _event_ns: int) -> None:
        self._since_asked += 1
        if self._since_asked < ASK_EVERY:
            return
        self._since_asked = 0
        began, complained = time.monotonic(), False
        while behind := await self._behind():
            waited = time.monotonic() - began
            if waited > GIVE_UP_AFTER_S:
                logger.error("going on without %s, which did not follow for %.0f s", ", ".join(behind), waited)
                self._given_up.update(behind)
            elif waited > COMPLAIN_AFTER_S and not complained:
                complained = True
                logger.warning("waiting for %s to follow", ", ".join(behind))
            await asyncio.sleep(ASK_AGAIN_AFTER_S)

    async def _behind(self) -> dict[str, int]:
        """Ask once for all consumers, and read only three numbers of each: this is asked many times a second."""
        try:
            reply = await self._nc.request(f"$JS.API.CONSUMER.LIST.{TAPE}", timeout=10)
        except NatsError as error:  # the publisher waits for a server that is away
            logger.warning("nobody says who is behind (%r)", error)
            return {}
        behind = {}
        for info in from_json(reply.data).get("consumers") or ():
            name, lag = info["name"], info["num_pending"] + info["num_ack_pending"]
            began = info["delivered"]["consumer_seq"] > 0
            if lag > self._max_lag and began and name in ROLES and name not in self._given_up:
                behind[name] = lag
        return behind
