"""Every component of the system, by name: for whoever runs them all, or looks at what they did."""

from services.allocator.blueprint import BLUEPRINT as ALLOCATOR
from services.bars.blueprint import BLUEPRINT as BARS
from services.clock.blueprint import BLUEPRINT as CLOCK
from services.depeg.blueprint import BLUEPRINT as DEPEG
from services.drift.blueprint import BLUEPRINT as DRIFT
from services.funding.blueprint import BLUEPRINT as FUNDING
from services.gateway.blueprint import BLUEPRINT as GATEWAY
from services.hmm_ensemble.blueprint import BLUEPRINT as HMM_ENSEMBLE
from services.params.blueprint import BLUEPRINT as PARAMS
from services.portfolio.blueprint import BLUEPRINT as PORTFOLIO
from services.probe.blueprint import BLUEPRINT as PROBE
from services.regime.blueprint import BLUEPRINT as REGIME
from services.risk.blueprint import BLUEPRINT as RISK
from services.router.blueprint import BLUEPRINT as ROUTER
from services.scheduler.blueprint import BLUEPRINT as SCHEDULER
from services.stops.blueprint import BLUEPRINT as STOPS
from services.trend.blueprint import BLUEPRINT as TREND
from tape.blueprint import Blueprint

BLUEPRINTS: dict[str, Blueprint] = {
    blueprint.name: blueprint
    for blueprint in (
        *(CLOCK, BARS, TREND, RISK, ROUTER, GATEWAY, PORTFOLIO),
        *(STOPS, ALLOCATOR, DEPEG, FUNDING, PROBE),
        *(SCHEDULER, REGIME, DRIFT, PARAMS, HMM_ENSEMBLE),
    )
}
