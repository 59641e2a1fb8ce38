"""How the funding guard is built from its settings."""

from services.funding.rules import FundingGuard
from services.funding.settings import FundingSettings
from tape.blueprint import Blueprint
from venues.instruments import LISTING


def _build(settings: FundingSettings) -> FundingGuard:
    return FundingGuard(settings, LISTING)


BLUEPRINT = Blueprint("funding", FundingSettings, _build)
