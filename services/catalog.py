"""Every component of the system, by name: for whoever runs them all, or looks at what they did."""

from services.bars.blueprint import BLUEPRINT as BARS
from services.clock.blueprint import BLUEPRINT as CLOCK
from services.gateway.blueprint import BLUEPRINT as GATEWAY
from services.portfolio.blueprint import BLUEPRINT as PORTFOLIO
from services.risk.blueprint import BLUEPRINT as RISK
from services.router.blueprint import BLUEPRINT as ROUTER
from services.trend.blueprint import BLUEPRINT as TREND
from tape.blueprint import Blueprint

BLUEPRINTS: dict[str, Blueprint] = {
    blueprint.name: blueprint for blueprint in (CLOCK, BARS, TREND, RISK, ROUTER, GATEWAY, PORTFOLIO)
}
