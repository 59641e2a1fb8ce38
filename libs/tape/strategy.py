"""The base of a strategy: it knows what it holds and what is under way, and wishes for orders under its own ids."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import ClassVar

from contracts.event import Event, maker
from contracts.orders import (
    AmendIntent,
    Amendment,
    CancelIntent,
    ExitPlan,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderIntent,
    OrderLink,
    OrderRejected,
    OrderTerms,
    RiskRejected,
    Trail,
    Twap,
)
from contracts.types import Contingency, InstrumentId, OrderType, Side, TimeInForce, TriggerBy
from tape.component import Component, on

FLAT = Decimal(0)
_BUY, _MARKET, _LIMIT, _GTC = Side.BUY, OrderType.MARKET, OrderType.LIMIT, TimeInForce.GTC
"""Kept: to look a member up in its `Enum` costs more than a call in CPython 3.11."""
_terms, _intent = maker(OrderTerms), maker(OrderIntent)


@dataclass(slots=True)
class StrategyState:
    """What every strategy knows of its own orders: a part of its state."""

    positions: dict[InstrumentId, Decimal]
    orders: dict[InstrumentId, dict[str, OrderTerms]]
    last_cause: int
    wishes: int

    @property
    def under_way(self) -> dict[InstrumentId, list[str]]:
        """Ids of the orders that open, change or leave a position as soon as they can."""
        waiting = {
            name: [one.client_order_id for one in held.values() if _moves(one)] for name, held in self.orders.items()
        }
        return {name: ids for name, ids in waiting.items() if ids}


class Strategy(Component):
    """Adds to a component its own positions, from its own fills, and the orders it wished for that have not ended.

    Terms are made first (`market`, `limit`, `stop`, ...), each with an id of its own. `wish` asks for one of them,
    `bracket`, `oco`, `ouo` and `oto` for several that belong together. Prices are in quote currency, quantities in base
    units; both should be whole ticks and lots (see `venues.instruments`), risk refuses what is not.
    """

    state_version = 2
    produces: ClassVar[tuple[type[Event], ...]] = (OrderIntent, CancelIntent, AmendIntent)

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.positions: dict[InstrumentId, Decimal] = {}
        self.orders: dict[InstrumentId, dict[str, OrderTerms]] = {}
        """By instrument and id: as they were wished for, until they have ended or were refused."""
        self._last_cause = 0
        self._wishes = 0

    def strategy_state(self) -> StrategyState:
        return StrategyState(self.positions, self.orders, self._last_cause, self._wishes)

    def restore_strategy(self, state: StrategyState) -> None:
        self.positions = state.positions
        self.orders = state.orders
        self._last_cause = state.last_cause
        self._wishes = state.wishes

    def position(self, instrument: InstrumentId) -> Decimal:
        """Give what is held, in base units; negative when short."""
        return self.positions.get(instrument, FLAT)

    def open_orders(self, instrument: InstrumentId) -> tuple[OrderTerms, ...]:
        """Give our orders there that have not ended, as they were wished for."""
        return tuple(self.orders.get(instrument, {}).values())

    def is_free(self, instrument: InstrumentId) -> bool:
        """Say whether no order of ours is under way there.

        What only rests to protect or to leave a position (a stop, a target, an order that waits for another) is not.
        """
        held = self.orders.get(instrument)
        return held is None or not any(map(_moves, held.values()))

    # -- terms ---------------------------------------------------------------------------------------------------------

    def market(
        self,
        instrument: InstrumentId,
        side: Side,
        quantity: Decimal,
        *,
        reduce_only: bool = False,
        twap: Twap | None = None,
    ) -> OrderTerms:
        """Trade at once at the best price; with `twap` in equal parts over time."""
        return _terms(
            client_order_id=self._next_id(),
            strategy=self.name,
            instrument=instrument,
            side=side,
            quantity=quantity,
            order_type=_MARKET,
            limit_price=None,
            time_in_force=_GTC,
            reduce_only=reduce_only,
            twap=twap,
        )

    def limit(
        self,
        instrument: InstrumentId,
        side: Side,
        quantity: Decimal,
        price: Decimal,
        *,
        time_in_force: TimeInForce = TimeInForce.GTC,
        expires_at: int | None = None,
        post_only: bool = False,
        reduce_only: bool = False,
        shown: Decimal | None = None,
        twap: Twap | None = None,
    ) -> OrderTerms:
        """Trade at `price` or better.

        `expires_at` (ns) makes it good till then, whatever `time_in_force` says. `shown` makes it an iceberg that shows
        no more than that at once.
        """
        return _terms(
            client_order_id=self._next_id(),
            strategy=self.name,
            instrument=instrument,
            side=side,
            quantity=quantity,
            order_type=_LIMIT,
            limit_price=price,
            time_in_force=time_in_force if expires_at is None else TimeInForce.GTD,
            expires_at=expires_at,
            post_only=post_only,
            reduce_only=reduce_only,
            display_quantity=shown,
            twap=twap,
        )

    def stop(
        self,
        instrument: InstrumentId,
        side: Side,
        quantity: Decimal,
        trigger: Decimal,
        *,
        limit: Decimal | None = None,
        trigger_by: TriggerBy = TriggerBy.BID_ASK,
        reduce_only: bool = True,
    ) -> OrderTerms:
        """Trade when the price has become as bad as `trigger`: at any price, or with `limit` at that or better."""
        kind = OrderType.STOP_MARKET if limit is None else OrderType.STOP_LIMIT
        return self._conditional(
            self.market(instrument, side, quantity), kind, trigger, limit, trigger_by, reduce_only=reduce_only
        )

    def if_touched(
        self,
        instrument: InstrumentId,
        side: Side,
        quantity: Decimal,
        trigger: Decimal,
        *,
        limit: Decimal | None = None,
        trigger_by: TriggerBy = TriggerBy.BID_ASK,
        reduce_only: bool = True,
    ) -> OrderTerms:
        """Trade when the price has become as good as `trigger`; one that only reduces is a take-profit."""
        kind = OrderType.MARKET_IF_TOUCHED if limit is None else OrderType.LIMIT_IF_TOUCHED
        return self._conditional(
            self.market(instrument, side, quantity), kind, trigger, limit, trigger_by, reduce_only=reduce_only
        )

    def trailing_stop(
        self,
        instrument: InstrumentId,
        side: Side,
        quantity: Decimal,
        trail: Trail,
        *,
        trigger: Decimal | None = None,
        trigger_by: TriggerBy = TriggerBy.BID_ASK,
        reduce_only: bool = True,
    ) -> OrderTerms:
        """Trade when the price has come back by `trail` from its best; without a `trigger`, from the first one seen."""
        terms = replace(self.market(instrument, side, quantity), trail=trail)
        return self._conditional(terms, OrderType.TRAILING_STOP, trigger, None, trigger_by, reduce_only=reduce_only)

    def _conditional(
        self,
        terms: OrderTerms,
        kind: OrderType,
        trigger: Decimal | None,
        limit: Decimal | None,
        trigger_by: TriggerBy,
        *,
        reduce_only: bool,
    ) -> OrderTerms:
        """Let an order wait for a price that would else trade at once."""
        return replace(
            terms,
            order_type=kind,
            trigger_price=trigger,
            limit_price=limit,
            trigger_by=trigger_by,
            reduce_only=reduce_only,
        )

    # -- wishes --------------------------------------------------------------------------------------------------------

    def market_order(
        self,
        event: Event,
        instrument: InstrumentId,
        side: Side,
        quantity: Decimal,
        *,
        reference_price: float,
        reason: str,
        exit: ExitPlan | None = None,
        reduce_only: bool = False,
    ) -> OrderIntent:
        """Wish for a market order on account of `event`; it is under way until it has ended or was refused."""
        order = self.market(instrument, side, quantity, reduce_only=reduce_only)
        self.orders.setdefault(instrument, {})[order.client_order_id] = order
        return _intent(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            order=order,
            reference_price=reference_price,
            exit=exit,
            reason=reason,
        )

    def wish(
        self,
        event: Event,
        order: OrderTerms,
        *attached: OrderTerms,
        reference_price: float,
        reason: str,
        exit: ExitPlan | None = None,
    ) -> OrderIntent:
        """Wish for an order, and for those of its list, on account of `event`."""
        self.orders.setdefault(order.instrument, {})[order.client_order_id] = order
        for terms in attached:
            self.orders.setdefault(terms.instrument, {})[terms.client_order_id] = terms
        return _intent(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            order=order,
            reference_price=reference_price,
            exit=exit,
            reason=reason,
            attached=attached,
        )

    def bracket(
        self,
        event: Event,
        entry: OrderTerms,
        *,
        stop: OrderTerms,
        target: OrderTerms,
        reference_price: float,
        reason: str,
    ) -> OrderIntent:
        """Wish for an entry with stop and target: they wait until it trades, and each shrinks as the other fills."""
        listed = (
            _linked(entry, entry),
            _linked(stop, entry, parent=entry, siblings=(target,), contingency=Contingency.OUO),
            _linked(target, entry, parent=entry, siblings=(stop,), contingency=Contingency.OUO),
        )
        return self.wish(event, *listed, reference_price=reference_price, reason=reason)

    def oco(self, event: Event, *orders: OrderTerms, reference_price: float, reason: str) -> OrderIntent:
        """Wish for orders of which the first to trade (or to be triggered) cancels the others."""
        return self._contingent(event, orders, Contingency.OCO, reference_price, reason)

    def ouo(self, event: Event, *orders: OrderTerms, reference_price: float, reason: str) -> OrderIntent:
        """Wish for orders each of which is reduced by what another one fills."""
        return self._contingent(event, orders, Contingency.OUO, reference_price, reason)

    def oto(
        self, event: Event, parent: OrderTerms, *children: OrderTerms, reference_price: float, reason: str
    ) -> OrderIntent:
        """Wish for an order and others that wait until it trades."""
        listed = (_linked(parent, parent), *(_linked(child, parent, parent=parent) for child in children))
        return self.wish(event, *listed, reference_price=reference_price, reason=reason)

    def _contingent(
        self, event: Event, orders: Sequence[OrderTerms], contingency: Contingency, reference_price: float, reason: str
    ) -> OrderIntent:
        listed = [
            _linked(one, orders[0], siblings=[other for other in orders if other is not one], contingency=contingency)
            for one in orders
        ]
        return self.wish(event, *listed, reference_price=reference_price, reason=reason)

    def cancel(self, event: Event, order: OrderTerms, reason: str) -> CancelIntent:
        """Wish for what is left of an order to be taken back. It may trade until that has happened."""
        return CancelIntent(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            by=self.name,
            instrument=order.instrument,
            client_order_id=order.client_order_id,
            reason=reason,
        )

    def cancel_all(self, event: Event, instrument: InstrumentId, reason: str) -> Iterator[CancelIntent]:
        """Wish for every order of ours there to be taken back."""
        return (self.cancel(event, order, reason) for order in self.open_orders(instrument))

    def amend(
        self,
        event: Event,
        order: OrderTerms,
        *,
        reason: str,
        quantity: Decimal | None = None,
        limit: Decimal | None = None,
        trigger: Decimal | None = None,
    ) -> AmendIntent:
        """Wish for other terms of an order; None leaves a term as it is. `quantity` includes what is filled."""
        return AmendIntent(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            by=self.name,
            amendment=Amendment(
                client_order_id=order.client_order_id,
                instrument=order.instrument,
                quantity=quantity,
                limit_price=limit,
                trigger_price=trigger,
            ),
            reason=reason,
        )

    # -- what became of them -------------------------------------------------------------------------------------------

    @on(OrderFilled)
    def on_fill(self, fill: OrderFilled) -> None:
        if fill.strategy != self.name:
            return
        instrument, signed = fill.instrument, fill.quantity if fill.side is _BUY else -fill.quantity
        self.positions[instrument] = self.positions.get(instrument, FLAT) + signed
        if not fill.leaves:
            self._ended(instrument, fill.client_order_id)

    @on(OrderDenied, OrderRejected, OrderCanceled, OrderExpired)
    def on_order_end(self, end: OrderDenied | OrderRejected | OrderCanceled | OrderExpired) -> None:
        if end.strategy == self.name:
            self._ended(end.instrument, end.client_order_id)

    @on(RiskRejected)
    def on_refusal(self, refusal: RiskRejected) -> None:
        """Forget a refused order, and those of its list: one verdict is on all of them."""
        order = refusal.order
        if order.strategy != self.name:
            return
        for other in self.open_orders(order.instrument):
            together = order.link and other.link and order.link.list_id == other.link.list_id
            if together or other.client_order_id == order.client_order_id:
                self._ended(order.instrument, other.client_order_id)

    def _ended(self, instrument: InstrumentId, client_order_id: str) -> None:
        held = self.orders.get(instrument)
        if held is not None:
            held.pop(client_order_id, None)
            if not held:
                del self.orders[instrument]

    def _next_id(self) -> str:
        cause = self.moment.position
        self._wishes = self._wishes + 1 if cause == self._last_cause else 0
        self._last_cause = cause
        return f"{self.name}-{cause}-{self._wishes}"


def _moves(terms: OrderTerms) -> bool:
    """Say whether an order opens, changes or leaves a position as soon as it can."""
    waits = terms.link is not None and terms.link.parent is not None
    return not waits and not (terms.reduce_only and terms.order_type.is_conditional)


def _linked(
    order: OrderTerms,
    first: OrderTerms,
    *,
    parent: OrderTerms | None = None,
    siblings: Sequence[OrderTerms] = (),
    contingency: Contingency | None = None,
) -> OrderTerms:
    link = OrderLink(
        list_id=first.client_order_id,
        parent=None if parent is None else parent.client_order_id,
        siblings=tuple(sibling.client_order_id for sibling in siblings),
        contingency=contingency,
    )
    return replace(order, link=link)
