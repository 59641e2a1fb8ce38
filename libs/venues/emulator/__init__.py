"""A loopback Binance for the real ccxt: spot and USD-M over REST and websockets, with scripted faults."""

from venues.emulator.candles import Candle
from venues.emulator.emulator import Emulator
from venues.emulator.faults import Fault, FaultKind, Faults
from venues.emulator.frames import Recording
from venues.emulator.pointing import point
from venues.emulator.settings import EmulatorSettings, Pair
from venues.emulator.words import Board, FeeAsset, Phase, Side, Status

__all__ = [
    "Board",
    "Candle",
    "Emulator",
    "EmulatorSettings",
    "Fault",
    "FaultKind",
    "Faults",
    "FeeAsset",
    "Pair",
    "Phase",
    "Recording",
    "Side",
    "Status",
    "point",
]
