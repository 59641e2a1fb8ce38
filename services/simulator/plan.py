"""What a seed stands for: the system that runs, the network it has, and how often what goes wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from random import Random

from services.catalog import BLUEPRINTS
from services.simulator.network import Latency

FEED = "feed"
ROLES_RUN = (FEED, *BLUEPRINTS)


class Fault(Enum):
    """What can go wrong, and how often in a second in a seed where it does."""

    CRASH = "crash"
    STOP = "stop"
    PAUSE = "pause"
    DROP = "drop"
    STALL = "stall"
    RESTART_SERVER = "restart_server"
    POWER_CUT = "power_cut"
    STALL_LEDGER = "stall_ledger"
    SWALLOW_ACK = "swallow_ack"
    REDELIVER = "redeliver"
    LOSE_SNAPSHOT = "lose_snapshot"
    SPOIL_SNAPSHOT = "spoil_snapshot"
    OLD_SNAPSHOT = "old_snapshot"
    HALT = "halt"
    JUNK = "junk"
    FORGET = "forget"
    PROMOTE = "promote"
    """No fault, but as sudden: another model is believed from here on."""


USUAL_RATES: Mapping[Fault, float] = {
    Fault.CRASH: 0.3,
    Fault.STOP: 0.1,
    Fault.PAUSE: 0.15,
    Fault.DROP: 0.3,
    Fault.STALL: 0.15,
    Fault.RESTART_SERVER: 0.03,
    Fault.POWER_CUT: 0.06,
    Fault.STALL_LEDGER: 0.1,
    Fault.SWALLOW_ACK: 0.1,
    Fault.REDELIVER: 0.2,
    Fault.LOSE_SNAPSHOT: 0.1,
    Fault.SPOIL_SNAPSHOT: 0.1,
    Fault.OLD_SNAPSHOT: 0.05,
    Fault.HALT: 0.2,
    Fault.JUNK: 0.1,
    Fault.FORGET: 0.1,
    Fault.PROMOTE: 0.15,
}


@dataclass(frozen=True)
class Plan:
    """All that is chosen before a simulation begins; times in seconds."""

    seed: int
    symbols: tuple[str, ...]
    quotes_per_s: float
    speed: int
    instances: Mapping[str, int]
    """How many processes each role has: one leads, the others stand by."""
    latency: Latency
    answers: Latency
    """How long the server's API takes to answer."""
    intake: Latency
    """How long a stream may let a message wait before it takes it."""
    skew_s: float
    """How far a machine's clock is off at most."""
    ledger_lag_s: float
    most_unacked: int
    snapshot_every: int
    renew_fence_after_s: float
    give_up_after_s: float
    duplicates_within_s: float
    pause_s: float
    """How long a process is paused, or cut off, at most: what it then says has to come within the duplicate window."""
    hostile: bool
    has_history: bool
    changes_settings: bool
    rates: Mapping[Fault, float]
    """How often each fault happens in a second."""


def plan(seed: int) -> Plan:
    """Choose; about one seed in eight is calm, and in the others some faults never happen and some often do."""
    random = Random(seed)
    intensity = 0.0 if random.random() < 0.12 else random.choice((0.3, 1.0, 1.0, 2.0))
    give_up = random.choice((5.0, 60.0))
    has_history = random.random() < 0.5
    crowd = random.choice(((1,), (1, 1, 1, 2), (1, 2), (2,), (1, 2, 3)))
    rates = {
        fault: usual * intensity * random.choice((0.0, 0.3, 1.0, 1.0, 3.0)) for fault, usual in USUAL_RATES.items()
    }
    if not has_history:
        rates[Fault.FORGET] = 0.0
    return Plan(
        seed=seed,
        symbols=random.choice((("BTCUSDT",), ("BTCUSDT", "ETHUSDT"))),
        quotes_per_s=random.choice((1.0, 2.0, 4.0)),
        speed=random.choice((8, 16)),
        instances={role: random.choice(crowd) for role in ROLES_RUN},
        latency=Latency(0.0001, random.choice((0.0002, 0.002, 0.02)), random.choice((0.0, 0.01, 0.05)), 0.3),
        answers=Latency(0.0001, random.choice((0.0002, 0.005)), random.choice((0.0, 0.01, 0.1)), 3.0),
        intake=Latency(0.0, 0.0, random.choice((0.0, 0.003, 0.03)), 0.2),
        skew_s=random.choice((0.0, 0.0, 0.3, 0.8)),
        ledger_lag_s=random.choice((0.001, 0.02, 0.2)),
        most_unacked=random.choice((8192, 8192, 30)),
        snapshot_every=random.choice((3, 20, 100, 10_000)),
        renew_fence_after_s=random.choice((0.7, 3.0, 3600.0)),
        give_up_after_s=give_up,
        duplicates_within_s=120.0 if give_up == 60.0 else 18.0,
        pause_s=4.0,
        hostile=random.random() < 0.35,
        has_history=has_history,
        changes_settings=random.random() < 0.3,
        rates=rates,
    )
