"""The simulated exchange itself: commands and market data in, reports out. What it assumes is said in the package."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from contracts.event import Event
from contracts.market import Funding, Quote, Trade
from contracts.orders import Amendment, OrderTerms
from contracts.types import InstrumentId, InstrumentState, Liquidity, TimeInForce
from contracts.venue import (
    AmendOrder,
    CancelOrder,
    QueryOrder,
    SubmitOrder,
    VenueAmendRejected,
    VenueCancelRejected,
    VenueFilled,
    VenueRejected,
)
from venues.instruments import Instrument, Listing
from venues.simulated.account import Account, Books
from venues.simulated.book import (
    ZERO,
    Command,
    Ending,
    InFlight,
    Market,
    Past,
    Working,
    accepts,
    advance,
    by_priority,
    join,
    moment,
    on_its_way,
    opposite,
    reached,
)
from venues.simulated.halts import Halted, Schedule
from venues.simulated.matching import Matching
from venues.simulated.memory import Memory
from venues.simulated.refusals import against_the_rules, cannot_amend, reprices, would_meet
from venues.simulated.reports import accepted, again, amended, ended, of
from venues.simulated.settings import SelfTrade, SimulationSettings
from venues.simulated.settling import Settling


@dataclass(slots=True)
class ExchangeState:
    """What the exchange knows: its markets, commands under way, orders that ended (oldest first), and our account."""

    markets: dict[InstrumentId, Market]
    in_flight: list[InFlight]
    known: dict[str, Past | None]
    account: Account
    halted: Halted


class SimulatedExchange:
    """Deterministic matching for a listing: the same events and commands in the same order give the same reports."""

    def __init__(self, listing: Listing, settings: SimulationSettings) -> None:
        self.settings = settings
        self._listing = listing
        self._latency_ns = int(settings.latency_ms * 1_000_000)
        self._use(ExchangeState({name: Market() for name in listing}, [], {}, Account(), Halted()))

    def state(self) -> ExchangeState:
        return ExchangeState(
            self._markets, self._in_flight, self._memory.known, self._books.account, self._schedule.halted
        )

    def restore(self, state: ExchangeState) -> None:
        """Go on from `state`; what is not listed any more is gone, with our orders there."""
        state.markets = {name: state.markets.get(name, Market()) for name in self._listing}
        state.account.keep(self._listing)
        self._use(state)

    def _use(self, state: ExchangeState) -> None:
        self._markets, self._in_flight = state.markets, state.in_flight
        self._memory = Memory(state.known)
        self._books = Books(state.account, self.settings, self._listing)
        self._settling = Settling(self._books, self._markets, self._listing, self.settings)
        self._matching = Matching(
            self._markets, self._books, self._memory, self._settling, self._listing, self.settings
        )
        self._schedule = Schedule(self.settings.halts, state.halted)

    # -- what the market shows -----------------------------------------------------------------------------------------

    def on_quote(self, quote: Quote) -> Iterator[Event] | None:
        """Show a quote; None when it concerns no order of ours."""
        market = self._markets.get(quote.instrument)
        if market is not None:
            market.quote = quote
            if market.taken:
                market.taken.clear()
            if market.orders:
                return self._match_quote(market, quote)
        if self._in_flight or quote.ts_init >= self._schedule.next_at:
            return self._land(quote)
        return None

    def on_trade(self, trade: Trade) -> Iterator[Event] | None:
        """Show a trade between others; None when it concerns no order of ours."""
        market = self._markets.get(trade.instrument)
        if market is not None:
            market.trade = trade
        if self._in_flight or (market is not None and market.orders) or trade.ts_init >= self._schedule.next_at:
            return self._land(trade) if market is None else self._match_trade(market, trade)
        return None

    def on_funding(self, funding: Funding) -> Iterator[Event] | None:
        """Show the mark of a perpetual and the funding ahead; None when it concerns nothing of ours."""
        instrument = self._listing.get(funding.instrument)
        if instrument is None or not instrument.is_perpetual:
            return self._land(funding) if self._in_flight or funding.ts_init >= self._schedule.next_at else None
        return self._mark(funding)

    def command(self, command: Command) -> Iterator[Event] | None:
        """Take a command: at once, or when event time has come `latency` further; none overtakes another."""
        if self._latency_ns == 0 and not self._in_flight:
            return self._execute(command, command)
        self._in_flight.append(on_its_way(command, self._event_time(command) + self._latency_ns))
        return None

    def _event_time(self, command: Event) -> int:
        return moment(*(event for market in self._markets.values() for event in (market.quote, market.trade))) or (
            command.ts_init
        )

    def _land(self, now: Event) -> Iterator[Event]:
        """Let take effect what is due."""
        if now.ts_init >= self._schedule.next_at:
            yield from self._follow(now)
        while self._in_flight and self._in_flight[0].due <= now.ts_init:
            yield from self._execute(self._in_flight.pop(0).command, now)

    def _match_quote(self, market: Market, quote: Quote) -> Iterator[Event]:
        yield from self._land(quote)
        if quote.instrument in self._schedule.halted.instruments:
            return
        instrument, model = self._listing[quote.instrument], self.settings.queue
        for working in by_priority(market.orders.values()):
            advance(working, quote, instrument, model)
            yield from self._matching.take(market, working, quote, Liquidity.MAKER, quote)

    def _match_trade(self, market: Market, trade: Trade) -> Iterator[Event]:
        yield from self._land(trade)
        if trade.instrument in self._schedule.halted.instruments:
            return
        instrument = self._listing[trade.instrument]
        price, left = instrument.price(trade.price), Decimal(repr(trade.size))
        for working in by_priority(market.orders.values()):
            limit = working.terms.limit_price
            quantity = instrument.quantity(min(working.leaves, reached(working, trade, price, left)))
            if limit is not None and quantity > 0:
                for report in self._matching.fill(market, working, quantity, limit, Liquidity.MAKER, trade):
                    left -= report.quantity if isinstance(report, VenueFilled) else ZERO
                    yield report

    def _mark(self, funding: Funding) -> Iterator[Event]:
        yield from self._land(funding)
        yield from self._settling.fund(funding)
        for name in self._settling.too_little_margin(funding.instrument):
            for working in list(self._markets[name].orders.values()):
                yield self._matching.end(working, Ending.CANCELED, "liquidation", funding)
            for terms, reports in self._settling.liquidate(name, funding):
                self._memory.remember(terms, [r for r in reports if isinstance(r, VenueFilled)], Ending.FILLED)
                yield from reports

    # -- what we ask for -----------------------------------------------------------------------------------------------

    def _execute(self, command: Command, now: Event) -> Iterator[Event]:
        match command:
            case SubmitOrder():
                return self._submit(command.order, now)
            case CancelOrder():
                return self._cancel(command, now)
            case AmendOrder():
                return self._amend(command.amendment, now)
            case QueryOrder():
                return self._answer(command, now)

    def _submit(self, terms: OrderTerms, now: Event) -> Iterator[Event]:
        if terms.client_order_id in self._memory.known or self._matching.is_open(terms.client_order_id):
            return
        market = self._markets.get(terms.instrument)
        if problem := self._refusal(terms, market):
            self._memory.remember(terms, [], Ending.REJECTED, problem)
            yield VenueRejected(**of(terms, now), reason=problem)
            return
        assert market is not None
        assert market.quote is not None
        working = Working(terms, terms.quantity)
        join(working, market.quote, self._listing[terms.instrument], self.settings.queue)
        market.orders[terms.client_order_id] = working
        yield accepted(terms, now)
        if terms.time_in_force is TimeInForce.FOK and not self._matching.fills_whole(market, working, market.quote):
            yield self._matching.end(working, Ending.EXPIRED, "fill or kill: not enough displayed", now)
            return
        yield from self._cross(market, working, now)
        if terms.time_in_force is TimeInForce.IOC and terms.client_order_id in market.orders:
            yield self._matching.end(working, Ending.EXPIRED, "immediate or cancel: the rest was not displayed", now)

    def _refusal(self, terms: OrderTerms, market: Market | None) -> str | None:
        """Say why an order is not taken, if it is not."""
        if market is None:
            return f"{terms.instrument} is not listed here"
        instrument = self._listing[terms.instrument]
        if problem := self._schedule.objection(terms.instrument):
            return problem
        if problem := against_the_rules(terms, instrument, market.quote):
            return problem
        assert market.quote is not None
        if problem := _takes(terms, market, instrument):
            return problem
        if terms.reduce_only and self._books.account.reducible(terms) == 0:
            return f"reduce only: {terms.strategy} holds nothing of {terms.instrument} that this could reduce"
        return self._lacks(terms, market, instrument) if self._books.keeps(instrument) else None

    def _lacks(self, terms: OrderTerms, market: Market, instrument: Instrument) -> str | None:
        orders = {name: at.orders.values() for name, at in self._markets.items() if at.orders}
        return self._books.lacks(terms, terms.limit_price or _met(terms, market, instrument), orders)

    def _cross(self, market: Market, working: Working, now: Event) -> Iterator[Event]:
        """Let an order that has just come take what it meets: first of ours, by `self_trade`, then of others."""
        instrument, mode = self._listing[working.terms.instrument], self.settings.self_trade
        reason = "self-trade prevention"
        alone = len(market.orders) == 1
        for other in () if alone else list(would_meet(working.terms, market, instrument, working.leaves)):
            if mode is SelfTrade.ALLOW:
                yield from self._trade_with_ourselves(market, working, other, now)
            if mode in (SelfTrade.CANCEL_MAKER, SelfTrade.CANCEL_BOTH):
                yield self._matching.end(other, Ending.EXPIRED, reason, now)
            if mode in (SelfTrade.CANCEL_TAKER, SelfTrade.CANCEL_BOTH):
                yield self._matching.end(working, Ending.EXPIRED, reason, now)
            if working.terms.client_order_id not in market.orders:
                return
        assert market.quote is not None
        yield from self._matching.take(market, working, market.quote, Liquidity.TAKER, now)

    def _trade_with_ourselves(self, market: Market, taker: Working, maker: Working, now: Event) -> Iterator[Event]:
        price = maker.terms.limit_price
        assert price is not None
        quantity = min(taker.leaves, maker.leaves)
        for working in (taker, maker):
            quantity = self._matching.allowed(working.terms, price, quantity)
        if quantity > 0:
            yield from self._matching.fill(market, maker, quantity, price, Liquidity.MAKER, now)
            yield from self._matching.fill(market, taker, quantity, price, Liquidity.TAKER, now)

    def _cancel(self, command: CancelOrder, now: Event) -> Iterator[Event]:
        working = self._matching.find(command.client_order_id, command.instrument)
        if working is None:
            yield VenueCancelRejected(**of(command, now), reason="no such open order")
        else:
            yield self._matching.end(working, Ending.CANCELED, "canceled on request", now)

    def _amend(self, amendment: Amendment, now: Event) -> Iterator[Event]:
        working = self._matching.find(amendment.client_order_id, amendment.instrument)
        if problem := "no such open order" if working is None else self._objection(working, amendment):
            yield VenueAmendRejected(**of(amendment, now), reason=problem)
            return
        assert working is not None
        market, instrument = self._markets[amendment.instrument], self._listing[amendment.instrument]
        assert market.quote is not None
        filled, moves = working.filled, reprices(working.terms, amendment)
        working.terms = _amended(working.terms, amendment)
        working.leaves = working.terms.quantity - filled
        working.amended = True
        yield amended(working, now)
        if moves:
            del market.orders[amendment.client_order_id]
            market.orders[amendment.client_order_id] = working
            join(working, market.quote, instrument, self.settings.queue)
            yield from self._cross(market, working, now)

    def _objection(self, working: Working, amendment: Amendment) -> str | None:
        """Say why an order stays as it is, if it does."""
        market, instrument = self._markets[amendment.instrument], self._listing[amendment.instrument]
        if problem := self._schedule.objection(amendment.instrument):
            return problem
        if problem := cannot_amend(working, amendment, instrument):
            return problem
        assert market.quote is not None
        terms = _amended(working.terms, amendment)
        if problem := _takes(terms, market, instrument):
            return problem
        others = {name: [one for one in at.orders.values() if one is not working] for name, at in self._markets.items()}
        rest = replace(terms, quantity=terms.quantity - working.filled)
        return self._books.lacks(rest, terms.limit_price or _met(terms, market, instrument), others)

    def _answer(self, query: QueryOrder, now: Event) -> Iterator[Event]:
        """Say again what was said of an order."""
        working = self._matching.find(query.client_order_id, query.instrument)
        past = self._memory.known.get(query.client_order_id)
        if working is not None:
            yield accepted(working.terms, now)
            if working.amended:
                yield amended(working, now)
            yield from again(working.fills, now)
        elif past is not None and past.instrument == query.instrument:
            yield from again(past.fills, now)
            if past.ending is not Ending.FILLED:
                yield ended(query, past.ending, past.reason, now)
        elif past is not None or query.client_order_id not in self._memory.known:
            yield VenueRejected(**of(query, now), reason="unknown to the venue")

    def _follow(self, now: Event) -> Iterator[Event]:
        """Halt instruments and let them trade again; what is delisted loses its orders."""
        for status in self._schedule.follow(now):
            yield status
            market = self._markets.get(status.instrument)
            if status.state is InstrumentState.DELISTED and market is not None:
                for working in list(market.orders.values()):
                    yield self._matching.end(working, Ending.CANCELED, "the instrument was delisted", now)


def _met(terms: OrderTerms, market: Market, instrument: Instrument) -> Decimal:
    """Give the best price of others that an order meets."""
    assert market.quote is not None
    return opposite(instrument, terms.side, market.quote)[0]


def _takes(terms: OrderTerms, market: Market, instrument: Instrument) -> str | None:
    """Say how an order that may only rest would trade at once, if it would."""
    if not terms.post_only:
        return None
    price = _met(terms, market, instrument)
    if not accepts(terms, price) and not any(would_meet(terms, market, instrument)):
        return None
    return f"post only: at {terms.limit_price} it would take at {price}"


def _amended(terms: OrderTerms, amendment: Amendment) -> OrderTerms:
    return replace(
        terms,
        quantity=amendment.quantity or terms.quantity,
        limit_price=amendment.limit_price or terms.limit_price,
    )
