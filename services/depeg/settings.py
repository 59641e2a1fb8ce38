"""Every knob of the depeg guard."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from enum import Enum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.types import Instrument, Interval, Name, Side

_FROZEN = ConfigDict(frozen=True, extra="forbid")


class DepegAction(Enum):
    """What is done while a coin is off its peg."""

    HALT = "halt"
    REDUCE_ONLY = "reduce_only"
    TRIM = "trim"
    HEDGE = "hedge"


class PegSource(BaseModel):
    """A market that shows what a coin is worth."""

    model_config = _FROZEN

    instrument: Instrument = Field(description="whose bars are looked at")
    inverted: bool = Field(default=False, description="its price is in the coin: the coin is worth 1 / price")


class PegHedge(BaseModel):
    """A position that gains when a coin falls."""

    model_config = _FROZEN

    instrument: Instrument = Field(description="what is traded; its bars give the price")
    side: Side = Field(default=Side.SELL, description="which side gains when the coin falls")
    notional: Decimal = Field(gt=0, le=1_000_000, description="size, in its quote currency")


class Peg(BaseModel):
    """A coin that is meant to be worth a fixed amount."""

    model_config = _FROZEN

    coin: Name = Field(description="as instruments name it, e.g. USDT")
    sources: tuple[PegSource, ...] = Field(min_length=1, description="markets that are asked")
    parity: float = Field(default=1.0, gt=0, description="what it is worth on its peg")
    hedge: PegHedge | None = Field(default=None, description="what hedges its fall, for the action hedge")


class DepegSettings(BaseModel):
    """No peg is watched until its sources are named: which markets there are depends on the feed."""

    model_config = _FROZEN

    dry_run: bool = Field(default=True, description="only alert: trade and halt nothing")
    pegs: tuple[Peg, ...] = Field(default=(), description="the coins that are watched")
    actions: tuple[DepegAction, ...] = Field(
        default=(DepegAction.REDUCE_ONLY, DepegAction.TRIM), min_length=1, description="what is done, all of it"
    )
    interval: Interval = Field(default=Interval.S5, description="length of the bars whose closes are looked at")
    max_age_s: float = Field(default=60, gt=0, le=3600, description="a source without a trade for longer is not asked")
    min_sources: int = Field(default=2, ge=1, le=20, description="with fewer fresh sources nothing is judged")
    enter_bps: float = Field(default=50, gt=0, lt=10_000, description="off the peg: at least as far from it")
    leave_bps: float = Field(default=20, ge=0, lt=10_000, description="back on the peg: at most as far from it")
    enter_after_s: float = Field(default=10, ge=0, le=3600, description="for so long before anything is done")
    leave_after_s: float = Field(default=60, ge=0, le=86_400, description="for so long before it is undone")
    trim_fraction: Decimal = Field(
        default=Decimal("0.5"), gt=0, le=1, description="part of a position that is taken away, for the action trim"
    )

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if problem := next(self._problems(), None):
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        if self.leave_bps >= self.enter_bps:
            yield f"leave_bps ({self.leave_bps}) must be below enter_bps ({self.enter_bps})"
        if _repeated([peg.coin for peg in self.pegs]):
            yield "pegs: each coin has one"
        for peg in self.pegs:
            if _repeated([source.instrument for source in peg.sources]):
                yield f"pegs: {peg.coin} asks a source twice"
            if len(peg.sources) < self.min_sources:
                yield f"pegs: {peg.coin} has {len(peg.sources)} sources, min_sources is {self.min_sources}"
        if DepegAction.HEDGE in self.actions:
            yield from self._problems_of_hedges()

    def _problems_of_hedges(self) -> Iterator[str]:
        if {DepegAction.HALT, DepegAction.REDUCE_ONLY} & set(self.actions):
            yield "actions: a hedge opens a position, which risk refuses while trading is halted or reduce-only"
        if missing := [peg.coin for peg in self.pegs if peg.hedge is None]:
            yield f"pegs: {', '.join(missing)} has no hedge"
        if _repeated([peg.hedge.instrument for peg in self.pegs if peg.hedge]):
            yield "pegs: each hedge has an instrument of its own"


def _repeated(names: Sequence[str]) -> bool:
    return len(set(names)) < len(names)
