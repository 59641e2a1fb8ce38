"""What the emulated exchange lists, whom it knows and how it treats them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from venues.emulator.words import Board, FeeAsset

PLACES = 8
"""Digits after the point of every balance and commission."""


class Pair(BaseModel):
    """The rules of one symbol; `tick` and `min_notional` in quote, `lot` and `max_quantity` in base."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    board: Board
    base: str = Field(pattern=r"^[A-Z0-9]{1,12}$")
    quote: str = Field(default="USDT", pattern=r"^[A-Z0-9]{1,12}$")
    tick: Decimal = Field(gt=0)
    lot: Decimal = Field(gt=0)
    min_notional: Decimal = Field(default=Decimal(5), ge=0)
    max_quantity: Decimal = Field(default=Decimal(9_000_000), gt=0)
    max_price: Decimal = Field(default=Decimal(1_000_000), gt=0)

    @property
    def symbol(self) -> str:
        return f"{self.base}{self.quote}"

    @model_validator(mode="after")
    def _books_are_exact(self) -> Self:
        if decimals(self.tick) + decimals(self.lot) > PLACES:
            raise ValueError(f"{self.symbol}: tick and lot together have more than {PLACES} decimals")
        return self

    @property
    def price_places(self) -> int:
        return decimals(self.tick)

    @property
    def quantity_places(self) -> int:
        return decimals(self.lot)


def decimals(value: Decimal) -> int:
    """Count the digits after the point that matter."""
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def _spot(base: str, tick: str, lot: str) -> Pair:
    return Pair(board=Board.SPOT, base=base, tick=Decimal(tick), lot=Decimal(lot))


def _usdm(base: str, tick: str, lot: str, min_notional: int = 5) -> Pair:
    return Pair(board=Board.USDM, base=base, tick=Decimal(tick), lot=Decimal(lot), min_notional=Decimal(min_notional))


PAIRS = (
    _spot("BTC", "0.01", "0.00001"),
    _spot("ETH", "0.01", "0.0001"),
    _spot("SOL", "0.01", "0.001"),
    _spot("BNB", "0.01", "0.001"),
    _spot("DOGE", "0.00001", "1"),
    _usdm("BTC", "0.10", "0.001", 50),
    _usdm("ETH", "0.01", "0.001", 20),
    _usdm("SOL", "0.01", "0.01"),
    _usdm("BNB", "0.01", "0.01"),
    _usdm("DOGE", "0.00001", "1"),
)
"""Rules as the exchange publishes them."""


class EmulatorSettings(BaseModel):
    """One account at one exchange on one loopback port."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int = Field(default=0, ge=0, le=65_535, description="on loopback; 0: the system chooses a free one")
    api_key: str = Field(default="emulator-key", min_length=1)
    secret: str = Field(default="emulator-secret", min_length=1)
    seed: int = Field(default=7, description="of everything that happens by chance")
    pairs: tuple[Pair, ...] = Field(default=PAIRS, min_length=1)
    spot_balances: Mapping[str, Decimal] = Field(
        default={"USDT": Decimal(100_000), "BTC": Decimal(1), "ETH": Decimal(10), "BNB": Decimal(10)},
        description="what the spot account begins with",
    )
    usdm_balances: Mapping[str, Decimal] = Field(
        default={"USDT": Decimal(100_000), "BNB": Decimal(10)}, description="what the USD-M account begins with"
    )
    fee_asset: FeeAsset = Field(default=FeeAsset.QUOTE, description="BNB falls back when there is none left")
    spot_maker_fee: Decimal = Field(default=Decimal("0.001"), ge=0, le=1, description="share of notional")
    spot_taker_fee: Decimal = Field(default=Decimal("0.001"), ge=0, le=1, description="share of notional")
    usdm_maker_fee: Decimal = Field(default=Decimal("0.0002"), ge=0, le=1, description="share of notional")
    usdm_taker_fee: Decimal = Field(default=Decimal("0.0005"), ge=0, le=1, description="share of notional")
    bnb_discount: Decimal = Field(default=Decimal("0.25"), ge=0, lt=1, description="off a commission paid in BNB")
    bnb_price: Decimal = Field(default=Decimal(600), gt=0, description="in quote, while BNB has no quote here")
    levels: int = Field(default=10, ge=1, le=1000, description="levels shown on each side of a quote, a tick apart")
    leverage: int = Field(default=20, ge=1, le=125, description="of a USD-M symbol until it is changed")
    maintenance_rate: Decimal = Field(default=Decimal("0.004"), ge=0, lt=1, description="share of USD-M notional")
    listen_key_life_s: float = Field(default=3600.0, gt=0, description="without a keepalive")
    spot_weight_per_minute: int = Field(default=6_000, ge=1)
    usdm_weight_per_minute: int = Field(default=2_400, ge=1)
    spot_orders_per_10s: int = Field(default=100, ge=1)
    usdm_orders_per_10s: int = Field(default=300, ge=1)
    strikes: int = Field(default=5, ge=1, description="429s ignored within a minute before the IP is banned")
    ban_s: int = Field(default=120, ge=1)
    history: int = Field(default=100_000, ge=100, description="trades and candles kept for each symbol")

    @model_validator(mode="after")
    def _listed_once(self) -> Self:
        names = [(pair.board, pair.symbol) for pair in self.pairs]
        if len(set(names)) < len(names):
            raise ValueError("pairs: a symbol is listed twice on a board")
        return self

    def fee(self, board: Board, *, maker: bool) -> Decimal:
        """Say the share of notional that is charged."""
        if board is Board.SPOT:
            return self.spot_maker_fee if maker else self.spot_taker_fee
        return self.usdm_maker_fee if maker else self.usdm_taker_fee
