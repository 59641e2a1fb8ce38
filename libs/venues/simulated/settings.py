"""Every knob of the simulated exchange."""

from decimal import Decimal
from enum import Enum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.types import Instrument as InstrumentName
from contracts.types import InstrumentState, Name, Nanos
from venues.simulated.disturbances import Outage, Rejects, Slowdown
from venues.simulated.latency import Delay
from venues.simulated.slippage import SlippageSettings
from venues.simulated.tiers import FeeTier, require_falling


class QueueModel(Enum):
    """Who is before us where we rest, at the same price."""

    FRONT = "front"
    """Nobody: any trade at our price reaches us. The most that could have been filled."""
    RISK_AVERSE = "risk_averse"
    """All that was displayed there when we came; it leaves by trading, or when less than that is displayed."""
    BACK = "back"
    """Everybody, always: only a trade through our price reaches us. The least that could have been filled."""


class SelfTrade(Enum):
    """What becomes of two orders of ours that would trade with each other."""

    ALLOW = "allow"
    CANCEL_TAKER = "cancel_taker"
    CANCEL_MAKER = "cancel_maker"
    CANCEL_BOTH = "cancel_both"


class MarginMode(Enum):
    """What stands for the losses of a perpetual."""

    CROSS = "cross"
    """The whole capital, for all of them together."""
    ISOLATED = "isolated"
    """For each the margin that it was opened with, and nothing else."""


class PerpetualSettings(BaseModel):
    """How perpetuals are margined. Shares are of notional."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    capital: Decimal | None = Field(default=None, gt=0, description="what the account begins with; None: no limit")
    margin: MarginMode = Field(default=MarginMode.CROSS, description="cross without capital is never liquidated")
    leverage: Decimal = Field(default=Decimal(10), ge=1, le=125, description="notional per margin that opens it")
    maintenance: Decimal = Field(default=Decimal("0.005"), gt=0, lt=1, description="share that must be left")
    liquidation_fee: Decimal = Field(default=Decimal("0.0125"), ge=0, lt=1, description="share, taken at liquidation")
    maker_fee: Decimal = Field(default=Decimal("0.0002"), ge=-1, le=1, description="share of notional")
    taker_fee: Decimal = Field(default=Decimal("0.0005"), ge=-1, le=1, description="share of notional")
    fee_tiers: tuple[FeeTier, ...] = Field(default=(), description="what is paid instead by who trades more")

    @model_validator(mode="after")
    def _opens_above_maintenance(self) -> Self:
        require_falling(self)
        if self.maintenance * self.leverage >= 1:
            raise ValueError(
                f"maintenance ({self.maintenance}) must be below 1 / leverage ({self.leverage}), "
                f"or a position would be liquidated as it is opened"
            )
        return self


class Halt(BaseModel):
    """A time in which an instrument is not traded (event time, ns)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instrument: InstrumentName
    begins_at: Nanos
    ends_at: Nanos | None = Field(default=None, description="None: it is delisted")

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.ends_at is not None and self.ends_at <= self.begins_at:
            raise ValueError(f"ends_at ({self.ends_at}) must be after begins_at ({self.begins_at})")
        return self

    @property
    def state(self) -> InstrumentState:
        return InstrumentState.DELISTED if self.ends_at is None else InstrumentState.BREAK


class BorrowSettings(BaseModel):
    """What borrowing costs on spot. Shares are of what is borrowed; where `balances` limit us nobody lends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_day: Decimal = Field(default=Decimal(0), ge=0, le=1, description="share a day")
    per_day_of: dict[Name, Decimal] = Field(default={}, description="the same for single currencies, instead")
    own: Decimal | None = Field(
        default=None, ge=0, description="quote money of each strategy, that is not borrowed; None: no limit"
    )

    @model_validator(mode="after")
    def _nobody_is_paid_for_it(self) -> Self:
        wrong = [f"{name} {share}" for name, share in self.per_day_of.items() if not 0 <= share <= 1]
        if wrong:
            raise ValueError(f"per_day_of: a share a day is between 0 and 1, not {', '.join(wrong)}")
        return self

    @property
    def is_free(self) -> bool:
        return self.per_day == 0 and not any(self.per_day_of.values())

    def share_of(self, currency: str) -> Decimal:
        return self.per_day_of.get(currency, self.per_day)


class SimulationSettings(BaseModel):
    """How the simulated exchange treats us. Latencies are a number of ms, or a distribution: `lognormal:50,0.5`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_ms: Delay = Field(default=0.0, description="from a command to its effect, in event time")
    report_latency_ms: Delay = Field(default=0.0, description="from what happens there to our hearing of it")
    feed_latency_ms: Delay = Field(
        default=0.0, description="from a price there to our seeing it, beyond that of the data"
    )
    maker_fee: Decimal = Field(default=Decimal("0.001"), ge=-1, le=1, description="share of notional")
    taker_fee: Decimal = Field(default=Decimal("0.001"), ge=-1, le=1, description="share of notional")
    fee_tiers: tuple[FeeTier, ...] = Field(default=(), description="what is paid instead by who trades more")
    slippage: SlippageSettings = Field(default=SlippageSettings(), description="what is paid beyond the quote")
    queue: QueueModel = Field(default=QueueModel.RISK_AVERSE, description="who is before a resting order of ours")
    self_trade: SelfTrade = Field(default=SelfTrade.CANCEL_MAKER, description="when two orders of ours would trade")
    balances: dict[Name, Decimal] | None = Field(
        default=None, description="coins that a spot account begins with; None: no limit, and shorts are lent"
    )
    borrow: BorrowSettings = Field(default=BorrowSettings(), description="interest on what is borrowed on spot")
    perpetuals: PerpetualSettings = Field(default=PerpetualSettings(), description="margin and fees of perpetuals")
    halts: tuple[Halt, ...] = Field(default=(), description="times in which an instrument is not traded")
    outages: tuple[Outage, ...] = Field(default=(), description="times in which the exchange cannot be reached")
    rejects: tuple[Rejects, ...] = Field(default=(), description="times in which orders are refused")
    slowdowns: tuple[Slowdown, ...] = Field(default=(), description="times in which everything takes longer")
    seed: int = Field(default=0, ge=0, le=2**63 - 1, description="where chance begins: latencies, shares of refusals")

    @model_validator(mode="after")
    def _begins_with_something(self) -> Self:
        require_falling(self)
        negative = [f"{name} {amount}" for name, amount in (self.balances or {}).items() if amount < 0]
        if negative:
            raise ValueError(f"balances: nobody begins with {', '.join(negative)}")
        if self.balances is not None and not self.borrow.is_free:
            raise ValueError("borrow: with balances nothing is lent; leave one of them out")
        return self
