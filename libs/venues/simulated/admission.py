"""Whether the exchange takes an order, or a change of one, as things stand."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from contracts.orders import Amendment, OrderTerms
from contracts.types import InstrumentId
from venues.instruments import Instrument, Listing
from venues.simulated.account import Books
from venues.simulated.book import Market, Working, accepts, opposite
from venues.simulated.halts import Schedule
from venues.simulated.refusals import against_the_rules, cannot_amend, would_meet
from venues.simulated.script import Script


class Admission:
    def __init__(
        self, markets: Mapping[InstrumentId, Market], books: Books, schedule: Schedule, script: Script, listing: Listing
    ) -> None:
        self._markets = markets
        self._books = books
        self._schedule = schedule
        self._script = script
        self._listing = listing

    def refusal(self, terms: OrderTerms, moment: int) -> str | None:
        """Say why an order is not taken that comes at `moment`, if it is not."""
        market = self._markets.get(terms.instrument)
        if market is None:
            return f"{terms.instrument} is not listed here"
        instrument = self._listing[terms.instrument]
        is_disturbed = self._schedule.halted.instruments or self._script.refuses_orders
        if is_disturbed and (problem := self._disturbance(instrument.id, moment)):
            return problem
        if problem := against_the_rules(terms, instrument, market.quote):
            return problem
        if terms.post_only and (problem := _takes(terms, market, instrument)):
            return problem
        if terms.reduce_only and self._books.account.reducible(terms) == 0:
            return f"reduce only: {terms.strategy} holds nothing of {terms.instrument} that this could reduce"
        return None if self._books.is_unlimited else self._lacks(terms, market, instrument)

    def _disturbance(self, instrument: InstrumentId, moment: int) -> str | None:
        return self._schedule.objection(instrument) or self._script.objection(instrument, moment)

    def _lacks(self, terms: OrderTerms, market: Market, instrument: Instrument) -> str | None:
        if terms.reduce_only or not self._books.keeps(instrument):
            return None
        orders = {name: at.orders.values() for name, at in self._markets.items() if at.orders}
        return self._books.lacks(terms, terms.limit_price or _met(terms, market, instrument), orders)

    def objection(self, working: Working, amendment: Amendment) -> str | None:
        """Say why an order stays as it is, if it does."""
        market, instrument = self._markets[amendment.instrument], self._listing[amendment.instrument]
        if problem := self._schedule.objection(amendment.instrument):
            return problem
        if problem := cannot_amend(working, amendment, instrument):
            return problem
        terms = changed(working.terms, amendment)
        if terms.post_only and (problem := _takes(terms, market, instrument)):
            return problem
        others = {name: [one for one in at.orders.values() if one is not working] for name, at in self._markets.items()}
        rest = replace(terms, quantity=terms.quantity - working.filled)
        return self._books.lacks(rest, terms.limit_price or _met(terms, market, instrument), others)


def changed(terms: OrderTerms, amendment: Amendment) -> OrderTerms:
    return replace(
        terms,
        quantity=amendment.quantity or terms.quantity,
        limit_price=amendment.limit_price or terms.limit_price,
    )


def _met(terms: OrderTerms, market: Market, instrument: Instrument) -> Decimal:
    """Give the best price of others that an order meets."""
    assert market.quote is not None
    return opposite(instrument, terms.side, market.quote)[0]


def _takes(terms: OrderTerms, market: Market, instrument: Instrument) -> str | None:
    """Say how an order that may only rest would trade at once, if it would."""
    price = _met(terms, market, instrument)
    if not accepts(terms, price) and not any(would_meet(terms, market, instrument)):
        return None
    return f"post only: at {terms.limit_price} it would take at {price}"
