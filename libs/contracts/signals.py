"""Signals: what a strategy thinks of a market, whether it may trade or not."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from contracts.event import Event, event
from contracts.types import Instrument, Money, Name, Price, Side, Text


@event("signal.{strategy}.{instrument}")
class SignalGiven(Event):
    """A strategy's view: `side` to be on (None: aside), `strength` -1..1, at `price`.

    With `dry_run` nothing is wished for; `shadow_pnl` (quote currency) is what following its signals would have brought
    since it began, at closes, less the fees of its settings.
    """

    strategy: Name
    instrument: Instrument
    side: Side | None
    strength: Annotated[float, Field(ge=-1, le=1)]
    price: Price
    reason: Text
    dry_run: bool = False
    shadow_pnl: Money = Decimal(0)
