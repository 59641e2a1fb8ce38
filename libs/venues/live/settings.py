"""How the live gateway trades: on which venues, with which keys, and how patient it is."""

from enum import Enum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.types import Name

CONFIRMATION = "yes-i-mean-it"
LOOPBACK = ("http://127.0.0.1:", "http://localhost:")


class LiveVenue(Enum):
    """A venue that is traded live; its name is that of its instruments."""

    SPOT = "binance"
    USDM = "binanceusdm"


class LiveSettings(BaseModel):
    """All of it comes from `HMM_LIVE_...`; secrets are read from files and never stand here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trading: str = Field(default="", description=f"the second switch: {CONFIRMATION}, or no live trading")
    venues: tuple[LiveVenue, ...] = Field(default=(LiveVenue.SPOT,), min_length=1, description="binance, binanceusdm")
    symbols: tuple[Name, ...] = Field(
        default=("BTCUSDT", "ETHUSDT", "SOLUSDT"), min_length=1, description="whose fills, rules and status are watched"
    )
    spot_key_file: Path | None = Field(default=None, description="file with the API key for binance")
    spot_secret_file: Path | None = Field(default=None, description="file with its secret")
    usdm_key_file: Path | None = Field(default=None, description="file with the API key for binanceusdm")
    usdm_secret_file: Path | None = Field(default=None, description="file with its secret")
    emulator: str = Field(default="", description="an exchange emulator on loopback instead of the venue: a rehearsal")
    adopt_foreign: bool = Field(default=False, description="take orders that nobody here sent into our books")
    recv_window_s: float = Field(default=5.0, ge=0.1, le=60, description="older requests are refused by the venue")
    settle_s: float = Field(default=7.0, ge=0.2, description="an order not found so long after it was sent never came")
    submit_within_s: float = Field(default=30.0, ge=0, description="older commands are not sent any more, but refused")
    request_timeout_s: float = Field(default=10.0, ge=0.1, le=60)
    look_again_after_s: float = Field(default=0.25, gt=0, description="after an unheard answer, doubling up to 5 s")
    reconcile_every_s: float = Field(default=30.0, gt=0)
    grace_s: float = Field(default=3.0, ge=0, description="what is younger, comparisons leave to the streams")
    overlap_s: float = Field(default=600.0, ge=1, description="trades are read again so far back")
    remember_s: float = Field(default=172_800.0, ge=3600, description="how long an order that ended is known")
    markets_every_s: float = Field(default=300.0, gt=0, description="between two looks at the rules of instruments")
    requests_per_s: float = Field(default=20.0, gt=0, description="to each venue")
    burst: int = Field(default=40, ge=1, description="requests that may go out at once")
    reconnect_after_s: float = Field(default=1.0, gt=0, description="after a stream has broken")
    rules_differ: tuple[Name, ...] = Field(
        default=(), description="symbols whose other ticks and lots at the venue are known and need no alert"
    )

    @model_validator(mode="after")
    def _it_fits_together(self) -> Self:
        if self.settle_s <= self.recv_window_s:
            raise ValueError("settle_s has to be longer than recv_window_s: until then an order may still arrive")
        if self.emulator and not self.emulator.startswith(LOOPBACK):
            raise ValueError("emulator: only one on this machine, such as http://127.0.0.1:8080")
        if self.remember_s <= 2 * self.overlap_s:
            raise ValueError("remember_s has to be longer than twice overlap_s: else old trades look foreign")
        return self

    def key_files(self, venue: LiveVenue) -> tuple[Path | None, Path | None]:
        """Give the files of key and secret."""
        if venue is LiveVenue.SPOT:
            return self.spot_key_file, self.spot_secret_file
        return self.usdm_key_file, self.usdm_secret_file


def problems(settings: LiveSettings) -> list[str]:
    """List what is missing for live trading, naming each setting and what to do."""
    found = []
    if settings.trading != CONFIRMATION:
        found.append(
            f"HMM_LIVE_TRADING is {settings.trading!r}: live trading needs a second switch, "
            f"HMM_LIVE_TRADING={CONFIRMATION}"
        )
    for venue in settings.venues if not settings.emulator else ():
        for what, file in zip(("KEY", "SECRET"), settings.key_files(venue), strict=True):
            setting = f"HMM_LIVE_{venue.name}_{what}_FILE"
            if file is None:
                found.append(f"{setting} is not set: the file that holds the API {what.lower()} for {venue.value}")
            elif not _readable(file):
                found.append(f"{setting}: there is no readable, filled file {file}")
    return found


def read_secret(file: Path) -> str:
    return file.read_text().strip()


def _readable(file: Path) -> bool:
    try:
        return bool(read_secret(file))
    except OSError:
        return False
