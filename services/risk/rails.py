"""The rails: each looks at an order and says what is wrong with it, or nothing."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from contracts.orders import Denial
from contracts.types import (
    MAX_TEXT,
    CircuitState,
    InstrumentState,
    Rail,
    Side,
    TradingState,
    TrailKind,
    TriggerBy,
    venue_of,
)
from services.risk.activity import MILLISECOND
from services.risk.limits import LIMITS
from services.risk.situation import Objection, Situation

RailCheck = Callable[[Situation], Objection | None]


# -- who may trade what, and when --------------------------------------------------------------------------------------


def trading_state(at: Situation) -> Objection | None:
    """Trading is halted, or only exits may pass."""
    state = at.ground.trading.state
    if state is TradingState.HALTED:
        return Objection("trading is halted, by the operator or a guard")
    if state is TradingState.REDUCE_ONLY and not at.reduces:
        return Objection("only orders that reduce a position may pass")
    return None


def duplicate(at: Situation) -> Objection | None:
    """An id was judged before, or the same was approved a moment ago under another id."""
    order, window = at.order, at.settings.duplicate_window_ms
    if order.client_order_id in at.ground.activity.judged:
        return Objection(f"{order.client_order_id} was judged before")
    if window is None or at.reduces:
        return None
    since = at.ground.activity.since_same(order, at.now)
    if since is None or since > window * MILLISECOND:
        return None
    return Objection(f"the same was approved {since / MILLISECOND:.0f} ms ago, within duplicate_window_ms {window:g}")


def allowlist(at: Situation) -> Objection | None:
    """An instrument is not listed, or not on the allowlist."""
    if objection := listed(at):
        return objection
    if at.settings.allowlist and at.order.instrument not in at.settings.allowlist:
        return Objection(f"{at.order.instrument} is not on the allowlist")
    return None


def listed(at: Situation) -> Objection | None:
    """An instrument is not listed."""
    return Objection(f"{at.order.instrument} is not listed") if at.instrument is None else None


def strategy_instruments(at: Situation) -> Objection | None:
    """A strategy trades what it has no leave for."""
    allowed = at.settings.strategy_instruments.get(at.order.strategy)
    if allowed is None or at.order.instrument in allowed:
        return None
    return Objection(f"{at.order.instrument} is not among the strategy_instruments of {at.order.strategy}")


def instrument_status(at: Situation) -> Objection | None:
    """The venue does not let the instrument be traded."""
    status = at.ground.statuses.get(at.order.instrument)
    if status is None or status.state is InstrumentState.TRADING:
        return None
    return Objection(f"{at.order.instrument} is in state {status.state.value}: {status.reason}")


def venue_health(at: Situation) -> Objection | None:
    """The circuit of the venue is open; half open, it is there for who finds out, and for exits."""
    circuit = at.ground.circuits.get(venue := venue_of(at.order.instrument), CircuitState.CLOSED)
    probe = at.settings.probe_strategy
    if circuit is CircuitState.OPEN:
        return Objection(f"the circuit of {venue} is open")
    if circuit is CircuitState.HALF_OPEN and not at.reduces and at.order.strategy != probe:
        return Objection(f"the circuit of {venue} is half open: only probe_strategy {probe} and exits may pass")
    return None


def execution(at: Situation) -> Objection | None:
    """The router muted the instrument after bad executions. (Where it only cuts their size, that is done first.)"""
    override = at.ground.overrides.get(at.order.instrument)
    if not at.settings.execution_overrides or override is None or override.muted_until is None or at.reduces:
        return None
    if at.now >= override.muted_until:
        return None
    rest = (override.muted_until - at.now) / 1e9
    return Objection(f"{at.order.instrument} is muted for {rest:.0f} s (execution_overrides): {override.reason}")


# -- the terms of the order --------------------------------------------------------------------------------------------


def order_terms(at: Situation) -> Objection | None:
    """Terms contradict each other, come too late, or would not wait for what they say they wait for."""
    order = at.order
    if objection := plain_terms(at):
        return objection
    if at.settings.order_types and order.order_type not in at.settings.order_types:
        return Objection(f"{order.order_type.value} is not among order_types")
    if order.twap is not None and at.instrument is not None and order.quantity < order.twap.slices * at.instrument.lot:
        return Objection(
            f"twap.slices {order.twap.slices} of {order.quantity} are less than the lot {at.instrument.lot}"
        )
    return _triggered_already(at)


def plain_terms(at: Situation) -> Objection | None:
    """Terms contradict each other, or come too late."""
    order = at.order
    if problem := order.contradiction():
        return Objection(problem)
    if order.slice_of is not None:
        return Objection("slice_of: only the router cuts orders up")
    if order.expires_at is not None and order.expires_at <= at.now:
        return Objection(f"expires_at {order.expires_at} is over")
    return None


def _triggered_already(at: Situation) -> Objection | None:
    """Exits of what is held pass: to leave at once is what they are for then."""
    order, base = at.order, _base_price(at)
    if order.trigger_price is None or base is None or (order.reduce_only and not at.exits_list):
        return None
    trigger = float(order.trigger_price)
    waits_below = (order.side is Side.SELL) is order.order_type.is_stop
    if trigger < base if waits_below else trigger > base:
        return None
    what = f"trigger_price {trigger:.8g} of a {order.order_type.value} order that {order.side.value}s"
    return Objection(f"{what} is not {'below' if waits_below else 'above'} {base:.8g}: it would not wait")


def lot_size(at: Situation) -> Objection | None:
    """A quantity is not a multiple of the lot, or less than one."""
    if at.instrument is None or at.instrument.is_quantity(at.order.quantity):
        return None
    how = "less than" if at.settings.snap else "with snap off, not a multiple of"
    return Objection(f"quantity {at.order.quantity} is {how} the lot {at.instrument.lot}")


def price_tick(at: Situation) -> Objection | None:
    """A price is not a multiple of the tick, or less than one."""
    if at.instrument is None:
        return None
    how = "less than" if at.settings.snap else "with snap off, not a multiple of"
    for name in ("limit_price", "trigger_price"):
        price = getattr(at.order, name)
        if price is not None and not at.instrument.is_price(price):
            return Objection(f"{name} {price} is {how} the tick {at.instrument.tick}")
    return None


def reduce_only(at: Situation) -> Objection | None:
    """An order that may only reduce would do more."""
    if not at.order.reduce_only or at.reduces:
        return None
    return Objection(
        f"only {at.reducible.normalize():f} can be reduced, {at.order.quantity} wanted", float(at.reducible)
    )


# -- the market it comes into ------------------------------------------------------------------------------------------


def stale_mark(at: Situation) -> Objection | None:
    """No quote is known, or only an old one."""
    quote = at.ground.quotes.get(at.order.instrument)
    if quote is None or at.mark is None:
        return Objection("no quote has been seen")
    age_ms = (at.now - quote.ts_init) / MILLISECOND
    if age_ms > at.settings.max_mark_age_ms:
        most = at.settings.max_mark_age_ms
        return Objection(f"the last quote is {age_ms:.0f} ms old, above max_mark_age_ms {most:.0f}")
    return None


def spread(at: Situation) -> Objection | None:
    """Bid and ask are too far apart."""
    quote = at.ground.quotes.get(at.order.instrument)
    if quote is None or at.mark is None or at.reduces:
        return None
    wide, most = (quote.ask - quote.bid) / at.mark * 10_000, at.settings.max_spread_bps
    return Objection(f"the spread is {wide:.1f} bps, above max_spread_bps {most:.1f}") if wide > most else None


def price_collar(at: Situation) -> Objection | None:
    """A price is too far from the mark, a trigger from where it waits, or a limit from its trigger."""
    for what, price, base, most, setting in _distances(at):
        distance = abs(price - base) / base * 10_000
        if distance > most:
            text = f"{price:.8g} is {distance:.1f} bps from the {what} {base:.8g}, above {setting} {most:.1f}"
            return Objection(text)
    return None


def _distances(at: Situation) -> Iterator[tuple[str, float, float, float, str]]:
    """Give pairs of prices, what the second one is, and how far apart they may be."""
    order, base = at.order, _base_price(at)
    if base is None:
        return
    close = (at.settings.collar_bps, "collar_bps")
    wide = (at.settings.trigger_collar_bps, "trigger_collar_bps")
    name = "mark" if at.parent is None else "price of its parent"
    limit = None if order.limit_price is None else float(order.limit_price)
    if not order.order_type.is_conditional:
        price = at.reference_price if limit is None else limit
        if price is not None:
            rests = order.reduce_only and (price > base) is (order.side is Side.SELL)
            yield name, price, base, *(wide if rests or at.exits_list else close)
        return
    trigger = base if order.trigger_price is None else float(order.trigger_price)
    yield name, trigger, base, *wide
    if limit is not None:
        yield "trigger", limit, trigger, *close
    if order.trail is not None:
        offset = float(order.trail.offset)
        away = base * offset / 100 if order.trail.kind is TrailKind.PERCENT else offset
        yield name, base + away, base, *wide


def _base_price(at: Situation) -> float | None:
    """Give the price that an order starts from: that of the order it waits for, or the market's."""
    parent, marked = at.parent, at.ground.marks.get(at.order.instrument)
    if parent is not None:
        own = parent.trigger_price if parent.limit_price is None else parent.limit_price
        return at.mark if own is None else float(own)
    return marked if at.order.trigger_by is TriggerBy.MARK and marked is not None else at.mark


