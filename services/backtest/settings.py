"""What a backtest is asked for: which data, which strategies, and what is other than usual."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.types import Name, Nanos
from eventstore.marketdata.columns import BarTime, Role, SizeUnit
from services.backtest.script import Script
from venues.simulated.barpath import PathOrder
from venues.simulated.latency import Delay

Trader = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")]
"""The name of a strategy, or where the class of the user's own is: FILE.py:CLASS or MODULE:CLASS."""


class Unusable(ValueError):
    """The backtest cannot be meant so: the text names what is wrong, `remedy` what to do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class DataKind(Enum):
    """Where market data comes from."""

    FRAMES = "frames"
    """Files of recorded websocket frames."""
    BARS = "bars"
    TRADES = "trades"
    QUOTES = "quotes"
    STORE = "store"
    """Positions of the event store."""
    TAPE = "tape"
    """Positions of the tape."""

    @property
    def is_record(self) -> bool:
        return self in (DataKind.STORE, DataKind.TAPE)


_FORMS = "frames:FILE[,FILE] | bars:FILE | trades:FILE | quotes:FILE | store:FROM-TO | tape:FROM-TO"


@dataclass(frozen=True, slots=True)
class DataSource:
    """Files, or positions `first` to `last` of a record (None: where it begins and ends)."""

    kind: DataKind
    files: tuple[Path, ...] = ()
    first: int | None = None
    last: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `--data`; raises `Unusable`."""
        word, colon, rest = text.partition(":")
        known = {kind.value: kind for kind in DataKind}
        if not colon or word not in known:
            raise Unusable(f"--data {text}: names no kind of data", f"use {_FORMS}")
        if known[word].is_record:
            return cls(known[word], (), *_positions(text, rest))
        files = tuple(Path(name) for name in rest.split(",") if name)
        if not files:
            raise Unusable(f"--data {text}: names no file", f"use {_FORMS}")
        for file in files:
            if not file.is_file():
                raise Unusable(f"--data {text}: there is no file {file}")
        if twice := [file for file in dict.fromkeys(files) if files.count(file) > 1]:
            raise Unusable(f"--data {text}: {twice[0]} is named twice")
        return cls(known[word], files)


def _positions(text: str, span: str) -> tuple[int | None, int | None]:
    first, dash, last = span.partition("-")
    if not dash or not all(word == "" or word.isdecimal() for word in (first, last)):
        raise Unusable(f"--data {text}: not positions", "use for instance store:1-50000, or store:- for all there is")
    read = (int(first) if first else None, int(last) if last else None)
    if read[0] == 0 or read[1] == 0 or (read[0] and read[1] and read[0] > read[1]):
        raise Unusable(f"--data {text}: positions begin at 1 and go up")
    return read


class BacktestSettings(BaseModel):
    """What is other than in the components' own settings; None leaves them as they are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategies: tuple[Trader, ...] = Field(default=("all",), min_length=1, description="who trades; all: everyone")
    begins_at: Nanos | None = Field(default=None, description="events before this are left out (ns UTC)")
    ends_at: Nanos | None = Field(default=None, description="events from this on are left out (ns UTC)")
    capital: Decimal | None = Field(default=None, gt=0, le=Decimal("1e15"), description="that a strategy begins with")
    seed: int | None = Field(default=None, ge=0, le=2**63 - 1, description="where chance begins")
    latency_ms: Delay | None = Field(default=None, description="from a command to its effect")
    report_latency_ms: Delay | None = Field(default=None, description="from what happens at the exchange to us")
    feed_latency_ms: Delay | None = Field(default=None, description="of prices, beyond that which the data has")
    maker_fee_bps: Decimal | None = Field(default=None, ge=-10_000, le=10_000, description="of notional")
    taker_fee_bps: Decimal | None = Field(default=None, ge=-10_000, le=10_000, description="of notional")
    slippage_bps: float | None = Field(default=None, ge=0, le=1_000, description="paid beyond the quote by who takes")
    impact_bps: float | None = Field(default=None, ge=0, le=1_000, description="the same, of all that is displayed")
    borrow_bps: Decimal | None = Field(default=None, ge=0, le=10_000, description="interest a day on what is borrowed")
    script: Script | None = Field(default=None, description="what goes wrong at the exchange")
    spread_bps: float = Field(default=2.0, ge=0, le=1_000, description="ask above bid, where data has no quotes")
    repair: bool = Field(default=False, description="drop or put right what is wrong in files, and count it")
    symbol: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9_-]{1,40}$", description="of files that do not say; None: as they say"
    )
    columns: Mapping[Role, str] = Field(default={}, description="of files, those whose names are not recognised")
    sizes: SizeUnit = Field(default=SizeUnit.BASE, description="what sizes and volumes of files count: coins or money")
    zone: str | None = Field(default=None, max_length=64, description="of dates in files that tell none; None: UTC")
    bar_time: BarTime = Field(default=BarTime.OPENS, description="what the time of a bar in a file is, begin or end")
    path: PathOrder = Field(default=PathOrder.ADVERSE, description="which extreme comes first inside a bar")
    cache: bool = Field(default=True, exclude=True, description="keep what was read; it changes nothing")
    train: bool = Field(default=False, description="models are trained within the run, on what it has shown by then")
    training_s: float = Field(default=60.0, ge=0, le=86_400, description="of market time that a training takes")
    changes: tuple[str, ...] = Field(default=(), description="COMPONENT.KEY=VALUE, on top of all of these")
    venue: Name = Field(default="binance", description="first part of the instruments' names, where files do not say")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.begins_at is not None and self.ends_at is not None and self.begins_at >= self.ends_at:
            raise ValueError("--from must be before --to")
        return self
