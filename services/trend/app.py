"""Run the trend strategy on the live tape."""

from services.trend.rules import Trend
from services.trend.settings import TrendSettings
from tape.service import serve
from tape.settings import load
from venues.instruments import BINANCE_SPOT

if __name__ == "__main__":
    serve(Trend(load(TrendSettings, "trend"), BINANCE_SPOT))
