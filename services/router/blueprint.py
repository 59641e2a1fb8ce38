"""How router is built from its settings."""

from services.router.metrics import observe
from services.router.rules import Router
from services.router.settings import RouterSettings
from tape.blueprint import Blueprint

BLUEPRINT = Blueprint("router", RouterSettings, Router, observe)
