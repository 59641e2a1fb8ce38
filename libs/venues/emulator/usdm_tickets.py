"""Reading an order of USD-M from the parameters of a request."""

from decimal import Decimal

from venues.emulator.orders import Ticket
from venues.emulator.params import Params
from venues.emulator.refusals import Refusal, mandatory
from venues.emulator.usdm_venue import UsdmVenue
from venues.emulator.words import ALGO_KINDS, LIMITED_ALGO, Kind, PositionSide, Side, TimeInForce, WorkingType

LEAST_CALLBACK, MOST_CALLBACK = Decimal("0.1"), Decimal(10)


def order_ticket(params: Params, venue: UsdmVenue, fallback_id: str) -> Ticket:
    """Read an order that goes to the matching at once."""
    kind = _kind(params)
    if kind in ALGO_KINDS:
        raise Refusal(
            -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
        )
    if kind is Kind.LIMIT and not params.has("timeInForce"):
        raise mandatory("timeInForce")
    if kind is Kind.MARKET and params.has("price"):
        raise Refusal(-1106, "Parameter 'price' sent when not required.")
    position_side, reduce_only = _position(params, venue)
    return Ticket(
        pair=venue.market(params.text("symbol")).pair,
        side=_side(params),
        kind=kind,
        client_id=params.client_id("newClientOrderId", fallback_id),
        quantity=params.decimal("quantity"),
        time_in_force=_force(params),
        price=params.decimal("price") if kind is Kind.LIMIT else None,
        position_side=position_side,
        reduce_only=reduce_only,
    )


def algo_ticket(params: Params, venue: UsdmVenue, fallback_id: str) -> Ticket:
    """Read a conditional order."""
    if params.text("algoType") != "CONDITIONAL":
        raise Refusal(-1130, "Data sent for parameter 'algoType' is not valid.")
    kind = _kind(params)
    if kind not in ALGO_KINDS:
        raise Refusal(-1116, "Invalid orderType.")
    close_position = params.flag("closePosition")
    if close_position and params.has("quantity"):
        raise Refusal(-4137, "Quantity must be zero with closePosition equals true")
    trailing = _trailing(params) if kind is Kind.TRAILING_STOP_MARKET else None
    activation = params.maybe_decimal("activatePrice") or params.maybe_decimal("activationPrice")
    position_side, reduce_only = _position(params, venue)
    return Ticket(
        pair=venue.market(params.text("symbol")).pair,
        side=_side(params),
        kind=kind,
        client_id=params.client_id("clientAlgoId", fallback_id),
        quantity=Decimal(0) if close_position else params.decimal("quantity"),
        time_in_force=_force(params),
        price=params.decimal("price") if kind in LIMITED_ALGO else None,
        stop_price=params.decimal("triggerPrice") if trailing is None else None,
        trailing=trailing,
        activation=activation if trailing is not None else None,
        working_type=params.word(
            "workingType", WorkingType, Refusal(-4031, "Invalid parameter working type"), WorkingType.CONTRACT_PRICE
        ),
        position_side=position_side,
        reduce_only=reduce_only or close_position,
        close_position=close_position,
    )


def _kind(params: Params) -> Kind:
    return params.word("type", Kind, Refusal(-1116, "Invalid orderType."))


def _side(params: Params) -> Side:
    return params.word("side", Side, Refusal(-1117, "Invalid side."))


def _force(params: Params) -> TimeInForce:
    return params.word("timeInForce", TimeInForce, Refusal(-1115, "Invalid timeInForce."), TimeInForce.GTC)


def _trailing(params: Params) -> Decimal:
    callback = params.decimal("callbackRate")
    if not LEAST_CALLBACK <= callback <= MOST_CALLBACK:
        raise Refusal(-2007, "Invalid callBack rate")
    return callback / 100


def _position(params: Params, venue: UsdmVenue) -> tuple[PositionSide, bool]:
    """Read the side of the position: BOTH in one-way mode, LONG or SHORT in hedge mode."""
    invalid = Refusal(-4060, "Invalid position side.")
    side = params.word("positionSide", PositionSide, invalid, PositionSide.BOTH)
    if (side is PositionSide.BOTH) == venue.account.is_hedged:
        raise Refusal(-4061, "Order's position side does not match user's setting.")
    reduce_only = params.flag("reduceOnly")
    if reduce_only and venue.account.is_hedged:
        raise Refusal(-4062, "Invalid or improper reduceOnly value.")
    return side, reduce_only
