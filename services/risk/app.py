"""Run risk on the live tape."""

from services.risk.rules import Risk
from services.risk.settings import RiskSettings
from tape.service import serve
from tape.settings import load
from venues.instruments import BINANCE_SPOT

if __name__ == "__main__":
    serve(Risk(load(RiskSettings, "risk"), BINANCE_SPOT))
