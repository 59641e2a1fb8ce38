"""Where orders go: to the simulated exchange, or to real ones."""

from enum import Enum

from pydantic import Field

from venues.live.settings import LiveSettings
from venues.simulated import SimulationSettings


class GatewayMode(Enum):
    SIMULATED = "simulated"
    LIVE = "live"


class GatewaySettings(SimulationSettings):
    """The knobs of the simulated exchange; `live` are those of live trading, on the tape while that is in force."""

    mode: GatewayMode = Field(default=GatewayMode.SIMULATED, description="the first switch: simulated or live")
    live: LiveSettings | None = Field(default=None, description="filled from HMM_LIVE_...: see docs/live.md")
