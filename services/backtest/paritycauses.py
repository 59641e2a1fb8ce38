"""Why two sides differ: each difference of an order, with the cause that the events of both sides give for it.

Both sides have the same market from outside, and the same components under the same settings. So what differs began
with something that only one of them has: time between an event and the answer to it (live), another clock, or chance
that has drawn otherwise because of what was before. The price of a fill is taken apart exactly: how far the best price
moved between the two decisions, how far between decision and exchange, and the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from services.backtest.parityorders import Order, Top
from services.backtest.paritysession import Session

NOTHING = 1e-9
"""Amounts of less than this are of floats, not of orders."""
_END_NS = 2_000_000_000
"""What is decided so shortly before the end may not have been said any more."""
_DIGITS = 8
_UNTOLD = "-"
_REMEMBERED = 200
"""Bars before a decision of which one may have led to it."""


class Cause(Enum):
    LATENCY = "latency"
    """Live, time passes between an event and the answer to it: the command met a later quote."""
    CLOCK = "clock"
    """The same bar was closed at another moment: by the wall clock live, by the market in the run."""
    BARS = "bars"
    """A bar shows something else, or is only in one of them."""
    CHANCE = "chance"
    """Another preset was in force: the bandit has drawn otherwise."""
    REGIME = "regime"
    CONTROL = "control"
    """The trading state was another one."""
    CAPITAL = "capital"
    SETTINGS = "settings"
    """The component went on under other settings live than it began with."""
    FOLLOWS = "follows"
    """Something else was held: it follows from an earlier difference."""
    RAILS = "rails"
    """Risk has judged otherwise."""
    PARTIAL = "partial fills"
    """Another part of it was traded."""
    DEPTH = "depth"
    """Beyond the best price: how much stood there, or where its limit was."""
    LIQUIDITY = "maker or taker"
    FEES = "fees"
    """Of the same role at another rate."""
    FUNDING = "funding"
    END = "end"
    """One side ends before."""
    UNEXPLAINED = "unexplained"


class Aspect(Enum):
    EXISTENCE = "only in one"
    DECISION = "decided"
    VERDICT = "verdict"
    QUANTITY = "quantity"
    PRICE = "price"
    FEES = "fees"
    ENDING = "ending"


@dataclass(frozen=True, slots=True)
class Difference:
    """How an order differs in one respect; `worth` is what it brought live more than in the run (quote currency)."""

    aspect: Aspect
    cause: Cause
    live: str
    run: str
    detail: str
    worth: float = 0.0


@dataclass(frozen=True, slots=True)
class Sides:
    live: Session
    run: Session

    @property
    def last(self) -> int:
        return min(self.live.last, self.run.last)


def only_in_one(order: Order, sides: Sides, *, live: bool, worth: float) -> Difference:
    """Say why the other side has no such order, with what both sides knew."""
    mine, other = (sides.live, sides.run) if live else (sides.run, sides.live)
    cause, detail = _why_not(order, mine, other, sides)
    there = f"{order.order_id}: {order.side.value} {order.quantity.normalize():f} {order.order_type}"
    there += f", {_shown(order.average)} traded" if order.fills else f", {_end_of(order)}"
    return Difference(
        Aspect.EXISTENCE, cause, there if live else "-", "-" if live else there, detail, worth if live else -worth
    )


def _why_not(order: Order, mine: Session, other: Session, sides: Sides) -> tuple[Cause, str]:
    if order.decided_at > sides.last - _END_NS:
        return Cause.END, "decided so shortly before the end that the other side did not come to it"
    if changed := _other_settings(order, sides.live):
        return Cause.SETTINGS, changed
    return _heard_otherwise(order, mine, other) or (
        Cause.UNEXPLAINED,
        f"decided on {order.trigger.words}; nothing that it is known to go by differs",
    )


def _heard_otherwise(order: Order, mine: Session, other: Session) -> tuple[Cause, str] | None:
    """Name the first thing that the other side heard otherwise than this one, of what it was decided on."""
    if order.by != order.strategy:
        return Cause.FOLLOWS, f"{order.by} covers what is held, as soon as it is held"
    return _bar_otherwise(order, mine, other) or _known_otherwise(order, mine, other) or _older_bar(order, mine, other)


def _bar_otherwise(order: Order, mine: Session, other: Session) -> tuple[Cause, str] | None:
    bar = order.trigger.bar
    if bar is None:
        return None
    shown, there = mine.bars[bar], other.bars.get(bar)
    if there is None:
        return Cause.BARS, f"decided on a {order.trigger.words} that the other side does not have"
    otherwise = shown.otherwise(there)
    return (Cause.BARS, f"{order.trigger.words} has {otherwise}") if otherwise else None


def _older_bar(order: Order, mine: Session, other: Session) -> tuple[Cause, str] | None:
    """Averages remember: find the last bar before that shows something else on the other side."""
    if order.trigger.bar is None:
        return None
    instrument, interval, ts_open = order.trigger.bar
    for back in range(1, _REMEMBERED + 1):
        key = instrument, interval, ts_open - back * interval.nanos
        shown, there = mine.bars.get(key), other.bars.get(key)
        if shown is None or there is None:
            if shown is there:
                continue
            return Cause.BARS, f"the bar {back} before {order.trigger.words} is only in one of both"
        if otherwise := shown.otherwise(there):
            return Cause.BARS, f"the bar {back} before {order.trigger.words} has {otherwise}, which averages remember"
    return None


def _known_otherwise(order: Order, mine: Session, other: Session) -> tuple[Cause, str] | None:
    """Name the first thing that was known otherwise when each side came to what the order was decided on."""
    place = other.place_of(order)
    if place is None:
        return None
    for (kind, here), (_, there) in zip(mine.known(order, order.cause), other.known(order, place), strict=True):
        if kind == "plan" and order.trigger.bar is not None:
            continue  # of the position before: only what watches prices goes by it
        if here != there and (kind != "capital" or _UNTOLD not in (here, there)):
            drawn_by_one = kind == "preset" and _UNTOLD in (here, there)
            cause = Cause.FOLLOWS if drawn_by_one else _KINDS[kind]
            return cause, f"{kind}: {here}, there {there}, when {order.trigger.words} came"
    return None


_KINDS = {
    "preset": Cause.CHANCE,
    "regime": Cause.REGIME,
    "trading": Cause.CONTROL,
    "capital": Cause.CAPITAL,
    "held": Cause.FOLLOWS,
    "plan": Cause.FOLLOWS,
}


def _other_settings(order: Order, live: Session) -> str:
    for name in dict.fromkeys((order.strategy, order.by, "risk", "router", "gateway")):
        changed = live.leases.get(name, [])[1:]
        if changed and changed[0][0] <= order.position:
            return f"{name} went on under other settings from position {changed[0][0]} on"
    return ""


# -- orders that both have ---------------------------------------------------------------------------------------------


def differences(live: Order, run: Order, sides: Sides, mark: float) -> Iterator[Difference]:
    """Tell how two orders differ that are the same decision; what each is worth adds up to what both are worth."""
    timing = _timing(live, run, sides)
    if timing is not None:
        yield timing
    why = (timing.cause, timing.detail) if timing is not None else _heard_otherwise(live, sides.live, sides.run)
    yield from _verdict(live, run, why)
    left = live.worth(mark) - run.worth(mark)
    for difference in (*_price(live, run, why), *_fees(live, run)):
        left -= difference.worth
        yield difference
    yield from _quantity(live, run, why, left)
    if live.ended != run.ended and bool(live.fills) == bool(run.fills) and abs(live.filled - run.filled) < NOTHING:
        cause, detail = why or (Cause.UNEXPLAINED, "")
        yield Difference(Aspect.ENDING, cause, live.ended or "open", run.ended or "open", detail)


def _timing(live: Order, run: Order, sides: Sides) -> Difference | None:
    """Say why it was decided at another moment, if it was."""
    later = live.decided_at - run.decided_at
    if not later and live.trigger == run.trigger and _number(live.top) == _number(run.top):
        return None
    quotes = _number(live.top) - _number(run.top)
    told = f"{abs(later) / 1e6:,.0f} ms {'later' if later >= 0 else 'earlier'} live, {quotes:+d} quotes"
    shown = (live.trigger.words, run.trigger.words)
    bar = live.trigger.bar
    if bar is not None and bar == run.trigger.bar:
        here, there = sides.live.bars[bar], sides.run.bars[bar]
        if otherwise := here.otherwise(there):
            return Difference(Aspect.DECISION, Cause.BARS, *shown, f"live the bar has {otherwise}; {told}")
        if later:
            return Difference(Aspect.DECISION, Cause.CLOCK, *shown, f"the same bar was closed {told}")
        return Difference(Aspect.DECISION, Cause.LATENCY, *shown, f"the same bar came onto the tape {told}")
    cause, why = _heard_otherwise(live, sides.live, sides.run) or (Cause.LATENCY, "heard at another quote")
    return Difference(Aspect.DECISION, cause, *shown, f"{told}; {why}")


def _verdict(live: Order, run: Order, why: tuple[Cause, str] | None) -> Iterator[Difference]:
    if live.refused == run.refused and _rails(live) == _rails(run):
        return
    cause = why[0] if why is not None and why[0] not in (Cause.CLOCK, Cause.LATENCY) else Cause.RAILS
    yield Difference(Aspect.VERDICT, cause, _judged(live), _judged(run), why[1] if why else "")


def _price(live: Order, run: Order, why: tuple[Cause, str] | None) -> Iterator[Difference]:
    """Take the difference of the average prices apart: between decisions, on the way to the exchange, and the rest."""
    one, other = live.average, run.average
    if one is None or other is None:
        return
    quantity = min(live.filled, run.filled) * (-1 if live.signed > 0 else 1)
    shown, left = (_shown(one), _shown(other)), one - other
    tops = (live.top, live.fills[0].top, run.top, run.fills[0].top)
    if all(top is not None for top in tops):
        decided, met, decided_there, met_there = (top.touch(live.side) for top in tops if top is not None)
        between = decided - decided_there
        on_the_way = (met - decided) - (met_there - decided_there)
        later = (_number(tops[1]) - _number(tops[0])) - (_number(tops[3]) - _number(tops[2]))
        if abs(on_the_way) > NOTHING:
            detail = f"the command met the market {later:+d} quotes later, where the best price was {on_the_way:+.8g}"
            yield Difference(Aspect.PRICE, Cause.LATENCY, *shown, detail, on_the_way * quantity)
        if abs(between) > NOTHING:
            cause, detail = why or (Cause.LATENCY, "")
            moved = f"the best price moved {between:+.8g} between the two decisions"
            yield Difference(Aspect.PRICE, cause, *shown, f"{moved}; {detail}", between * quantity)
        left -= between + on_the_way
    if round(left, _DIGITS):
        detail = f"{left:+.8g} beyond the best price"
        cause = Cause.DEPTH if len(live.fills) + len(run.fills) > 2 or why is None else why[0]
        yield Difference(Aspect.PRICE, cause, *shown, detail, left * quantity)


def _fees(live: Order, run: Order) -> Iterator[Difference]:
    """Tell of another rate; fees on another price or quantity follow from those."""
    if not (live.fills and run.fills):
        return
    here, there = _rate(live), _rate(run)
    if abs(here - there) * 1e4 < 1e-3:
        return
    roles = [sorted({fill.liquidity.value for fill in order.fills}) for order in (live, run)]
    cause = Cause.FEES if roles[0] == roles[1] else Cause.LIQUIDITY
    said = [f"{rate * 1e4:.2f} bps as {' and '.join(role)}" for rate, role in zip((here, there), roles, strict=True)]
    notional = sum(fill.price * fill.quantity for fill in live.fills)
    yield Difference(Aspect.FEES, cause, said[0], said[1], "", (there - here) * notional)


def _quantity(live: Order, run: Order, why: tuple[Cause, str] | None, left: float) -> Iterator[Difference]:
    """Tell of another quantity; what is left of the worth is by it, and by fees that follow from the price."""
    if abs(live.filled - run.filled) < NOTHING:
        if abs(left) > NOTHING:
            cause = why[0] if why is not None else Cause.LATENCY
            paid = f"{live.fees:.8g}", f"{run.fees:.8g}"
            yield Difference(Aspect.FEES, cause, *paid, "of the same rate on another price", left)
        return
    shown = (f"{live.filled:.8g} of {live.quantity.normalize():f}", f"{run.filled:.8g} of {run.quantity.normalize():f}")
    if live.quantity == run.quantity and live.approved == run.approved:
        ended = "; ".join(filter(None, (live.ended, run.ended)))
        yield Difference(Aspect.QUANTITY, Cause.PARTIAL, *shown, ended, left)
    elif live.quantity == run.quantity:
        yield Difference(Aspect.QUANTITY, Cause.RAILS, *shown, f"{_judged(live)}; there {_judged(run)}", left)
    else:
        at = f"decided at {live.reference:.8g}, there at {run.reference:.8g}"
        cause, detail = why or (Cause.UNEXPLAINED, "")
        yield Difference(Aspect.QUANTITY, cause, *shown, f"{at}; {detail}", left)


def _number(top: Top | None) -> int:
    return top.number if top is not None else 0


def _rate(order: Order) -> float:
    return order.fees / sum(fill.price * fill.quantity for fill in order.fills)


def _rails(order: Order) -> set[str]:
    return {denial.rail.value for denial in order.denials}


def _judged(order: Order) -> str:
    said = "refused" if order.refused else "approved" if order.approved is not None else "not judged"
    why = "; ".join(f"{denial.rail.value}: {denial.detail}" for denial in order.denials)
    return f"{said} ({why})" if why else said


def _end_of(order: Order) -> str:
    return order.ended or (_judged(order) if order.refused else "not traded")


def _shown(price: float | None) -> str:
    return "-" if price is None else f"{price:.10g}"
