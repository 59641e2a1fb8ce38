"""What is clear at a glance: which rails can have nothing to say of an order, looked at together and at little cost.

Nearly every order is clear as a whole, and goes out as it is (`Glance.mark_of`). Of any other, the rails are asked that
may have something to say (`Glance.rails_for`). `tests/property/test_clear_orders_laws.py` holds that the others do not.
"""

from collections.abc import Iterable, Mapping
from itertools import product

from contracts.market import Quote
from contracts.orders import ExecutionOverride, OrderTerms
from contracts.types import CircuitState, OrderType, Rail, Side, TimeInForce, TradingState, venue_of
from services.risk.activity import MILLISECOND
from services.risk.exposure import Stake
from services.risk.limits import LIMITS
from services.risk.rails import LOCKS, RAILS, RailCheck
from services.risk.settings import RiskSettings
from services.risk.situation import Bound, Ground, Situation, bound_beside
from venues.instruments import Instrument

# To look a member up in its class costs more than to compare it.
BUY, MARKET, LIMIT = Side.BUY, OrderType.MARKET, OrderType.LIMIT
IOC, FOK, GTD = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD
ACTIVE, CLOSED = TradingState.ACTIVE, CircuitState.CLOSED

OPEN = (
    Rail.TRADING_STATE,
    Rail.ALLOWLIST,
    Rail.STRATEGY_INSTRUMENTS,
    Rail.INSTRUMENT_STATUS,
    Rail.VENUE_HEALTH,
    Rail.EXECUTION,
)
"""What has nothing to say while nothing is known against trading an instrument."""
PLAIN = (Rail.ORDER_TERMS, Rail.PRICE_TICK, Rail.STALE_MARK, Rail.SPREAD, Rail.PRICE_COLLAR)
"""What has nothing to say of a simple order that comes into a market as it should be."""
FEW = (Rail.OPEN_ORDERS, Rail.ORDER_RATE, *LOCKS)
"""What has nothing to say of an order that is not one too many."""


def _less(*silent: Iterable[Rail]) -> Mapping[Rail, RailCheck]:
    out = {rail for rails in silent for rail in rails}
    return {rail: check for rail, check in RAILS.items() if rail not in out}


_ASKED: Mapping[tuple[bool, bool, bool, bool], Mapping[Rail, RailCheck]] = {
    (is_open, plain, few, far): _less(
        OPEN if is_open else (), PLAIN if plain else (), FEW if few else (), LIMITS if far else ()
    )
    for is_open, plain, few, far in product((False, True), repeat=4)
}

NO_STAKE = Stake()


