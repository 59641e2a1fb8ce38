"""Risk: judge every intent on the rails, and let through what none objects to."""

from dataclasses import dataclass
from typing import ClassVar

from contracts.control import GuardSet, TradingStateSet
from contracts.event import Event
from contracts.market import Quote
from contracts.orders import (
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderIntent,
    OrderRejected,
    RiskApproved,
    RiskRejected,
)
from contracts.permission import Permission
from contracts.types import InstrumentId
from services.risk.exposure import Exposure, ExposureState
from services.risk.rails import Situation, objections
from services.risk.settings import RiskSettings
from tape.component import Component, on
from venues.instruments import Listing

REMEMBERED_IDS = 100_000
"""How many judged orders are remembered against a repetition."""


@dataclass(slots=True)
class RiskState:
    trading: Permission
    exposure: ExposureState
    quotes: dict[InstrumentId, Quote]
    judged: dict[str, None]
    """Ids of orders, the oldest first."""


class Risk(Component):
    produces: ClassVar[tuple[type[Event], ...]] = (RiskApproved, RiskRejected)
    State = RiskState

    def __init__(self, settings: RiskSettings, listing: Listing) -> None:
        super().__init__("risk")
        self.settings = settings
        self.listing = listing
        self.trading = Permission()
        self.exposure = Exposure()
        self.quotes: dict[InstrumentId, Quote] = {}
        self._judged: dict[str, None] = {}

    def state(self) -> RiskState:
        return RiskState(self.trading, self.exposure.state(), self.quotes, self._judged)

    def restore(self, state: RiskState) -> None:
        self.trading = state.trading
        self.exposure.restore(state.exposure)
        self.quotes = state.quotes
        self._judged = state.judged

    @on(Quote)
    def on_quote(self, quote: Quote) -> None:
        self.quotes[quote.instrument] = quote

    @on(OrderIntent)
    def on_intent(self, intent: OrderIntent) -> tuple[RiskApproved | RiskRejected]:
        order = intent.order
        situation = Situation(
            settings=self.settings,
            listing=self.listing,
            exposure=self.exposure,
            quotes=self.quotes,
            state=self.trading.state,
            is_known_id=order.client_order_id in self._judged,
            intent=intent,
        )
        reasons = tuple(objections(situation))
        self._remember(order.client_order_id)
        if reasons:
            return (RiskRejected(ts_event=intent.ts_event, ts_init=intent.ts_init, order=order, reasons=reasons),)
        assert situation.mark is not None, "an order without a mark passed the rails"
        self.exposure.reserve(order)
        return (RiskApproved(ts_event=intent.ts_event, ts_init=intent.ts_init, order=order, mark=situation.mark),)

    @on(OrderFilled)
    def on_fill(self, fill: OrderFilled) -> None:
        self.exposure.filled(fill)

    @on(OrderDenied, OrderRejected, OrderCanceled, OrderExpired)
    def on_order_end(self, end: OrderDenied | OrderRejected | OrderCanceled | OrderExpired) -> None:
        self.exposure.released(end.client_order_id)

    @on(TradingStateSet, GuardSet)
    def on_control(self, control: TradingStateSet | GuardSet) -> None:
        self.trading.hear(control)

    def _remember(self, client_order_id: str) -> None:
        self._judged[client_order_id] = None
        if len(self._judged) > REMEMBERED_IDS:
            del self._judged[next(iter(self._judged))]
