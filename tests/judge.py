"""A component for tests of its host: it answers each intent with approvals that say how many intents it has seen."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from contracts.event import Event
from contracts.market import Quote
from contracts.orders import OrderIntent, RiskApproved
from tape.blueprint import Blueprint
from tape.component import Component, on
from tests.builders import approval, terms


class JudgeSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: str = "seen"
    outputs: int = 3


@dataclass
class JudgeState:
    seen: int


class Judge(Component):
    """State and outputs in one: whoever repeats or loses an input is found out."""

    produces: ClassVar[tuple[type[Event], ...]] = (RiskApproved,)
    State: ClassVar[type[JudgeState]] = JudgeState

    def __init__(self, settings: JudgeSettings) -> None:
        super().__init__("risk")
        self.settings = settings
        self.seen = 0

    def state(self) -> JudgeState:
        return JudgeState(self.seen)

    def restore(self, state: JudgeState) -> None:
        self.seen = state.seen

    @on(OrderIntent)
    def on_intent(self, intent: OrderIntent) -> Iterator[RiskApproved]:
        self.seen += 1
        for index in range(self.settings.outputs):
            yield approval(replace(intent.order, client_order_id=f"{self.settings.prefix}-{self.seen}-{index}"))

    @on(Quote)
    def on_quote(self, quote: Quote) -> tuple[RiskApproved, ...] | None:
        """What can go wrong: a quote of 13 is a bug of ours, of 14 an answer that is no event."""
        if quote.bid == 13:
            raise ZeroDivisionError("thirteen")
        if quote.bid == 14:
            good = approval(terms(order_id="good"))
            return good, approval(terms(order_id="bad"), mark=float("nan")), good
        return None


JUDGE = Blueprint("risk", JudgeSettings, Judge)
