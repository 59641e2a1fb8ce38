"""How far the decisions of a run with less of the past are others than those of a run with all of it."""

from dataclasses import dataclass, field

from services.backtest.warmup.decisions import Decision, Decisions, Kind, Place

_SHOWN = 3


@dataclass(frozen=True)
class Instance:
    """A decision that differs: what is other in it; None: it was made in one of the runs only."""

    place: Place
    only: str | None
    fields: tuple[str, ...]
    held_the_same: bool
    had_spoken: bool
    """Whether the run with less of the past had decided anything of this kind and subject before, or did here."""

    @property
    def is_too_early(self) -> bool:
        """Whether it was said, or left unsaid, by one who spoke before he knew enough."""
        return self.held_the_same and self.had_spoken


@dataclass
class Comparison:
    """One kind of decision in runs that were given `past` bars before each place, against all the past."""

    past: int
    kind: Kind
    whole: int = 0
    part: int = 0
    """How many were made in the run with all the past, and in these."""
    differing: int = 0
    undue: int = 0
    """Of those that differ: though the same was held, so that nothing but what was seen can be the reason."""
    too_early: int = 0
    """Of those: from its own first word on. To be silent until enough was seen is what a warm-up is for."""
    largest: float = 0.0
    """Largest difference of an amount, as a share, among decisions that both runs made."""
    last: int | None = None
    """How long behind its place the last one that differs was made (ns)."""
    first: list[Instance] = field(default_factory=list)
    early: list[Instance] = field(default_factory=list)
    """The first of those that differ, and of those that were too early."""

    @property
    def share(self) -> float:
        """Give the share that differs of all that either run decided."""
        return self.differing / max(self.whole, self.part, 1)

    def note(self, instance: Instance, since: int) -> None:
        self.differing += 1
        self.undue += instance.held_the_same
        self.too_early += instance.is_too_early
        self.last = max(self.last or 0, instance.place.at - since)
        if len(self.first) < _SHOWN:
            self.first.append(instance)
        if instance.is_too_early and len(self.early) < _SHOWN:
            self.early.append(instance)


def compare(result: Comparison, whole: Decisions, part: Decisions, window: range, tolerance: float) -> None:
    """Add to `result` what both runs decided of its kind within a window of time (ns).

    Amounts that differ by no more than `tolerance` (a share) are the same. Of a strategy that holds a position in one
    run and none, or another one, in the other, nothing is asked: it decides on account of it.
    """
    usual, other = (within(decisions, result.kind, window) for decisions in (whole, part))
    result.whole += len(usual)
    result.part += len(other)
    for place in sorted(usual.keys() | other.keys(), key=lambda one: (one.at, one.subject, one.number)):
        one, two = usual.get(place), other.get(place)
        if one is not None and two is not None:
            fields, apart = _differences(one, two, tolerance)
            result.largest = max(result.largest, apart)
            if not fields:
                continue
            only = None
        else:
            fields, only = (), "all the past" if two is None else "less of it"
        of = (one or two).of  # type: ignore[union-attr] # one of the two is there
        same = of is None or whole.positions.before(of, place.at) == part.positions.before(of, place.at)
        first_word = part.first_words.get((result.kind, place.subject))
        had_spoken = first_word is not None and first_word <= place.at
        result.note(Instance(place, only, fields, same, had_spoken), window.start)


def within(decisions: Decisions, kind: Kind, window: range) -> dict[Place, Decision]:
    return {place: made for place, made in decisions.made.get(kind, {}).items() if place.at in window}


def _differences(one: Decision, two: Decision, tolerance: float) -> tuple[tuple[str, ...], float]:
    """Name what is other, and say by how much amounts are apart at most."""
    if len(one.exact) != len(two.exact) or len(one.amounts) != len(two.amounts):
        return ("its form",), 0.0
    found = [name for (name, value), (_, other) in zip(one.exact, two.exact, strict=True) if value != other]
    apart = 0.0
    for amount, other_amount in zip(one.amounts, two.amounts, strict=True):
        by = amount.differs_by(other_amount)
        apart = max(apart, by)
        if by > tolerance or amount.field != other_amount.field:
            found.append(amount.field)
    return tuple(dict.fromkeys(found)), apart
