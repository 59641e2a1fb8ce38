"""The frame of every process: FastStream with its broker and lifespan, health and metrics over HTTP, a clean end."""

import asyncio
import gc
import json
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import uvicorn
import uvloop
from faststream.asgi import AsgiFastStream, AsgiResponse, get
from faststream.nats import NatsBroker
from prometheus_client import REGISTRY, make_asgi_app
from pydantic import BaseModel

from tape.blueprint import Blueprint
from tape.history import History
from tape.host import Host, HostState
from tape.metrics import ProcessMetrics
from tape.permissions import explain_denial
from tape.reader import Reader
from tape.settings import ProcessSettings, load
from tape.tasks import end
from tape.wire import Wire

logger = logging.getLogger(__name__)


class Running(Protocol):
    """What a process runs: a hosted component, or an edge."""

    @property
    def state(self) -> HostState: ...

    @property
    def position(self) -> int: ...

    @property
    def lag(self) -> int: ...

    @property
    def handled(self) -> int: ...

    @property
    def detail(self) -> str: ...

    async def start(self, wire: Wire) -> None: ...

    async def run(self) -> None:
        """Work until done or failed; a process whose work is done stays up and says so."""

    async def stop(self) -> None: ...


class HostedComponent:
    """A component as something a process can run."""

    def __init__(self, blueprint: Blueprint, settings: BaseModel, history: History | None) -> None:
        self.name = blueprint.name
        self._blueprint = blueprint
        self._settings = settings
        self._history = history
        self._host: Host | None = None

    @property
    def state(self) -> HostState:
        return self._host.state if self._host else HostState.STARTING

    @property
    def position(self) -> int:
        return self._host.position if self._host else 0

    @property
    def _reader(self) -> Reader | None:
        return self._host.reader if self._host else None

    @property
    def lag(self) -> int:
        return self._reader.lag if self._reader else 0

    @property
    def handled(self) -> int:
        return self._reader.handled if self._reader else 0

    @property
    def detail(self) -> str:
        return f"{self._host.said} said; {self._host.how_restored}" if self._host else ""

    async def start(self, wire: Wire) -> None:
        self._host = Host(self._blueprint, self._settings, wire, self._history)
        await self._host.start()

    async def run(self) -> None:
        assert self._host is not None
        await self._host.run()

    async def stop(self) -> None:
        if self._host is not None:
            await self._host.stop()


def serve(blueprint: Blueprint, history: History | None) -> None:
    """Run a component as this process, with its settings from the environment."""
    settings = load(blueprint.settings, blueprint.name)
    serve_edge(blueprint.name, HostedComponent(blueprint, settings, history))


def serve_edge(name: str, running: Running) -> None:
    """Run an edge (or a hosted component) as this process, until a signal or a failure ends it."""
    logging.basicConfig(level=os.environ.get("HMM_LOG_LEVEL", "INFO"), format="%(levelname)s %(name)s: %(message)s")
    for noisy in ("faststream", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    process = _Process(name, running, ProcessSettings())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        failed = runner.run(process.serve())
    sys.exit(1 if failed else 0)


class _Process:
    def __init__(self, name: str, running: Running, settings: ProcessSettings) -> None:
        self.name = name
        self.running = running
        self.settings = settings
        self.metrics = ProcessMetrics(name)
        self.failure: BaseException | None = None
        self.broker = NatsBroker(
            settings.nats_url,
            name=f"hmm-{name}",
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            ping_interval=5,
            max_outstanding_pings=2,
            pending_size=16 * 1024 * 1024,
            error_cb=self._on_error,
            logger=None,
            inbox_prefix=f"_INBOX.{name}",
            nkeys_seed=str(settings.nkey_file) if settings.nkey_file else None,
        )
        self.app = AsgiFastStream(
            self.broker,
            lifespan=self._lifespan,
            on_shutdown=(self._end,),  # before the broker's connection is closed: the end of a lifespan comes after
            asgi_routes=[
                ("/livez", get(self._livez)),
                ("/readyz", get(self._readyz)),
                ("/metrics", make_asgi_app(REGISTRY)),
            ],
            logger=None,
        )
        self.server = uvicorn.Server(
            uvicorn.Config(
                self.app,
                host=settings.health_host,
                port=settings.health_port,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=2,
            )
        )
        self._handled_before = (time.monotonic(), 0)
        self._rate = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    async def serve(self) -> bool:
        """Serve until told to end; True if the work failed."""
        await self.server.serve()
        return self.failure is not None

    @asynccontextmanager
    async def _lifespan(self) -> AsyncIterator[None]:
        await self.running.start(Wire(await self.broker.connect()))
        self._tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._pulse())]
        # What start-up made stays for ever: no collection needs to look at it again while events pass.
        gc.collect()
        gc.freeze()
        logger.info("%s is up", self.name)
        yield

    async def _end(self) -> None:
        await end(self._tasks)
        try:
            async with asyncio.timeout(5):
                await self.running.stop()
        except Exception:
            logger.exception("%s could not stop cleanly; nothing is lost, it resumes from the tape", self.name)

    async def _work(self) -> None:
        try:
            await self.running.run()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.failure = error
            logger.exception("%s failed and ends; it resumes from the tape when it is started again", self.name)
            self.server.should_exit = True

    async def _pulse(self) -> None:
        """Keep the rate and the gauges current."""
        while True:
            await asyncio.sleep(1.0)
            now, handled = time.monotonic(), self.running.handled
            then, before = self._handled_before
            self._rate = (handled - before) / (now - then)
            self._handled_before = (now, handled)
            self.metrics.update(self.running, handled - before)

    async def _on_error(self, error: Exception) -> None:
        self.metrics.errors.inc()
        logger.error("NATS: %s", explain_denial(self.name, error) or str(error) or type(error).__name__)

    async def _livez(self, _scope: Mapping[str, Any]) -> AsgiResponse:
        return AsgiResponse(b"alive", 503 if self.failure else 200)

    async def _readyz(self, _scope: Mapping[str, Any]) -> AsgiResponse:
        state = self.running.state
        document = {
            "name": self.name,
            "state": state.value,
            "position": self.running.position,
            "lag": self.running.lag,
            "events_per_second": round(self._rate, 1),
            "detail": self.running.detail,
        }
        ready = state in (HostState.LIVE, HostState.STANDBY, HostState.FINISHED) and self.failure is None
        return AsgiResponse(json.dumps(document).encode(), 200 if ready else 503, {"content-type": "application/json"})
