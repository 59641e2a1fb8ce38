"""How portfolio is built from its settings."""

from services.portfolio.metrics import observe
from services.portfolio.rules import Portfolio
from services.portfolio.settings import PortfolioSettings
from tape.blueprint import Blueprint

BLUEPRINT = Blueprint("portfolio", PortfolioSettings, Portfolio, observe)
