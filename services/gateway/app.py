"""Run the gateway to the simulated exchange on the live tape."""

from services.gateway.rules import Gateway
from tape.service import serve
from tape.settings import load
from venues.instruments import BINANCE_SPOT
from venues.simulated import SimulationSettings

if __name__ == "__main__":
    serve(Gateway(load(SimulationSettings, "gateway"), BINANCE_SPOT))
