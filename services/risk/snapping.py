"""Put an order on the grid of its instrument: quantities on the lot, prices on the tick, in the harmless direction."""

from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from contracts.orders import Amendment, OrderTerms
from contracts.types import Side
from venues.instruments import Instrument


def snapped(order: OrderTerms, instrument: Instrument) -> OrderTerms:
    """Never trade more, nor at a worse price, nor end a loss later than was wished for.

    What would become nothing stays as it is, so that the rails can say what is wrong with it.
    """
    quantity = whole_lots(order.quantity, instrument)
    limit_price = order.limit_price and whole_ticks(order.limit_price, order.side, instrument)
    trigger_price = order.trigger_price and whole_ticks(order.trigger_price, order.side, instrument)
    display = order.display_quantity
    if display is not None:
        display = min(max(whole_lots(display, instrument), instrument.lot), quantity)
    if (
        quantity is order.quantity
        and limit_price is order.limit_price
        and trigger_price is order.trigger_price
        and display == order.display_quantity
    ):
        return order
    return replace(
        order, quantity=quantity, limit_price=limit_price, trigger_price=trigger_price, display_quantity=display
    )


def snapped_amendment(amendment: Amendment, side: Side, instrument: Instrument) -> Amendment:
    return replace(
        amendment,
        quantity=amendment.quantity and whole_lots(amendment.quantity, instrument),
        limit_price=amendment.limit_price and whole_ticks(amendment.limit_price, side, instrument),
        trigger_price=amendment.trigger_price and whole_ticks(amendment.trigger_price, side, instrument),
    )


def resized(order: OrderTerms, quantity: Decimal) -> OrderTerms:
    """Give the same order of another size."""
    display = order.display_quantity
    return replace(order, quantity=quantity, display_quantity=None if display is None else min(display, quantity))


def whole_lots(quantity: Decimal, instrument: Instrument) -> Decimal:
    if instrument.is_quantity(quantity):
        return quantity
    return instrument.quantity(quantity) or quantity


def whole_ticks(price: Decimal, side: Side, instrument: Instrument) -> Decimal:
    """Buy for less and sell for more. A stop that sells moves up, one that buys moves down: it ends a loss sooner."""
    if instrument.is_price(price):
        return price
    rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
    return (price / instrument.tick).to_integral_value(rounding) * instrument.tick or price
