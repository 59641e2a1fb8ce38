"""Live gateways as processes that begin at once: one process imports everything, and forks a gateway for each line.

Reads `<url of NATS> <settings as JSON>` from its input, and writes the process id of each gateway that it has made.
"""

import asyncio
import logging
import os
import signal
import sys

import ccxt.pro
import nats

from services.gateway.live import LiveGateway
from services.gateway.settings import GatewaySettings
from tape.wire import Wire

ccxt.pro  # noqa: B018 # a gateway imports it on first use; here it is there already


async def _live(url: str, settings: GatewaySettings) -> None:
    gateway = LiveGateway(settings, None)
    await gateway.start(Wire(await nats.connect(url)))
    await gateway.run()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        url, _, settings = line.partition(" ")
        pid = os.fork()
        if pid == 0:
            logging.basicConfig(level="WARNING")
            asyncio.run(_live(url, GatewaySettings.model_validate_json(settings)))
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
