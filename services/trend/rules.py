"""Trend: enter an established move on closed bars, leave by stop, target or a bent average."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from contracts.market import Bar, Quote
from contracts.orders import ExitPlan, OrderIntent
from contracts.presets import Preset, PresetSelected
from contracts.types import InstrumentId, Interval, Side
from quant.indicators import Atr, Ema, Rsi
from services.trend.settings import TrendSettings
from tape.component import on
from tape.span import Span
from tape.strategy import Strategy, StrategyState
from venues.instruments import Listing

PLAIN = Preset()
MIDDLE = 50.0
"""The relative strength of a market that goes nowhere."""
LOOKED_AHEAD = 100
"""Quotes."""
EXIT_AGAIN_NS = 1_000_000_000
"""An exit that was refused is wished for again after this, and not on every quote."""


@dataclass(slots=True)
class TrendView:
    """What the strategy sees of one instrument on bars of one length: two averages, strength and range."""

    interval: Interval
    fast: Ema
    slow: Ema
    rsi: Rsi
    atr: Atr
    was_above: bool | None = None

    def fits(self, settings: TrendSettings) -> bool:
        """Say whether it is of the bars and periods that `settings` look at."""
        own = (self.interval, self.fast.period, self.slow.period, self.rsi.period, self.atr.period)
        return own == (settings.interval, settings.fast, settings.slow, settings.rsi, settings.atr)

    @property
    def warm(self) -> bool:
        return self.slow.warm and self.rsi.warm and self.atr.warm and self.atr.value > 0

    @property
    def above(self) -> bool:
        return self.fast.value > self.slow.value

    def update(self, bar: Bar) -> "TrendView":
        self.was_above = self.above if self.slow.warm else None
        self.fast.update(bar.close)
        self.slow.update(bar.close)
        self.rsi.update(bar.close)
        self.atr.update(bar.high, bar.low, bar.close)
        return self

    def turned(self) -> Side | None:
        """The side to which the fast average has just crossed the slow one."""
        if self.was_above is None or self.was_above == self.above:
            return None
        return Side.BUY if self.above else Side.SELL


def _new_view(settings: TrendSettings) -> TrendView:
    return TrendView(settings.interval, Ema(settings.fast), Ema(settings.slow), Rsi(settings.rsi), Atr(settings.atr))


@dataclass(slots=True)
class Chosen:
    """The preset by which positions are opened."""

    name: str
    factors: Preset


@dataclass(slots=True)
class TrendState:
    strategy: StrategyState
    views: dict[InstrumentId, TrendView]
    exits: dict[InstrumentId, ExitPlan]
    next_exit: dict[InstrumentId, int]
    presets: dict[InstrumentId, Chosen]


class Trend(Strategy):
    state_version: ClassVar[int] = 3
    State = TrendState

    def __init__(self, settings: TrendSettings, listing: Listing, name: str = "trend") -> None:
        super().__init__(name)
        self.settings = settings
        self.listing = listing
        self.views: dict[InstrumentId, TrendView] = {}
        self.exits: dict[InstrumentId, ExitPlan] = {}
        self.next_exit: dict[InstrumentId, int] = {}
        self.presets: dict[InstrumentId, Chosen] = {}

    def state(self) -> TrendState:
        return TrendState(self.strategy_state(), self.views, self.exits, self.next_exit, self.presets)

    def restore(self, state: TrendState) -> None:
        """Go on from `state`; a view that was made of other bars or periods, or will miss bars, begins anew."""
        self.restore_strategy(state.strategy)
        self.views = {
            name: view for name, view in state.views.items() if self._trades(name) and view.fits(self.settings)
        }
        self.exits = state.exits
        self.next_exit = state.next_exit
        self.presets = state.presets

    @on(Bar)
    def on_bar(self, bar: Bar) -> tuple[OrderIntent] | None:
        if bar.interval is not self.settings.interval or not self._trades(bar.instrument):
            return None
        view = self.views.get(bar.instrument)
        if view is None:
            view = self.views[bar.instrument] = _new_view(self.settings)
        turned = view.update(bar).turned()
        if turned is None or not view.warm or not self.is_free(bar.instrument):
            return None
        held = self.position(bar.instrument)
        if held == 0:
            return self._enter(bar, view, turned)
        if (held > 0) is (turned is Side.SELL):
            return (self._leave(bar, bar.instrument, bar.close, f"averages crossed to {turned.value}"),)
        return None

    @on(Quote)
    def on_quote(self, quote: Quote) -> tuple[OrderIntent] | None:
        plan = self.exits.get(quote.instrument)
        if plan is None:
            return None
        held = self.position(quote.instrument)
        if held == 0 or not self.is_free(quote.instrument) or quote.ts_init < self.next_exit.get(quote.instrument, 0):
            return None
        price = quote.bid if held > 0 else quote.ask
        reached = _reached(plan, price, 1 if held > 0 else -1)
        return None if reached is None else (self._leave(quote, quote.instrument, price, f"{reached} reached"),)

    def quiet_to(self, span: Span, begin: int, end: int) -> int:
        """Look ahead a little: a position, and with it what its exits are, seldom lasts for a whole span."""
        plan, held = self.exits.get(span.instrument), self.position(span.instrument)
        if plan is None or held == 0 or not self.is_free(span.instrument):
            return end
        begin = span.before(self.next_exit.get(span.instrument, 0), begin, end)
        sign, end = (1 if held > 0 else -1), min(begin + LOOKED_AHEAD, end)
        prices = [quote.bid if sign > 0 else quote.ask for quote in span.quotes[begin:end]]
        if not prices or (_reached(plan, min(prices), sign) or _reached(plan, max(prices), sign)) is None:
            return end
        return next(at for at, price in enumerate(prices, begin) if _reached(plan, price, sign) is not None)

    def skim(self, span: Span, begin: int, end: int) -> None:
        """Quotes leave nothing behind."""

    @on(PresetSelected)
    def on_preset(self, selected: PresetSelected) -> None:
        """Open positions by these factors from here on; what is held keeps the exits that it was entered with."""
        if selected.strategy == self.name:
            self.presets[selected.instrument] = Chosen(selected.preset, selected.settings)

    def _trades(self, instrument: InstrumentId) -> bool:
        return instrument in self.listing and (not self.settings.instruments or instrument in self.settings.instruments)

    def _enter(self, bar: Bar, view: TrendView, side: Side) -> tuple[OrderIntent] | None:
        chosen = self.presets.get(bar.instrument)
        factors = PLAIN if chosen is None else chosen.factors
        strength = view.rsi.value if side is Side.BUY else 100 - view.rsi.value
        if not self._least_strength(factors) <= strength <= self.settings.rsi_max or (
            side is Side.SELL and not self.settings.shorts
        ):
            return None
        notional = self.settings.notional * Decimal(repr(factors.size))
        quantity = self.listing[bar.instrument].quantity(notional / Decimal(repr(bar.close)))
        stop = bar.close - side.sign * self.settings.stop_atr * factors.stop * view.atr.value
        target = bar.close + side.sign * self.settings.target_atr * factors.target * view.atr.value
        if quantity <= 0 or min(stop, target) <= 0:
            return None
        plan = self.exits[bar.instrument] = ExitPlan(stop=stop, target=target)
        return (
            self.market_order(
                bar,
                bar.instrument,
                side,
                quantity,
                reference_price=bar.close,
                exit=plan,
                reason=f"ema {self.settings.fast} crossed {self.settings.slow}, strength {strength:.1f}"
                + ("" if chosen is None else f", preset {chosen.name}"),
            ),
        )

    def _least_strength(self, factors: Preset) -> float:
        """Give the strength that an entry needs: a preset moves it away from the middle, or nearer to it."""
        least = self.settings.rsi_min
        return least + (factors.threshold - 1) * max(0.0, least - MIDDLE)

    def _leave(self, event: Bar | Quote, instrument: InstrumentId, price: float, reason: str) -> OrderIntent:
        held = self.position(instrument)
        self.next_exit[instrument] = event.ts_init + EXIT_AGAIN_NS
        return self.market_order(
            event,
            instrument,
            Side.SELL if held > 0 else Side.BUY,
            abs(held),
            reference_price=price,
            reason=reason,
            reduce_only=True,
        )


def _reached(plan: ExitPlan, price: float, sign: int) -> str | None:
    """Say which exit of a position of that sign a price reaches."""
    if (price - plan.stop) * sign <= 0:
        return f"stop {plan.stop:.8g}"
    if plan.target is not None and (price - plan.target) * sign >= 0:
        return f"target {plan.target:.8g}"
    return None
