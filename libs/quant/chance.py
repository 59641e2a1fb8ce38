"""Chance that can be told again: the same seed gives the same draws in every process, and its place is a number."""

import hashlib
from dataclasses import dataclass
from statistics import NormalDist

_WORD = 2**64 - 1
_GAMMA = 0x9E3779B97F4A7C15
_STANDARD = NormalDist()


@dataclass(slots=True)
class Chance:
    """A stream of draws, all that it knows being how many were made.

    SplitMix64: G. Steele, D. Lea, C. Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014. The n-th word
    depends on `seed` and n alone, so a stream goes on anywhere.
    """

    seed: int
    drawn: int = 0

    def word(self) -> int:
        """Draw a whole number of 64 bits."""
        self.drawn += 1
        mixed = (self.seed + self.drawn * _GAMMA) & _WORD
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _WORD
        return mixed ^ (mixed >> 31)

    def uniform(self) -> float:
        """Draw from between 0 and 1, and neither of them."""
        return ((self.word() >> 12) + 0.5) / 2**52

    def normal(self) -> float:
        """Draw from the standard normal distribution: the inverse of its distribution function at a uniform draw."""
        return _STANDARD.inv_cdf(self.uniform())


def stream(seed: int, *names: str) -> Chance:
    """Begin the stream of this name: streams of other names, or of another seed, tell nothing of it."""
    named = "/".join((str(seed), *names)).encode()
    return Chance(int.from_bytes(hashlib.sha256(named).digest()[:8], "big"))
