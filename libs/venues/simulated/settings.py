"""Every knob of the simulated exchange."""

from decimal import Decimal
from enum import Enum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.types import Instrument as InstrumentName
from contracts.types import InstrumentState, Liquidity, Name, Nanos
from venues.instruments import Instrument


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

    @model_validator(mode="after")
    def _opens_above_maintenance(self) -> Self:
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


class SimulationSettings(BaseModel):
    """How the simulated exchange treats us."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_ms: float = Field(default=0.0, ge=0, le=60_000, description="from a command to its effect, in event time")
    maker_fee: Decimal = Field(default=Decimal("0.001"), ge=-1, le=1, description="share of notional")
    taker_fee: Decimal = Field(default=Decimal("0.001"), ge=-1, le=1, description="share of notional")
    queue: QueueModel = Field(default=QueueModel.RISK_AVERSE, description="who is before a resting order of ours")
    self_trade: SelfTrade = Field(default=SelfTrade.CANCEL_MAKER, description="when two orders of ours would trade")
    balances: dict[Name, Decimal] | None = Field(
        default=None, description="coins that a spot account begins with; None: no limit, and shorts are lent"
    )
    perpetuals: PerpetualSettings = Field(default=PerpetualSettings(), description="margin and fees of perpetuals")
    halts: tuple[Halt, ...] = Field(default=(), description="times in which an instrument is not traded")

    @model_validator(mode="after")
    def _begins_with_something(self) -> Self:
        negative = [f"{name} {amount}" for name, amount in (self.balances or {}).items() if amount < 0]
        if negative:
            raise ValueError(f"balances: nobody begins with {', '.join(negative)}")
        return self

    def fee(self, instrument: Instrument, role: Liquidity) -> Decimal:
        """Give the share of notional that a trade costs."""
        rates = self.perpetuals if instrument.is_perpetual else self
        return rates.maker_fee if role is Liquidity.MAKER else rates.taker_fee
