"""The ensemble: a crossover of averages, weighted by the regime and the direction model, left as it was declared.

It decides on closed bars. The view of a market (which side to be on) is said as a signal; the position follows it: an
entry is a bracket, whose stop and target rest with the router; when the view turns, they are taken back and what is
held is traded away at the market.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from contracts.control import Alert
from contracts.event import Event
from contracts.market import Bar
from contracts.orders import (
    CancelIntent,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderTerms,
    RiskRejected,
)
from contracts.presets import PresetSelected
from contracts.regimes import CalibrationSet, DirectionInferred, RegimeInferred
from contracts.signals import SignalGiven
from contracts.types import MAX_TEXT, InstrumentId, Severity, Side
from services.hmm_ensemble.averages import Averages, new_averages
from services.hmm_ensemble.judgement import Judgement, judge
from services.hmm_ensemble.market import Calibrations, Leaving, Market, Pause, entered
from services.hmm_ensemble.settings import HmmEnsembleSettings
from services.hmm_ensemble.shadow import ZERO, Shadow
from tape.component import on
from tape.strategy import Strategy, StrategyState
from venues.instruments import Instrument, Listing

ASK_AGAIN_NS = 1_000_000_000
"""What was refused or not heard of is wished for again after this, with the next bar."""

End = OrderDenied | OrderRejected | OrderCanceled | OrderExpired


@dataclass(slots=True)
class HmmEnsembleState:
    strategy: StrategyState
    markets: dict[InstrumentId, Market]
    calibrations: Calibrations


class HmmEnsemble(Strategy):
    produces: ClassVar[tuple[type[Event], ...]] = (*Strategy.produces, SignalGiven, Alert)
    State = HmmEnsembleState

    def __init__(self, settings: HmmEnsembleSettings, listing: Listing, name: str = "hmm_ensemble") -> None:
        super().__init__(name)
        self.settings = settings
        self.listing = listing
        self.markets: dict[InstrumentId, Market] = {}
        self.calibrations = Calibrations()

    def state(self) -> HmmEnsembleState:
        return HmmEnsembleState(self.strategy_state(), self.markets, self.calibrations)

    def restore(self, state: HmmEnsembleState) -> None:
        """Go on from `state`; averages of other bars or periods, or that will miss bars, begin anew."""
        self.restore_strategy(state.strategy)
        self.calibrations = state.calibrations
        self.markets = state.markets
        for instrument, market in self.markets.items():
            kept = market.averages
            if kept is not None and not (self._trades(instrument) and kept.fits(self.settings)):
                market.averages = None
            if self.settings.dry_run:
                market.leaving = None
            else:
                market.shadow = None

    # -- what the models and the operator say --------------------------------------------------------------------------

    @on(RegimeInferred)
    def on_regime(self, said: RegimeInferred) -> None:
        if self._trades(said.instrument):
            self._market(said.instrument).regime = said

    @on(DirectionInferred)
    def on_direction(self, said: DirectionInferred) -> None:
        if self._trades(said.instrument):
            self._market(said.instrument).direction = said

    @on(CalibrationSet)
    def on_calibration(self, said: CalibrationSet) -> None:
        self.calibrations.hear(said)

    @on(PresetSelected)
    def on_preset(self, said: PresetSelected) -> None:
        """Open by it from now on; what is held stays as it was opened."""
        if said.strategy == self.name and self._trades(said.instrument):
            self._market(said.instrument).selected = said

    # -- deciding ------------------------------------------------------------------------------------------------------

    @on(Bar)
    def on_bar(self, bar: Bar) -> Iterator[Event] | None:
        if bar.interval is not self.settings.interval or not self._trades(bar.instrument):
            return None
        market = self._market(bar.instrument)
        averages = market.averages
        if averages is not None and bar.ts_close <= averages.closed_at:
            return None
        if averages is None or bar.ts_open != averages.closed_at:
            averages = market.averages = new_averages(self.settings)
        averages.update(bar)
        return self._decide(bar, market, averages)

    def _decide(self, bar: Bar, market: Market, averages: Averages) -> Iterator[Event]:
        judgement = judge(self.settings, averages, market.regime, market.direction, bar.ts_init)
        if judgement is not None:
            turned = market.view.turn(judgement, self.settings, market.preset)
            if self.settings.dry_run:
                self._follow(bar, market)
            if turned or abs(judgement.score - market.view.said) >= self.settings.strength_step:
                market.view.said = judgement.score
                yield self._signal(bar, market, judgement)
        if self.settings.dry_run:
            yield from self._abstain(bar, market)
        elif self.is_free(bar.instrument):
            yield from self._act(bar, market, averages, judgement)

    def _act(self, bar: Bar, market: Market, averages: Averages, judgement: Judgement | None) -> Iterator[Event]:
        """Bring what is held to what the view is."""
        held = self.position(bar.instrument)
        if held:
            side = Side.BUY if held > 0 else Side.SELL
            if market.leaving is not None:
                if bar.ts_init - market.leaving.asked_at >= ASK_AGAIN_NS:
                    market.leaving.price = bar.close
                    yield from self._leave(bar, bar.instrument, market.leaving)
            elif judgement is not None and market.view.side is not side:
                market.leaving = Leaving(judgement.reason, bar.close, bar.ts_init)
                yield from self._leave(bar, bar.instrument, market.leaving)
        elif self.open_orders(bar.instrument):
            yield from self.cancel_all(bar, bar.instrument, "nothing is held any more")
        elif judgement is not None and self._may_open(bar, market, judgement):
            yield from self._enter(bar, market, averages, judgement)

    def _may_open(self, bar: Bar, market: Market, judgement: Judgement) -> bool:
        pause = market.pause
        if pause is not None and not pause.is_over(bar.ts_init, self.settings, self.calibrations.of(bar.instrument)):
            return False
        side = market.view.side
        return side is not None and side is entered(judgement, self.settings, market.preset)

    def _trades(self, instrument: InstrumentId) -> bool:
        return instrument in self.listing and (not self.settings.instruments or instrument in self.settings.instruments)

    def _market(self, instrument: InstrumentId) -> Market:
        market = self.markets.get(instrument)
        if market is None:
            market = self.markets[instrument] = Market()
        return market

    # -- entering ------------------------------------------------------------------------------------------------------

    def _enter(self, bar: Bar, market: Market, averages: Averages, judgement: Judgement) -> Iterator[Event]:
        side, rules, preset = market.view.side, self.listing[bar.instrument], market.preset
        assert side is not None
        notional = self._notional(bar.instrument, market)
        if notional == 0:
            return
        quantity = rules.quantity(notional / Decimal(repr(bar.close)))
        if quantity < rules.lot or quantity * Decimal(repr(bar.close)) < rules.min_notional:
            text = f"{notional:f} {rules.quote_currency} buy less of {bar.instrument} than its venue takes"
            yield from self._hindered(bar, market, "size_too_small", f"{text}: raise notional or the quote multiplier")
            return
        unit = averages.range(self.settings)
        stop = _tick(rules, bar.close - side.sign * self.settings.stop_atr * preset.stop * unit)
        target = _tick(rules, bar.close + side.sign * self.settings.target_atr * preset.target * unit)
        close = rules.price(bar.close)
        if stop is None or target is None or not min(stop, target) < close < max(stop, target):
            text = f"stop {stop} and target {target} do not lie around {close} in {bar.instrument}"
            yield from self._hindered(bar, market, "no_exit", f"{text}: change stop_atr, target_atr or least_range_bps")
            return
        market.told, market.pause, market.opened_by = None, None, preset
        yield self.bracket(
            bar,
            self.market(bar.instrument, side, quantity),
            stop=self.stop(bar.instrument, side.opposite, quantity, stop),
            target=self.if_touched(bar.instrument, side.opposite, quantity, target),
            reference_price=bar.close,
            reason=_with_preset(judgement.reason, market),
        )

    def _notional(self, instrument: InstrumentId, market: Market) -> Decimal:
        """Give the size of a position in quote currency, as the operator and the preset scale it."""
        calibration = self.calibrations.of(instrument)
        multiplier = calibration.quote_multiplier if calibration is not None else 1.0
        return self.settings.notional * Decimal(repr(multiplier)) * Decimal(repr(market.preset.size))

    # -- leaving -------------------------------------------------------------------------------------------------------

    def _leave(self, event: Event, instrument: InstrumentId, leaving: Leaving) -> Iterator[Event]:
        """Take back what rests; when nothing does, trade away what is held. Both at once could sell it twice."""
        leaving.asked_at = event.ts_init
        if self.open_orders(instrument):
            yield from self.cancel_all(event, instrument, leaving.reason[:MAX_TEXT])
            return
        held = self.position(instrument)
        yield self.market_order(
            event,
            instrument,
            Side.SELL if held > 0 else Side.BUY,
            abs(held),
            reference_price=leaving.price,
            reason=leaving.reason,
            reduce_only=True,
        )

    # -- what became of orders -----------------------------------------------------------------------------------------

    @on(OrderFilled)
    def on_any_fill(self, fill: OrderFilled) -> Iterator[Event] | None:
        if fill.strategy != self.name:
            return None
        own, before = self._order(fill.instrument, fill.client_order_id), self.position(fill.instrument)
        self.on_fill(fill)
        held, market = self.position(fill.instrument), self._market(fill.instrument)
        if held == 0:
            self._closed(fill, market)
        if own is None and abs(held) < abs(before) and not self.settings.dry_run:
            return self._reduced_by_others(fill, held)
        return self._go_on_leaving(fill, market, own)

    def _closed(self, event: Event, market: Market) -> None:
        """Nothing is held, or comes to be: what follows waits for a while."""
        factor = market.opened_by.cooldown if market.opened_by is not None else 1.0
        market.pause, market.opened_by, market.leaving = Pause(event.ts_init, factor), None, None

    def _reduced_by_others(self, fill: OrderFilled, held: Decimal) -> Iterator[CancelIntent]:
        """Take back what would now trade more than is held; a stop that is too large is the stop validator's."""
        for order in self.open_orders(fill.instrument):
            if held == 0 or (order.reduce_only and not order.is_protective):
                yield self.cancel(fill, order, "somebody else has reduced what is held")

    @on(OrderRejected, OrderCanceled, OrderExpired, OrderDenied)
    def on_any_end(self, end: End) -> Iterator[Event] | None:
        if end.strategy != self.name:
            return None
        own = self._order(end.instrument, end.client_order_id)
        self.on_order_end(end)
        market = self._market(end.instrument)
        if own is not None and not own.reduce_only and self.position(end.instrument) == 0:
            self._closed(end, market)
        return self._go_on_leaving(end, market, own)

    @on(RiskRejected)
    def on_any_refusal(self, refusal: RiskRejected) -> Iterator[Event] | None:
        order = refusal.order
        if order.strategy != self.name:
            return None
        self.on_refusal(refusal)
        market = self._market(order.instrument)
        if not order.reduce_only:
            if self.position(order.instrument) == 0:
                self._closed(refusal, market)
            return None
        reasons = "; ".join(f"{denial.rail.value}: {denial.detail}" for denial in refusal.reasons)
        text = f"risk does not let {order.quantity} {order.instrument} be left, it is tried again: {reasons}"
        return self._hindered(refusal, market, "exit_refused", text)

    def _go_on_leaving(self, event: Event, market: Market, ended: OrderTerms | None) -> Iterator[Event] | None:
        """Trade away what is held as soon as nothing rests there any more."""
        if market.leaving is None or ended is None or not _rests(ended):
            return None
        if self.open_orders(ended.instrument) or self.position(ended.instrument) == 0:
            return None
        return self._leave(event, ended.instrument, market.leaving)

    def _order(self, instrument: InstrumentId, client_order_id: str) -> OrderTerms | None:
        return self.orders.get(instrument, {}).get(client_order_id)

    # -- what is told --------------------------------------------------------------------------------------------------

    def _signal(self, bar: Bar, market: Market, judgement: Judgement) -> SignalGiven:
        shadow = market.shadow
        return SignalGiven(
            ts_event=bar.ts_event,
            ts_init=bar.ts_init,
            strategy=self.name,
            instrument=bar.instrument,
            side=market.view.side,
            strength=judgement.score,
            price=bar.close,
            reason=_with_preset(judgement.reason, market),
            dry_run=self.settings.dry_run,
            shadow_pnl=shadow.pnl(self.listing[bar.instrument].price(bar.close)) if shadow is not None else ZERO,
        )

    def _follow(self, bar: Bar, market: Market) -> None:
        """Let the shadow be on the side of the view."""
        if market.shadow is None:
            market.shadow = Shadow()
        price = _tick(self.listing[bar.instrument], bar.close)
        if price is not None:
            size = self.listing[bar.instrument].quantity(self._notional(bar.instrument, market) / price)
            market.shadow.follow(market.view.side, size, price, self.settings.fee_bps)

    def _abstain(self, bar: Bar, market: Market) -> Iterator[Alert]:
        """Wish for nothing; tell an operator of what was held before."""
        held, resting = self.position(bar.instrument), len(self.open_orders(bar.instrument))
        if held or resting:
            text = (
                f"{held} {bar.instrument} and {resting} orders are left from before the dry run: it leaves them alone"
            )
            yield from self._hindered(bar, market, "held_in_dry_run", f"{text}; flatten and cancel them by hand")

    def _hindered(self, event: Event, market: Market, code: str, text: str) -> Iterator[Alert]:
        """Tell an operator, once, what keeps it from trading as it would."""
        if market.told != code:
            market.told = code
            yield Alert(
                ts_event=event.ts_event,
                ts_init=event.ts_init,
                component=self.name,
                severity=Severity.WARNING,
                code=code,
                message=text[:MAX_TEXT],
            )


def _tick(rules: Instrument, price: float) -> Decimal | None:
    """Give the nearest tick, if there is a price at which one could trade."""
    if not math.isfinite(price):
        return None
    nearest = rules.price(price)
    return nearest if nearest > 0 else None


def _rests(order: OrderTerms) -> bool:
    """Say whether an order is one of those that wait to leave what its entry has opened."""
    return order.link is not None and order.link.parent is not None


def _with_preset(reason: str, market: Market) -> str:
    return reason if market.selected is None else f"{reason}; preset {market.selected.preset}"
