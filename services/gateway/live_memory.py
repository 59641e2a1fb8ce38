"""What the live gateway knows, as it is kept between two runs: folded from the tape, and kept now and then."""

import hashlib
import logging
from dataclasses import dataclass, field

from nats.aio.client import Client
from pydantic import TypeAdapter, ValidationError

from contracts.types import InstrumentId, InstrumentState
from tape.keeping import SnapshotKeeper
from tape.snapshot import Snapshot
from venues.reconciliation.account import AccountState
from venues.reconciliation.register import RegisterState

logger = logging.getLogger(__name__)

VERSION = 1


@dataclass(slots=True)
class LiveState:
    """By venue: its orders, and its account; `began`: when the gateway was first live (ns)."""

    began: int = 0
    registers: dict[str, RegisterState] = field(default_factory=dict)
    accounts: dict[str, AccountState] = field(default_factory=dict)
    states: dict[InstrumentId, InstrumentState] = field(default_factory=dict)


_STATE = TypeAdapter(LiveState)
_SHAPE = "live-" + hashlib.sha256(repr(_STATE.json_schema(mode="validation")).encode()).hexdigest()[:16]


class Memory:
    """Keeps the state under the gateway's name, where the simulated one keeps its own: neither takes the other's."""

    def __init__(self, nc: Client, settings: str) -> None:
        self._keeper = SnapshotKeeper(nc, "gateway")
        self._settings = settings

    async def load(self) -> tuple[int, LiveState]:
        """Give the position up to which the tape is known, and what is known; (0, nothing) to begin with."""
        snapshot = await self._keeper.load()
        if snapshot is None or (snapshot.version, snapshot.shape) != (VERSION, _SHAPE):
            return 0, LiveState()
        try:
            return snapshot.position, _STATE.validate_json(snapshot.state)
        except ValidationError as error:
            logger.warning("the snapshot of the live gateway is ignored: %s errors", error.error_count())
            return 0, LiveState()

    def written(self, position: int, state: LiveState) -> Snapshot:
        """Write down what is known at this moment."""
        return Snapshot("gateway", VERSION, _SHAPE, position, self._settings, _STATE.dump_json(state))

    async def keep(self, snapshot: Snapshot) -> None:
        await self._keeper.save(snapshot)
