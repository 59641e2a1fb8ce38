"""How long things take between us and the exchange: always the same, or drawn from a distribution."""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_serializer, model_validator

from quant.chance import Chance, stream

MOST_MS = 60_000.0
"""Nothing takes longer: what is drawn beyond is cut."""

_MICROSECOND, _MILLISECOND = 1_000, 1_000_000


class LatencyKind(Enum):
    UNIFORM = "uniform"
    """`LOW,HIGH` in ms."""
    LOGNORMAL = "lognormal"
    """`MEDIAN,SIGMA`: the median in ms, and the standard deviation of the logarithm."""
    QUANTILES = "quantiles"
    """Measured ones in ms, evenly apart from the least to the most; linear between them."""


_FORMS = "a number of ms, uniform:LOW,HIGH, lognormal:MEDIAN,SIGMA or quantiles:LEAST,...,MOST"


class Latency(BaseModel):
    """A distribution of latencies; written `lognormal:50,0.5`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: LatencyKind
    values: tuple[Annotated[float, Field(ge=0, le=MOST_MS, allow_inf_nan=False)], ...]

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:  # noqa: ANN401 # whatever is given
        return cls.parsed(given) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _is_a_distribution(self) -> Self:
        first, *others = self.values or (0.0,)
        match self.kind:
            case LatencyKind.UNIFORM:
                if len(self.values) != 2 or first > self.values[1]:
                    raise ValueError(f"{self}: takes LOW,HIGH with LOW not above HIGH")
            case LatencyKind.LOGNORMAL:
                if len(self.values) != 2 or first <= 0 or self.values[1] > 3:
                    raise ValueError(f"{self}: takes MEDIAN,SIGMA with a median above 0 and a sigma of at most 3")
            case LatencyKind.QUANTILES:
                if not others or list(self.values) != sorted(self.values):
                    raise ValueError(f"{self}: takes two or more latencies, the least first")
        return self

    @model_serializer
    def _written(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return f"{self.kind.value}:{','.join(f'{value:.12g}' for value in self.values)}"

    @staticmethod
    def parsed(text: str) -> dict[str, object]:
        word, colon, rest = text.partition(":")
        known = {kind.value: kind for kind in LatencyKind}
        if not colon or word not in known:
            raise ValueError(f"{text} is no latency: give {_FORMS}")
        try:
            return {"kind": known[word], "values": tuple(float(value) for value in rest.split(","))}
        except ValueError:
            raise ValueError(f"{text} is no latency: give {_FORMS}") from None

    @property
    def is_nothing(self) -> bool:
        return self.kind is not LatencyKind.LOGNORMAL and self.values[-1] == 0

    def draw(self, chance: Chance) -> float:
        """Draw a latency (ms): the inverse of the distribution function at a uniform draw."""
        match self.kind:
            case LatencyKind.UNIFORM:
                low, high = self.values
                return low + (high - low) * chance.uniform()
            case LatencyKind.LOGNORMAL:
                median, sigma = self.values
                return min(median * math.exp(sigma * chance.normal()), MOST_MS)
            case LatencyKind.QUANTILES:
                place = chance.uniform() * (len(self.values) - 1)
                below = int(place)
                return self.values[below] + (self.values[below + 1] - self.values[below]) * (place - below)


def _number_or_words(given: Any) -> Any:  # noqa: ANN401 # whatever is given
    """Read text, so that what is said of a wrong one is about the words that can be used."""
    if not isinstance(given, str):
        return given
    try:
        return float(given)
    except ValueError:
        return Latency.model_validate(given) if ":" in given else Latency.parsed(given)


Delay = Annotated[
    Annotated[float, Field(ge=0, le=MOST_MS, allow_inf_nan=False)] | Latency, BeforeValidator(_number_or_words)
]
"""In ms: a number, or a distribution."""


@dataclass(slots=True)
class Chances:
    """Where the draws of the exchange stand, by what is drawn: none of them tells anything of another."""

    orders: Chance
    reports: Chance
    feed: Chance
    rejects: Chance


def chances(seed: int) -> Chances:
    return Chances(*(stream(seed, "exchange", name) for name in ("orders", "reports", "feed", "rejects")))


def is_nothing(delay: float | Latency) -> bool:
    return delay.is_nothing if isinstance(delay, Latency) else delay == 0


class Delays:
    """How long a command takes to the exchange, and a report from there (ns).

    Data that comes `feed` late is the same as a market that goes on while we look at its past: on the time of the data
    a command arrives later by that much, and a report about what is not yet seen is heard earlier. None is heard before
    what it is about has been seen.
    """

    def __init__(self, order: float | Latency, report: float | Latency, feed: float | Latency, drawn: Chances) -> None:
        self._order, self._report, self._feed = order, report, feed
        self._drawn = drawn
        self.are_none = is_nothing(order) and is_nothing(feed)
        """Whether a command arrives as it is sent."""
        self.hold_reports = not is_nothing(report)

    def to_the_exchange(self) -> int:
        return _nanos(self._order, self._drawn.orders) + _nanos(self._feed, self._drawn.feed)

    def from_the_exchange(self) -> int:
        return max(_nanos(self._report, self._drawn.reports) - _nanos(self._feed, self._drawn.feed), 0)


def _nanos(delay: float | Latency, chance: Chance) -> int:
    """Draw whole microseconds: a logarithm may differ in its last digit from machine to machine."""
    if isinstance(delay, Latency):
        return round(delay.draw(chance) * 1_000) * _MICROSECOND
    return int(delay * _MILLISECOND)
