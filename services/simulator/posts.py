"""The processes that should be there, and who starts them again."""

from collections.abc import Callable, Collection
from random import Random

from services.simulator.log import Log
from services.simulator.loop import Domain, SimulatedLoop
from services.simulator.network import Link
from services.simulator.plan import FEED, Plan
from services.simulator.process import Ending, Process
from services.simulator.programs import Hosted, Programs
from services.simulator.server import Server
from tape.host import Host, HostState

ABSENCES_S = (0.05, 0.05, 0.3, 0.3, 1.0, 1.0, 4.0, 12.0)
"""How long it takes at most until somebody is there again."""
CALM_ABSENCE_S = 0.2
NOTICED_WITHIN_S = 3.0
"""How long the server may take to see that a peer has gone, where the machine went with it."""


def _leading(role: str) -> HostState:
    return HostState.FINISHED if role == FEED else HostState.LIVE


class Post:
    """One place for a process of a role; whoever falls there is replaced."""

    def __init__(self, role: str, number: int) -> None:
        self.role = role
        self.name = f"{role}.{number}"
        self.process: Process | None = None
        self.started = 0

    def next_name(self) -> str:
        self.started += 1
        return f"{self.name}#{self.started}"


class Posts:
    """All places, filled and empty ones."""

    def __init__(
        self, loop: SimulatedLoop, random: Random, plan: Plan, programs: Programs, server: Server, log: Log
    ) -> None:
        self.calm = False
        """Whether whoever falls is replaced at once."""
        self.dial: Callable[[Domain], Link | None] = server.dial
        self._loop = loop
        self._random = random
        self._plan = plan
        self._programs = programs
        self._server = server
        self._log = log
        self._all = [Post(role, number + 1) for role, count in plan.instances.items() for number in range(count)]

    def open(self, roles: Collection[str]) -> None:
        """Start the processes of some roles, one soon after the other."""
        for post in self._all:
            if post.role in roles:
                self._loop.call_later(self._random.random(), self._start, post)

    @property
    def processes(self) -> list[Process]:
        return [post.process for post in self._all if post.process is not None]

    @property
    def hosts(self) -> list[tuple[str, Host]]:
        """The hosts of components that run, by the names of their processes."""
        return [
            (process.domain.name, process.program.host)
            for process in self.processes
            if isinstance(process.program, Hosted) and process.program.host and process.program.host.reader
        ]

    def without_leader(self) -> list[str]:
        """Name the roles under whose name nobody speaks."""
        led = {
            post.role
            for post in self._all
            if post.process is not None and post.process.program.state is _leading(post.role)
        }
        return [role for role in self._plan.instances if role not in led]

    def fill(self) -> None:
        """Start what is not there at once."""
        for post in self._all:
            self._start(post)

    def kill(self, process: Process) -> None:
        if process in self.processes:
            self._log.note("crash", f"of {process.domain.name}")
            process.kill(self._noticed_later)

    def _start(self, post: Post) -> None:
        if post.process is None:
            skew_s = self._plan.skew_s * (2 * self._random.random() - 1)
            domain = Domain(post.next_name(), skew_s)
            self._log.note("start", f"of {domain.name}")
            program = self._programs.new(post.role)

            def ended(ending: Ending, why: str) -> None:
                self._on_end(post, ending, why)

            post.process = Process(self._loop, self._random, domain, program, self.dial, ended)

    def _on_end(self, post: Post, ending: Ending, why: str) -> None:
        assert post.process is not None
        if ending is not Ending.KILLED:
            self._log.note(ending.value, f"{post.process.domain.name} {why}".rstrip())
        post.process = None
        absence = self._random.choice(ABSENCES_S) * self._random.random()
        self._loop.call_later(min(absence, CALM_ABSENCE_S) if self.calm else absence, self._start, post)

    def _noticed_later(self, link: Link) -> None:
        wait = self._random.choice((0.0, 0.0, NOTICED_WITHIN_S)) * self._random.random()
        self._loop.call_later(wait, self._server.lose, link)
