"""What is ingested, from where, and how it is cut into chunks."""

from enum import Enum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from contracts.types import Interval, Name
from services.ingest.gathering import Cutting
from services.ingest.rules import SECOND, OutlierPolicy

LOOPBACK = ("http://127.0.0.1:", "http://localhost:")


class Source(Enum):
    """Where bars come from."""

    TAPE = "tape"
    """The closed bars of the tape, of every instrument."""
    SIM = "sim"
    """The same, and at the first start a history of the simulated market before them."""
    CCXT = "ccxt"
    """Candles of an exchange, by ccxt."""


class IngestSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Source = Field(default=Source.SIM, description="tape, sim (tape with a simulated past) or ccxt")
    venue: Name = Field(default="binance", description="of sim and ccxt: the exchange, as ccxt names it")
    symbols: tuple[Name, ...] = Field(
        default=("BTCUSDT", "ETHUSDT", "SOLUSDT"), min_length=1, description="of sim and ccxt, as the exchange has them"
    )
    intervals: tuple[Interval, ...] = Field(default=(Interval.S5, Interval.M1), min_length=1)
    chunk_bars: Annotated[int, Field(ge=10, le=100_000)] = Field(
        default=10_000, description="a chunk lies within a window of so many bars"
    )
    chunk_s: Annotated[float, Field(gt=0)] = Field(
        default=900.0, description="live bars of so much time become a chunk without waiting for their window"
    )
    longest_gap: Annotated[int, Field(ge=0)] = Field(
        default=100, description="more missing bars than this part two chunks"
    )
    outlier_deviations: Annotated[float, Field(ge=3)] = Field(
        default=25.0, description="a bar alone so many robust deviations away from its neighbours is an outlier"
    )
    outliers: OutlierPolicy = Field(default=OutlierPolicy.KEEP, description="keep or drop; they are told in any case")
    history_s: Annotated[float, Field(ge=0, le=31_536_000)] = Field(
        default=21_600.0, description="of sim and ccxt: how far back the first start reaches"
    )
    grace_s: Annotated[float, Field(ge=0, le=60)] = Field(
        default=2.0, description="of ccxt: a candle counts as closed so long after its end, by the exchange's clock"
    )
    request_timeout_s: Annotated[float, Field(ge=0.1, le=60)] = Field(default=10.0)
    emulator: str = Field(default="", description="an exchange emulator on loopback instead of the exchange")
    seed: int = Field(default=7, description="of sim: the simulated past")
    quotes_per_s: Annotated[float, Field(gt=0, le=5_000)] = Field(
        default=20.0, description="of sim: as the simulated feed has it"
    )

    @field_validator("emulator")
    @classmethod
    def _on_this_machine(cls, emulator: str) -> str:
        if emulator and not emulator.startswith(LOOPBACK):
            raise ValueError("only one on this machine, such as http://127.0.0.1:8080")
        return emulator

    @property
    def cutting(self) -> Cutting:
        """How live bars are cut."""
        return self._cutting(int(self.chunk_s * SECOND))

    @property
    def cutting_of_the_past(self) -> Cutting:
        """How bars are cut that need not become known soon."""
        return self._cutting(None)

    def _cutting(self, cut_after: int | None) -> Cutting:
        return Cutting(self.chunk_bars, self.longest_gap, self.outlier_deviations, self.outliers, cut_after)
