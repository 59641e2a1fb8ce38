"""How regime is built from its settings."""

from services.regime.metrics import observe
from services.regime.rules import Regime
from services.regime.settings import RegimeSettings
from tape.blueprint import Blueprint

BLUEPRINT = Blueprint("regime", RegimeSettings, Regime, observe)
