"""How params is built from its settings."""

from services.params.metrics import observe
from services.params.rules import Params
from services.params.settings import ParamsSettings
from tape.blueprint import Blueprint

BLUEPRINT = Blueprint("params", ParamsSettings, Params, observe)
