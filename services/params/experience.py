"""What is known of one strategy: what its presets earned in each regime, and by which one it opens where."""

from dataclasses import dataclass, field

from contracts.presets import Preset
from contracts.types import InstrumentId
from quant.bandit import Arms, Experience, Spread
from quant.chance import Chance


@dataclass(slots=True)
class Selection:
    """By what a strategy opens positions in an instrument from `since` on (ns)."""

    since: int
    regime: str
    name: str
    factors: Preset
    pinned: bool


@dataclass(slots=True)
class Learner:
    """`arms` by regime: the one that was learned of longest ago comes first. `selections` by instrument, in order."""

    presets: dict[str, Preset]
    chance: Chance
    spread: Spread = field(default_factory=Spread)
    arms: dict[str, Arms] = field(default_factory=dict)
    pinned: str | None = None
    selections: dict[InstrumentId, list[Selection]] = field(default_factory=dict)
    credited: int = 0
    uncredited: int = 0
    """Closed positions of which it is not known by what preset they were opened."""

    def adopt(self, presets: dict[str, Preset], chance: Chance) -> None:
        """Go on with these presets: what has another name or other factors than before begins without experience."""
        kept = {name for name, preset in presets.items() if self.presets.get(name) == preset}
        for regime, arms in self.arms.items():
            self.arms[regime] = {name: arms[name] if name in kept else Experience() for name in presets}
        self.presets = presets
        if self.pinned not in presets:
            self.pinned = None
        if self.chance.seed != chance.seed:
            self.chance = chance

    def arms_in(self, regime: str) -> Arms:
        """Give what is known of the presets in a regime, which may be nothing yet."""
        known = self.arms.get(regime)
        return {name: Experience() for name in self.presets} if known is None else known

    def remember(self, regime: str, arms: Arms, most: int) -> None:
        """Keep experience of a regime, and forget the one that was learned of longest ago if these are too many."""
        self.arms.pop(regime, None)
        self.arms[regime] = arms
        while len(self.arms) > most:
            del self.arms[next(iter(self.arms))]

    def in_force(self, instrument: InstrumentId) -> Selection | None:
        known = self.selections.get(instrument)
        return known[-1] if known else None

    def in_force_at(self, instrument: InstrumentId, moment: int) -> Selection | None:
        """Give what was in force at a time (ns); None where that was before all that is remembered."""
        return next((one for one in reversed(self.selections.get(instrument, ())) if one.since <= moment), None)

    def is_offered(self, selection: Selection) -> bool:
        """Whether the preset is still one of them, with the same factors."""
        return self.presets.get(selection.name) == selection.factors
