"""presets: by which preset each strategy opened positions, why, and what the operator pinned."""

import json
from dataclasses import asdict
from enum import Enum
from typing import ClassVar, NamedTuple

from contracts.ownership import EventTypes
from contracts.presets import PresetPinned, PresetSelected
from contracts.recorded import Recorded
from eventstore.instruments import venue_and_symbol
from eventstore.projections.projection import Journal


class PresetStep(Enum):
    SELECTED = "selected"
    PINNED = "pinned"


class PresetRow(NamedTuple):
    """A pin is for all instruments, and its `preset` is None where it was lifted; `settings` and `arms` are JSON."""

    position: int
    cause: int | None
    step: PresetStep
    strategy: str
    venue: str | None
    symbol: str | None
    regime: str | None
    preset: str | None
    pinned: bool
    settings: str | None
    arms: str | None
    operator: str | None
    reason: str | None
    ts_init: int


class Presets(Journal[PresetRow]):
    name = "presets"
    row = PresetRow
    handles: ClassVar[EventTypes] = (PresetSelected, PresetPinned)

    def row_of(self, recorded: Recorded) -> PresetRow:
        event = recorded.event
        if isinstance(event, PresetPinned):
            return _pinned(recorded, event)
        assert isinstance(event, PresetSelected)
        venue, symbol = venue_and_symbol(event.instrument)
        return PresetRow(
            position=recorded.position,
            cause=recorded.cause,
            step=PresetStep.SELECTED,
            strategy=event.strategy,
            venue=venue,
            symbol=symbol,
            regime=event.regime,
            preset=event.preset,
            pinned=event.pinned,
            settings=json.dumps(asdict(event.settings)),
            arms=json.dumps([asdict(arm) for arm in event.arms]),
            operator=None,
            reason=None,
            ts_init=event.ts_init,
        )


def _pinned(recorded: Recorded, event: PresetPinned) -> PresetRow:
    return PresetRow(
        position=recorded.position,
        cause=recorded.cause,
        step=PresetStep.PINNED,
        strategy=event.strategy,
        venue=None,
        symbol=None,
        regime=None,
        preset=event.preset,
        pinned=event.preset is not None,
        settings=None,
        arms=None,
        operator=event.operator,
        reason=event.reason,
        ts_init=event.ts_init,
    )
