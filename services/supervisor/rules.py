"""What the supervisor decides, as pure functions: who waits for whom, who starts again and when, who stops first."""

from dataclasses import dataclass
from graphlib import TopologicalSorter

from services.supervisor.model import Availability, Condition, ProcessSpec, ProcessState, Restart, Stack

BACKOFF_CAP_SECONDS = 30.0
STABLE_AFTER_SECONDS = 60.0
"""A process that was up for so long has recovered: its next failure is the first of a new row."""

_MEETS = {
    Condition.STARTED: frozenset(
        {
            ProcessState.RUNNING,
            ProcessState.STARTING,
            ProcessState.HEALTHY,
            ProcessState.UNHEALTHY,
            ProcessState.COMPLETED,
        }
    ),
    Condition.HEALTHY: frozenset({ProcessState.HEALTHY}),
    Condition.COMPLETED: frozenset({ProcessState.COMPLETED}),
}


@dataclass(frozen=True)
class Ending:
    """How a process ended; a negative code is a signal, as `subprocess` has it."""

    code: int
    unresponsive: bool = False  # we ended it, because its liveness probe failed

    @property
    def failed(self) -> bool:
        return self.unresponsive or self.code != 0

    def __str__(self) -> str:
        if self.unresponsive:
            return "stopped answering its liveness probe"
        return f"ended by signal {-self.code}" if self.code < 0 else f"exited with {self.code}"


@dataclass(frozen=True)
class Again:
    """Start it once more after `delay` seconds."""

    delay: float


@dataclass(frozen=True)
class Finished:
    """It did what it was there for."""


@dataclass(frozen=True)
class GiveUp:
    """Starting it again would not help."""

    reason: str


Verdict = Again | Finished | GiveUp


def meets(condition: Condition, state: ProcessState) -> bool:
    return state in _MEETS[condition]


def is_settled(state: ProcessState, *, one_shot: bool) -> bool:
    """Whether a process has reached what it was started for."""
    return state in {ProcessState.HEALTHY, ProcessState.COMPLETED} or (state is ProcessState.RUNNING and not one_shot)


def unmet(spec: ProcessSpec, states: dict[str, ProcessState]) -> list[str]:
    """The processes `spec` still waits for."""
    return [name for name, how in spec.depends_on.items() if not meets(how.condition, states[name])]


def start_order(stack: Stack) -> list[str]:
    """Every process after all it depends on."""
    return list(TopologicalSorter(stack.graph).static_order())


def stop_waves(stack: Stack) -> list[list[str]]:
    """Groups to stop one after the other, each together: nobody loses what it depends on while it still runs."""
    dependents: dict[str, set[str]] = {name: set() for name in stack.processes}
    for name, needed in stack.graph.items():
        for other in needed:
            dependents[other].add(name)
    sorter = TopologicalSorter(dependents)
    sorter.prepare()
    waves = []
    while sorter.is_active():
        wave = sorter.get_ready()
        waves.append(sorted(wave))
        sorter.done(*wave)
    return waves


def backoff(availability: Availability, failures: int) -> float:
    """Seconds to wait before the start after the `failures`-th failure in a row: doubling, up to a cap."""
    assert failures >= 1
    doublings = min(failures - 1, 30)  # keeps the power small; the cap is reached long before
    return min(availability.backoff_seconds * 2.0**doublings, max(BACKOFF_CAP_SECONDS, availability.backoff_seconds))


def after_end(availability: Availability, ending: Ending, failures: int) -> Verdict:
    """What follows an end that nobody asked for; `failures` counts the restarts in a row that came before it."""
    match availability.restart:
        case Restart.NO:
            return GiveUp(str(ending)) if ending.failed else Finished()
        case Restart.ON_FAILURE if not ending.failed:
            return Finished()
        case Restart.ON_FAILURE | Restart.ALWAYS:
            if availability.max_restarts and failures >= availability.max_restarts:
                return GiveUp(f"{ending}, after {failures} restarts in a row")
            return Again(backoff(availability, failures + 1))