# -- how often ---------------------------------------------------------------------------------------------------------


def open_orders(at: Situation) -> Objection | None:
    """Too many orders are under way."""
    if at.reduces:
        return None
    settings, exposure = at.settings, at.ground.exposure
    all_orders = len(exposure.pending) + at.count
    if all_orders > settings.max_open_orders:
        return Objection(f"{all_orders} orders would be under way, above max_open_orders {settings.max_open_orders}")
    own, most = exposure.open_orders.get(at.order.strategy, 0) + at.count, settings.max_strategy_open_orders
    return Objection(f"{own} orders would be under way, above max_strategy_open_orders {most}") if own > most else None


def order_rate(at: Situation) -> Objection | None:
    """A strategy sends orders too fast."""
    if at.reduces:
        return None
    tokens = at.ground.activity.tokens(at.order.strategy, at.now, at.settings)
    if at.count <= tokens:
        return None
    rate, burst = at.settings.order_rate_per_s, at.settings.order_burst
    return Objection(f"{at.count} wanted, {tokens:.2f} left of order_burst {burst}, order_rate_per_s {rate:g}")


# -- what losses lead to -----------------------------------------------------------------------------------------------


def _locked(rail: Rail, at: Situation) -> Objection | None:
    locks = at.ground.locks
    if not locks.locks or at.reduces:
        return None
    lock = locks.find(rail, at.order.strategy, at.order.instrument, at.now)
    return None if lock is None else Objection(lock.text)


