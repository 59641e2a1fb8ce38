"""What a trial is and what became of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum

from services.backtest.sweep.objective import total
from services.backtest.sweep.space import Parameters


class Fate(Enum):
    COMPLETE = "complete"
    """Played to the end."""
    PRUNED = "pruned"
    """Given up behind a fold: others were better there."""
    REPEATED = "repeated"
    """The same settings as in a trial before: its results are taken over, and it is no trial of its own."""
    REFUSED = "refused"
    """No such settings can be: `why` says what is wrong with them."""
    FAILED = "failed"
    """It raised, or its process died each time."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a trial brought in one fold: returns at even distances, and what it did for them."""

    returns: tuple[float, ...]
    net: float
    """After all costs, in the currency of the books."""
    fees: float
    trades: int
    """Positions that were closed."""
    fills: int

    def document(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Trial:
    """One of the combinations that were tried; `value` is what the objective gives for its stretches so far."""

    number: int
    parameters: Parameters
    changes: tuple[str, ...]
    fate: Fate
    value: float | None
    stretches: tuple[Stretch, ...]
    why: str = ""
    seconds: float = 0.0
    events: int = 0

    @property
    def returns(self) -> tuple[float, ...]:
        return joined(self.stretches)

    @property
    def net(self) -> float:
        return sum(stretch.net for stretch in self.stretches)

    @property
    def fees(self) -> float:
        return sum(stretch.fees for stretch in self.stretches)

    @property
    def trades(self) -> int:
        return sum(stretch.trades for stretch in self.stretches)

    @property
    def total_return(self) -> float:
        return total(self.returns)

    @property
    def is_own(self) -> bool:
        """Whether it was tried, and is not the same as another one."""
        return self.fate in (Fate.COMPLETE, Fate.PRUNED)


def joined(stretches: Sequence[Stretch]) -> tuple[float, ...]:
    return tuple(change for stretch in stretches for change in stretch.returns)


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """Find the complete trial of the highest value; of equal ones the first."""
    complete = [trial for trial in trials if trial.fate is Fate.COMPLETE and trial.value is not None]
    return max(complete, key=lambda trial: (trial.value or 0.0, -trial.number), default=None)
