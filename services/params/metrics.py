"""What is selected how often, and what is believed of it."""

from prometheus_client import Counter, Gauge

from contracts.event import Event
from contracts.presets import PresetSelected
from tape.blueprint import Observers

SELECTIONS = Counter("preset_selections_total", "Selections of a preset", ["strategy", "regime", "preset"])
MEAN = Gauge(
    "preset_reward_mean", "Reward believed of a preset, in deviations of returns", ["strategy", "regime", "preset"]
)


def observe() -> Observers:
    return {PresetSelected: _on_selected}


def _on_selected(event: Event, _since_origin_ms: float | None) -> None:
    assert isinstance(event, PresetSelected)
    SELECTIONS.labels(event.strategy, event.regime, event.preset).inc()
    for arm in event.arms:
        MEAN.labels(event.strategy, event.regime, arm.preset).set(arm.mean)