class Glance:
    """Looks at orders. It keeps nothing but settings, taken apart because they are slow to read."""

    __slots__ = (
        "collar_bps",
        "free_part",
        "ground",
        "least_notional",
        "max_age_ms",
        "max_exposure",
        "max_leverage",
        "max_notional",
        "max_open_orders",
        "max_spread_bps",
        "max_strategy_open_orders",
        "order_burst",
        "picks",
        "starting_capital",
        "use_pct",
        "window",
    )

    def __init__(self, ground: Ground) -> None:
        settings = ground.settings
        self.ground = ground
        self.least_notional = {name: float(one.min_notional) for name, one in ground.listing.items()}
        self.picks = bool(settings.allowlist or settings.strategy_instruments or settings.order_types)
        """Whether not everything that is listed may be traded by everyone in every way."""
        self.max_age_ms, self.max_spread_bps = settings.max_mark_age_ms, settings.max_spread_bps
        self.collar_bps = min(settings.collar_bps, settings.trigger_collar_bps)
        self.max_notional = settings.max_order_notional
        self.max_exposure = min(
            settings.max_symbol_exposure,
            settings.max_venue_exposure,
            settings.max_strategy_exposure,
            settings.max_total_exposure,
            settings.max_correlated_exposure,
        )
        """All positions together are within every limit if they are within the smallest."""
        self.max_leverage, self.free_part = settings.max_leverage, 1 - settings.margin_reserve_pct / 100
        self.use_pct, self.window = settings.max_capital_use_pct, settings.duplicate_window_ms
        self.starting_capital, self.max_open_orders = settings.starting_capital, settings.max_open_orders
        self.max_strategy_open_orders, self.order_burst = settings.max_strategy_open_orders, settings.order_burst

    def mark_of(self, order: OrderTerms, now: int, reference_price: float) -> float | None:
        """Give the mark at which an order that stands alone is clear; None if it takes a closer look to tell."""
        ground, name = self.ground, order.instrument
        instrument, quote = ground.listing.get(name), ground.quotes.get(name)
        if (
            instrument is None
            or quote is None
            or not is_simple(order)
            or not instrument.is_quantity(order.quantity)
            or order.client_order_id in ground.activity.judged
            or not self._is_open(order)
        ):
            return None
        mark = (quote.bid + quote.ask) / 2
        if not self._is_near(order, instrument, quote, mark, now, reference_price):
            return None
        stake = ground.exposure.stakes.get((order.strategy, name)) or NO_STAKE
        if order.quantity <= (-stake.position - stake.buys if order.side is BUY else stake.position - stake.sells):
            return mark
        if (
            order.reduce_only
            or not self._is_one_of_few(order, now, 1)
            or (self.window is not None and ground.activity.since_same(order, now) is not None)
        ):
            return None
        size, (high, low) = float(order.quantity), stake.reach
        ahead, behind = (high + size, low) if order.side is BUY else (size - low, high)
        worst = max(abs(ahead), abs(behind)) * mark
        bound = bound_beside(ground, stake, order.strategy, name)
        return mark if self._is_far(order, bound, worst, size * mark) else None

    def rails_for(self, at: Situation) -> Mapping[Rail, RailCheck]:
        """Give the rails of an order, less those that can have nothing to say of it."""
        order, instrument, mark, price = at.order, at.instrument, at.mark, at.reference_price
        few = at.reduces or self._is_one_of_few(order, at.now, at.count)
        if instrument is None or mark is None or price is None:
            return _ASKED[False, False, few, False]
        quote, is_open = at.ground.quotes[order.instrument], self._is_open(order)
        plain = is_open and is_simple(order) and self._is_near(order, instrument, quote, mark, at.now, price)
        far = at.reduces or self._is_far(order, at.bound, at.worst, float(order.quantity) * mark)
        return _ASKED[is_open, plain, few, far]

    def _is_open(self, order: OrderTerms) -> bool:
        """Say whether nothing is known against trading the instrument."""
        ground, name = self.ground, order.instrument
        return (
            ground.trading.state is ACTIVE
            and name not in ground.statuses
            and (not ground.circuits or ground.circuits.get(venue_of(name), CLOSED) is CLOSED)
            and (not ground.overrides or not is_held_back(ground.overrides.get(name)))
            and (not self.picks or is_picked(order, ground.settings))
        )

    def _is_near(
        self, order: OrderTerms, instrument: Instrument, quote: Quote, mark: float, now: int, reference_price: float
    ) -> bool:
        """Say whether a simple order is on the grid, at a price near that of a fresh and narrow quote."""
        price, limit = reference_price, order.limit_price
        if limit is not None:
            if not instrument.is_price(limit):
                return False
            price = float(limit)
        # Asked for what is within, not for what is beyond: what is not a number is neither.
        return (
            (now - quote.ts_init) / MILLISECOND <= self.max_age_ms
            and (quote.ask - quote.bid) / mark * 10_000 <= self.max_spread_bps
            and abs(price - mark) / mark * 10_000 <= self.collar_bps
        )

    def _is_one_of_few(self, order: OrderTerms, now: int, count: int) -> bool:
        """Say whether `count` orders more are not too many, and no lock is on them."""
        ground, strategy = self.ground, order.strategy
        exposure, activity, locks = ground.exposure, ground.activity, ground.locks
        bucket = activity.buckets.get(strategy)
        tokens = 0.0 if bucket is None else bucket.tokens
        return (
            not (locks.locks and locks.are_on(strategy, order.instrument, now))
            and len(exposure.pending) + count <= self.max_open_orders
            and exposure.open_orders.get(strategy, 0) + count <= self.max_strategy_open_orders
            # Tokens only grow with time, up to the burst: those from before are mostly enough.
            and (count <= tokens <= self.order_burst or count <= activity.tokens(strategy, now, ground.settings))
        )

    def _is_far(self, order: OrderTerms, bound: Bound, worst: float, notional: float) -> bool:
        """Say whether an order is within all limits of size: nearly every one is, and all are compared here."""
        ground, name, strategy = self.ground, order.instrument, order.strategy
        if not self.least_notional[name] <= notional <= self.max_notional:
            return False
        if not (bound.total + worst <= self.max_exposure or is_within_each(bound, worst, ground.settings)):
            return False
        curve, allocated = ground.losses.curves.get(strategy), ground.capital.get(strategy)
        equity = self.starting_capital if curve is None else float(curve.equity)
        capital = self.starting_capital if allocated is None else float(allocated)
        binds = bound.margin + worst * ground.margins.get(name, 1.0)
        return (
            bound.strategy + worst <= self.max_leverage * equity
            and binds <= equity * self.free_part
            and binds <= capital * self.use_pct / 100
        )


def is_within_each(bound: Bound, worst: float, settings: RiskSettings) -> bool:
    """Say whether positions stay within every limit of their own; correlations can only make less of their sum."""
    return (
        bound.symbol + worst <= settings.max_symbol_exposure
        and bound.venue + worst <= settings.max_venue_exposure
        and bound.strategy + worst <= settings.max_strategy_exposure
        and bound.total + worst <= settings.max_total_exposure
        and bound.total + worst <= settings.max_correlated_exposure
    )


def is_held_back(override: ExecutionOverride | None) -> bool:
    """Say whether orders in an instrument are cut, or were muted at some time."""
    return override is not None and (override.size_factor < 1 or override.muted_until is not None)


def is_picked(order: OrderTerms, settings: RiskSettings) -> bool:
    """Say whether a strategy is allowed its instrument and its type of order, where settings list what is."""
    named = settings.strategy_instruments.get(order.strategy)
    return (
        (not settings.allowlist or order.instrument in settings.allowlist)
        and (named is None or order.instrument in named)
        and (not settings.order_types or order.order_type in settings.order_types)
    )


def is_simple(order: OrderTerms) -> bool:
    """Say whether it is a market or a limit order with no further terms, and none that contradict each other."""
    limit, time_in_force = order.limit_price, order.time_in_force
    if limit is None:
        fits = order.order_type is MARKET and not order.post_only
    else:
        fits = order.order_type is LIMIT and not (order.post_only and (time_in_force is IOC or time_in_force is FOK))
    return (
        fits
        and time_in_force is not GTD
        and order.trigger_price is None
        and order.trigger_by is None
        and order.trail is None
        and order.expires_at is None
        and order.display_quantity is None
        and order.twap is None
        and order.link is None
        and order.slice_of is None
    )
