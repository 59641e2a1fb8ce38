"""The checks an order passes before the account is asked: symbol, filters, order type, prices."""

from decimal import Decimal

from venues.emulator.market import Market
from venues.emulator.orders import Ticket
from venues.emulator.refusals import (
    Refusal,
    filter_failure,
    invalid_symbol,
    mandatory,
    not_trading,
    would_take,
    would_trigger,
)
from venues.emulator.triggers import Trigger
from venues.emulator.words import PROFIT_TAKING, Board, Kind, Phase, Side


def check_terms(ticket: Ticket, market: Market, *, priced: bool) -> None:
    """Refuse what the symbol's rules forbid. `priced` says that the order type has a limit price."""
    pair = market.pair
    if market.phase is not Phase.TRADING:
        raise not_trading(pair.board)
    if priced:
        if ticket.price is None:
            raise mandatory("price")
        check_price(ticket.price, market)
    if ticket.stop_price is not None:
        check_price(ticket.stop_price, market)
    if ticket.close_position or ticket.quote_quantity is not None:
        return
    check_quantity(ticket.quantity, market)
    check_notional(ticket, market)


def check_price(price: Decimal, market: Market) -> None:
    pair = market.pair
    if pair.board is Board.SPOT:
        if not 0 < price <= pair.max_price or price % pair.tick != 0:
            raise filter_failure("PRICE_FILTER")
        return
    if price <= 0:
        raise Refusal(-4001, "Price less than 0.")
    if price > pair.max_price:
        raise Refusal(-4002, "Price greater than max price.")
    if price % pair.tick != 0:
        raise Refusal(-4014, "Price not increased by tick size.")


def check_quantity(quantity: Decimal, market: Market) -> None:
    pair = market.pair
    if pair.board is Board.SPOT:
        if not pair.lot <= quantity <= pair.max_quantity or quantity % pair.lot != 0:
            raise filter_failure("LOT_SIZE")
        return
    if quantity <= 0:
        raise Refusal(-4003, "Quantity less than or equal to zero.")
    if quantity > pair.max_quantity:
        raise Refusal(-4005, "Quantity greater than max quantity.")
    if quantity % pair.lot != 0:
        raise Refusal(-1111, "Precision is over the maximum defined for this asset.")


def check_notional(ticket: Ticket, market: Market) -> None:
    pair = market.pair
    price = ticket.price or ticket.stop_price or market.last
    if price is None or ticket.quantity * price >= pair.min_notional:
        return
    if pair.board is Board.SPOT:
        raise filter_failure("NOTIONAL")
    if not ticket.reduce_only:
        least = f"{pair.min_notional:f}"
        raise Refusal(-4164, f"Order's notional must be no smaller than {least} (unless you choose reduce only).")


def check_post_only(ticket: Ticket, market: Market) -> None:
    best = market.book.best(ticket.side)
    if not ticket.is_post_only or best is None or ticket.price is None:
        return
    takes = ticket.price >= best[0] if ticket.side is Side.BUY else ticket.price <= best[0]
    if takes:
        raise would_take(market.pair.board)


def trigger_of(ticket: Ticket, market: Market, watched: Decimal | None) -> Trigger:
    """Make the trigger of a conditional order; refuse one that would go off at once at the price `watched`."""
    rising = (ticket.side is Side.BUY) != (ticket.kind in PROFIT_TAKING)
    if ticket.trailing is not None:
        trigger = Trigger(rising, trail=ticket.trailing, activation=ticket.activation)
        if watched is not None:
            trigger.reached(watched)
        return trigger
    if ticket.stop_price is None:
        raise mandatory("stopPrice" if market.pair.board is Board.SPOT else "triggerPrice")
    trigger = Trigger(rising, level=ticket.stop_price)
    if watched is not None and trigger.reached(watched):
        raise would_trigger(market.pair.board)
    return trigger


def require_book(market: Market, ticket: Ticket) -> None:
    """A market order needs somebody on the other side."""
    if ticket.kind is Kind.MARKET and market.book.best(ticket.side) is None:
        if market.pair.board is Board.SPOT:
            raise Refusal(-2010, "Market has no liquidity.")
        raise Refusal(-2020, "Unable to fill.")


def listed(markets: dict[str, Market], symbol: str) -> Market:
    """Find a symbol or refuse."""
    market = markets.get(symbol)
    if market is None:
        raise invalid_symbol()
    return market
