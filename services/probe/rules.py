"""Probe: keep known how well each venue answers, by minimal orders, and break the circuit to one that does not."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_UP, Decimal
from typing import ClassVar

from contracts.clock import ClockTick
from contracts.control import Alert
from contracts.event import Event
from contracts.market import Bar
from contracts.orders import (
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
    OrderTerms,
    RiskRejected,
)
from contracts.types import MAX_TEXT, CircuitState, InstrumentId, Severity, Side, venue_of
from contracts.venue import VenueHealth
from services.probe.circuit import Circuit, Outcome, Result
from services.probe.settings import ProbeKind, ProbeSettings
from services.probe.trial import Trial
from tape.component import on
from tape.strategy import Strategy, StrategyState
from venues.instruments import Instrument, Listing

SECOND = 1_000_000_000


@dataclass(slots=True)
class Price:
    close: float
    at: int


@dataclass(slots=True)
class Patient:
    """What is known of a venue, and when it is tried next (ns)."""

    circuit: Circuit = field(default_factory=Circuit)
    price: Price | None = None
    trial: Trial | None = None
    next_at: int = 0
    reported_at: int | None = None
    priceless_since: int | None = None
    """Since when it should have been tried and there was no price to do so."""
    is_hindered: bool = False
    """It could not be tried, for reasons that are not its own; an operator was told."""


@dataclass(slots=True)
class ProbeState:
    strategy: StrategyState
    patients: dict[InstrumentId, Patient]
    """By the instrument that is traded to try the venue."""


class Probe(Strategy):
    produces: ClassVar[tuple[type[Event], ...]] = (*Strategy.produces, VenueHealth, Alert)
    State = ProbeState

    def __init__(self, settings: ProbeSettings, listing: Listing) -> None:
        super().__init__("probe")
        self.settings = settings
        self.listing = listing
        self.patients = {instrument: Patient() for instrument in settings.instruments}

    def state(self) -> ProbeState:
        return ProbeState(self.strategy_state(), self.patients)

    def restore(self, state: ProbeState) -> None:
        """Go on from `state`; of a venue that is no longer tried only what is under way is brought to its end."""
        self.restore_strategy(state.strategy)
        left = {name: one for name, one in state.patients.items() if one.trial is not None or self.position(name)}
        chosen = {name: state.patients.get(name, Patient()) for name in self.settings.instruments}
        self.patients = {**left, **chosen}

    @on(Bar)
    def on_bar(self, bar: Bar) -> None:
        """Keep the last price that was traded at."""
        patient = self.patients.get(bar.instrument)
        if patient is not None and bar.interval is self.settings.bars and bar.trades > 0:
            patient.price = Price(bar.close, bar.ts_close)

    @on(ClockTick)
    def on_tick(self, tick: ClockTick) -> Iterator[Event]:
        for instrument, patient in list(self.patients.items()):
            if patient.trial is not None:
                yield from self._look_after(tick, patient, patient.trial)
            elif instrument not in self.settings.instruments and not self.position(instrument):
                del self.patients[instrument]
            else:
                if patient.circuit.half_open(tick.ts_init):
                    patient.next_at = tick.ts_init
                    yield self._health(tick, instrument, patient)
                if patient.circuit.state is not CircuitState.OPEN and tick.ts_init >= patient.next_at:
                    yield from self._try(tick, instrument, patient)

    # -- trying --------------------------------------------------------------------------------------------------------

    def _try(self, tick: ClockTick, instrument: InstrumentId, patient: Patient) -> Iterator[Event]:
        """Send the next order: one that ends what an earlier one has bought, or a probe."""
        rules, price = self.listing.get(instrument), self._price(patient, tick)
        if rules is None:
            yield from self._hindered(tick, patient, f"{instrument} is not listed: choose another instrument")
            return
        if price is None:
            yield from self._wait_for_price(tick, instrument, patient)
            return
        patient.priceless_since = None
        held = self.position(instrument)
        if held:
            side = Side.SELL if held > 0 else Side.BUY
            order = self.market(instrument, side, abs(held), reduce_only=True)
        else:
            order = self._probing(rules, price)
        patient.trial = Trial(order, tick.ts_init, tick.ts_init + round(self.settings.timeout_ms * 1_000_000))
        reason = f"end what a probe has bought: {held}" if held else f"{self.settings.kind.value} probe of the venue"
        yield self.wish(tick, order, reference_price=price, reason=reason)

    def _wait_for_price(self, tick: ClockTick, instrument: InstrumentId, patient: Patient) -> Iterator[Alert]:
        if patient.priceless_since is None:
            patient.priceless_since = tick.ts_init
        age_s = self.settings.max_price_age_s
        if tick.ts_init - patient.priceless_since >= age_s * SECOND:
            yield from self._hindered(tick, patient, f"{instrument} has not traded for {age_s:g} s: mend the feed")

    def _price(self, patient: Patient, tick: ClockTick) -> float | None:
        last = patient.price
        fresh = last is not None and tick.ts_init - last.at <= self.settings.max_price_age_s * SECOND
        return last.close if last is not None and fresh else None

    def _probing(self, rules: Instrument, price: float) -> OrderTerms:
        """Make the smallest order that the venue takes."""
        if self.settings.kind is ProbeKind.ROUND_TRIP:
            return self.market(rules.id, Side.BUY, self._smallest(rules, rules.price(price)))
        limit = max(rules.price(price * (1 - self.settings.far_bps / 10_000)), rules.tick)
        return self.limit(rules.id, Side.BUY, self._smallest(rules, limit), limit, post_only=True)

    def _smallest(self, rules: Instrument, price: Decimal) -> Decimal:
        least = rules.min_notional * Decimal(repr(self.settings.size_factor)) / max(price, rules.tick)
        return max((least / rules.lot).to_integral_value(ROUND_UP), Decimal(1)) * rules.lot

    def _look_after(self, tick: ClockTick, patient: Patient, trial: Trial) -> Iterator[Event]:
        """Take back an order that was not answered in time; a late answer may still follow."""
        if tick.ts_init < trial.deadline:
            return
        trial.overdue += trial.is_submitted
        trial.wait(tick.ts_init, self.settings)
        if not trial.is_submitted:
            text = f"{trial.order.client_order_id} has not been sent: see what holds up risk or the router"
            yield from self._hindered(tick, patient, text)
            return
        yield from self._went(tick, patient, trial.order.instrument, Result(Outcome.UNANSWERED))
        yield self.cancel(tick, trial.order, "probe: no answer in time")

    # -- answers -------------------------------------------------------------------------------------------------------

    @on(OrderSubmitted)
    def on_submitted(self, submitted: OrderSubmitted) -> None:
        if (trial := self._trial(submitted.instrument, submitted.client_order_id)) and not trial.is_submitted:
            trial.submitted(submitted.ts_init, self.settings)

    @on(OrderAccepted)
    def on_accepted(self, accepted: OrderAccepted) -> Iterator[Event] | None:
        trial = self._trial(accepted.instrument, accepted.client_order_id)
        if trial is None:
            return None
        trial.answered(accepted.ts_init, self.settings)
        if trial.order.limit_price is None:
            return None
        return iter([self.cancel(accepted, trial.order, "probe: it was accepted")])

    @on(OrderFilled)
    def on_any_fill(self, fill: OrderFilled) -> Iterator[Event] | None:
        self.on_fill(fill)
        trial = self._trial(fill.instrument, fill.client_order_id)
        if trial is None:
            return None
        trial.answered(fill.ts_init, self.settings)
        if fill.slippage_bps is not None:
            trial.slippage_bps = max(fill.slippage_bps, trial.slippage_bps or fill.slippage_bps)
        return self._end(fill, trial) if fill.leaves == 0 else None

    @on(OrderRejected, OrderCanceled, OrderExpired, OrderDenied)
    def on_any_end(self, end: OrderRejected | OrderCanceled | OrderExpired | OrderDenied) -> Iterator[Event] | None:
        self.on_order_end(end)
        trial = self._trial(end.instrument, end.client_order_id)
        if trial is None:
            return None
        if isinstance(end, OrderDenied):
            return self._given_up(end, trial, end.reason)
        return self._end(end, trial)

    @on(RiskRejected)
    def on_any_refusal(self, refusal: RiskRejected) -> Iterator[Event] | None:
        self.on_refusal(refusal)
        trial = self._trial(refusal.order.instrument, refusal.order.client_order_id)
        if trial is None:
            return None
        reasons = "; ".join(f"{denial.rail.value}: {denial.detail}" for denial in refusal.reasons)
        return self._given_up(refusal, trial, reasons)

    def _trial(self, instrument: InstrumentId, client_order_id: str) -> Trial | None:
        patient = self.patients.get(instrument)
        trial = patient.trial if patient is not None else None
        return trial if trial is not None and trial.order.client_order_id == client_order_id else None

    def _end(self, event: Event, trial: Trial) -> Iterator[Event]:
        """Count how the venue did; one whose answer was overdue was counted then."""
        patient = self.patients[trial.order.instrument]
        patient.trial = None
        patient.is_hindered = False
        if trial.overdue == 0:
            yield from self._went(event, patient, trial.order.instrument, trial.result(self.settings))
        patient.next_at = event.ts_init + round(self._pause_s(patient, trial) * SECOND)

    def _pause_s(self, patient: Patient, trial: Trial) -> float:
        """Say how long to wait before the next order: not at all when that ends what this one has bought."""
        answered_well = bool(patient.circuit.good_in_a_row)
        if answered_well and self.position(trial.order.instrument):
            return 0
        healthy = answered_well and patient.circuit.state is CircuitState.CLOSED
        return self.settings.interval_s if healthy else self.settings.recheck_s

    def _given_up(self, event: Event, trial: Trial, reason: str) -> Iterator[Event]:
        """Let go of an order that we ourselves have stopped: it says nothing of the venue."""
        patient = self.patients[trial.order.instrument]
        patient.trial = None
        patient.next_at = event.ts_init + round(self.settings.interval_s * SECOND)
        yield from self._hindered(event, patient, f"{trial.order.client_order_id} was refused: {reason}")

    # -- what is told --------------------------------------------------------------------------------------------------

    def _went(self, event: Event, patient: Patient, instrument: InstrumentId, result: Result) -> Iterator[Event]:
        changed = patient.circuit.take(result, self.settings, event.ts_init)
        told_at = patient.reported_at
        if changed or told_at is None or event.ts_init - told_at >= self.settings.report_s * SECOND:
            yield self._health(event, instrument, patient)
        if changed and patient.circuit.state is CircuitState.OPEN:
            wait_s = (patient.circuit.opens_until - event.ts_init) / SECOND
            text = f"{venue_of(instrument)} is left alone for {wait_s:g} s: {patient.circuit.told()}"
            yield self._alert(event, Severity.CRITICAL, "circuit_open", text)
        elif changed:
            text = f"{venue_of(instrument)} answers again: {patient.circuit.told()}"
            yield self._alert(event, Severity.INFO, "circuit_closed", text)

    def _health(self, event: Event, instrument: InstrumentId, patient: Patient) -> VenueHealth:
        patient.reported_at = event.ts_init
        circuit = patient.circuit
        return VenueHealth(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            venue=venue_of(instrument),
            state=circuit.state,
            round_trip_ms=circuit.round_trip_ms,
            rejects=circuit.rejects,
            slippage_bps=circuit.slippage_bps,
            reason=circuit.told(),
        )

    def _hindered(self, event: Event, patient: Patient, text: str) -> Iterator[Alert]:
        """Tell an operator, once, that a venue could not be tried, for reasons that are not its own."""
        if not patient.is_hindered:
            patient.is_hindered = True
            yield self._alert(event, Severity.WARNING, "probe_hindered", text)

    def _alert(self, event: Event, severity: Severity, code: str, message: str) -> Alert:
        return Alert(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            component=self.name,
            severity=severity,
            code=code,
            message=message[:MAX_TEXT],
        )
