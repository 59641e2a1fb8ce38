"""How the ensemble is built from its settings."""

from services.hmm_ensemble.metrics import observe
from services.hmm_ensemble.rules import HmmEnsemble
from services.hmm_ensemble.settings import HmmEnsembleSettings
from tape.blueprint import Blueprint
from venues.instruments import LISTING


def _build(settings: HmmEnsembleSettings) -> HmmEnsemble:
    return HmmEnsemble(settings, LISTING)


BLUEPRINT = Blueprint("hmm_ensemble", HmmEnsembleSettings, _build, observe)
