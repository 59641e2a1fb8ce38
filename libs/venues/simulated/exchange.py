"""The simulated exchange itself: commands and market data in, reports out. What it assumes is said in the package."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from contracts.event import Event
from contracts.market import Funding, Quote, Trade
from contracts.orders import Amendment, OrderTerms
from contracts.types import LARGEST, InstrumentId, InstrumentState, Liquidity, TimeInForce
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
from venues.instruments import Listing
from venues.simulated.account import Account, Books
from venues.simulated.admission import Admission, changed
from venues.simulated.book import (
    ZERO,
    Command,
    Ending,
    InFlight,
    Market,
    Past,
    Working,
    advance,
    by_priority,
    join,
    moment,
    on_its_way,
    reached,
)
from venues.simulated.borrow import Lending, Lent
from venues.simulated.delivery import Delivery, Waiting
from venues.simulated.halts import Halted, Schedule
from venues.simulated.latency import Chances, Delays, chances
from venues.simulated.matching import Matching
from venues.simulated.memory import Memory
from venues.simulated.refusals import reprices, would_meet
from venues.simulated.reports import accepted, again, amended, ended, of
from venues.simulated.script import Script, unreached
from venues.simulated.settings import SelfTrade, SimulationSettings
from venues.simulated.settling import Settling
from venues.simulated.taking import Taking
from venues.simulated.tiers import Fees

_FOK, _IOC, _TAKER = TimeInForce.FOK, TimeInForce.IOC, Liquidity.TAKER


@dataclass(slots=True)
class ExchangeState:
    """What the exchange knows: its markets, commands under way, orders that ended (oldest first), and our account.

    Besides what is halted and lent, the reports that are under way, and where its chance stands.
    """

    markets: dict[InstrumentId, Market]
    in_flight: list[InFlight]
    known: dict[str, Past | None]
    account: Account
    halted: Halted
    lent: Lent
    waiting: list[Waiting]
    chances: Chances


class SimulatedExchange:
    """Deterministic matching for a listing: the same events and commands in the same order give the same reports."""

    def __init__(self, listing: Listing, settings: SimulationSettings) -> None:
        self.settings = settings
        self._listing = listing
        markets = {name: Market() for name in listing}
        self._use(ExchangeState(markets, [], {}, Account(), Halted(), Lent(), [], chances(settings.seed)))

    def state(self) -> ExchangeState:
        return ExchangeState(
            self._markets,
            self._in_flight,
            self._memory.known,
            self._books.account,
            self._schedule.halted,
            self._lending.lent,
            self._delivery.waiting,
            self._chances,
        )

    def restore(self, state: ExchangeState) -> None:
        """Go on from `state`; what is not listed any more is gone, with our orders there."""
        state.markets = {name: state.markets.get(name, Market()) for name in self._listing}
        state.account.keep(self._listing)
        state.lent.keep(self._listing)
        self._use(state)

    def _use(self, state: ExchangeState) -> None:
        settings, listing = self.settings, self._listing
        self._markets, self._in_flight, self._chances = state.markets, state.in_flight, state.chances
        self._memory = Memory(state.known)
        self._books = Books(state.account, settings, listing)
        fees = Fees(state.account.volumes, settings, settings.perpetuals)
        self._taking = Taking(settings.slippage, listing)
        self._lending = Lending(state.lent, state.account, self._markets, listing, settings.borrow)
        self._settling = Settling(self._books, self._markets, fees, self._taking, listing, settings)
        self._matching = Matching(
            self._markets, self._books, self._memory, self._settling, fees, self._taking, self._lending, listing
        )
        self._queue, self._self_trade = settings.queue, settings.self_trade
        self._schedule = Schedule(settings.halts, state.halted)
        self._delays = Delays(settings.latency_ms, settings.report_latency_ms, settings.feed_latency_ms, self._chances)
        self._script = Script(settings.outages, settings.rejects, settings.slowdowns, self._chances.rejects)
        self._admission = Admission(self._markets, self._books, self._schedule, self._script, listing)
        self._delivery = Delivery(state.waiting, self._delays, self._script)
        self._executes_at_once = self._delays.are_none and not self._script.delays_commands
        self._says_at_once = not self._delivery.is_late and self._lending.is_free
        self._due_at = self._next()

    def _next(self) -> int:
        """Say when something happens next that no market event brings about but by its time (ns)."""
        command = self._in_flight[0].due if self._in_flight else LARGEST
        return min(command, self._schedule.next_at, self._lending.next_at, self._delivery.next_at)

    # -- what the market shows -----------------------------------------------------------------------------------------

    def on_quote(self, quote: Quote) -> Iterator[Event] | None:
        """Show a quote; None when it concerns no order of ours."""
        market = self._markets.get(quote.instrument)
        if market is not None:
            market.quote = quote
            if market.taken:
                market.taken.clear()
            if market.orders:
                return self._say(self._match_quote(market, quote), quote)
        if quote.ts_init >= self._due_at:
            return self._say(self._land(quote), quote)
        return None

    def rests_until(self, instrument: InstrumentId) -> int:
        """Say until when (ns) of the quotes of an instrument only the last counts: until an order of ours is there."""
        market = self._markets.get(instrument)
        return 0 if market is not None and market.orders else self._due_at

    def on_trade(self, trade: Trade) -> Iterator[Event] | None:
        """Show a trade between others; None when it concerns no order of ours."""
        market = self._markets.get(trade.instrument)
        if market is not None:
            market.trade = trade
            if self._taking.counts_trades:
                self._taking.see(market, trade)
            if market.orders:
                return self._say(self._match_trade(market, trade), trade)
        if trade.ts_init >= self._due_at:
            return self._say(self._land(trade), trade)
        return None

    def on_funding(self, funding: Funding) -> Iterator[Event] | None:
        """Show the mark of a perpetual and the funding ahead; None when it concerns nothing of ours."""
        instrument = self._listing.get(funding.instrument)
        if instrument is None or not instrument.is_perpetual:
            if funding.ts_init < self._due_at:
                return None
            return self._say(self._land(funding), funding)
        return self._say(self._mark(funding), funding)

    def command(self, command: Command) -> Iterable[Event] | None:
        """Take a command: at once, or when event time has come `latency` further; none overtakes another."""
        if self._executes_at_once and not self._in_flight:
            said = self._execute(command, command)
            return said if self._says_at_once else self._say_later(said, command)
        sent = self._event_time(command)
        due = sent + self._delays.to_the_exchange() + self._script.slower_by(sent)
        if self._in_flight:
            due = max(due, self._in_flight[-1].due)
        self._in_flight.append(on_its_way(command, due))
        self._due_at = min(self._due_at, self._in_flight[0].due)
        return None

    def _event_time(self, command: Event) -> int:
        return moment(*(event for market in self._markets.values() for event in (market.quote, market.trade))) or (
            command.ts_init
        )

    def _moment(self, now: Event) -> int:
        """Give the event time to which something has come that happens now."""
        return now.ts_init if isinstance(now, Quote | Trade | Funding) else self._event_time(now)

    def _say(self, said: Iterator[Event], now: Event) -> Iterator[Event]:
        return said if self._says_at_once else self._say_later(said, now)

    def _say_later(self, said: Iterable[Event], now: Event) -> Iterator[Event]:
        """Let reports be heard when they come."""
        if self._delivery.is_late:
            at = self._moment(now)
            self._delivery.post(said, at)
            yield from self._delivery.heard(at, now)
        else:
            yield from said
        self._due_at = self._next()

    def _land(self, now: Event) -> Iterator[Event]:
        """Let take effect what is due."""
        if now.ts_init < self._due_at:
            return
        if now.ts_init >= self._schedule.next_at:
            yield from self._follow(now)
        if now.ts_init >= self._lending.next_at:
            yield from self._lending.charge(now)
        while self._in_flight and self._in_flight[0].due <= now.ts_init:
            yield from self._execute(self._in_flight.pop(0).command, now)
        self._due_at = self._next()

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

    def _execute(self, command: Command, now: Event) -> Iterable[Event]:
        if self._script.has_outages and (outage := self._script.outage(self._moment(now))):
            return unreached(command, outage, now)
        if isinstance(command, SubmitOrder):
            return self._submit(command.order, now)
        match command:
            case CancelOrder():
                return self._cancel(command, now)
            case AmendOrder():
                return self._amend(command.amendment, now)
            case QueryOrder():
                return self._answer(command, now)

    def _submit(self, terms: OrderTerms, now: Event) -> Sequence[Event]:
        name, memory, matching = terms.client_order_id, self._memory, self._matching
        if name in memory.known or matching.is_open(name):
            return ()
        at = self._moment(now) if self._script.refuses_orders else now.ts_init
        if problem := self._admission.refusal(terms, at):
            memory.remember(terms, [], Ending.REJECTED, problem)
            return (VenueRejected(**of(terms, now), reason=problem),)
        market, instrument = self._markets[terms.instrument], self._listing[terms.instrument]
        assert market.quote is not None
        working = Working(terms, terms.quantity)
        join(working, market.quote, instrument, self._queue)
        matching.place(market, working)
        said: list[Event] = [accepted(terms, now)]
        if terms.time_in_force is _FOK and not matching.fills_whole(market, working, market.quote):
            said.append(matching.end(working, Ending.EXPIRED, "fill or kill: not enough displayed", now))
            return said
        if len(market.orders) == 1:
            said += matching.take(market, working, market.quote, _TAKER, now)
        else:
            said += self._cross(market, working, now)
        if terms.time_in_force is _IOC and name in market.orders:
            said.append(matching.end(working, Ending.EXPIRED, "immediate or cancel: the rest was not displayed", now))
        return said

    def _cross(self, market: Market, working: Working, now: Event) -> Iterator[Event]:
        """Let an order that has just come take what it meets: first of ours, by `self_trade`, then of others."""
        instrument, mode = self._listing[working.terms.instrument], self._self_trade
        reason = "self-trade prevention"
        for other in list(would_meet(working.terms, market, instrument, working.leaves)):
            if mode is SelfTrade.ALLOW:
                yield from self._trade_with_ourselves(market, working, other, now)
            if mode in (SelfTrade.CANCEL_MAKER, SelfTrade.CANCEL_BOTH):
                yield self._matching.end(other, Ending.EXPIRED, reason, now)
            if mode in (SelfTrade.CANCEL_TAKER, SelfTrade.CANCEL_BOTH):
                yield self._matching.end(working, Ending.EXPIRED, reason, now)
            if working.terms.client_order_id not in market.orders:
                return
        assert market.quote is not None
        yield from self._matching.take(market, working, market.quote, _TAKER, now)

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
        if problem := "no such open order" if working is None else self._admission.objection(working, amendment):
            yield VenueAmendRejected(**of(amendment, now), reason=problem)
            return
        assert working is not None
        market, instrument = self._markets[amendment.instrument], self._listing[amendment.instrument]
        assert market.quote is not None
        filled, moves = working.filled, reprices(working.terms, amendment)
        working.terms = changed(working.terms, amendment)
        working.leaves = working.terms.quantity - filled
        working.amended = True
        yield amended(working, now)
        if moves:
            del market.orders[amendment.client_order_id]
            market.orders[amendment.client_order_id] = working
            join(working, market.quote, instrument, self._queue)
            yield from self._cross(market, working, now)

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
