"""How drift is built from its settings."""

from services.drift.metrics import observe
from services.drift.rules import Drift
from services.drift.settings import DriftSettings
from tape.blueprint import Blueprint

BLUEPRINT = Blueprint("drift", DriftSettings, Drift, observe)
