"""How the probe is built from its settings."""

from services.probe.rules import Probe
from services.probe.settings import ProbeSettings
from tape.blueprint import Blueprint
from venues.instruments import LISTING


def _build(settings: ProbeSettings) -> Probe:
    return Probe(settings, LISTING)


BLUEPRINT = Blueprint("probe", ProbeSettings, _build)
