"""The orders that leave a position, and the words for what is done about its cover."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from contracts.orders import OrderTerms
from contracts.types import InstrumentId, OrderType, PositionSide, Side, TimeInForce, TriggerBy
from services.stops.cover import Leg, Place, Remove, Repair, Resize
from services.stops.settings import StopsSettings
from venues.instruments import Instrument

_BPS = Decimal(10_000)


def position_left_by(side: Side) -> PositionSide:
    return PositionSide.LONG if side is Side.SELL else PositionSide.SHORT


def stop_price(
    leg: Leg, side: Side, mark: Decimal | None, instrument: Instrument | None, settings: StopsSettings
) -> Decimal | None:
    """Give where a stop stands: `stop_bps` from the average price, and never where it would trigger at once."""
    if instrument is None or mark is None or leg.average is None:
        return None
    distant = leg.average * _away(side, settings.stop_bps)
    nearest = mark * _away(side, settings.min_distance_bps)
    price = min(distant, nearest) if side is Side.SELL else max(distant, nearest)
    rounding = ROUND_FLOOR if side is Side.SELL else ROUND_CEILING
    trigger = (price / instrument.tick).to_integral_value(rounding) * instrument.tick
    return trigger if trigger > 0 else None


def _away(side: Side, bps: float) -> Decimal:
    return 1 + side.sign * Decimal(repr(bps)) / _BPS


def leaving(
    client_order_id: str,
    strategy: str,
    instrument: InstrumentId,
    side: Side,
    quantity: Decimal,
    trigger: Decimal | None = None,
    trigger_by: TriggerBy | None = None,
) -> OrderTerms:
    """Make a stop; without a trigger, an order that leaves at once."""
    return OrderTerms(
        client_order_id=client_order_id,
        strategy=strategy,
        instrument=instrument,
        side=side,
        quantity=quantity,
        order_type=OrderType.MARKET if trigger is None else OrderType.STOP_MARKET,
        limit_price=None,
        time_in_force=TimeInForce.GTC,
        reduce_only=True,
        trigger_price=trigger,
        trigger_by=trigger_by,
    )


def described(repair: Repair, strategy: str, instrument: InstrumentId, side: Side, leg: Leg) -> str:
    """Say what was wrong with a cover, and what is done about it."""
    held = f"{strategy} holds {leg.quantity} {instrument} that a {side.value} leaves"
    match repair:
        case Place(quantity=quantity):
            return f"{held}: {quantity} of it has no stop; one is placed"
        case Resize(cover=cover, leaves=leaves):
            return f"{held}: stop {cover.client_order_id} covers {cover.leaves}; it is changed to {leaves}"
        case Remove(cover=cover):
            return f"{held}: stop {cover.client_order_id} covers {cover.leaves} that is not held; it is canceled"
