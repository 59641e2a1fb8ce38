"""While a simulation runs, what the production code takes for the clock, the machine and chance is the simulation's."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any
from unittest.mock import patch

import nats.aio.client
from nats.nuid import NUID

import tape.lease
from services.simulator.loop import SimulatedLoop

BEGAN_S = 1_700_000_000
"""The wall clock's time when simulated time is zero."""
DISGUISED = ("tape", "services", "nats")
"""The packages whose clock is simulated."""


class SimulatedTime:
    """Stands in for the module `time`. Each simulated machine has its own wall clock, more or less right."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def monotonic(self) -> float:
        return self._loop.time()

    def time(self) -> float:
        return self.time_ns() / 1e9

    def time_ns(self) -> int:
        domain = self._loop.domain
        return wall_ns(self._loop, 0.0 if domain is None else domain.skew_s)


def wall_ns(loop: SimulatedLoop, skew_s: float = 0.0) -> int:
    """Give the wall clock's time, as a machine has it whose clock is ahead by `skew_s`."""
    return BEGAN_S * 1_000_000_000 + round((loop.time() + skew_s) * 1e9)


class _Machine:
    """Stands in for `os` and `socket`, as far as they name a process."""

    def __init__(self) -> None:
        self._processes = count(1)

    def getpid(self) -> int:
        return next(self._processes)

    def gethostname(self) -> str:
        return "simulated"


class _Numbered(NUID):
    """Stands in for the client's random names: the next number."""

    _numbers = count(1)

    def __init__(self) -> None:
        """Draw nothing from chance."""

    def next(self) -> bytearray:
        return bytearray(b"%022d" % next(_Numbered._numbers))


@contextmanager
def disguised(loop: SimulatedLoop, settings: Mapping[str, Any]) -> Iterator[None]:
    """Let the production code live in `loop`'s time; `settings` are constants of modules that have other values here.

    The keys of `settings` are dotted names, such as `tape.host.SNAPSHOT_EVERY`.
    """
    clock, machine = SimulatedTime(loop), _Machine()
    _Numbered._numbers = count(1)
    with ExitStack() as stack:
        for name, module in sorted(sys.modules.items()):
            if name.partition(".")[0] in DISGUISED and vars(module).get("time") is time and module is not _HERE:
                stack.enter_context(patch.object(module, "time", clock))
        stack.enter_context(patch.object(tape.lease, "os", machine))
        stack.enter_context(patch.object(tape.lease, "socket", machine))
        stack.enter_context(patch.object(nats.aio.client, "NUID", _Numbered))
        stack.enter_context(patch.object(nats.aio.client, "token_hex", lambda _size: ""))
        for target, value in settings.items():
            module_name, _, attribute = target.rpartition(".")
            stack.enter_context(patch.object(sys.modules[module_name], attribute, value))
        yield


_HERE = sys.modules[__name__]