def _lock_of(rail: Rail, says: str) -> RailCheck:
    check = partial(_locked, rail)
    check.__doc__ = says
    return check


TERMS: Mapping[Rail, RailCheck] = {
    Rail.DUPLICATE: duplicate,
    Rail.ORDER_TERMS: order_terms,
    Rail.LOT_SIZE: lot_size,
    Rail.PRICE_TICK: price_tick,
    Rail.REDUCE_ONLY: reduce_only,
}

LOCKS: Mapping[Rail, RailCheck] = {
    Rail.DAILY_LOSS: _lock_of(Rail.DAILY_LOSS, "A strategy, or all, lost too much today (UTC): locked until midnight."),
    Rail.DRAWDOWN: _lock_of(Rail.DRAWDOWN, "Equity of a strategy, or of all, fell too far from its peak: paused."),
    Rail.CONSECUTIVE_LOSSES: _lock_of(Rail.CONSECUTIVE_LOSSES, "A strategy lost too often in a row: paused."),
    Rail.STOPLOSS_GUARD: _lock_of(Rail.STOPLOSS_GUARD, "Too many stops of a strategy in too short a time: paused."),
    Rail.COOLDOWN: _lock_of(Rail.COOLDOWN, "A position in the instrument was closed a moment ago: paused."),
    Rail.LOW_PROFIT: _lock_of(Rail.LOW_PROFIT, "A strategy earned too little in the instrument: paused."),
    Rail.MAX_DRAWDOWN: _lock_of(Rail.MAX_DRAWDOWN, "The closed positions of a strategy lost too much in sum: paused."),
}

RAILS: Mapping[Rail, RailCheck] = {
    Rail.TRADING_STATE: trading_state,
    Rail.ALLOWLIST: allowlist,
    Rail.STRATEGY_INSTRUMENTS: strategy_instruments,
    Rail.INSTRUMENT_STATUS: instrument_status,
    Rail.VENUE_HEALTH: venue_health,
    Rail.EXECUTION: execution,
    **TERMS,
    Rail.STALE_MARK: stale_mark,
    Rail.SPREAD: spread,
    Rail.PRICE_COLLAR: price_collar,
    Rail.OPEN_ORDERS: open_orders,
    Rail.ORDER_RATE: order_rate,
    **LIMITS,
    **LOCKS,
}

IN_A_LIST: Mapping[Rail, RailCheck] = {**TERMS, Rail.PRICE_COLLAR: price_collar, **LIMITS}
"""What each further order of a list is asked; the rest was asked of the first."""

PROTECTIVE: Mapping[Rail, RailCheck] = {**TERMS, Rail.ALLOWLIST: listed, Rail.ORDER_TERMS: plain_terms}
"""What an order is asked that ends the loss of a position: nothing holds it back that has to do with the market."""

AMENDED: Mapping[Rail, RailCheck] = {rail: check for rail, check in RAILS.items() if rail is not Rail.DUPLICATE}
AMENDED_EXIT: Mapping[Rail, RailCheck] = {
    rail: check for rail, check in PROTECTIVE.items() if rail is not Rail.DUPLICATE
}


def denials(at: Situation, rails: Mapping[Rail, RailCheck]) -> list[tuple[Denial, float | None]]:
    """Ask every rail, so that a rejection names all that is wrong at once; each with the quantity that fits."""
    found = []
    for rail, check in rails.items():
        objection = check(at)
        if objection is not None:
            found.append((denial(rail, objection.detail), objection.fits))
    return found


def denial(rail: Rail, detail: str) -> Denial:
    """Say what is wrong, no longer than an event may be: others' reasons may be part of it."""
    return Denial(rail=rail, detail=detail[:MAX_TEXT])
