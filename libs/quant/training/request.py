"""What a training is given, and what comes out of it: a model with its scores, or the reason why there is none."""

from dataclasses import dataclass

from contracts.market import Bar
from contracts.models import Artifact, Score, TrainedOn, TrainFailure
from contracts.types import InstrumentId
from quant.training.settings import DirectionTraining, RegimeTraining


@dataclass(frozen=True, slots=True)
class Training:
    """A training of one instrument's model from closed bars in order of time, all of one interval.

    `chunks` name the bytes that the bars come from. The same training gives the same artifact, byte for byte.
    """

    instrument: InstrumentId
    bars: list[Bar]
    chunks: tuple[str, ...]
    settings: RegimeTraining | DirectionTraining
    champion: Artifact | None
    """The model of this family that is believed now: its labels are inherited, and it is scored on the same data."""
    seed: int
    code: str

    def trained_on(self) -> TrainedOn:
        return TrainedOn(
            chunks=self.chunks, first=self.bars[0].ts_open, last=self.bars[-1].ts_open, rows=len(self.bars)
        )


@dataclass(frozen=True, slots=True)
class Trained:
    """A model, and how good it and the champion are on the hold-out.

    There is no score of a champion that observes something else: densities of different things do not compare.
    """

    artifact: Artifact
    score: Score
    champion_score: Score | None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there is no model."""

    failure: TrainFailure
    detail: str


class NoModel(Exception):
    """Ends a training from wherever its reason is found; does not leave this package."""

    def __init__(self, failure: TrainFailure, detail: str) -> None:
        super().__init__(detail)
        self.problem = Problem(failure, detail)
