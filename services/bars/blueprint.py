"""How bars is built from its settings."""

from services.bars.rules import Bars
from services.bars.settings import BarsSettings
from tape.blueprint import Blueprint

BLUEPRINT = Blueprint("bars", BarsSettings, Bars)
