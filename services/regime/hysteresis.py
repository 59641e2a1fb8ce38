"""Hysteresis: which regime holds, so that it does not change with every doubt."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.regimes import UNKNOWN
from services.regime.settings import RegimeSettings


@dataclass(slots=True)
class Hysteresis:
    """`settled` is the state that holds; `rival` another one that was above `enter` `in_a_row` times."""

    settled: str | None = None
    rival: str | None = None
    in_a_row: int = 0
    improbable: int = 0
    """Improbable observations in a row."""
    probable: int = 0
    is_unknown: bool = False

    @property
    def regime(self) -> str:
        return UNKNOWN if self.is_unknown or self.settled is None else self.settled

    def observe(
        self, labels: Sequence[str], probabilities: Sequence[float], settings: RegimeSettings, *, improbable: bool
    ) -> str:
        """Take one more observation and give the regime that holds after it.

        The first one settles on the most probable state. One that is improbable says nothing of states: until there is
        another the regime is unknown.
        """
        self._count(settings, improbable=improbable)
        if not improbable:
            self._settle(labels, probabilities, settings)
        return self.regime

    def _count(self, settings: RegimeSettings, *, improbable: bool) -> None:
        if improbable:
            self.improbable, self.probable = self.improbable + 1, 0
            self.is_unknown = self.is_unknown or self.improbable >= settings.improbable_needed
        else:
            self.improbable, self.probable = 0, self.probable + 1
            self.is_unknown = self.is_unknown and self.probable < settings.probable_needed

    def _settle(self, labels: Sequence[str], probabilities: Sequence[float], settings: RegimeSettings) -> None:
        best = max(probabilities)
        likely = labels[probabilities.index(best)]
        if self.settled is None or best > settings.certain:
            self._take(likely)
        elif likely == self.settled or best <= settings.enter:
            self.rival, self.in_a_row = None, 0
        else:
            self.in_a_row = self.in_a_row + 1 if likely == self.rival else 1
            self.rival = likely
            if self.in_a_row >= settings.dwell:
                self._take(likely)

    def _take(self, label: str) -> None:
        self.settled, self.rival, self.in_a_row = label, None, 0
