"""What an account should hold by our own reports, compared with what the venue says it holds. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from contracts.control import Alert
from contracts.event import Event
from contracts.market import Funding
from contracts.types import InstrumentId, ReconciliationKind, Severity, venue_of
from contracts.venue import FundingPaid, Reconciled, VenueBalance, VenueFilled, VenuePosition
from venues.reconciliation.views import AccountView, BalanceView, FundingView, PositionView

ZERO = Decimal(0)
PAYMENTS_KEPT = 2_000


@dataclass(slots=True)
class Balance:
    """What was said last of a currency, and what should be there after our trades since; None: that is not known."""

    total: Decimal
    free: Decimal
    expected: Decimal | None


@dataclass(slots=True)
class AccountState:
    """`positions` as they should be by our trades, `said` as they were reported; `paid`: when each payment was made."""

    balances: dict[str, Balance] = field(default_factory=dict)
    positions: dict[InstrumentId, Decimal] = field(default_factory=dict)
    said: dict[InstrumentId, VenuePosition] = field(default_factory=dict)
    paid: dict[str, int] = field(default_factory=dict)


class AccountBook:
    """Folds what the tape says of an account, and gives what a look at it adds.

    `bases` names the currency that a trade of an instrument moves; it has none for derivatives, whose trades move
    positions, and the wallet in a way that only the venue rounds: of a wallet nothing is expected once it has moved.
    """

    def __init__(self, venue: str, bases: Mapping[InstrumentId, str]) -> None:
        self.venue = venue
        self._bases = bases
        self._state = AccountState()
        self._rates: dict[InstrumentId, dict[int, float]] = {}

    def state(self) -> AccountState:
        return self._state

    def restore(self, state: AccountState) -> None:
        self._state = state

    def fold(self, event: Event) -> None:
        """Take what is on the tape: our own reports, and the funding that was announced."""
        match event:
            case VenueFilled() if venue_of(event.instrument) == self.venue:
                self._filled(event)
            case VenueBalance(venue=self.venue):
                self._state.balances[event.currency] = Balance(event.total, event.free, event.total)
            case VenuePosition() if venue_of(event.instrument) == self.venue:
                self._state.positions[event.instrument] = event.quantity
                self._state.said[event.instrument] = event
            case FundingPaid() if venue_of(event.instrument) == self.venue:
                self._state.paid[event.funding_id] = event.ts_event
                self._move(event.currency, event.amount)
                while len(self._state.paid) > PAYMENTS_KEPT:
                    del self._state.paid[next(iter(self._state.paid))]
            case Funding() if venue_of(event.instrument) == self.venue:
                rates = self._rates.setdefault(event.instrument, {})
                rates[event.next_at] = event.rate
                if len(rates) > 3:
                    del rates[min(rates)]
            case _:
                return

    @property
    def last_payment(self) -> int:
        """When funding was last paid (ns), as far as was reported; 0: never."""
        return max(self._state.paid.values(), default=0)

    def look(self, view: AccountView, now: int) -> list[Event]:
        """Compare a look at the account that nothing of ours happened during: gives what is to be said."""
        held = {balance.currency: balance for balance in view.balances}
        gone = [BalanceView(currency, ZERO, ZERO) for currency in self._state.balances if currency not in held]
        said = [event for balance in (*held.values(), *gone) for event in self._balance(balance, now)]
        open_now = {position.instrument: position for position in view.positions}
        for instrument in {*self._state.positions} - {*open_now}:
            open_now[instrument] = PositionView(instrument, ZERO, None, None, ZERO)
        said += [event for name in sorted(open_now) for event in self._position(open_now[name], now)]
        for event in said:
            self.fold(event)
        return said

    def announced_rate(self, payment: FundingView) -> float | None:
        """Give the rate that was announced for the time of a payment; None if the tape did not tell."""
        rates = self._rates.get(payment.instrument, {})
        near = [rate for at, rate in rates.items() if abs(at - payment.paid_at) < 60_000_000_000]
        return near[-1] if near else None

    def is_paid(self, payment: FundingView) -> bool:
        return payment.funding_id in self._state.paid

    def pay(self, payment: FundingView, rate: float, now: int) -> list[Event]:
        """Report a payment of funding, once."""
        if self.is_paid(payment):
            return []
        paid = FundingPaid(
            ts_event=payment.paid_at,
            ts_init=now,
            instrument=payment.instrument,
            strategy=None,
            amount=payment.amount,
            currency=payment.currency,
            rate=rate,
            quantity=self._state.positions.get(payment.instrument, ZERO),
            funding_id=payment.funding_id,
        )
        self.fold(paid)
        return [paid]

    def _filled(self, fill: VenueFilled) -> None:
        signed = fill.side.sign * fill.quantity
        base = self._bases.get(fill.instrument)
        if base is None:
            before = self._state.positions.get(fill.instrument, ZERO)
            self._state.positions[fill.instrument] = before + signed
            for currency in {fill.currency, fill.fee_currency or fill.currency}:
                if currency in self._state.balances:
                    self._state.balances[currency].expected = None
            return
        self._move(base, signed)
        self._move(fill.currency, -signed * fill.price)
        self._move(fill.fee_currency or fill.currency, -fill.fee)

    def _move(self, currency: str, amount: Decimal) -> None:
        balance = self._state.balances.get(currency)
        if balance is None:
            self._state.balances[currency] = Balance(ZERO, ZERO, amount if self._state.balances else None)
        elif balance.expected is not None:
            balance.expected += amount

    def _balance(self, view: BalanceView, now: int) -> Iterator[Event]:
        known = self._state.balances.get(view.currency)
        if known is not None and known.expected is not None and known.expected != view.total:
            evidence = {"expected": str(known.expected), "venue": str(view.total), "before": str(known.total)}
            yield from self._unexplained(ReconciliationKind.BALANCE, view.currency, evidence, now)
        if known is None or (known.total, known.free) != (view.total, view.free):
            yield VenueBalance(
                ts_event=now, ts_init=now, venue=self.venue, currency=view.currency, total=view.total, free=view.free
            )
        elif known.expected is None:
            known.expected = view.total

    def _position(self, view: PositionView, now: int) -> Iterator[Event]:
        expected = self._state.positions.get(view.instrument)
        before = self._state.said.get(view.instrument)
        if expected is not None and expected != view.quantity:
            evidence = {"expected": str(expected), "venue": str(view.quantity)}
            yield from self._unexplained(ReconciliationKind.POSITION, view.instrument, evidence, now)
        if before is None and view.quantity == 0 and not expected:
            return
        found = VenuePosition(
            ts_event=now,
            ts_init=now,
            instrument=view.instrument,
            quantity=view.quantity,
            entry_price=view.entry_price,
            liquidation_price=view.liquidation_price,
            margin=view.margin,
        )
        if before is None or _terms(before) != _terms(found):
            yield found

    def _unexplained(
        self, kind: ReconciliationKind, subject: str, evidence: Mapping[str, str], now: int
    ) -> Iterator[Event]:
        yield Reconciled(
            ts_event=now,
            ts_init=now,
            venue=self.venue,
            kind=kind,
            subject=subject,
            corrected=False,
            evidence=json.dumps(evidence),
        )
        yield Alert(
            ts_event=now,
            ts_init=now,
            component="gateway",
            severity=Severity.WARNING,
            code=f"{kind.value}_differs",
            message=(
                f"{self.venue}: {subject} should be {evidence['expected']} by our trades and is {evidence['venue']}: "
                "somebody has moved or traded it outside the system; its books do not know of that"
            ),
        )


def _terms(position: VenuePosition) -> tuple[Decimal, Decimal | None]:
    """What makes a position another one; margin and liquidation price move with the market."""
    return position.quantity, position.entry_price
