"""Allocator: divide capital among strategies; who gets much more or less than before, an operator decides."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import ClassVar

from contracts.books import CapitalAllocated, CapitalProposed, EquityMarked, PositionClosed
from contracts.clock import ClockTick
from contracts.control import Alert, CapitalDecided
from contracts.event import Event
from contracts.types import Severity
from services.allocator.policies import Division, divide
from services.allocator.purse import ZERO, Change, Proposal, Purse, Refusal, Steps
from services.allocator.settings import LARGEST, AllocatorSettings, TotalOf
from services.allocator.statements import NAME, alert, allocated, named, proposed
from services.allocator.track import Track
from tape.component import Component, on

CENT = Decimal("0.01")
NOISE = Decimal("1e-6")
"""What the rounding of floats makes of an amount is less."""
SECOND = 1_000_000_000
DAY = 86_400 * SECOND


@dataclass(slots=True)
class AllocatorState:
    """Times are those of the last cut of returns, division of capital, and day that free changes are counted in."""

    currency: str
    return_every_s: int
    tracks: dict[str, Track]
    purses: dict[str, Purse]
    cut_at: int
    divided_at: int
    anchored_at: int
    over: dict[int, str]
    """What became of proposals that can no longer be decided, by position."""
    told: dict[str, None]
    """What an alert was given of, and is still so."""


class Allocator(Component):
    """What is given to all never rises above the total: an increase waits until others were given less."""

    produces: ClassVar[tuple[type[Event], ...]] = (CapitalProposed, CapitalAllocated, Alert)
    State = AllocatorState

    def __init__(self, settings: AllocatorSettings) -> None:
        super().__init__(NAME)
        self.settings = settings
        self.tracks: dict[str, Track] = {}
        self.purses: dict[str, Purse] = {}
        self._cut_at = self._divided_at = self._anchored_at = 0
        self._over: dict[int, str] = {}
        self._told: dict[str, None] = {}
        self._meet_named()

    def state(self) -> AllocatorState:
        return AllocatorState(
            self.settings.currency,
            self.settings.return_every_s,
            self.tracks,
            self.purses,
            self._cut_at,
            self._divided_at,
            self._anchored_at,
            self._over,
            self._told,
        )

    def restore(self, state: AllocatorState) -> None:
        """Go on from `state`; capital in another currency is forgotten, and so are returns over another time."""
        self._over, self._told = state.over, state.told
        self._cut_at, self._divided_at, self._anchored_at = state.cut_at, state.divided_at, state.anchored_at
        is_same = state.currency == self.settings.currency
        self.tracks = {name: track for name, track in state.tracks.items() if is_same and self._serves(name)}
        self.purses = {name: state.purses[name] for name in self.tracks}
        if state.return_every_s != self.settings.return_every_s:
            for track in self.tracks.values():
                track.restart()
        self._meet_named()

    # -- what strategies do --------------------------------------------------------------------------------------------

    @on(EquityMarked)
    def on_equity(self, marked: EquityMarked) -> tuple[Alert, ...] | None:
        name = marked.strategy
        if not self._serves(name):
            return None
        if marked.currency != self.settings.currency:
            return self._tell_once(
                marked,
                f"currency/{name}",
                "foreign_currency",
                f"the equity of {name} is in {marked.currency}, and capital is counted in {self.settings.currency}: it "
                "is not looked at; add it to `ignored` of the allocator, or keep its books in that currency",
            )
        if abs(marked.equity) > LARGEST:
            return self._tell_once(
                marked,
                f"equity/{name}",
                "unbelievable_equity",
                f"an equity of {marked.equity} {marked.currency} of {name} is not looked at: it is beyond {LARGEST}; "
                "correct the books that it comes from",
            )
        self._meet(name).equity = marked.equity
        return None

    @on(PositionClosed)
    def on_closed(self, closed: PositionClosed) -> None:
        track = self.tracks.get(closed.strategy)
        if track is not None:
            track.closed += 1

    # -- what the time brings ------------------------------------------------------------------------------------------

    @on(ClockTick)
    def on_tick(self, tick: ClockTick) -> Iterator[Event] | None:
        settings, now, purses = self.settings, tick.ts_init, self.purses.values()
        if _begins(now, settings.return_every_s * SECOND, self._cut_at):
            self._cut_at = now
            for track in self.tracks.values():
                track.cut(settings.returns)
        if _begins(now, DAY, self._anchored_at):
            self._anchored_at = now
            for purse in purses:
                purse.anchor = purse.bound
        divides = _begins(now, settings.rebalance_every_s * SECOND, self._divided_at)
        if divides or any(purse.capital is None for purse in purses):
            self._divided_at = now
            return self._on_time(tick, divides=True)
        return self._on_time(tick, divides=False) if any(purse.proposal is not None for purse in purses) else None

    def _on_time(self, tick: ClockTick, *, divides: bool) -> Iterator[Event]:
        for name, purse in self.purses.items():
            if purse.proposal is not None and self._is_expired(purse.proposal, tick.ts_init):
                yield self._expired(tick, name, purse)
        if divides and self.tracks:
            yield from self._divide(tick)

    def _divide(self, tick: ClockTick) -> Iterator[Event]:
        """Bring every strategy to its share, or propose it: first those that get less, which makes room."""
        division, total = divide(self.settings, self.tracks), self._total()
        yield from self._tell_objection(tick, division)
        steps = Steps(total * _exact(self.settings.least_step), total * _exact(self.settings.free_step))
        targets = {name: _cents((total * _exact(share)).quantize(NOISE)) for name, share in division.shares.items()}
        changes = {name: target - self.purses[name].bound for name, target in targets.items()}
        ordered = sorted(changes, key=changes.__getitem__)
        less = [name for name in ordered if changes[name] < 0]
        for name in less:
            yield from self._bring(tick, name, targets[name], steps, division)
        yield from self._settle(tick)
        for name in ordered[len(less) :]:
            yield from self._bring(tick, name, targets[name], steps, division)

    def _bring(self, tick: ClockTick, name: str, target: Decimal, steps: Steps, division: Division) -> Iterator[Event]:
        purse, share = self.purses[name], division.shares[name]
        reason = f"{share:.2%} of {self._total()} {self.settings.currency}: {division.why}"
        if purse.capital is None:
            purse.anchor = min(target, self._free_room())
            yield self._give(tick, name, purse.anchor, f"first allocation, {reason}")
        change = purse.change_to(target, steps)
        if change is Change.PROPOSED and purse.is_proposed(target, steps):
            return
        if purse.proposal is not None:
            reason = f"{reason}; instead of {named(purse.proposal)}"
            yield self._withdrawn(tick, name, purse)
        if change is Change.AT_ONCE:
            given = min(target, purse.bound + self._free_room())
            if purse.change_to(given, steps) is Change.AT_ONCE:
                yield self._give(tick, name, given, reason)
        elif change is Change.PROPOSED and not purse.is_refused(target, steps, tick.ts_init):
            purse.proposal = Proposal(target, tick.ts_init)
            yield proposed(tick, name, purse, target, share, self.settings.policy, reason)

    # -- what the operator decides -------------------------------------------------------------------------------------

    @on(CapitalProposed)
    def on_proposed(self, heard: CapitalProposed) -> None:
        """Learn at which position an own proposal is: by that it is decided."""
        position = self.moment.position
        purse = self.purses.get(heard.strategy)
        proposal = None if purse is None else purse.proposal
        if proposal is None or (proposal.at, proposal.capital) != (heard.ts_init, heard.capital):
            self._remember(position, "it was withdrawn at once")
        elif proposal.position is None:
            proposal.position = position

    @on(CapitalDecided)
    def on_decided(self, decided: CapitalDecided) -> Iterator[Event]:
        found = self._proposed_at(decided.proposal)
        if found is None:
            yield self._undecidable(decided)
            return
        name, proposal = found
        purse = self.purses[name]
        if self._is_expired(proposal, decided.ts_init):
            yield self._expired(decided, name, purse)
            yield self._undecidable(decided)
        elif decided.approved:
            yield from self._approve(decided, name, purse, proposal)
        else:
            until = decided.ts_init + self.settings.refusal_holds_s * SECOND
            purse.refusal, purse.proposal = Refusal(proposal.capital, until), None
            self._remember(decided.proposal, f"{decided.operator} refused it")

    def _proposed_at(self, position: int) -> tuple[str, Proposal] | None:
        for name, purse in self.purses.items():
            if purse.proposal is not None and purse.proposal.position == position:
                return name, purse.proposal
        return None

    def _approve(self, decided: CapitalDecided, name: str, purse: Purse, proposal: Proposal) -> Iterator[Event]:
        proposal.approved = True
        yield from self._settle(decided)
        if purse.proposal is proposal:
            yield alert(
                decided,
                Severity.INFO,
                "waits_for_room",
                f"{name} gets {proposal.capital} as soon as there is room: {self._room()} of {self._total()} "
                f"{self.settings.currency} are not given to anybody; approve what others are to get less",
            )

    def _undecidable(self, decided: CapitalDecided) -> Alert:
        became = self._over.get(decided.proposal, "nothing that is remembered was proposed there")
        return alert(
            decided,
            Severity.WARNING,
            "unknown_proposal",
            f"{decided.operator} decided over the proposal at {decided.proposal}, and nothing changed: {became}",
        )

    def _settle(self, event: Event) -> Iterator[Event]:
        """Give what was approved, as far as there is room: first to those that get less."""
        approved = [
            (purse.proposal.capital - purse.bound, name, purse.proposal)
            for name, purse in self.purses.items()
            if purse.proposal is not None and purse.proposal.approved
        ]
        for change, name, proposal in sorted(approved, key=lambda entry: entry[:2]):
            if change > self._room():
                continue
            assert proposal.position is not None, "only what was heard of can be approved"
            purse = self.purses[name]
            purse.proposal, purse.refusal, purse.anchor = None, None, proposal.capital
            self._remember(proposal.position, "it was approved before")
            yield self._give(event, name, proposal.capital, f"approved: {named(proposal)}", proposal.position)

    # -- proposals that are over ---------------------------------------------------------------------------------------

    def _is_expired(self, proposal: Proposal, now: int) -> bool:
        return now - proposal.at > self.settings.proposal_valid_s * SECOND

    def _expired(self, event: Event, name: str, purse: Purse) -> Alert:
        why = "nobody decided, or there was no room in time"
        return self._dropped(event, name, purse, Severity.WARNING, "proposal_expired", why)

    def _withdrawn(self, event: Event, name: str, purse: Purse) -> Alert:
        return self._dropped(event, name, purse, Severity.INFO, "proposal_withdrawn", "something else is right by now")

    def _dropped(self, event: Event, name: str, purse: Purse, severity: Severity, code: str, why: str) -> Alert:
        proposal = purse.proposal
        assert proposal is not None, "there is one to drop"
        purse.proposal = None
        if proposal.position is not None:
            self._remember(proposal.position, f"{code.replace('_', ' ')}: {why}")
        message = f"{name} does not get {proposal.capital}, {named(proposal)} is over: {why}; it keeps {purse.bound}"
        return alert(event, severity, code, message)

    def _remember(self, position: int, became: str) -> None:
        self._over[position] = became
        while len(self._over) > self.settings.remembered_proposals:
            del self._over[next(iter(self._over))]

    # -- who is served, and what there is ------------------------------------------------------------------------------

    def _serves(self, name: str) -> bool:
        return name not in self.settings.ignored

    def _meet_named(self) -> None:
        for name in self.settings.named:
            self._meet(name)

    def _meet(self, name: str) -> Track:
        track = self.tracks.get(name)
        if track is None:
            track = self.tracks[name] = Track()
            self.purses[name] = Purse()
        return track

    def _total(self) -> Decimal:
        """Give what is divided."""
        settings, tracks = self.settings, self.tracks.values()
        each, most = settings.capital_each, settings.total_capital
        if settings.total_of is TotalOf.GIVEN:
            return _cents(each * len(tracks) if most is None else most)
        worth = sum((each if track.equity is None else max(track.equity, ZERO) for track in tracks), start=ZERO)
        return _cents(worth if most is None else min(worth, most))

    def _room(self) -> Decimal:
        """Give what nobody has."""
        return max(ZERO, self._total() - sum((purse.bound for purse in self.purses.values()), start=ZERO))

    def _free_room(self) -> Decimal:
        """Give what nobody has, nor was promised by an approval."""
        return max(ZERO, self._room() - sum((purse.promised for purse in self.purses.values()), start=ZERO))

    # -- what is said --------------------------------------------------------------------------------------------------

    def _give(self, event: Event, name: str, capital: Decimal, reason: str, proposal: int | None = None) -> Event:
        purse = self.purses[name]
        before, purse.capital = purse.bound, capital
        return allocated(event, name, purse, before, self.settings.policy, reason, proposal)

    def _tell_objection(self, event: Event, division: Division) -> tuple[Alert, ...]:
        if division.objection is None:
            self._told.pop("bounds", None)
            return ()
        message = f"{division.objection}: each is lowered in proportion; lower `bounds` or `strategy_bounds`"
        return self._tell_once(event, "bounds", "impossible_bounds", message)

    def _tell_once(self, event: Event, about: str, code: str, message: str) -> tuple[Alert, ...]:
        if about in self._told:
            return ()
        self._told[about] = None
        return (alert(event, Severity.WARNING, code, message),)


def _begins(now: int, length: int, last: int) -> bool:
    """Whether a new stretch of `length` ns, counted from the epoch, has begun since `last`."""
    return now // length > last // length


def _exact(part: float) -> Decimal:
    return Decimal(repr(part))


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_DOWN)
