"""What is done to the stack, and when: drawn from a seed before it begins."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from random import Random

QUIET_AT_FIRST_S = 5.0
MEAN_PAUSE_S = 6.0
"""Between two blows: about 100 in ten minutes, two thirds of them kills."""


class Blow(Enum):
    KILL = "kill"
    PAUSE = "pause"
    RESTART = "restart"


@dataclass(frozen=True)
class Strike:
    """A blow to one process, `at_s` seconds after the market began; a pause lasts `lasts_s`."""

    at_s: float
    target: str
    blow: Blow
    lasts_s: float = 0.0


WEIGHTS = {Blow.KILL: 6, Blow.PAUSE: 2, Blow.RESTART: 1}
SERVERS = ("nats", "ledger", "postgres")
"""Hit less often than the others: each blow to them is one to everybody."""


def draw(seed: int, seconds: float, components: tuple[str, ...], standbys: tuple[str, ...]) -> Iterator[Strike]:
    """Draw the strikes of a run; a standby is only ever killed or paused: nobody supervises it."""
    chance = Random(seed)  # noqa: S311 # it is to be the same again for the same seed
    targets = [*components, *components, *standbys, *SERVERS]
    at_s = QUIET_AT_FIRST_S
    while True:
        at_s += chance.uniform(0.5, 2 * MEAN_PAUSE_S - 0.5)
        if at_s > seconds:
            return
        target = chance.choice(targets)
        blow = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if blow is Blow.RESTART and target in standbys:
            blow = Blow.KILL
        lasts_s = chance.choice((0.3, 1.0, 3.0, 10.0)) if blow is Blow.PAUSE else 0.0
        if target in SERVERS:
            lasts_s = min(lasts_s, 3.0)
        yield Strike(at_s, target, blow, lasts_s)
