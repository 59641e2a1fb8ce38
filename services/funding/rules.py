"""Funding guard: trim or hedge positions that will pay dear funding soon."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from contracts.clock import ClockTick
from contracts.control import Alert
from contracts.event import Event
from contracts.market import Funding
from contracts.types import InstrumentId, Severity, Side, TradingState
from services.funding.settings import FundingAction, FundingSettings
from tape.component import on
from tape.guard import Guard, GuardState
from venues.instruments import Listing

SECOND = 1_000_000_000
FLAT = Decimal(0)


@dataclass(slots=True)
class Ahead:
    """The funding ahead of an instrument, and whether it was found dear for one side."""

    rate: float
    next_at: int
    told_at: int
    dear_to: Side | None = None
    """Buyers pay a positive rate, sellers a negative one."""
    dear_until: int = 0
    """When that payment is made."""
    is_stale: bool = False

    def cost_bps(self, side: Side) -> float:
        """Give what a position of this side pays (negative: gets), in bps of its value."""
        return self.rate * side.sign * 10_000


Dear = Mapping[InstrumentId, Ahead]
"""What is acted upon."""


@dataclass(slots=True)
class FundingGuardState:
    guard: GuardState
    ahead: dict[InstrumentId, Ahead]


class FundingGuard(Guard):
    State = FundingGuardState

    def __init__(self, settings: FundingSettings, listing: Listing) -> None:
        super().__init__("funding", listing)
        self.listing = listing
        self.settings = settings
        self.ahead: dict[InstrumentId, Ahead] = {}

    def state(self) -> FundingGuardState:
        return FundingGuardState(self.guard_state(), self.ahead)

    def restore(self, state: FundingGuardState) -> None:
        """Go on from `state`; what was done for an instrument that is left out now is undone with the next tick."""
        self.restore_guard(state.guard)
        self.ahead = {name: ahead for name, ahead in state.ahead.items() if self._watches(name)}

    @on(Funding)
    def on_funding(self, funding: Funding) -> None:
        self.prices[funding.instrument] = funding.mark
        if not self._watches(funding.instrument):
            return
        ahead = self.ahead.get(funding.instrument)
        if ahead is None:
            ahead = self.ahead[funding.instrument] = Ahead(funding.rate, funding.next_at, funding.ts_init)
        ahead.rate, ahead.next_at, ahead.told_at = funding.rate, funding.next_at, funding.ts_init

    @on(ClockTick)
    def on_tick(self, tick: ClockTick) -> Iterator[Event]:
        self._expect(tick)
        for instrument, ahead in self.ahead.items():
            yield from self._look(tick, instrument, ahead)
        dear = {name: ahead for name, ahead in self.ahead.items() if ahead.dear_to and not self.settings.dry_run}
        self._want(dear)
        yield from self.act(tick, self._permitted(dear), self._reason(dear))

    def _watches(self, instrument: InstrumentId) -> bool:
        return not self.settings.instruments or instrument in self.settings.instruments

    def _expect(self, tick: ClockTick) -> None:
        """Miss the funding of what is held from the moment on that it is held."""
        for holding in self.holdings.values():
            rules, name = self.listing.get(holding.instrument), holding.instrument
            if rules is not None and rules.is_perpetual and name not in self.ahead and self._watches(name):
                self.ahead[name] = Ahead(rate=0.0, next_at=0, told_at=tick.ts_init)

    def _look(self, tick: ClockTick, instrument: InstrumentId, ahead: Ahead) -> Iterator[Alert]:
        """Find out whether funding has become dear or bearable; a rate that is too old changes nothing."""
        stale = tick.ts_init - ahead.told_at > self.settings.max_age_s * SECOND
        matters = bool(self._held(instrument))
        if stale and matters and not ahead.is_stale:
            text = f"nothing is known of the funding of {instrument} for {self.settings.max_age_s:g} s: mend the feed"
            yield self.alert(tick, Severity.WARNING, "funding_unknown", text)
        ahead.is_stale = stale and (ahead.is_stale or matters)
        if ahead.dear_to is not None:
            yield from self._see_whether_bearable(tick, instrument, ahead, ahead.dear_to, stale=stale)
        elif not stale:
            yield from self._see_whether_dear(tick, instrument, ahead)

    def _see_whether_dear(self, tick: ClockTick, instrument: InstrumentId, ahead: Ahead) -> Iterator[Alert]:
        left_ns = ahead.next_at - tick.ts_init
        payer = Side.BUY if ahead.rate > 0 else Side.SELL
        near = 0 < left_ns <= self.settings.horizon_s * SECOND
        if near and ahead.cost_bps(payer) >= self.settings.enter_bps and self._pays(instrument, payer):
            ahead.dear_to, ahead.dear_until = payer, ahead.next_at
            text = f"{instrument}: {'longs' if payer is Side.BUY else 'shorts'} pay {ahead.cost_bps(payer):.2f} bps"
            done = " + ".join(action.value for action in self.settings.actions)
            act = "dry run, nothing is done" if self.settings.dry_run else done
            yield self.alert(tick, Severity.WARNING, "funding_dear", f"{text} in {left_ns / SECOND:.0f} s: {act}")

    def _see_whether_bearable(
        self, tick: ClockTick, instrument: InstrumentId, ahead: Ahead, payer: Side, *, stale: bool
    ) -> Iterator[Alert]:
        paid = tick.ts_init >= ahead.dear_until
        if paid or (not stale and ahead.cost_bps(payer) <= self.settings.leave_bps):
            ahead.dear_to = None
            why = "it was paid" if paid else f"the rate is {ahead.rate * 10_000:+.2f} bps"
            undone = "dry run, nothing was done" if self.settings.dry_run else "what was done is undone"
            yield self.alert(tick, Severity.INFO, "funding_bearable", f"{instrument}: {why}; {undone}")

    def _held(self, instrument: InstrumentId) -> list[Decimal]:
        """List what others hold of an instrument."""
        return [one.quantity for one in self.holdings.values() if one.instrument == instrument and one.quantity]

    def _pays(self, instrument: InstrumentId, side: Side) -> bool:
        return any(quantity * side.sign > 0 for quantity in self._held(instrument))

    def _want(self, dear: Dear) -> None:
        """Say which positions are limited and which hedges are held while funding is dear."""
        actions = self.settings.actions
        for holding in self.holdings.values():
            ahead = dear.get(holding.instrument)
            side = None if ahead is None else ahead.dear_to
            if FundingAction.TRIM in actions and side is not None and holding.quantity * side.sign > 0:
                self.restrain(holding, self.settings.trim_fraction)
            else:
                self.free(holding)
        wanted = self._hedges(dear) if FundingAction.HEDGE in actions else {}
        for instrument in [*self.hedges, *wanted]:
            self.hedge(instrument, wanted.get(instrument, FLAT))

    def _hedges(self, dear: Dear) -> dict[InstrumentId, Decimal]:
        """Size the hedges: against the net position of everyone, where that one pays."""
        wanted: dict[InstrumentId, Decimal] = {}
        for instrument, ahead in dear.items():
            net = sum(self._held(instrument), FLAT)
            if ahead.dear_to is None or net * ahead.dear_to.sign <= 0:
                continue
            where = self.settings.hedges.get(instrument, instrument)
            wanted[where] = wanted.get(where, FLAT) - net * self.settings.hedge_fraction
        return {where: self._whole_lots(where, quantity) for where, quantity in wanted.items()}

    def _whole_lots(self, instrument: InstrumentId, quantity: Decimal) -> Decimal:
        rules = self.lots.get(instrument)
        return quantity if rules is None else rules.quantity(abs(quantity)).copy_sign(quantity)

    def _permitted(self, dear: Dear) -> TradingState:
        pauses = bool(dear) and FundingAction.REDUCE_ONLY in self.settings.actions
        return TradingState.REDUCE_ONLY if pauses else TradingState.ACTIVE

    def _reason(self, dear: Dear) -> str:
        told = [f"{name} pays {abs(ahead.rate) * 10_000:.2f} bps of funding" for name, ahead in dear.items()]
        return "; ".join(told) or "no dear funding has to be acted upon"
