"""Regime: filter every market online by the models that are believed at this position, and tell what they see."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from contracts.control import Alert
from contracts.event import Event
from contracts.market import Bar
from contracts.models import ModelPromoted, ModelPublished, ModelRetired, sha256_of
from contracts.regimes import CalibrationSet, DirectionInferred, RegimeInferred, ShadowInferred
from contracts.types import InstrumentId
from services.regime.market import Market, MarketState
from services.regime.settings import RegimeSettings
from services.regime.statements import (
    NAME,
    cold,
    contradictory,
    direction_inferred,
    regime_inferred,
    retired,
    shadow_inferred,
    tampered,
    without_bars,
)
from services.regime.work import Attendance, DirectionWork, RegimeWork, Work
from tape.component import Component, on

SECOND = 1_000_000_000
LOOK_EVERY_NS = 10 * SECOND
"""How often is looked whose bars do not come."""


@dataclass(slots=True)
class RegimeState:
    markets: dict[InstrumentId, MarketState]
    gain: float
    """Of confidence, in instruments that have none of their own in `gains`."""
    gains: dict[InstrumentId, float]
    look_at: int


class Regime(Component):
    """A model that is promoted begins with the bars that were kept, so that its first word comes with the next window.

    What a filter says hardly depends on what was before its warm-up and burn-in; so it does not matter when a model was
    promoted.
    """

    produces: ClassVar[tuple[type[Event], ...]] = (RegimeInferred, ShadowInferred, DirectionInferred, Alert)
    State = RegimeState

    def __init__(self, settings: RegimeSettings) -> None:
        super().__init__(NAME)
        self.settings = settings
        self.markets: dict[InstrumentId, Market] = {}
        self._gain = 1.0
        self._gains: dict[InstrumentId, float] = {}
        self._look_at = 0

    def state(self) -> RegimeState:
        markets = {name: market.state() for name, market in self.markets.items()}
        return RegimeState(markets, self._gain, self._gains, self._look_at)

    def restore(self, state: RegimeState) -> None:
        """Go on from `state`; there are at most as many shadows as the settings say."""
        self.markets = {name: Market.restored(name, kept, self.settings) for name, kept in state.markets.items()}
        self._gain, self._gains, self._look_at = state.gain, state.gains, state.look_at

    # -- what the market shows -----------------------------------------------------------------------------------------

    @on(Bar)
    def on_bar(self, bar: Bar) -> list[Event] | None:
        market = self._market(bar.instrument)
        market.keep(bar, self.settings)
        said: list[Event] = []
        if (regime := market.regime) is not None and regime.model.spec.interval is bar.interval:
            said += self._regime(bar, regime)
        if (direction := market.direction) is not None and direction.model.spec.interval is bar.interval:
            said += self._direction(bar, direction)
        for shadow in market.shadows:
            if shadow.model.spec.interval is bar.interval:
                said += self._shadow(bar, shadow)
        if bar.ts_init >= self._look_at:
            said += self._missing(bar, bar.ts_init - self._look_at)
            self._look_at = bar.ts_init + LOOK_EVERY_NS
        return said or None

    def _regime(self, bar: Bar, work: RegimeWork) -> Iterator[RegimeInferred]:
        work.attendance.hear(bar.ts_init)
        found = work.update(bar, self.settings)
        if found is not None:
            gain = self._gains.get(bar.instrument, self._gain)
            yield regime_inferred(bar, work, found, gain, self.settings)

    def _direction(self, bar: Bar, work: DirectionWork) -> Iterator[DirectionInferred]:
        work.attendance.hear(bar.ts_init)
        up = work.update(bar, self.settings)
        if up is not None:
            yield direction_inferred(bar, work, up)

    def _shadow(self, bar: Bar, work: RegimeWork) -> Iterator[ShadowInferred]:
        found = work.update(bar, self.settings)
        if found is not None:
            yield shadow_inferred(bar, work, found)

    def _missing(self, bar: Bar, outage: int) -> Iterator[Alert]:
        """Tell, once, of models that wait for bars while others come; after an `outage` (ns) of all they wait anew."""
        for market in self.markets.values():
            for work in market.believed():
                attendance, interval = work.attendance, work.model.spec.interval
                patience = self.settings.silent_after_s * SECOND + 2 * interval.nanos
                if outage > patience:
                    attendance.heard_at = bar.ts_init
                silent = bar.ts_init - attendance.heard_at
                if silent > patience and not attendance.is_told:
                    attendance.is_told = True
                    yield without_bars(bar, market.instrument, work, silent / SECOND)

    # -- what is believed ----------------------------------------------------------------------------------------------

    @on(ModelPublished)
    def on_published(self, said: ModelPublished) -> Iterator[Alert]:
        """Let a model run beside the one that is believed."""
        if (refusal := _refusal(said, "it does not run as a shadow")) is not None:
            yield refusal
            return
        market = self._market(said.instrument)
        if said.artifact.regime is None or _is(market.regime, said):
            return
        work = RegimeWork(said.model_id, said.artifact.regime, Attendance(said.ts_init))
        market.warm(work, self.settings)
        market.drop_shadow(said.model_id)
        market.add_shadow(work, self.settings)

    @on(ModelPromoted)
    def on_promoted(self, said: ModelPromoted) -> Iterator[Alert]:
        """Believe another model from here on; the same one just goes on."""
        market = self._market(said.instrument)
        before = market.of(said.family)
        if (refusal := _refusal(said, f"{before.model_id if before else 'none'} stays in force")) is not None:
            yield refusal
            return
        if _is(before, said):
            return
        work = _begun(said)
        if not market.warm(work, self.settings):
            yield cold(said, work, market.count_of(work.model.spec.interval))
        market.believe(work)

    @on(ModelRetired)
    def on_retired(self, said: ModelRetired) -> tuple[Alert] | None:
        """Be silent where the model that was believed is gone; one that was not is just forgotten."""
        market = self.markets.get(said.instrument)
        if market is None:
            return None
        market.drop_shadow(said.model_id)
        if not _is(market.of(said.family), said):
            return None
        market.forget(said.family)
        return (retired(said),)

    @on(CalibrationSet)
    def on_calibration(self, said: CalibrationSet) -> None:
        """Take the operator's word; on a single instrument it counts more than that on all."""
        if said.instrument is None:
            self._gain = said.confidence_gain
        else:
            self._gains[said.instrument] = said.confidence_gain

    def _market(self, instrument: InstrumentId) -> Market:
        market = self.markets.get(instrument)
        if market is None:
            market = self.markets[instrument] = Market(instrument)
        return market


def _begun(said: ModelPromoted) -> Work:
    attendance = Attendance(said.ts_init)
    if said.artifact.regime is not None:
        return RegimeWork(said.model_id, said.artifact.regime, attendance)
    assert said.artifact.direction is not None
    return DirectionWork(said.model_id, said.artifact.direction, attendance)


def _is(work: Work | None, said: ModelPublished | ModelPromoted | ModelRetired) -> bool:
    return work is not None and work.model_id == said.model_id


def _refusal(said: ModelPublished | ModelPromoted, kept: str) -> Alert | None:
    """Look at a model again before it is believed: what is here may have come another way than by the codec."""
    found = sha256_of(said.artifact)
    if found != said.sha256:
        return tampered(said, found, kept)
    wrong = said.contradiction()
    return None if wrong is None else contradictory(said, wrong, kept)
