"""The price at which an order takes, given the one that is shown."""

from decimal import Decimal

from contracts.market import Trade
from contracts.orders import OrderTerms
from venues.instruments import Listing
from venues.simulated.book import ZERO, Market, opposite
from venues.simulated.slippage import SlippageSettings, slipped

_PARTS = 60
_SECOND = 1_000_000_000


class Taking:
    """Lets orders pay for what they take, by the slippage of the settings."""

    def __init__(self, settings: SlippageSettings, listing: Listing) -> None:
        self._settings = settings
        self._listing = listing
        self._part = settings.window_s * _SECOND // _PARTS
        self.is_free = settings.is_none
        self.counts_trades = settings.counts_trades

    def see(self, market: Market, trade: Trade) -> None:
        """Count what others trade."""
        part = trade.ts_init // self._part
        market.traded.forget(part - _PARTS)
        market.traded.add(part, Decimal(repr(trade.size)))

    def price(self, market: Market, terms: OrderTerms, shown: Decimal) -> Decimal:
        """Give what an order pays that takes where `shown` is displayed; its limit is never passed."""
        instrument, limit = self._listing[terms.instrument], terms.limit_price
        price = slipped(instrument, terms.side, shown, self._settings.of(terms.quantity, self._size(market, terms)))
        if limit is None:
            return price
        return min(price, limit) if terms.side.sign > 0 else max(price, limit)

    def _size(self, market: Market, terms: OrderTerms) -> Decimal:
        """Give what the order is measured by."""
        quote = market.quote
        if quote is None:
            return ZERO
        displayed = Decimal(repr(opposite(self._listing[terms.instrument], terms.side, quote)[1]))
        if not self.counts_trades:
            return displayed
        now = max(quote.ts_init, market.trade.ts_init if market.trade is not None else 0) // self._part
        return max(displayed, market.traded.total(now - _PARTS, now))
