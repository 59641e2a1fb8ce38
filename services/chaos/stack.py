"""A stack of its own for one run of chaos: started, struck, looked at, and ended."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.chaos.plan import Blow, Strike
from services.cli.ports import is_free
from services.supervisor import control

HMM = Path(sys.executable).parent / "hmm"
COMMAND_S = 180.0


@dataclass
class Stack:
    """The stack in `run`, on ports that nobody used; `environment` is what its processes are told."""

    run: Path
    environment: dict[str, str]
    standbys: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def database_url(self) -> str:
        return f"postgresql://hmm@127.0.0.1:{self.environment['HMM_POSTGRES_PORT']}/hmm"

    def hmm(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            [HMM, *words], env=self.environment, capture_output=True, text=True, timeout=COMMAND_S, check=False
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"hmm {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def start_standby(self, name: str) -> None:
        log = (self.run / "logs" / f"{name}-standby.log").open("ab")
        self.standbys[name] = subprocess.Popen([HMM, "standby", name], env=self.environment, stdout=log, stderr=log)

    def keep_standbys(self) -> None:
        """Start again those that have ended, as a supervisor would."""
        for name, process in self.standbys.items():
            if process.poll() is not None:
                self.start_standby(name)

    async def pid_of(self, target: str) -> int | None:
        """Find a process of the stack; None while it is not running."""
        if target.endswith("-standby"):
            process = self.standbys[target.removesuffix("-standby")]
            return process.pid if process.poll() is None else None
        report = await control.ask_report(self.run)
        return next((process.pid for process in report.processes if process.name == target), None)

    async def strike(self, strike: Strike) -> bool:
        """Do it; False when there is no such process at this moment."""
        if strike.blow is Blow.RESTART:
            await control.ask_restart(self.run, strike.target)
            return True
        pid = await self.pid_of(strike.target)
        if pid is None:
            return False
        try:
            await _hit(pid, strike)
        except ProcessLookupError:
            return False
        return True

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.hmm("status", "--json"))
        return found

    def end(self) -> None:
        for process in self.standbys.values():
            process.terminate()
        for process in self.standbys.values():
            process.wait(20)
        self.hmm("down", check=False)


async def _hit(pid: int, strike: Strike) -> None:
    if strike.blow is Blow.KILL:
        os.kill(pid, signal.SIGKILL)
        return
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(strike.lasts_s)
    finally:
        os.kill(pid, signal.SIGCONT)


SERVER_PORTS = (
    "HMM_NATS_PORT",
    "HMM_NATS_MONITOR_PORT",
    "HMM_NATS_LEAF_PORT",
    "HMM_LEDGER_MONITOR_PORT",
    "HMM_POSTGRES_PORT",
)
PORTS_IN_A_ROW = 40
# Below what the kernel gives to outgoing connections, which could take a port before its server listens.
PORTS = range(24_000, 32_000, 100)


def new_stack(run: Path) -> Stack:
    """Describe a stack in `run`, on ports that nobody listens on, whose strategy trades often."""
    first = next(port for port in PORTS if all(map(is_free, range(port, port + PORTS_IN_A_ROW))))
    settings = {
        "HMM_RUN_DIR": str(run),
        "HMM_BARS_INTERVALS": '["1s","5s","1m"]',
        "HMM_TREND_INTERVAL": "1s",
        "HMM_TREND_FAST": "1",
        "HMM_TREND_SLOW": "3",
        "HMM_TREND_RSI_MIN": "0",
        "HMM_TREND_RSI_MAX": "100",
        "HMM_TREND_RSI": "2",
        "HMM_TREND_ATR": "2",
        "HMM_HEALTH_PORT_BASE": str(first + len(SERVER_PORTS)),
        **{name: str(first + offset) for offset, name in enumerate(SERVER_PORTS)},
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HMM_")}
    return Stack(run, inherited | settings)
