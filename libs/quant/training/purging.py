"""Which observations may fit where later ones test: none whose label the test shares, and none too near to it.

M. Lopez de Prado, Advances in Financial Machine Learning (2018): 7.4.1 (purging), 7.4.2 (embargo). Here what fits is
always before what tests (walk forward), so that the embargo lies before the test: features of its first observations
look back.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Times: TypeAlias = "NDArray[np.int64]"
"""When observations closed (ns), in order."""


@dataclass(frozen=True, slots=True)
class Purge:
    """The distance of what fits from what tests, in ns.

    The label of an observation is known `label` after it closed (0: it has none). Between the last label that fits and
    the first observation that tests lies more than `embargo`.
    """

    label: int
    embargo: int

    def __post_init__(self) -> None:
        assert self.label >= 0 and self.embargo >= 0

    def fits(self, closed_at: Times, tested_from: int) -> int:
        """Give how many of the first observations may fit what is tested from the one that closed at `tested_from`."""
        return int(closed_at.searchsorted(tested_from - self.label - self.embargo, side="left"))

    def tests(self, closed_at: Times, fitted: int) -> int:
        """Give the place of the first observation that may test what the first `fitted` ones have fitted."""
        assert 0 < fitted <= len(closed_at)
        return int(closed_at.searchsorted(closed_at[fitted - 1] + self.label + self.embargo, side="right"))
