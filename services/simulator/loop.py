"""An event loop in simulated time: no socket, no sleep, one order of events; what runs can be paused and killed."""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import Context
from enum import Enum
from typing import Any

RESTLESS = 100_000
"""More calls than this at one instant are a loop that never lets time pass."""
ROUNDS = 20
"""How often the tasks of a killed process are cancelled before they are given up."""


class DomainState(Enum):
    RUNNING = "running"
    PAUSED = "paused"
    DEAD = "dead"


class Domain:
    """What is paused and killed together: all that runs in one simulated process."""

    __slots__ = ("name", "parked", "skew_s", "state", "tasks")

    def __init__(self, name: str, skew_s: float = 0.0) -> None:
        self.name = name
        self.skew_s = skew_s
        self.state = DomainState.RUNNING
        self.parked: list[Call] = []
        self.tasks: list[asyncio.Task[Any]] = []


class Call(asyncio.TimerHandle):
    """A callback with the process that it belongs to."""

    __slots__ = ("domain",)

    def __init__(
        self, when: float, callback: Callable[..., object], args: tuple[Any, ...], domain: Domain | None
    ) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._cancelled = False
        self.domain = domain

    def cancel(self) -> None:
        self._cancelled = True
        self._callback = _nothing
        self._args = ()

    def cancelled(self) -> bool:
        return self._cancelled

    def when(self) -> float:
        return self._when


def _nothing() -> None:
    """Stand in for what was cancelled."""


class Restless(RuntimeError):
    """Something runs for ever without letting time pass."""


class SimulatedLoop(asyncio.AbstractEventLoop):
    """Runs one timed call after the other, each with all that follows from it at once; waiting takes no time.

    All calls share one context: nothing that runs here has context variables of its own.
    """

    def __init__(self, start_s: float) -> None:
        self.domain: Domain | None = None
        self.unwinding = False
        self.complaints: list[dict[str, Any]] = []
        self._now = start_s
        self._ready: deque[Call] = deque()
        self._timers: list[tuple[float, int, Call]] = []
        self._number = 0

    # -- driving it ----------------------------------------------------------------------------------------------

    @contextmanager
    def running(self) -> Iterator[None]:
        """Be the running loop of this thread."""
        asyncio._set_running_loop(self)
        try:
            yield
        finally:
            asyncio._set_running_loop(None)

    def step(self) -> bool:
        """Let time pass to the next timed call and make it; False if there is none."""
        timers = self._timers
        while timers:
            when, _, call = heapq.heappop(timers)
            domain = call.domain
            if call._cancelled or (domain is not None and domain.state is DomainState.DEAD):
                continue
            self._now = max(self._now, when)
            self._ready.append(call)
            self._settle()
            return True
        return False

    def _settle(self) -> None:
        ready, left = self._ready, RESTLESS
        while ready:
            call = ready.popleft()
            if call._cancelled:
                continue
            domain = call.domain
            if domain is not None and domain.state is not DomainState.RUNNING:
                if domain.state is DomainState.PAUSED:
                    domain.parked.append(call)
                continue
            self.domain = domain
            self._make(call)
            left -= 1
            if left == 0:
                raise Restless(f"{domain.name if domain else 'the world'} does not let time pass: {call._callback!r}")
        self.domain = None

    def _make(self, call: Call) -> None:
        try:
            call._callback(*call._args)
        except Exception as error:
            if self.domain is None:
                raise  # the simulator itself is wrong
            self.call_exception_handler({"message": f"in {call._callback!r}", "exception": error})

    # -- processes -----------------------------------------------------------------------------------------------

    @contextmanager
    def within(self, domain: Domain | None) -> Iterator[None]:
        """Act as that process: what is called or begun here belongs to it."""
        before, self.domain = self.domain, domain
        try:
            yield
        finally:
            self.domain = before

    def resume(self, domain: Domain) -> None:
        """Let a paused process go on with all that came meanwhile."""
        domain.state = DomainState.RUNNING
        parked, domain.parked = domain.parked, []
        self._ready.extend(parked)

    def unwind(self, domain: Domain) -> None:
        """Free what a killed process was made of. Nobody hears what its tasks do when they are cancelled."""
        mine = [call for call in (*self._ready, *domain.parked) if call.domain is domain]
        others = [call for call in self._ready if call.domain is not domain]
        domain.parked = []
        self._ready.clear()
        self.unwinding = True
        with self.within(domain):
            for _ in range(ROUNDS):
                alive = [task for task in domain.tasks if not task.done()]
                if not alive:
                    break
                for task in alive:
                    task.cancel()
                self._ready.extendleft(reversed(mine))
                mine = []
                for _ in range(RESTLESS):
                    if not self._ready:
                        break
                    self._make(self._ready.popleft())
        domain.tasks = []
        self._ready.clear()
        self._ready.extend(others)
        self.unwinding = False

    # -- what asyncio asks of a loop -----------------------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Call:
        call = Call(self._now, callback, args, self.domain)
        self._ready.append(call)
        return call

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Call:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Call:
        call = Call(when, callback, args, self.domain)
        if not self.unwinding:
            self._number += 1
            heapq.heappush(self._timers, (when, self._number, call))
        return call

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Call:
        return self.call_soon(callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        *,
        name: str | None = None,
        context: Context | None = None,  # as asyncio calls it
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name or "task")
        if self.domain is not None:
            tasks = self.domain.tasks
            tasks.append(task)
            if len(tasks) > 64 and len(tasks) % 64 == 1:
                self.domain.tasks = [task for task in tasks if not task.done()]
        return task

    def run_in_executor(  # type: ignore[override]
        self, _executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Do at once what a thread would do."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 # whoever awaits it gets it
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.unwinding:
            self.complaints.append(context)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False
