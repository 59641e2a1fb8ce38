"""The limits that orders are held to, and the pauses that losses lead to."""

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.types import Instrument, Name, OrderType

_FROZEN = ConfigDict(frozen=True, extra="forbid")


class StoplossGuardSettings(BaseModel):
    """Pause a strategy after so many positions were closed by their stops within a time."""

    model_config = _FROZEN

    stops: int = Field(default=4, ge=1, le=1000, description="stops within the time that lead to a pause")
    within_s: float = Field(default=3600, gt=0, description="time that stops are counted in")
    pause_s: float = Field(default=3600, gt=0, description="length of the pause")
    per_instrument: bool = Field(default=False, description="count and pause each instrument of a strategy alone")


class CooldownSettings(BaseModel):
    """Leave an instrument alone for a while after a position in it was closed."""

    model_config = _FROZEN

    pause_s: float = Field(default=60, gt=0, description="length of the pause")


class LowProfitSettings(BaseModel):
    """Leave an instrument alone that earned too little for what was put into it."""

    model_config = _FROZEN

    trades: int = Field(default=4, ge=1, le=1000, description="closed positions that it takes to judge")
    within_s: float = Field(default=86_400, gt=0, description="time that closed positions are counted in")
    least_pct: float = Field(default=0, ge=-100, le=100, description="net profit below this, in % of what was entered")
    pause_s: float = Field(default=3600, gt=0, description="length of the pause")


class MaxDrawdownSettings(BaseModel):
    """Pause a strategy whose closed positions, one after the other, lost too much from their best moment."""

    model_config = _FROZEN

    trades: int = Field(default=10, ge=1, le=1000, description="closed positions that it takes to judge")
    within_s: float = Field(default=86_400, gt=0, description="time that closed positions are counted in")
    most_pct: float = Field(default=5, gt=0, le=100, description="largest fall of their sum, in % of the equity")
    pause_s: float = Field(default=14_400, gt=0, description="length of the pause")


class RiskSettings(BaseModel):
    """Notionals in quote currency (USDT), distances in bps, times in event time. None: that rail is off."""

    model_config = _FROZEN

    snap: bool = Field(default=True, description="put quantities on the lot and prices on the tick; false: refuse")
    resize: bool = Field(default=False, description="make an order smaller where that satisfies every failed rail")

    allowlist: tuple[Instrument, ...] = Field(default=(), description="tradable instruments; empty: all listed")
    strategy_instruments: Mapping[Name, tuple[Instrument, ...]] = Field(
        default_factory=dict, description="what a strategy may trade; one that is not named: all"
    )
    order_types: tuple[OrderType, ...] = Field(default=(), description="kinds of orders that may be sent; empty: all")
    probe_strategy: Name = Field(default="probe", description="who may try a venue whose circuit is half open")
    execution_overrides: bool = Field(default=True, description="apply what the router says of bad executions")

    max_mark_age_ms: float = Field(default=10_000, gt=0, description="a mark older than this is no mark")
    max_spread_bps: float = Field(default=200, gt=0, description="widest spread that is traded in")
    collar_bps: float = Field(default=100, gt=0, description="largest distance of an order's price from the mark")
    trigger_collar_bps: float = Field(
        default=5_000, gt=0, description="largest distance of a trigger, a trail, or the exit of a list from its price"
    )

    max_order_notional: float = Field(default=5_000, gt=0, description="largest single order")
    max_symbol_exposure: float = Field(default=10_000, gt=0, description="largest position in one instrument")
    max_venue_exposure: float = Field(default=50_000, gt=0, description="largest sum of positions at one venue")
    max_strategy_exposure: float = Field(default=20_000, gt=0, description="largest sum of positions of one strategy")
    max_total_exposure: float = Field(default=50_000, gt=0, description="largest sum of all positions")
    max_correlated_exposure: float = Field(
        default=40_000, gt=0, description="largest sum of positions after what their correlation takes off"
    )
    correlation_every_s: float = Field(default=60, ge=1, le=86_400, description="time between two sampled returns")
    correlation_samples: int = Field(default=60, ge=3, le=1000, description="returns that a correlation is made of")
    correlation_least: int = Field(
        default=20, ge=3, le=1000, description="with fewer returns two instruments count as one"
    )

    starting_capital: float = Field(
        default=100_000, gt=0, description="equity and capital of a strategy before anything is known of them"
    )
    max_capital_use_pct: float = Field(
        default=100, gt=0, le=1000, description="largest part of its capital that a strategy binds, in %"
    )
    max_leverage: float = Field(default=2, gt=0, le=125, description="largest positions of a strategy, in equities")
    perpetual_margin: float = Field(
        default=0.2, gt=0, le=1, description="part of a perpetual's value that binds equity; coins are paid whole"
    )
    margin_reserve_pct: float = Field(default=5, ge=0, lt=100, description="part of the equity that is kept free, in %")

    max_open_orders: int = Field(default=2000, ge=1, description="orders under way")
    max_strategy_open_orders: int = Field(default=1000, ge=1, description="orders of one strategy under way")
    order_rate_per_s: float = Field(default=100, gt=0, description="orders of one strategy, in the long run")
    order_burst: int = Field(default=1000, ge=1, description="orders of one strategy at once")
    duplicate_window_ms: float | None = Field(
        default=None, gt=0, description="the same wish under another id within this is a mistake"
    )

    max_daily_loss_pct: float | None = Field(
        default=5, gt=0, le=100, description="loss of a strategy in a day (UTC), in % of its equity before"
    )
    max_total_daily_loss_pct: float | None = Field(
        default=5, gt=0, le=100, description="loss of all strategies in a day (UTC), in % of their equity before"
    )
    max_drawdown_pct: float | None = Field(
        default=20, gt=0, le=100, description="fall of a strategy's equity from its peak, in %"
    )
    max_total_drawdown_pct: float | None = Field(
        default=15, gt=0, le=100, description="fall of the equity of all strategies from its peak, in %"
    )
    drawdown_pause_s: float = Field(
        default=86_400, gt=0, description="pause after a drawdown; the peak is counted anew from then on"
    )
    max_consecutive_losses: int | None = Field(
        default=None, ge=1, le=1000, description="losing positions of a strategy in a row that it may have"
    )
    losses_pause_s: float = Field(default=3600, gt=0, description="pause after one more of them")

    stoploss_guard: StoplossGuardSettings | None = Field(
        default=None, description='pause after stops, e.g. {"stops": 4}'
    )
    cooldown: CooldownSettings | None = Field(default=None, description='pause after exits, e.g. {"pause_s": 60}')
    low_profit: LowProfitSettings | None = Field(
        default=None, description='pause of what earns too little, e.g. {"trades": 4}'
    )
    max_drawdown: MaxDrawdownSettings | None = Field(
        default=None, description='pause after lost trades, e.g. {"most_pct": 5}'
    )

    @property
    def has_no_protections(self) -> bool:
        return (
            self.stoploss_guard is None
            and self.cooldown is None
            and self.low_profit is None
            and (self.max_drawdown is None)
        )

    @model_validator(mode="after")
    def _enough_samples(self) -> Self:
        if self.correlation_least > self.correlation_samples:
            least, most = self.correlation_least, self.correlation_samples
            raise ValueError(f"correlation_least ({least}) must not be above correlation_samples ({most})")
        return self
