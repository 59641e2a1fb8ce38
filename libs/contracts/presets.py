"""Presets: bounded ways to trade a strategy, and which of them experience prefers in which regime."""

from typing import Annotated

from pydantic import Field

from contracts.event import Event, event, record
from contracts.types import Instrument, Name, Text

Scale = Annotated[float, Field(ge=0.1, le=5)]


@record
class Preset:
    """Factors on a strategy's own settings; 1 leaves them as they are."""

    size: Scale = 1.0
    stop: Scale = 1.0
    """Distance of the protective stop."""
    target: Scale = 1.0
    """Distance of the target."""
    threshold: Scale = 1.0
    """How strong a signal must be."""
    cooldown: Scale = 1.0
    """The pause after a trade."""


@record
class Arm:
    """What is believed of a preset in a regime: rewards are returns in units of their own deviation.

    `trades` are discounted: what is long ago counts less. `sampled` decided.
    """

    preset: Name
    trades: Annotated[float, Field(ge=0)]
    mean: float
    deviation: Annotated[float, Field(ge=0)]
    sampled: float


@event("preset.selected.{strategy}.{instrument}")
class PresetSelected(Event):
    """From here on a strategy opens positions in an instrument by this preset; `arms` tell why, unless `pinned`."""

    strategy: Name
    instrument: Instrument
    regime: Name
    preset: Name
    settings: Preset
    arms: tuple[Arm, ...]
    pinned: bool = False


@event("control.preset")
class PresetPinned(Event):
    """The operator chooses a strategy's preset himself, or (None) leaves it to experience again."""

    strategy: Name
    preset: Name | None
    operator: Name
    reason: Text
