"""What the exchange does to our account of its own accord: funding, liquidation, and saying how the account stands."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from contracts.event import Event
from contracts.market import Funding
from contracts.orders import OrderTerms
from contracts.types import InstrumentId, Liquidity, OrderType, Side, TimeInForce, venue_of
from contracts.venue import FundingPaid, VenueBalance, VenueFilled, VenueForeignOrder, VenuePosition
from venues.instruments import Instrument, Listing
from venues.simulated.account import Books
from venues.simulated.book import ZERO, Market, opposite
from venues.simulated.settings import MarginMode, SimulationSettings
from venues.simulated.taking import Taking
from venues.simulated.tiers import Fees


class Settling:
    def __init__(
        self,
        books: Books,
        markets: dict[InstrumentId, Market],
        fees: Fees,
        taking: Taking,
        listing: Listing,
        settings: SimulationSettings,
    ) -> None:
        self._books = books
        self._markets = markets
        self._fees = fees
        self._taking = taking
        self._listing = listing
        self._settings = settings
        self._untold = frozenset(instrument.id for instrument in listing.values() if not self._tells(instrument))

    def _tells(self, instrument: Instrument) -> bool:
        """Say whether it is told how the account stands when something is booked there."""
        isolated = instrument.is_perpetual and self._settings.perpetuals.margin is MarginMode.ISOLATED
        return isolated or self._books.keeps(instrument)

    def fund(self, funding: Funding) -> Iterator[Event]:
        """Take a mark, and pay what was announced before it if its time has come."""
        account, name = self._books.account, funding.instrument
        announced = account.fundings.get(name)
        account.fundings[name] = funding
        if (
            announced is None
            or funding.ts_init < announced.next_at
            or announced.next_at <= account.settled.get(name, 0)
        ):
            return
        account.settled[name] = announced.next_at
        instrument = self._listing[name]
        mark, rate = Decimal(repr(announced.mark)), Decimal(repr(announced.rate))
        for strategy, quantity in list(account.holdings.get(name, {}).items()):
            amount = -quantity * mark * rate
            self._books.pay(instrument, amount)
            yield FundingPaid(
                ts_event=announced.next_at,
                ts_init=funding.ts_init,
                instrument=name,
                strategy=strategy,
                amount=amount,
                currency=instrument.quote_currency,
                rate=announced.rate,
                quantity=quantity,
                funding_id=f"{name}-{announced.next_at}-{strategy}",
            )
        if name in account.holdings:
            yield from self.account_of(instrument, funding)

    def too_little_margin(self, instrument: InstrumentId) -> tuple[InstrumentId, ...]:
        return self._books.to_liquidate(self._listing[instrument])

    def liquidate(self, name: InstrumentId, now: Funding) -> Iterator[tuple[OrderTerms, list[Event]]]:
        """Close what every strategy holds there, each by an order that nobody here sent."""
        account, instrument = self._books.account, self._listing[name]
        for strategy, quantity in list(account.holdings.get(name, {}).items()):
            account.liquidations += 1
            terms = _liquidation(f"liquidation-{account.liquidations}-{now.ts_init:x}", strategy, name, quantity)
            foreign = VenueForeignOrder(
                ts_event=now.ts_init,
                ts_init=now.ts_init,
                client_order_id=terms.client_order_id,
                instrument=name,
                strategy=strategy,
                side=terms.side,
                quantity=terms.quantity,
                limit_price=None,
                venue_order_id=f"sim-{terms.client_order_id}",
                adopted=True,
                reason="liquidation",
            )
            fill = self._liquidating_fill(terms, instrument, now)
            self._books.book(terms, fill)
            yield terms, [foreign, fill, *self.account_of(instrument, now)]

    def _liquidating_fill(self, terms: OrderTerms, instrument: Instrument, now: Funding) -> VenueFilled:
        market = self._markets[terms.instrument]
        price = (
            instrument.price(now.mark) if market.quote is None else opposite(instrument, terms.side, market.quote)[0]
        )
        if not self._taking.is_free:
            price = self._taking.price(market, terms, price)
        share = self._fees.share(instrument, Liquidity.TAKER, now.ts_init) + self._settings.perpetuals.liquidation_fee
        self._fees.count(instrument, price * terms.quantity, now.ts_init)
        return VenueFilled(
            ts_event=now.ts_init,
            ts_init=now.ts_init,
            client_order_id=terms.client_order_id,
            instrument=terms.instrument,
            trade_id=f"{terms.client_order_id}-1",
            side=terms.side,
            price=price,
            quantity=terms.quantity,
            fee=price * terms.quantity * share,
            currency=instrument.quote_currency,
            liquidity=Liquidity.TAKER,
        )

    def account_of(self, instrument: Instrument, now: Event) -> Iterable[Event]:
        """Say how the account stands after something was booked there, as far as it is kept."""
        if instrument.id in self._untold:
            return ()
        return self._kept(instrument, now) if self._books.keeps(instrument) else (self._position(instrument, now),)

    def _kept(self, instrument: Instrument, now: Event) -> Iterator[Event]:
        if instrument.is_perpetual:
            yield self._position(instrument, now)
        orders = {name: market.orders.values() for name, market in self._markets.items() if market.orders}
        traded = (instrument.quote_currency, instrument.base_currency)
        for currency in traded[:1] if instrument.is_perpetual else traded:
            yield VenueBalance(
                ts_event=now.ts_init,
                ts_init=now.ts_init,
                venue=venue_of(instrument.id),
                currency=currency,
                total=self._books.balance(instrument, currency),
                free=self._books.free(instrument, currency, orders),
            )

    def _position(self, instrument: Instrument, now: Event) -> VenuePosition:
        position = self._books.account.positions.get(instrument.id)
        liquidation = self._books.liquidation_price(instrument)
        return VenuePosition(
            ts_event=now.ts_init,
            ts_init=now.ts_init,
            instrument=instrument.id,
            quantity=ZERO if position is None else position.quantity,
            entry_price=None if position is None else position.entry_price,
            liquidation_price=liquidation,
            margin=self._books.margin(instrument.id),
        )


def _liquidation(name: str, strategy: str, instrument: InstrumentId, quantity: Decimal) -> OrderTerms:
    return OrderTerms(
        client_order_id=name,
        strategy=strategy,
        instrument=instrument,
        side=Side.SELL if quantity > 0 else Side.BUY,
        quantity=abs(quantity),
        order_type=OrderType.MARKET,
        limit_price=None,
        time_in_force=TimeInForce.GTC,
        reduce_only=True,
    )
