"""What goes wrong: each fault, done to a random victim; some wait until the victim is about to speak, or is back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random

from contracts.codec import encode
from contracts.control import TradingStateSet
from contracts.event import Event
from contracts.types import TradingState
from services.simulator.disguise import wall_ns
from services.simulator.log import Log
from services.simulator.loop import Domain, SimulatedLoop
from services.simulator.models import promotion
from services.simulator.network import Link
from services.simulator.plan import Fault, Plan
from services.simulator.posts import Posts
from services.simulator.process import Process
from services.simulator.protocol import Publication, with_headers
from services.simulator.server import Server
from services.simulator.stream import Stored
from services.simulator.watch import FAULT, Sign, Watch
from tape.headers import new_trace, write_headers
from tape.snapshot import read_head
from venues.instruments import BINANCE_SPOT

LONGEST_OUTAGE_S = 4.0
LONGEST_HALT_S = 4.0
MANY_COMMANDS = 12
A_RENEWAL_S = 0.4
"""How long it takes to renew a place, when all goes slowly."""
JUNK_ON = ("clock.1s", "md.bar.1s.binance.BTCUSDT", "order.filled.binance.BTCUSDT", "risk.approved.binance.BTCUSDT")


@dataclass(slots=True)
class Ambush:
    """A fault that waits for its victim to write so many commands."""

    commands: int
    strike: Callable[[], None]


class Faults:
    """Does to the system what its plan says, as chance has it."""

    def __init__(
        self, loop: SimulatedLoop, random: Random, plan: Plan, posts: Posts, server: Server, watch: Watch, log: Log
    ) -> None:
        self._loop = loop
        self._random = random
        self._plan = plan
        self._posts = posts
        self._server = server
        self._watch = watch
        self._log = log
        self._active = True
        self._cut_off: dict[str, float] = {}
        self._said = 0
        self._faults = [fault for fault, rate in plan.rates.items() if rate > 0]
        self._weights = [plan.rates[fault] for fault in self._faults]
        self._do: Mapping[Fault, Callable[[], None]] = {
            Fault.CRASH: lambda: self._surprise(self._posts.kill),
            Fault.STOP: lambda: self._to_somebody(self._stop),
            Fault.PAUSE: lambda: self._surprise(self._pause),
            Fault.DROP: lambda: self._surprise(self._drop),
            Fault.STALL: lambda: self._to_somebody(self._stall),
            Fault.RESTART_SERVER: self._restart_server,
            Fault.POWER_CUT: self._power_cut,
            Fault.STALL_LEDGER: self._stall_ledger,
            Fault.SWALLOW_ACK: self._swallow_ack,
            Fault.REDELIVER: self._redeliver,
            Fault.LOSE_SNAPSHOT: self._lose_snapshot,
            Fault.SPOIL_SNAPSHOT: self._spoil_snapshot,
            Fault.OLD_SNAPSHOT: self._age_snapshot,
            Fault.HALT: self._halt,
            Fault.JUNK: self._junk,
            Fault.PROMOTE: self._promote,
            Fault.FORGET: self._forget,
        }

    def begin(self) -> None:
        if self._faults:
            self._wait()

    def heal(self) -> None:
        """Let nothing go wrong any more, and mend what has."""
        self._active = False
        if not self._server.up:
            self._server.start()
        for process in self._posts.processes:
            process.transport.on_write = None
            if process.paused:
                process.resume()
        self._control(TradingState.ACTIVE)

    def dial(self, domain: Domain) -> Link | None:
        """Connect a process, unless it is cut off. Raises `OSError` when the server is away."""
        return None if self._loop.time() < self._cut_off.get(domain.name, 0.0) else self._server.dial(domain)

    def _wait(self) -> None:
        self._loop.call_later(self._random.expovariate(sum(self._weights)), self._strike)

    def _strike(self) -> None:
        if self._active:
            self._do[self._random.choices(self._faults, self._weights)[0]]()
            self._wait()

    # -- to processes --------------------------------------------------------------------------------------------

    def _to_somebody(self, strike: Callable[[Process], None]) -> None:
        if processes := self._posts.processes:
            strike(self._random.choice(processes))

    def _surprise(self, strike: Callable[[Process], None]) -> None:
        """Strike somebody now, in the middle of what it says next, or whoever does the next thing of some kind."""
        processes = self._posts.processes
        if not processes:
            return
        victim, chance = self._random.choice(processes), self._random.random()
        if chance < 0.3:
            strike(victim)
        elif chance < 0.6:
            ambush = Ambush(self._random.randint(1, MANY_COMMANDS), partial(strike, victim))
            victim.transport.on_write = partial(self._on_write, victim, ambush)
        elif chance < 0.8:
            self._watch.ambushes[Sign.SNAPSHOT] = partial(self._strike_sender, strike, 0.0)
        else:
            after = self._random.choice((0.0, self._plan.renew_fence_after_s))
            self._watch.ambushes[Sign.LEASE] = partial(self._strike_sender, strike, after)

    def _strike_sender(self, strike: Callable[[Process], None], after_s: float, sender: str) -> None:
        """Strike whoever did something: at once, or about when it does so next."""
        for process in self._posts.processes:
            if process.domain.name == sender:
                self._loop.call_later(
                    after_s + A_RENEWAL_S * self._random.random() if after_s else 0.0, strike, process
                )

    def _on_write(self, victim: Process, ambush: Ambush) -> None:
        ambush.commands -= 1
        if ambush.commands == 0:
            victim.transport.on_write = None
            with self._loop.within(None):
                self._loop.call_soon(ambush.strike)

    def _stop(self, process: Process) -> None:
        self._log.note("stop", f"of {process.domain.name}")
        process.tell_to_end()

    def _pause(self, process: Process) -> None:
        if process.paused or process not in self._posts.processes:
            return
        seconds = self._plan.pause_s * self._random.random()
        self._log.note("pause", f"of {process.domain.name} for {seconds:.3f} s")
        process.pause()
        self._loop.call_later(seconds, self._resume, process)

    def _resume(self, process: Process) -> None:
        if process.paused:
            self._log.detail(f"resume {process.domain.name}")
            process.resume()

    def _drop(self, process: Process) -> None:
        """Break a connection: part of what was on its way still arrives. Each end notices in its own time."""
        link = process.link
        if link is None or not link.open_at_client:
            return
        self._log.note("drop", f"of the connection of {process.domain.name}")
        link.up.cut(self._random.randint(0, len(link.up)))
        link.down.cut(self._random.randint(0, len(link.down)))
        later = self._random.choice((0.0, 0.0, 1.0)) * self._random.random()
        self._loop.call_later(later, self._server.lose, link)
        link.ends_at_client()
        if self._random.random() < 0.3:
            ambush = Ambush(self._random.randint(1, 3 * MANY_COMMANDS), partial(self._posts.kill, process))
            process.transport.on_write = partial(self._on_write, process, ambush)

    def _stall(self, process: Process) -> None:
        """Cut a process off for a while: nothing is lost unless the connection breaks then, too, at either end."""
        link = process.link
        seconds = self._plan.pause_s * self._random.random()
        until = self._loop.time() + seconds
        self._cut_off[process.domain.name] = until
        if link is None:
            return
        self._log.note("stall", f"of the connection of {process.domain.name} for {seconds:.3f} s")
        link.up.hold(until)
        link.down.hold(until)
        chance, breaks_after = self._random.random(), seconds * self._random.random()
        if chance < 0.3:
            self._loop.call_later(breaks_after, self._drop, process)
        elif chance < 0.5:
            self._loop.call_later(breaks_after, self._give_up, link, until)

    def _give_up(self, link: Link, until: float) -> None:
        """Let the server end a connection of somebody who is too slow, which that one hears of when he can."""
        self._log.note("slow consumer", f"of the connection of {link.domain.name}")
        self._server.lose(link)
        link.up.cut(0)
        self._loop.call_at(until, link.ends_at_client)

    # -- to servers ----------------------------------------------------------------------------------------------

    def _restart_server(self) -> None:
        if self._server.up:
            seconds = LONGEST_OUTAGE_S * self._random.random()
            self._log.note("outage", f"of the server for {seconds:.3f} s")
            self._server.stop()
            self._loop.call_later(seconds, self._back)

    def _back(self) -> None:
        if not self._server.up:
            self._log.detail("the server is back")
            self._server.start()

    def _power_cut(self) -> None:
        """Let the tape's disk hang, then everything go down at once: when a snapshot was kept, or a moment later."""
        seconds = self._random.random()
        self._server.hold_tape(self._loop.time() + seconds)
        self._watch.ambushes[Sign.SNAPSHOT] = self._soon_cut_power
        self._loop.call_later(seconds, self._cut_power)

    def _soon_cut_power(self, _sender: str) -> None:
        self._loop.call_soon(self._cut_power)

    def _cut_power(self) -> None:
        if self._server.up and self._active:
            self._log.note("power cut")
            self._restart_server()
            for process in self._posts.processes:
                self._posts.kill(process)

    def _stall_ledger(self) -> None:
        seconds = LONGEST_OUTAGE_S * self._random.random()
        self._log.note("ledger stall", f"for {seconds:.3f} s")
        self._server.ledger.hold(self._loop.time() + seconds)

    def _swallow_ack(self) -> None:
        self._log.note("lost acks")
        self._server.swallow_acks = self._random.randint(1, 3)

    def _redeliver(self) -> None:
        consumer = self._random.choice(list(self._server.consumers.values()))
        self._log.note("redelivery", f"by {consumer.name}")
        self._server.push_again(consumer, self._random.randint(1, 20))

    def _forget(self) -> None:
        """Let the tape lose some of what it begins with, but no lease that is in force: those are renewed in time."""
        tape = self._server.tape
        leases = [seq for subject, seq in tape.last_on.items() if subject.startswith("lease.")]
        first = min([tape.first_seq + (tape.last_seq - tape.first_seq) // 50, *leases])
        if first > tape.first_seq:
            tape.first_seq = first
            self._log.note("forgotten", f"all before {first}")

    # -- to snapshots --------------------------------------------------------------------------------------------

    def _some_snapshot(self) -> Stored | None:
        bucket = self._server.buckets["KV_snapshots"]
        kept = [seq for subject, seq in bucket.last_on.items() if "." not in subject.removeprefix("$KV.snapshots.")]
        return bucket.at(self._random.choice(kept)) if kept else None

    def _lose_snapshot(self) -> None:
        if kept := self._some_snapshot():
            self._log.note("lost snapshot", kept.subject)
            self._server.buckets["KV_snapshots"].forget(kept.subject)

    def _spoil_snapshot(self) -> None:
        """Change one byte of a snapshot, of its head or of one of its parts."""
        kept = self._some_snapshot()
        if kept is None:
            return
        bucket = self._server.buckets["KV_snapshots"]
        if self._random.random() < 0.5:
            try:
                parts = [bucket.last(f"$KV.snapshots.{key}") for key in read_head(kept.payload).parts]
            except ValueError:
                parts = []
            kept = next((part for part in parts if part is not None), kept)
        spoilt = bytearray(kept.payload)
        spoilt[self._random.randrange(len(spoilt))] = self._random.randrange(256)
        self._log.note("spoilt snapshot", kept.subject)
        self._server.put(bucket, Publication(kept.subject, "", b"", bytes(spoilt)), FAULT)

    def _age_snapshot(self) -> None:
        """Let a snapshot be of another version of the code."""
        kept = self._some_snapshot()
        if kept is None:
            return
        try:
            head = read_head(kept.payload)
        except ValueError:
            return
        self._log.note("old snapshot", kept.subject)
        old = head.model_copy(update={"version": head.version - 1}).sealed().model_dump_json().encode()
        bucket = self._server.buckets["KV_snapshots"]
        self._server.put(bucket, Publication(kept.subject, "", b"", old), FAULT)

    # -- on the tape ---------------------------------------------------------------------------------------------

    def _halt(self) -> None:
        """Halt trading as an operator, or let it only reduce, and allow it again a little later."""
        self._control(self._random.choice((TradingState.HALTED, TradingState.REDUCE_ONLY)))
        self._loop.call_later(LONGEST_HALT_S * self._random.random(), self._control, TradingState.ACTIVE)

    def _control(self, state: TradingState) -> None:
        """Say something as an operator."""
        now = wall_ns(self._loop)
        self._say(
            "ops", TradingStateSet(ts_event=now, ts_init=now, state=state, operator="simulated", reason="a fault")
        )

    def _promote(self) -> None:
        """Promote a model as a trainer."""
        self._say("trainer", promotion(next(iter(BINANCE_SPOT)), self._random.randrange(4), wall_ns(self._loop)))

    def _say(self, role: str, said: Event) -> None:
        if not self._server.up:
            return
        now = said.ts_init
        self._said += 1
        subject = type(said).subject_of(said)
        headers = write_headers(said, f"{role}/said-{now}-{self._said}", None, now, new_trace(now, self._said))
        self._log.note(role, subject)
        written = Publication(subject, "", with_headers(b"", headers), encode(said))
        self._server.put(self._server.tape, written, FAULT)

    def _junk(self) -> None:
        """Put something on the tape that is no event. Not in the feed's name: it alone writes there, and counts."""
        if self._server.up:
            self._log.note("junk")
            self._server.put(self._server.tape, Publication(self._random.choice(JUNK_ON), "", b"", b"{"), FAULT)
