"""Watch how much room the tape has left for what is not archived yet: nothing may be lost to its limits."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import StreamInfo
from nats.js.errors import NotFoundError

from contracts.codec import encode
from contracts.control import Alert, GuardSet
from contracts.event import Event
from contracts.types import Severity, TradingState
from services.archive.settings import ArchiveSettings
from tape.headers import new_trace, write_headers
from tape.lookup import age_s, last_event
from tape.provision import TAPE
from tape.publisher import Publisher

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
NAME = "archive"


@dataclass(frozen=True)
class Limits:
    """What the tape keeps at most: `age_s` seconds, `size` bytes; None is no limit."""

    age_s: float | None
    size: int | None


@dataclass(frozen=True)
class Backlog:
    """What is on the tape and not in the event store: how old its first message is, and the bytes it fills."""

    age_s: float
    size: float


def used(backlog: Backlog, limits: Limits) -> float:
    """Give the share of the nearer limit that the backlog fills: at 1 the tape forgets what nobody has kept."""
    by_age = backlog.age_s / limits.age_s if limits.age_s else 0.0
    by_size = backlog.size / limits.size if limits.size else 0.0
    return max(by_age, by_size)


def verdict(share: float, settings: ArchiveSettings, now: TradingState) -> TradingState:
    """Say whether trading may go on; it may again only when the backlog is below the alert's share."""
    if share >= settings.halt_when_used:
        return TradingState.HALTED
    return TradingState.ACTIVE if share < settings.alert_when_used else now


class RoomWatch:
    """Looks every few seconds; alerts well before the limit, halts trading before an unarchived event could expire."""

    def __init__(
        self, nc: Client, publisher: Publisher, settings: ArchiveSettings, archived: Callable[[], int]
    ) -> None:
        self._nc = nc
        self._js = nc.jetstream(timeout=5)
        self._publisher = publisher
        self._settings = settings
        self._archived = archived
        self._state = TradingState.ACTIVE
        self._alerted = False

    async def run(self) -> None:
        await self._remember()
        while True:
            try:
                await self._look()
            except (NatsError, TimeoutError) as error:
                logger.warning("nobody says how much room the tape has left (%r)", error)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _remember(self) -> None:
        """Know what we said last, perhaps in another life."""
        said = await last_event(self._nc, GuardSet, f"guard.{NAME}")
        if said is not None:
            self._state = said.state

    async def _look(self) -> None:
        info = await self._js.stream_info(TAPE)
        share = used(await self._backlog(info), _limits(info))
        text = f"what is not archived fills {share:.0%} of what the tape keeps: mend the archive"
        if share >= self._settings.alert_when_used and not self._alerted:
            await self._say(Alert, severity=Severity.CRITICAL, code="archive_behind", message=text)
        self._alerted = share >= self._settings.alert_when_used
        state = verdict(share, self._settings, self._state)
        if state is not self._state:
            await self._say(GuardSet, guard=NAME, state=state, reason=text)
        self._state = state

    async def _backlog(self, info: StreamInfo) -> Backlog:
        first = max(self._archived() + 1, info.state.first_seq)
        behind = info.state.last_seq - first + 1
        if behind <= 0:
            return Backlog(0.0, 0.0)
        size = info.state.bytes * behind / max(info.state.messages, 1)
        return Backlog(await self._age_s(first), size)

    async def _age_s(self, position: int) -> float:
        try:
            return age_s((await self._js.get_msg(TAPE, position, direct=True)).headers or {})
        except NotFoundError:
            return 0.0

    async def _say(self, event_type: type[Event], **fields: object) -> None:
        now = time.time_ns()
        names = {"component": NAME} if event_type is Alert else {}
        event = event_type(ts_event=now, ts_init=now, **names, **fields)
        headers = write_headers(event, f"{NAME}/room-{now}", None, now, new_trace(now, 1))
        await self._publisher.publish(event_type.subject_of(event), encode(event), headers)


def _limits(info: StreamInfo) -> Limits:
    age, size = info.config.max_age or 0, info.config.max_bytes or 0
    return Limits(age if age > 0 else None, size if size > 0 else None)
