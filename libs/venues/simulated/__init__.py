"""A simulated exchange: it matches orders against the quotes and trades that others see.

What is assumed:
- Our orders move nobody: the market data stays what it was. Displayed size that we took is gone until the next quote.
- A market order takes the displayed size of the best price and waits for the next quotes with what is left of it. It
  pays the displayed price and what `slippage` adds to that; a limit is never passed.
- A resting limit order fills when the other side of the quote reaches its price (up to the displayed size), when a
  trade goes through its price (up to the traded size), or when a trade at its price is larger than what was before it.
  What was before it is all that was displayed there when it came (`QueueModel.RISK_AVERSE`): that shrinks by trades at
  the price, and when less is displayed. Where the order is away from the best price, nothing is known of the queue
  until the best price comes there: all that is displayed then is before it.
- Of our own orders the better price trades first, of equal prices the older one. An amendment keeps the place in the
  queue if it only makes the order smaller.
- Market prices are compared as they are booked: on the tick. A float just beside a limit is at the limit.
- A command takes effect `latency_ms` after it came, on the time of market events: its own may be of another clock. What
  happens is heard `report_latency_ms` later. Neither commands nor reports overtake each other.
- What goes wrong is scripted: `outages`, `rejects`, `slowdowns`, `halts`.
- No order of a stop or another conditional kind is held: the router waits for the price.
- What only reduces is measured by the position of its strategy. What is left of such an order when there is nothing
  left to reduce expires when it would trade.
- Two orders of ours trade with each other only if `self_trade` allows it.
- Without `balances` (spot) and `capital` (perpetuals) money is not limited, and coins that are sold short are lent, at
  the interest of `borrow`.
- Funding is paid with the first mark that comes at or after its time, at the rate and mark before it. A liquidation is
  judged on marks alone (`Funding`), takes the whole position at the quote whatever size is displayed, and costs
  `liquidation_fee`; what is lost beyond the margin is lost by us.
"""

from venues.simulated.exchange import ExchangeState, SimulatedExchange
from venues.simulated.settings import (
    Halt,
    MarginMode,
    PerpetualSettings,
    QueueModel,
    SelfTrade,
    SimulationSettings,
)

__all__ = [
    "ExchangeState",
    "Halt",
    "MarginMode",
    "PerpetualSettings",
    "QueueModel",
    "SelfTrade",
    "SimulatedExchange",
    "SimulationSettings",
]
