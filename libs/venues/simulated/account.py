"""Our account at the simulated exchange: coins, margin, what each strategy holds, and what that may still open.

The account is one, as at a real venue. What each strategy holds of it is kept beside it, so that what only reduces,
funding and liquidations are the strategy's own. Amounts are exact, but for what comes of a division: see `DIGITS`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from contracts.market import Funding
from contracts.orders import OrderTerms
from contracts.types import InstrumentId, Side, venue_of
from contracts.venue import VenueFilled
from venues.instruments import Instrument, Listing
from venues.simulated.book import ZERO, Working
from venues.simulated.rolling import Rolling
from venues.simulated.settings import MarginMode, SimulationSettings

_BUY = Side.BUY
DIGITS = Decimal("1e-12")
"""What comes of a division is rounded to this. Of the cost that a partial close releases, the rest stays open."""


@dataclass(slots=True)
class NetPosition:
    """What the account holds of a perpetual; negative: short. `cost` is what that was bought for, of the same sign."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO

    @property
    def entry_price(self) -> Decimal | None:
        return (self.cost / self.quantity).quantize(DIGITS) if self.quantity else None

    def trade(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Book a trade of `quantity` (negative: sold); gives the profit that it realizes."""
        held = self.quantity
        closing = ZERO if held * quantity >= 0 else max(min(quantity, abs(held)), -abs(held))
        released = self.cost if closing == -held else _share(self.cost, -closing, held)
        opening = quantity - closing
        self.quantity += quantity
        self.cost += opening * price - released
        return -closing * price - released

    def profit(self, mark: Decimal) -> Decimal:
        return self.quantity * mark - self.cost


def _share(cost: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    return (cost * part / whole).quantize(DIGITS) if whole else ZERO


@dataclass(slots=True)
class Account:
    """What the exchange keeps of us.

    `wallets` by venue and currency, of those only that are kept at all; `settled` is the last funding time of each
    perpetual that was paid for; `volumes` what was traded by venue and day, where fees depend on it.
    """

    wallets: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    holdings: dict[InstrumentId, dict[str, Decimal]] = field(default_factory=dict)
    positions: dict[InstrumentId, NetPosition] = field(default_factory=dict)
    fundings: dict[InstrumentId, Funding] = field(default_factory=dict)
    settled: dict[InstrumentId, int] = field(default_factory=dict)
    liquidations: int = 0
    volumes: dict[str, Rolling] = field(default_factory=dict)

    def keep(self, listing: Listing) -> None:
        """Forget what is not listed any more."""
        self.holdings = {name: held for name, held in self.holdings.items() if name in listing}
        self.positions = {name: position for name, position in self.positions.items() if name in listing}

    def held(self, strategy: str, instrument: InstrumentId) -> Decimal:
        return self.holdings.get(instrument, {}).get(strategy, ZERO)

    def reducible(self, terms: OrderTerms) -> Decimal:
        """Say how much of its strategy's position an order may take away."""
        held = self.held(terms.strategy, terms.instrument)
        return abs(held) if held and (held > 0) is (terms.side is Side.SELL) else ZERO

    def hold(self, strategy: str, instrument: InstrumentId, quantity: Decimal) -> None:
        held = self.holdings.get(instrument)
        if held is None:
            held = self.holdings[instrument] = {}
        left = held.get(strategy, ZERO) + quantity
        if left:
            held[strategy] = left
        else:
            held.pop(strategy, None)
            if not held:
                del self.holdings[instrument]


class Books:
    """What is booked in an account, and what it can afford."""

    def __init__(self, account: Account, settings: SimulationSettings, listing: Listing) -> None:
        self.account = account
        self._settings = settings
        self._perpetuals = settings.perpetuals
        self._listing = listing
        self._keeps_spot = settings.balances is not None
        self._keeps_perpetuals = settings.perpetuals.capital is not None
        self.is_unlimited = not self._keeps_spot and not self._keeps_perpetuals
        """Whether money is limited nowhere."""
        for instrument in listing.values():
            self._open_wallet(instrument)

    def _open_wallet(self, instrument: Instrument) -> None:
        """Begin with what the settings give, where nothing is kept yet."""
        venue = venue_of(instrument.id)
        if not self.keeps(instrument) or venue in self.account.wallets:
            return
        wallet = self.account.wallets[venue] = dict(self._settings.balances or {})
        if instrument.is_perpetual:
            assert self._perpetuals.capital is not None
            wallet.clear()
            wallet[instrument.quote_currency] = self._perpetuals.capital

    def keeps(self, instrument: Instrument) -> bool:
        """Say whether money is limited where an instrument is traded."""
        return self._keeps_perpetuals if instrument.is_perpetual else self._keeps_spot

    def balance(self, instrument: Instrument, currency: str) -> Decimal:
        return self.account.wallets.get(venue_of(instrument.id), {}).get(currency, ZERO)

    def _move(self, instrument: Instrument, currency: str, amount: Decimal) -> None:
        wallet = self.account.wallets.setdefault(venue_of(instrument.id), {})
        wallet[currency] = wallet.get(currency, ZERO) + amount

    # -- what happens --------------------------------------------------------------------------------------------------

    def book(self, terms: OrderTerms, fill: VenueFilled) -> None:
        """Book a trade of ours: on a spot market coins against money, of a perpetual the profit that it realizes."""
        instrument = self._listing[fill.instrument]
        signed = fill.quantity if fill.side is _BUY else -fill.quantity
        self.account.hold(terms.strategy, fill.instrument, signed)
        if instrument.is_perpetual:
            position = self.account.positions.setdefault(fill.instrument, NetPosition())
            gained = position.trade(signed, fill.price)
            if position.quantity == 0:
                del self.account.positions[fill.instrument]
            if self.keeps(instrument):
                self._move(instrument, instrument.quote_currency, gained - fill.fee)
        elif self._keeps_spot:
            self._move(instrument, instrument.base_currency, signed)
            self._move(instrument, instrument.quote_currency, -signed * fill.price - fill.fee)

    def pay(self, instrument: Instrument, amount: Decimal) -> None:
        """Book funding."""
        if self.keeps(instrument):
            self._move(instrument, instrument.quote_currency, amount)

    # -- what can be afforded ------------------------------------------------------------------------------------------

    def lacks(self, terms: OrderTerms, price: Decimal, others: Mapping[InstrumentId, Iterable[Working]]) -> str | None:
        """Say what an order would need that is not there, given our other orders in each instrument."""
        instrument = self._listing[terms.instrument]
        if not self.keeps(instrument) or terms.reduce_only:
            return None
        currency, needed = self._need(terms.side, terms.quantity, price, instrument)
        free = self.free(instrument, currency, others)
        if instrument.is_perpetual:
            needed -= self._released(terms, instrument)
        if needed <= free:
            return None
        return f"insufficient funds: {needed.normalize():f} {currency} needed, {free.normalize():f} free"

    def _need(self, side: Side, quantity: Decimal, price: Decimal, instrument: Instrument) -> tuple[str, Decimal]:
        if instrument.is_perpetual:
            share = 1 / self._perpetuals.leverage + max(self._perpetuals.taker_fee, ZERO)
            return instrument.quote_currency, quantity * price * share
        if side is Side.SELL:
            return instrument.base_currency, quantity
        fee = max(self._settings.taker_fee, self._settings.maker_fee, ZERO)
        return instrument.quote_currency, quantity * price * (1 + fee)

    def _released(self, terms: OrderTerms, instrument: Instrument) -> Decimal:
        """Give the margin of what an order closes, and of as much again that it may open."""
        position = self.account.positions.get(instrument.id)
        if position is None or (position.quantity > 0) is (terms.side is Side.BUY):
            return ZERO
        closed = min(terms.quantity, abs(position.quantity))
        return abs(position.cost) * closed / abs(position.quantity) * 2 / self._perpetuals.leverage

    def free(self, instrument: Instrument, currency: str, others: Mapping[InstrumentId, Iterable[Working]]) -> Decimal:
        """Give what is bound neither by margin nor by our resting orders at the venue of `instrument`."""
        venue = venue_of(instrument.id)
        free = self.balance(instrument, currency)
        if instrument.is_perpetual:
            for name, position in self._positions_at(venue):
                free -= abs(position.cost) / self._perpetuals.leverage
                mark = self.mark(name)
                if mark is not None and self._perpetuals.margin is MarginMode.CROSS:
                    free += min(position.profit(mark), ZERO)
        for name, orders in others.items():
            if venue_of(name) == venue:
                free -= sum((self._bound(working, currency) for working in orders), ZERO)
        return free.quantize(DIGITS) if instrument.is_perpetual else free

    def _bound(self, working: Working, currency: str) -> Decimal:
        terms, instrument = working.terms, self._listing[working.terms.instrument]
        if terms.limit_price is None or terms.reduce_only:
            return ZERO
        of, amount = self._need(terms.side, working.leaves, terms.limit_price, instrument)
        return amount if of == currency else ZERO

    def affordable(self, terms: OrderTerms, price: Decimal, quantity: Decimal) -> Decimal:
        """Give how much of `quantity` can be paid at `price`: a market order may meet a worse one than it came with."""
        instrument = self._listing[terms.instrument]
        if not self.keeps(instrument) or instrument.is_perpetual:
            return quantity
        currency, needed = self._need(terms.side, quantity, price, instrument)
        there = max(self.balance(instrument, currency), ZERO)
        return quantity if needed <= there else instrument.quantity(quantity * there / needed)

    # -- margin --------------------------------------------------------------------------------------------------------

    def mark(self, instrument: InstrumentId) -> Decimal | None:
        funding = self.account.fundings.get(instrument)
        return None if funding is None else Decimal(repr(funding.mark))

    def margin(self, instrument: InstrumentId) -> Decimal:
        """Give the margin that a position was opened with."""
        position = self.account.positions.get(instrument)
        return ZERO if position is None else (abs(position.cost) / self._perpetuals.leverage).quantize(DIGITS)

    def _positions_at(self, venue: str) -> Iterator[tuple[InstrumentId, NetPosition]]:
        return ((name, position) for name, position in self.account.positions.items() if venue_of(name) == venue)

    def _stands_for(self, instrument: Instrument) -> Decimal | None:
        """Give what can be lost with a position before nothing is left; None: no limit."""
        if self._perpetuals.margin is MarginMode.ISOLATED:
            return self.margin(instrument.id)
        if not self.keeps(instrument):
            return None
        left = self.balance(instrument, instrument.quote_currency)
        for name, position in self._positions_at(venue_of(instrument.id)):
            mark = self.mark(name)
            if name != instrument.id and mark is not None:
                left += position.profit(mark) - abs(position.quantity) * mark * self._perpetuals.maintenance
        return left

    def liquidation_price(self, instrument: Instrument) -> Decimal | None:
        """Give the mark at which too little margin is left: where loss and maintenance use up what stands for them."""
        position, margin = self.account.positions.get(instrument.id), self._stands_for(instrument)
        if position is None or margin is None:
            return None
        share = 1 - self._perpetuals.maintenance if position.quantity > 0 else 1 + self._perpetuals.maintenance
        price = ((position.cost - margin) / (position.quantity * share)).quantize(DIGITS)
        return price if price > 0 else None

    def to_liquidate(self, instrument: Instrument) -> tuple[InstrumentId, ...]:
        """List the positions that the mark of one leaves with too little margin: itself, or all that share it."""
        position, mark = self.account.positions.get(instrument.id), self.mark(instrument.id)
        margin = self._stands_for(instrument)
        if position is None or mark is None or margin is None:
            return ()
        if margin + position.profit(mark) > abs(position.quantity) * mark * self._perpetuals.maintenance:
            return ()
        if self._perpetuals.margin is MarginMode.ISOLATED:
            return (instrument.id,)
        return tuple(name for name, _ in self._positions_at(venue_of(instrument.id)))
