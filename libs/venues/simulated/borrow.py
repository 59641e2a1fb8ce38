"""Interest on what is borrowed on spot: coins that were sold short, and money beyond one's own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from contracts.event import Event
from contracts.orders import OrderTerms
from contracts.types import LARGEST, InstrumentId, Side
from contracts.venue import FundingPaid, VenueFilled
from venues.instruments import Instrument, Listing
from venues.simulated.account import DIGITS, Account
from venues.simulated.book import ZERO, Market, opposite
from venues.simulated.settings import BorrowSettings

HOUR = 3_600_000_000_000
_HOURS_A_DAY = 24
_MOST_RATE = 10.0
"""What an event can tell: a strategy that owes many times what it holds pays more than that."""


@dataclass(slots=True)
class Reach:
    """The most that was held of an instrument within the hour, and the most that was sold short."""

    long: Decimal = ZERO
    short: Decimal = ZERO


@dataclass(slots=True)
class Purse:
    """What a strategy has of a currency (negative: it owes), and the most that it owed within the hour."""

    cash: Decimal
    owed: Decimal = ZERO


@dataclass(slots=True)
class Loans:
    """What one strategy borrows."""

    reaches: dict[InstrumentId, Reach] = field(default_factory=dict)
    purses: dict[str, Purse] = field(default_factory=dict)


@dataclass(slots=True)
class Lent:
    """What is lent, and the hour since the epoch up to which was paid for it."""

    loans: dict[str, Loans] = field(default_factory=dict)
    hour: int = 0

    def keep(self, listing: Listing) -> None:
        """Forget what is not listed any more."""
        for loans in self.loans.values():
            loans.reaches = {name: reach for name, reach in loans.reaches.items() if name in listing}


class Lending:
    """Lends, and takes interest for each hour begun (UTC) on the most that was borrowed within it."""

    def __init__(
        self,
        lent: Lent,
        account: Account,
        markets: Mapping[InstrumentId, Market],
        listing: Listing,
        settings: BorrowSettings,
    ) -> None:
        self.lent = lent
        self._account = account
        self._markets = markets
        self._listing = listing
        self._settings = settings
        self.is_free = settings.is_free
        self.next_at = self._next()
        """When interest is due next (ns)."""

    def _next(self) -> int:
        return (self.lent.hour + 1) * HOUR if self.lent.loans and not self.is_free else LARGEST

    def traded(self, terms: OrderTerms, fill: VenueFilled) -> None:
        """Follow a trade on spot that is booked."""
        lent, instrument = self.lent, self._listing[fill.instrument]
        if self.is_free or instrument.is_perpetual:
            return
        if not lent.loans:
            lent.hour = fill.ts_event // HOUR
        loans = lent.loans.setdefault(terms.strategy, Loans())
        held = self._account.held(terms.strategy, instrument.id)
        reach = loans.reaches.setdefault(instrument.id, Reach())
        reach.long, reach.short = max(reach.long, held), max(reach.short, -held)
        if self._settings.own is not None:
            purse = loans.purses.setdefault(fill.currency, Purse(self._settings.own))
            purse.cash -= fill.side.sign * fill.quantity * fill.price + fill.fee
            purse.owed = max(purse.owed, -purse.cash)
        self.next_at = self._next()

    def charge(self, now: Event) -> Iterator[FundingPaid]:
        """Take the interest of the hours that are over."""
        hours = now.ts_init // HOUR - self.lent.hour
        if hours <= 0 or self.is_free:
            return
        self.lent.hour += hours
        for strategy, loans in self.lent.loans.items():
            paid = [*self._of_coins(strategy, loans, hours, now), *self._of_money(strategy, loans, hours, now)]
            for payment in paid:
                if payment.currency in loans.purses:
                    loans.purses[payment.currency].cash += payment.amount
            yield from paid
            self._begin_the_hour(strategy, loans)
        self.next_at = self._next()

    def _begin_the_hour(self, strategy: str, loans: Loans) -> None:
        for name in list(loans.reaches):
            held = self._account.held(strategy, name)
            if held:
                loans.reaches[name] = Reach(max(held, ZERO), max(-held, ZERO))
            else:
                del loans.reaches[name]
        for purse in loans.purses.values():
            purse.owed = max(-purse.cash, ZERO)

    def _of_coins(self, strategy: str, loans: Loans, hours: int, now: Event) -> Iterator[FundingPaid]:
        """Charge coins at the price for which they could be bought back."""
        for name, reach in loans.reaches.items():
            instrument = self._listing[name]
            share = self._settings.share_of(instrument.base_currency) * hours / _HOURS_A_DAY
            if share and reach.short:
                interest = reach.short * self._price(instrument, Side.BUY) * share
                yield self._paid(instrument, instrument.base_currency, strategy, -reach.short, interest, -share, now)

    def _of_money(self, strategy: str, loans: Loans, hours: int, now: Event) -> Iterator[FundingPaid]:
        """Charge money to what was bought with it, in proportion to what that is worth."""
        for currency, purse in loans.purses.items():
            share = self._settings.share_of(currency) * hours / _HOURS_A_DAY
            bought = self._bought(loans, currency) if purse.owed and share else {}
            worth = sum(bought.values(), ZERO)
            for name, value in bought.items():
                interest, instrument = purse.owed * share * value / worth, self._listing[name]
                quantity = loans.reaches[name].long
                yield self._paid(instrument, currency, strategy, quantity, interest, interest / value, now)

    def _bought(self, loans: Loans, currency: str) -> dict[InstrumentId, Decimal]:
        return {
            name: reach.long * self._price(self._listing[name], Side.SELL)
            for name, reach in loans.reaches.items()
            if reach.long and self._listing[name].quote_currency == currency
        }

    def _price(self, instrument: Instrument, side: Side) -> Decimal:
        quote = self._markets[instrument.id].quote
        assert quote is not None, f"{instrument.id} was traded without a quote"
        return opposite(instrument, side, quote)[0]

    def _paid(
        self,
        instrument: Instrument,
        borrowed: str,
        strategy: str,
        quantity: Decimal,
        interest: Decimal,
        share: Decimal,
        now: Event,
    ) -> FundingPaid:
        """Tell interest as what a position costs: the amount is -quantity * price * rate, as of any funding."""
        return FundingPaid(
            ts_event=self.lent.hour * HOUR,
            ts_init=now.ts_init,
            instrument=instrument.id,
            strategy=strategy,
            amount=-interest.quantize(DIGITS),
            currency=instrument.quote_currency,
            rate=max(-_MOST_RATE, min(float(share), _MOST_RATE)),
            quantity=quantity,
            funding_id=f"borrowed-{borrowed}-{instrument.id}-{self.lent.hour}-{strategy}",
        )
