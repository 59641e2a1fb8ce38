"""What simulated processes run: the system's own hosts and its own feed, so quick that a minute is a day."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random
from typing import Protocol

from pydantic import BaseModel

from contracts.types import Interval
from services.allocator.settings import AllocatorSettings
from services.bars.settings import BarsSettings, PriceSource
from services.catalog import BLUEPRINTS
from services.clock.settings import ClockSettings, ClockSource
from services.depeg.settings import DepegSettings
from services.drift.settings import DriftSettings
from services.feed.app import Feed
from services.feed.settings import FeedSettings
from services.funding.settings import FundingSettings
from services.gateway.settings import GatewaySettings
from services.hmm_ensemble.settings import HmmEnsembleSettings
from services.params.settings import ParamsSettings
from services.portfolio.settings import PortfolioSettings
from services.probe.settings import ProbeSettings
from services.regime.settings import RegimeSettings
from services.risk.settings import RiskSettings
from services.router.settings import RouterSettings
from services.scheduler.settings import SchedulerSettings
from services.simulator.hostile import HOSTILE, HostileSettings
from services.simulator.plan import Plan
from services.stops.settings import StopsSettings
from services.trend.settings import TrendSettings
from tape.blueprint import Blueprint
from tape.history import History
from tape.host import Host, HostState
from tape.wire import Wire
from venues.instruments import BINANCE_SPOT


class Program(Protocol):
    """What a process runs, once it is connected."""

    @property
    def state(self) -> HostState: ...

    async def start(self, wire: Wire) -> None: ...

    async def run(self) -> None: ...

    async def stop(self) -> None: ...


class Hosted:
    """A component in its host."""

    def __init__(self, blueprint: Blueprint, settings: BaseModel, history: History | None) -> None:
        self.host: Host | None = None
        self._blueprint = blueprint
        self._settings = settings
        self._history = history

    @property
    def state(self) -> HostState:
        return self.host.state if self.host else HostState.STARTING

    async def start(self, wire: Wire) -> None:
        self.host = Host(self._blueprint, self._settings, wire, self._history)
        await self.host.start()

    async def run(self) -> None:
        assert self.host is not None
        await self.host.run()

    async def stop(self) -> None:
        if self.host is not None:
            await self.host.stop()


BTC = next(iter(BINANCE_SPOT))

TREND = TrendSettings(
    interval=Interval.S1,
    fast=1,
    slow=3,
    rsi=2,
    rsi_min=0,
    rsi_max=100,
    atr=2,
    stop_atr=0.5,
    target_atr=1,
    notional=Decimal(2500),
)

ENSEMBLE = HmmEnsembleSettings(
    interval=Interval.S1,
    fast=2,
    slow=4,
    atr=2,
    threshold=0.1,
    cooldown_s=1,
    stop_atr=1,
    target_atr=1.5,
    notional=Decimal(2500),
)

SETTINGS: Mapping[str, tuple[BaseModel, ...]] = {
    "clock": (ClockSettings(source=ClockSource.MARKET),),
    "bars": (
        BarsSettings(intervals=(Interval.S1, Interval.S5), source=PriceSource.MID),
        BarsSettings(intervals=(Interval.S1, Interval.S15), source=PriceSource.MID),
    ),
    "trend": (TREND, TREND.model_copy(update={"slow": 4, "stop_atr": 1.0})),
    "risk": (RiskSettings(), RiskSettings(max_symbol_exposure=2600)),
    "router": (RouterSettings(), RouterSettings(remembered_orders=5)),
    "gateway": (GatewaySettings(latency_ms=40), GatewaySettings(latency_ms=250)),
    "portfolio": (PortfolioSettings(), PortfolioSettings(mark_every_s=3)),
    "stops": (StopsSettings(), StopsSettings(stop_bps=50)),
    "allocator": (AllocatorSettings(), AllocatorSettings(capital_each=Decimal(50_000), rebalance_every_s=5)),
    "depeg": (DepegSettings(), DepegSettings(enter_bps=30)),
    "funding": (FundingSettings(),),
    "probe": (ProbeSettings(), ProbeSettings(instruments=(BTC,), bars=Interval.S1, interval_s=2)),
    "scheduler": (SchedulerSettings(), SchedulerSettings(cron="* * * * *")),
    "regime": (
        RegimeSettings(enter=0.5, dwell=1, kept_bars=60, burn_in=4),
        RegimeSettings(dwell=2, kept_bars=30, burn_in=4),
    ),
    "drift": (DriftSettings(observations=20, stays=0, least=4, loss=4, stays_lost=0, again_s=30), DriftSettings()),
    "params": (ParamsSettings(), ParamsSettings(seed=2)),
    "hmm_ensemble": (ENSEMBLE, ENSEMBLE.model_copy(update={"slow": 5, "dry_run": True})),
}
"""The settings of each component; where people change them between two runs, the later ones are chosen too."""


class Programs:
    """Makes what a role's processes run."""

    def __init__(self, plan: Plan, random: Random, history: History | None) -> None:
        self.blueprints = {**BLUEPRINTS, "gateway": HOSTILE} if plan.hostile else dict(BLUEPRINTS)
        self._plan = plan
        self._random = random
        self._history = history

    def new(self, role: str) -> Program:
        return _FEEDS[role](self._plan) if role in _FEEDS else self._hosted(role)

    def first_settings(self, role: str) -> BaseModel:
        """Give the settings that a component begins with."""
        return self._choices(role)[0]

    def _choices(self, role: str) -> tuple[BaseModel, ...]:
        if role == "gateway" and self._plan.hostile:
            return (HostileSettings(latency_ms=40, seed=self._plan.seed), HostileSettings(seed=self._plan.seed))
        return SETTINGS[role]

    def _hosted(self, role: str) -> Hosted:
        choices = self._choices(role)
        settings = self._random.choice(choices) if self._plan.changes_settings else choices[0]
        return Hosted(self.blueprints[role], settings, self._history)


def _feed(plan: Plan) -> Feed:
    settings = FeedSettings(source="frames:simulated", speed=str(plan.speed), symbols=plan.symbols)
    return Feed(settings, None)


_FEEDS: Mapping[str, Callable[[Plan], Program]] = {"feed": _feed}
