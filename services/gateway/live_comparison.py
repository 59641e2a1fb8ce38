"""Compare all that we know of a venue with what it says: orders, trades, funds, positions, payments, rules."""

import asyncio
import logging
from collections.abc import Iterable

from contracts.event import Event
from contracts.types import InstrumentId, InstrumentState, Severity, instrument_id
from contracts.venue import InstrumentStatus
from services.gateway.live_sending import Sending, now_ns
from venues.instruments import LISTING
from venues.live.outcomes import NotFound, VenueFailure
from venues.reconciliation.entry import Entry, Phase
from venues.reconciliation.findings import explained, in_order, reconcile_order, reconcile_trade, standing
from venues.reconciliation.views import FundingView, MarketView, VenueOrderView, VenueStatus

logger = logging.getLogger(__name__)

START, SETTLED, RECONNECT, PERIODIC = "start", "settled", "reconnect", "periodic"
"""Why everything is compared."""
LOOKS_AT_THE_ACCOUNT = 3
"""So often it is looked at until nothing happens meanwhile; else the next comparison does."""


class Comparison:
    """Looks at one venue. `began` (ns): trades from before the first start are nobody's here."""

    def __init__(self, sending: Sending, began: int, states: dict[InstrumentId, InstrumentState]) -> None:
        self._sending = sending
        self._client = sending.client
        self._book = sending.book
        self._settings = sending.settings
        self._began = began
        self._states = states
        self._rules_told: set[InstrumentId] = set()
        self._trades_from: dict[InstrumentId, int] = {}
        self._funding_from = began

    async def run(self, why: str, *, grace_s: float) -> int | None:
        """Compare everything and correct what differs; what is younger than `grace_s` is left to the streams.

        Gives the number of corrections; None when the venue could not be asked: then nothing is known to be right.
        """
        try:
            orders, corrections = await self._orders(why, grace_s)
            trades, more = await self._trades(why, grace_s)
            corrections += more + await self._strays(why)
            await self._ghosts()
            await self.account()
        except VenueFailure as failure:
            logger.warning("%s cannot be compared (%s): %s", self._client.name, why, failure)
            return None
        if not corrections:
            self._sending.say([in_order(self._book.venue, orders, trades, now_ns(), why)], None)
        now = now_ns()
        self._book.forget_before(now - int(self._settings.remember_s * 1e9))
        return corrections

    # -- orders and trades ---------------------------------------------------------------------------------------

    async def _orders(self, why: str, grace_s: float) -> tuple[int, int]:
        """Compare what is open there with what is open here; gives how many were looked at, and corrected."""
        views = await self._client.open_orders()
        corrections = sum([self._compared(view, why, grace_s) for view in views])
        shown = {(view.instrument, view.venue_order_id) for view in views}
        for view in views:
            await self._open_after_its_end(view)
        for entry in self._book.live():
            known = (entry.terms.instrument, entry.venue_order_id or "")
            if entry.phase is Phase.ACCEPTED and known not in shown and self._is_settled(entry, grace_s):
                corrections += await self._missing(entry, why)
        return len(views), corrections

    def _compared(self, view: VenueOrderView, why: str, grace_s: float) -> int:
        if self._client.now() - view.updated_at < grace_s * 1e9:
            return 0
        entry = self._book.entry_of(view)
        if entry is not None and entry.phase is Phase.ASKED and why != START:
            return 0  # whoever sent it finds out
        reports = reconcile_order(self._book, view, now_ns(), why)
        self._sending.say(reports, self._cause(view))
        return len(reports)

    def _is_settled(self, entry: Entry, grace_s: float) -> bool:
        """Whether the last that was heard of it is old enough for the venue to know it everywhere."""
        return self._client.now() - max(entry.seen_at, entry.asked_at) >= grace_s * 1e9

    async def _missing(self, entry: Entry, why: str) -> int:
        """Find out about an order that should be open and is not shown."""
        before = standing(entry)
        try:
            view = await self._client.look_up(entry.terms.instrument, entry.name_at_venue)
        except NotFound:
            if not entry.is_live:
                return 0
            reports = self._book.withdraw(entry, "the venue does not know it any more", now_ns())
            reports = explained(self._book.venue, before, reports, "no such order", now_ns(), why)
        else:
            if not entry.is_live:
                return 0
            reports = reconcile_order(self._book, view, now_ns(), why)
        self._sending.say_of(entry, reports)
        return len(reports)

    async def _open_after_its_end(self, view: VenueOrderView) -> None:
        """Find what is open there although its end was reported."""
        entry = self._book.entry_of(view)
        if entry is None or entry.is_live:
            return
        now = await self._client.look_up_by_venue_id(view.instrument, view.venue_order_id)
        if now.status is VenueStatus.OPEN:
            self._book.ghosts[now.instrument, now.venue_order_id] = now

    async def _trades(self, why: str, grace_s: float) -> tuple[int, int]:
        looked_at, corrections = 0, 0
        for instrument in self._instruments():
            since = max(self._trades_from.get(instrument, self._since()), self._began)
            asked_at = self._client.now()
            for trade in await self._client.trades(instrument, since):
                looked_at += 1
                if asked_at - trade.traded_at < grace_s * 1e9:
                    continue
                entry = self._book.entry_of_trade(trade)
                reports = reconcile_trade(self._book, trade, now_ns(), why)
                self._sending.say(reports, None if entry is None else entry.position)
                corrections += len(reports)
            self._trades_from[instrument] = asked_at - int(self._settings.overlap_s * 1e9)
        return looked_at, corrections

    def _since(self) -> int:
        """From when on trades may be missing, before any were asked for: since our oldest open order."""
        oldest = min((entry.asked_at for entry in self._book.live()), default=self._client.now())
        return oldest - int(self._settings.overlap_s * 1e9)

    def _instruments(self) -> Iterable[InstrumentId]:
        watched = {instrument_id(self._client.name, symbol) for symbol in self._settings.symbols}
        ours = {entry.terms.instrument for entry in self._book.live()}
        return sorted(one for one in watched | ours if self._client.lists(one))

    async def _strays(self, why: str) -> int:
        """Find the orders of trades that belong to none that we know."""
        corrections = 0
        for trade in {(one.instrument, one.venue_order_id): one for one in self._book.strays()}.values():
            if self._book.entry_of_trade(trade) is not None:
                continue
            try:
                view = await self._client.look_up_by_venue_id(trade.instrument, trade.venue_order_id)
            except NotFound:
                self._book.drop_stray(trade)
                self._sending.alert(
                    "trade_without_order",
                    f"{trade.instrument}: trade {trade.trade_id} of {trade.quantity} at {trade.price} belongs to "
                    f"order {trade.venue_order_id}, which the venue does not know: look at the account there",
                )
                continue
            entry = self._book.entry_of(view)
            if entry is not None and entry.phase is Phase.ASKED and why != START:
                continue  # whoever sent it finds out
            reports = reconcile_order(self._book, view, now_ns(), why)
            self._sending.say(reports, self._cause(view))
            corrections += len(reports)
        return corrections

    async def chase(self, entry: Entry) -> None:
        """Fetch the trades that the venue has counted and no stream has brought."""
        for venue_order_id in list(entry.filled_of):
            for trade in await self._client.trades_of(entry.terms.instrument, venue_order_id):
                self._sending.say_of(
                    entry, reconcile_trade(self._book, trade, now_ns(), "the venue has counted more than was heard of")
                )

    async def _ghosts(self) -> None:
        """Take from the venue what is open there although we have reported that it is not."""
        for order, view in list(self._book.ghosts.items()):
            self._sending.alert(
                "order_after_its_end",
                f"{view.client_order_id} is at {self._client.name} as {view.venue_order_id} ({view.status.value}, "
                f"{view.filled} filled) although it was reported to be over: it is canceled; look at the position",
                Severity.CRITICAL,
            )
            if view.status is VenueStatus.OPEN:
                try:
                    await self._client.cancel_by_venue_id(view.instrument, view.venue_order_id)
                except NotFound:
                    logger.info("%s is over by now", view.venue_order_id)
            del self._book.ghosts[order]

    # -- the account ---------------------------------------------------------------------------------------------

    async def account(self) -> None:
        """Compare funds and positions at a moment when nothing of ours was on its way."""
        first = await self._client.account()
        for _ in range(LOOKS_AT_THE_ACCOUNT):
            if self._book.lacking_trades() or self._book.strays():
                return
            fills = self._fills()
            await self._trades("account", 0.0)
            await self._funding()
            second = await self._client.account()
            if first == second and fills == self._fills():
                self._sending.say(self._sending.account.look(second, now_ns()), None)
                return
            first = second
            await asyncio.sleep(0.05)

    def _fills(self) -> int:
        return sum(len(entry.fills) for entry in self._book.entries())

    async def _funding(self) -> None:
        account, since = self._sending.account, max(self._funding_from, self._sending.account.last_payment)
        for payment in await self._client.funding(since):
            if not account.is_paid(payment):
                self._pay(payment, account.announced_rate(payment) or await self._client.funding_rate(payment))

    def _pay(self, payment: FundingView, rate: float | None) -> None:
        if rate is None:
            self._sending.alert(
                "funding_rate_unknown",
                f"{payment.instrument}: {payment.amount} {payment.currency} of funding was paid and the venue does not "
                "say at which rate: it is booked with a rate of 0",
            )
        self._sending.say(self._sending.account.pay(payment, rate or 0.0, now_ns()), None)

    # -- the rules of instruments --------------------------------------------------------------------------------

    async def markets(self) -> None:
        """Report which instruments may be traded, when that changes, and whose rules are not those that we list."""
        try:
            views = {view.instrument: view for view in await self._client.markets()}
        except VenueFailure as failure:
            logger.warning("%s does not show its markets: %s", self._client.name, failure)
            return
        said: list[Event] = []
        for symbol in self._settings.symbols:
            name = instrument_id(self._client.name, symbol)
            view = views.get(name)
            state, reason = (InstrumentState.DELISTED, "not listed") if view is None else (view.state, "as listed")
            if self._states.get(name) is not state:
                now = now_ns()
                said.append(InstrumentStatus(ts_event=now, ts_init=now, instrument=name, state=state, reason=reason))
                self._states[name] = state
            if view is not None:
                self._compare_rules(view)
        self._sending.say(said, None)

    def _compare_rules(self, view: MarketView) -> None:
        ours = LISTING.get(view.instrument)
        known = view.instrument in self._rules_told or view.instrument.partition(".")[2] in self._settings.rules_differ
        if (
            ours is None
            or known
            or (ours.tick, ours.lot, ours.min_notional) == (view.tick, view.lot, view.min_notional)
        ):
            return
        self._rules_told.add(view.instrument)
        self._sending.alert(
            "rules_differ",
            f"{view.instrument}: {self._client.name} lists tick {view.tick}, lot {view.lot}, least notional "
            f"{view.min_notional}; libs/venues/instruments.py has {ours.tick}, {ours.lot}, {ours.min_notional}. Orders "
            "that do not fit the venue's are refused here; bring the listing up to date",
        )

    def _cause(self, view: VenueOrderView) -> int | None:
        entry = self._book.entry_of(view)
        return None if entry is None else entry.position
