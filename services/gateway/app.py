"""Run the gateway: to the simulated exchange, or, behind two switches, to real ones."""

import sys

from eventstore.history import stored_history
from services.gateway.blueprint import BLUEPRINT
from services.gateway.live import LiveGateway
from services.gateway.settings import GatewayMode, GatewaySettings
from tape.service import serve, serve_edge
from tape.settings import load
from venues.live.settings import LiveSettings, problems

if __name__ == "__main__":
    wanted = load(GatewaySettings, "gateway")
    if wanted.mode is GatewayMode.SIMULATED:
        serve(BLUEPRINT, stored_history())
    else:
        live = load(LiveSettings, "live")
        if missing := problems(live):
            sys.exit("\n".join(f"gateway: {problem}" for problem in missing))
        serve_edge("gateway", LiveGateway(wanted.model_copy(update={"live": live}), stored_history()))
