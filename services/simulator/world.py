"""One simulation from beginning to rest: the system, its server, its network, its faults, and who watches."""

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from contracts.orders import OrderInitialized
from contracts.ownership import ROLES
from contracts.recorded import Recorded, Unreadable
from services.catalog import BLUEPRINTS
from services.simulator.disguise import disguised
from services.simulator.faults import Faults
from services.simulator.log import LOGGERS, Log
from services.simulator.loop import Restless, SimulatedLoop
from services.simulator.market import Market
from services.simulator.outcome import Outcome
from services.simulator.past import Past
from services.simulator.plan import FEED, Plan, plan
from services.simulator.posts import Posts
from services.simulator.programs import Programs
from services.simulator.server import Server
from services.simulator.watch import Watch
from tape.consumers import consumers_of
from tape.host import HostState

BEGINS_AT_S = 100.0
REST_WITHIN_S = 120.0
"""How long the system may take to come to rest when nothing goes wrong any more."""
QUIET_S = 4.0
LOOK_EVERY_S = 0.25
AT_REST = (HostState.LIVE, HostState.STANDBY, HostState.FINISHED)


class World:
    def __init__(self, chosen: Plan, loop: SimulatedLoop, log: Log) -> None:
        random = Random(f"world/{chosen.seed}")
        self.loop = loop
        self.log = log
        self.steps = 0
        self._market = Market(chosen.seed, chosen.symbols, chosen.quotes_per_s)
        history: list[Recorded | Unreadable] = []
        past = Past(history, lambda: server.archived())  # noqa: PLW0108 # there is no server yet
        programs = Programs(chosen, random, past if chosen.has_history else None)
        self._watch = Watch(history, programs.blueprints, self._market, log)
        server = Server(loop, random, chosen, self._watch)
        self._watch.snapshots = server.buckets["KV_snapshots"]
        self._watch.durable_up_to = lambda: max(server.ledger.position, past.last() if chosen.has_history else 0)
        server.add_consumers((c for role in ROLES.values() for c in consumers_of(role)), chosen.most_unacked)
        self._server = server
        self._posts = Posts(loop, random, chosen, programs, server, log)
        self._faults = Faults(loop, random, chosen, self._posts, server, self._watch, log)
        self._posts.dial = self._faults.dial
        self._settings = {
            "tape.host.SNAPSHOT_EVERY": chosen.snapshot_every,
            "tape.seat.RENEW_FENCE_AFTER_S": chosen.renew_fence_after_s,
            "tape.publisher.GIVE_UP_AFTER_S": chosen.give_up_after_s,
            "services.feed.app.read_frames": self._market.read_frames,
            "services.feed.app.fingerprint": self._market.fingerprint,
        }

    def run(self, steps: int) -> None:
        """Let things happen, with faults, until something is wrong or so many steps are done; then come to rest."""
        with disguised(self.loop, self._settings), self.loop.running():
            if self._open() and self._step_until(steps) and self._come_to_rest():
                self._watch.at_rest(self._posts.hosts)
            self._clear()

    def outcome(self, seed: int) -> Outcome:
        orders = sum(isinstance(r, Recorded) and isinstance(r.event, OrderInitialized) for r in self._watch.history)
        return Outcome(
            seed=seed,
            steps=self.steps,
            failed_at=self.steps if self._watch.problems else None,
            problems=tuple(self._watch.problems),
            last=tuple(self.log.last),
            events=len(self._watch.history),
            orders=orders,
            seconds=self.loop.time() - BEGINS_AT_S,
            counts=dict(self.log.counts),
            digest=self.log.digest(),
        )

    def _open(self) -> bool:
        """Start the components, and then, when each of them has a voice, the market and what goes wrong."""
        self._posts.open(BLUEPRINTS)
        while missing := [role for role in self._posts.without_leader() if role != FEED]:
            if not self._step_for(LOOK_EVERY_S):
                return False
            if self.loop.time() > BEGINS_AT_S + REST_WITHIN_S:
                self._watch.problems.append(f"it does not begin: nobody leads as {', '.join(missing)}")
                return False
        self._posts.open([FEED])
        self._faults.begin()
        return True

    def _step_until(self, steps: int) -> bool:
        """Step; False as soon as something is wrong."""
        step, problems = self.loop.step, self._watch.problems
        try:
            while self.steps < steps and not problems:
                step()
                self.steps += 1
        except Restless as error:
            problems.append(str(error))
        return not problems

    def _come_to_rest(self) -> bool:
        """Heal all faults, end the market, and wait until nothing is under way; False if something is wrong."""
        self.log.note("heal")
        self._faults.heal()
        self._market.close()
        self._posts.calm = True
        self._posts.fill()
        until, quiet_since, said = self.loop.time() + REST_WITHIN_S, self.loop.time(), 0
        while self.loop.time() < quiet_since + QUIET_S:
            if not self._step_for(LOOK_EVERY_S):
                return False
            unrest = self._unrest()
            if self.loop.time() > until:
                self._watch.problems.append(f"it does not come to rest: {'; '.join(unrest)}")
                return False
            if self._watch.said != said or unrest:
                said, quiet_since = self._watch.said, self.loop.time()
        return True

    def _step_for(self, seconds: float) -> bool:
        """Step until so much time has passed; False as soon as something is wrong."""
        until = self.loop.time() + seconds
        while self.loop.time() < until:
            if not self._step_until(self.steps + 1):
                return False
        return True

    def _unrest(self) -> list[str]:
        """Name what is not yet as it should be."""
        states = {process.domain.name: process.program.state for process in self._posts.processes}
        unrest = [f"{name} is {state.value}" for name, state in states.items() if state not in AT_REST]
        unrest += [f"nobody leads as {role}" for role in self._posts.without_leader()]
        for process, host in self._posts.hosts:
            if host.position < (last := self._server.last_for(host.name, self._watch.said)):
                unrest.append(f"{process} is at {host.position} of {last}")
        return unrest + self._watch.owing()

    def _clear(self) -> None:
        for process in self._posts.processes:
            process.kill(lambda _link: None)


def simulate(seed: int, steps: int) -> Outcome:
    """Run one seed."""
    loop = SimulatedLoop(BEGINS_AT_S)  # type: ignore[abstract] # what no program of ours asks for is left out
    log = Log(loop)
    with _logged(log), _without_collection():
        world = World(plan(seed), loop, log)
        world.run(steps)
        return world.outcome(seed)


@contextmanager
def _logged(log: Log) -> Iterator[None]:
    """Let what our code and the client log go into the simulation's own log."""
    before = []
    for name in LOGGERS:
        logger = logging.getLogger(name)
        before.append((logger, logger.level, logger.propagate))
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(log)
    try:
        yield
    finally:
        for logger, level, propagate in before:
            logger.setLevel(level)
            logger.propagate = propagate
            logger.removeHandler(log)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Do without the collector of cycles: what it finalizes, and when, is no part of a simulation."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()
