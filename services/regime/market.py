"""A market: the bars of an instrument that are kept, and the models that are at work on it."""

from collections.abc import Iterator
from dataclasses import dataclass

from contracts.market import Bar
from contracts.models import ModelFamily
from contracts.types import InstrumentId, Interval
from services.regime.kept import KeptBars
from services.regime.settings import RegimeSettings
from services.regime.work import DirectionWork, DirectionWorkState, RegimeWork, RegimeWorkState, Work


@dataclass(slots=True)
class MarketState:
    kept: dict[Interval, KeptBars]
    regime: RegimeWorkState | None
    direction: DirectionWorkState | None
    shadows: list[RegimeWorkState]


class Market:
    """`regime` and `direction` are believed, `shadows` are not yet: the newest comes last."""

    def __init__(self, instrument: InstrumentId) -> None:
        self.instrument = instrument
        self.kept: dict[Interval, KeptBars] = {}
        self.regime: RegimeWork | None = None
        self.direction: DirectionWork | None = None
        self.shadows: list[RegimeWork] = []

    @classmethod
    def restored(cls, instrument: InstrumentId, state: MarketState, settings: RegimeSettings) -> "Market":
        """Go on from `state`, with as many shadows as there may be now."""
        market = cls(instrument)
        market.kept = state.kept
        market.regime = None if state.regime is None else RegimeWork.restored(state.regime)
        market.direction = None if state.direction is None else DirectionWork.restored(state.direction)
        newest = state.shadows[max(len(state.shadows) - settings.shadows, 0) :]
        market.shadows = [RegimeWork.restored(shadow) for shadow in newest]
        return market

    def state(self) -> MarketState:
        return MarketState(
            self.kept,
            None if self.regime is None else self.regime.state(),
            None if self.direction is None else self.direction.state(),
            [shadow.state() for shadow in self.shadows],
        )

    def believed(self) -> Iterator[Work]:
        if self.regime is not None:
            yield self.regime
        if self.direction is not None:
            yield self.direction

    def of(self, family: ModelFamily) -> Work | None:
        """Give the model that is believed."""
        return self.regime if family is ModelFamily.REGIME else self.direction

    def believe(self, work: Work) -> None:
        if isinstance(work, RegimeWork):
            self.regime = work
            self.drop_shadow(work.model_id)
        else:
            self.direction = work

    def forget(self, family: ModelFamily) -> None:
        if family is ModelFamily.REGIME:
            self.regime = None
        else:
            self.direction = None

    def keep(self, bar: Bar, settings: RegimeSettings) -> None:
        kept = self.kept.get(bar.interval)
        if kept is None:
            kept = self.kept[bar.interval] = KeptBars()
        kept.keep(bar, min(max(settings.kept_bars, kept.wanted), settings.most_bars))

    def warm(self, work: Work, settings: RegimeSettings) -> bool:
        """Show a model that has just come the bars that it wants to begin with; say whether it knows something by them.

        They are as many whatever else is kept: what it says must not depend on who was here before.
        """
        interval = work.model.spec.interval
        kept = self.kept.setdefault(interval, KeptBars())
        wanted = min(work.warm_up + settings.burn_in * work.bars_per_observation, settings.most_bars)
        kept.wanted = max(kept.wanted, wanted)
        bars = kept.last(wanted, self.instrument, interval)
        return sum(work.update(bar, settings) is not None for bar in bars) > 0

    def count_of(self, interval: Interval) -> int:
        """Say how many bars of this interval are kept."""
        kept = self.kept.get(interval)
        return 0 if kept is None else len(kept.rows)

    def add_shadow(self, work: RegimeWork, settings: RegimeSettings) -> None:
        self.shadows.append(work)
        del self.shadows[: max(len(self.shadows) - settings.shadows, 0)]

    def drop_shadow(self, model_id: str) -> None:
        self.shadows = [shadow for shadow in self.shadows if shadow.model_id != model_id]
