"""What the ensemble knows of one instrument."""

from dataclasses import dataclass, field

from contracts.presets import Preset, PresetSelected
from contracts.regimes import CalibrationSet, DirectionInferred, RegimeInferred
from contracts.types import InstrumentId, Side
from services.hmm_ensemble.averages import Averages
from services.hmm_ensemble.judgement import Judgement
from services.hmm_ensemble.settings import HmmEnsembleSettings
from services.hmm_ensemble.shadow import Shadow

PLAIN = Preset()


@dataclass(slots=True)
class View:
    """The side that is to be held, the score below which it is left, and the strength that was said last."""

    side: Side | None = None
    leave_below: float = 0.0
    said: float = 0.0

    def turn(self, judgement: Judgement, settings: HmmEnsembleSettings, preset: Preset) -> bool:
        """Take the side that the score is for: from the threshold on, until it falls below a part of it.

        Says whether the side has changed.
        """
        side = self._side(judgement, settings, preset)
        if side is self.side:
            return False
        self.side = side
        self.leave_below = settings.leave * threshold(settings, preset) if side is not None else 0.0
        return True

    def _side(self, judgement: Judgement, settings: HmmEnsembleSettings, preset: Preset) -> Side | None:
        if judgement.aside:
            return None
        if self.side is not None and judgement.score * self.side.sign >= self.leave_below:
            return self.side
        return entered(judgement, settings, preset)


def threshold(settings: HmmEnsembleSettings, preset: Preset) -> float:
    return settings.threshold * preset.threshold


def entered(judgement: Judgement, settings: HmmEnsembleSettings, preset: Preset) -> Side | None:
    """Give the side on which a position may be opened."""
    side = Side.BUY if judgement.score > 0 else Side.SELL
    strong = judgement.firm and abs(judgement.score) >= threshold(settings, preset)
    return side if strong and (side is Side.BUY or settings.shorts) else None


@dataclass(slots=True)
class Leaving:
    """A position is being left: first what rests there is taken back, then it is traded away at the market."""

    reason: str
    price: float
    asked_at: int
    """When something was wished for last (ns)."""


@dataclass(slots=True)
class Pause:
    """Since when (ns) nothing is opened, and the preset's factor on how long."""

    since: int
    factor: float

    def is_over(self, now: int, settings: HmmEnsembleSettings, calibration: CalibrationSet | None) -> bool:
        scale = self.factor * (calibration.cooldown_scale if calibration else 1.0)
        return now - self.since >= settings.cooldown_s * scale * 1_000_000_000


@dataclass(slots=True)
class Market:
    averages: Averages | None = None
    regime: RegimeInferred | None = None
    direction: DirectionInferred | None = None
    selected: PresetSelected | None = None
    view: View = field(default_factory=View)
    opened_by: Preset | None = None
    """The preset of the position that is held or on its way."""
    leaving: Leaving | None = None
    pause: Pause | None = None
    shadow: Shadow | None = None
    told: str | None = None
    """What kept it from trading when an operator was told of it last."""

    @property
    def preset(self) -> Preset:
        return self.selected.settings if self.selected is not None else PLAIN


@dataclass(slots=True)
class Calibrations:
    """What the operator said last of each instrument, and of all; what names an instrument wins."""

    all: CalibrationSet | None = None
    named: dict[InstrumentId, CalibrationSet] = field(default_factory=dict)

    def hear(self, said: CalibrationSet) -> None:
        if said.instrument is None:
            self.all = said
        else:
            self.named[said.instrument] = said

    def of(self, instrument: InstrumentId) -> CalibrationSet | None:
        return self.named.get(instrument, self.all)
