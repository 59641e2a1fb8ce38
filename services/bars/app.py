"""Run the bars component on the live tape."""

from services.bars.rules import Bars
from services.bars.settings import BarsSettings
from tape.service import serve
from tape.settings import load

if __name__ == "__main__":
    serve(Bars(load(BarsSettings, "bars")))
