"""Depeg guard: halt, trim or hedge while most sources say that a stablecoin is off its peg."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from contracts.clock import ClockTick
from contracts.control import Alert
from contracts.event import Event
from contracts.market import Bar
from contracts.types import InstrumentId, Severity, TradingState
from services.depeg.pegs import Reading, Seen, Turn, Watch, read
from services.depeg.settings import DepegAction, DepegSettings, Peg, PegHedge
from tape.component import on
from tape.guard import Guard, GuardState
from venues.instruments import Listing


@dataclass(slots=True)
class DepegState:
    guard: GuardState
    seen: dict[InstrumentId, Seen]
    watches: dict[str, Watch]
    """By coin."""


class Depeg(Guard):
    State = DepegState

    def __init__(self, settings: DepegSettings, listing: Listing) -> None:
        super().__init__("depeg", listing)
        self.settings = settings
        self.listing = listing
        self.sources = {source.instrument for peg in settings.pegs for source in peg.sources}
        self.seen: dict[InstrumentId, Seen] = {}
        self.watches = {peg.coin: Watch() for peg in settings.pegs}

    def state(self) -> DepegState:
        return DepegState(self.guard_state(), self.seen, self.watches)

    def restore(self, state: DepegState) -> None:
        """Go on from `state`; what was done for a coin that is not watched any more is undone with the next tick."""
        self.restore_guard(state.guard)
        self.seen = {name: seen for name, seen in state.seen.items() if name in self.sources}
        self.watches = {peg.coin: state.watches.get(peg.coin, Watch()) for peg in self.settings.pegs}

    @on(Bar)
    def on_bar(self, bar: Bar) -> None:
        """Keep the last price that was traded at: a bar without trades only repeats an old one."""
        if bar.interval is not self.settings.interval or bar.trades == 0:
            return
        self.prices[bar.instrument] = bar.close
        if bar.instrument in self.sources:
            self.seen[bar.instrument] = Seen(bar.close, bar.ts_close)

    @on(ClockTick)
    def on_tick(self, tick: ClockTick) -> Iterator[Event]:
        for peg in self.settings.pegs:
            reading = read(peg, self.seen, self.settings, tick.ts_init)
            turn = self.watches[peg.coin].look(reading, self.settings, tick.ts_init)
            if turn is not None:
                yield self._told(tick, peg, turn, reading)
        off = [peg for peg in self.settings.pegs if self.watches[peg.coin].is_off and not self.settings.dry_run]
        self._want(off)
        yield from self.act(tick, self._permitted(off), self._reason(off))

    def _want(self, off: Sequence[Peg]) -> None:
        """Say which positions are limited and which hedges are held while these coins are off."""
        trims = {peg.coin for peg in off} if DepegAction.TRIM in self.settings.actions else set[str]()
        for holding in self.holdings.values():
            if trims & self._coins(holding.instrument):
                self.restrain(holding, self.settings.trim_fraction)
            else:
                self.free(holding)
        wanted = self._hedges(off)
        for instrument in [*self.hedges, *wanted]:
            self.hedge(instrument, wanted.get(instrument, Decimal(0)))

    def _coins(self, instrument: InstrumentId) -> set[str]:
        rules = self.listing.get(instrument)
        return set() if rules is None else {rules.base_currency, rules.quote_currency}

    def _hedges(self, off: Sequence[Peg]) -> dict[InstrumentId, Decimal]:
        """Size the hedges against coins that fell; one that is held already keeps its size."""
        if DepegAction.HEDGE not in self.settings.actions:
            return {}
        wanted: dict[InstrumentId, Decimal] = {}
        for hedge in (peg.hedge for peg in off if self.watches[peg.coin].fell):
            if hedge is None:
                continue
            held = self.hedges.get(hedge.instrument)
            size = held.target if held is not None and held.target else self._size(hedge)
            if size is not None:
                wanted[hedge.instrument] = size
        return wanted

    def _size(self, hedge: PegHedge) -> Decimal | None:
        rules, price = self.listing.get(hedge.instrument), self.prices.get(hedge.instrument)
        if rules is None or price is None or price < rules.tick:
            return None
        return hedge.side.sign * rules.quantity(hedge.notional / Decimal(repr(price)))

    def _permitted(self, off: Sequence[Peg]) -> TradingState:
        actions = self.settings.actions
        if off and DepegAction.HALT in actions:
            return TradingState.HALTED
        return TradingState.REDUCE_ONLY if off and DepegAction.REDUCE_ONLY in actions else TradingState.ACTIVE

    def _reason(self, off: Sequence[Peg]) -> str:
        told = [f"{peg.coin} is {self.watches[peg.coin].deviation_bps:+.1f} bps from its peg" for peg in off]
        return "; ".join(told) or "no coin off its peg has to be acted upon"

    def _done(self, peg: Peg) -> str:
        """Put into words what is done about a coin, and which part of it cannot be done now."""
        done = " + ".join(action.value for action in self.settings.actions)
        if DepegAction.HEDGE not in self.settings.actions or peg.hedge is None:
            return done
        if not self.watches[peg.coin].fell:
            return f"{done}, but a hedge is taken against a fall only"
        waits = self._size(peg.hedge) is None
        return f"{done}, as soon as {peg.hedge.instrument} is listed and has a price" if waits else done

    def _told(self, tick: ClockTick, peg: Peg, turn: Turn, reading: Reading) -> Alert:
        asked = f"{reading.fresh} of {len(peg.sources)} sources"
        away = f"{self.watches[peg.coin].deviation_bps:+.1f} bps from its peg by most of {asked}"
        dry = "dry run, nothing is done" if self.settings.dry_run else None
        if turn is Turn.LEFT:
            return self.alert(tick, Severity.CRITICAL, "depeg", f"{peg.coin} is {away}: {dry or self._done(peg)}")
        if turn is Turn.CAME_BACK:
            return self.alert(tick, Severity.INFO, "repeg", f"{peg.coin} is {away}: {dry or 'undone'}")
        if turn is Turn.IN_SIGHT:
            return self.alert(tick, Severity.INFO, "peg_in_sight", f"{peg.coin} is judged again, by {asked}")
        needs = f"min_sources is {self.settings.min_sources}: see that the feed brings them"
        return self.alert(tick, Severity.WARNING, "peg_out_of_sight", f"{peg.coin} has {asked} that traded; {needs}")
