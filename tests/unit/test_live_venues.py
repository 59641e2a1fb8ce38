"""What live trading needs, what a failure means, and whose request goes first."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.types import InstrumentState, Liquidity, Side, instrument_id
from venues.live.gate import Gate, Urgency
from venues.live.outcomes import Duplicate, NotFound, NotNow, Refused, Unheard, VenueFailure, failure_of
from venues.live.settings import CONFIRMATION, LiveSettings, LiveVenue, problems
from venues.live.translate import market_view, order_view, trade_view
from venues.reconciliation.views import VenueStatus

BTC = instrument_id("binance", "BTCUSDT")


def ccxt_error(*kinds: str, text: str = "") -> Exception:
    """An exception whose class has these names, most general first, as those of ccxt have."""
    made: type[Exception] = Exception
    for kind in kinds:
        made = type(kind, (made,), {})
    return made(text)


@pytest.mark.parametrize(
    ("kinds", "text", "means"),
    [
        (("ExchangeError", "InsufficientFunds"), "Account has insufficient balance", Refused),
        (("ExchangeError", "InvalidOrder"), '{"code":-1013,"msg":"Filter failure: NOTIONAL"}', Refused),
        (("ExchangeError",), '{"code":-4061,"msg":"position side"}', Refused),
        (("ExchangeError", "InvalidOrder"), '{"code":-4116,"msg":"ClientOrderId is duplicated."}', Duplicate),
        (("ExchangeError", "InvalidOrder"), '{"code":-2010,"msg":"Duplicate order sent."}', Duplicate),
        (("ExchangeError", "InvalidOrder", "OrderNotFound"), '{"code":-2013}', NotFound),
        (("OperationFailed", "NetworkError", "DDoSProtection"), "429 Too Many Requests", NotNow),
        (("OperationFailed", "NetworkError", "InvalidNonce"), '{"code":-1021}', NotNow),
        (("OperationFailed", "NetworkError", "RequestTimeout"), "timed out", Unheard),
        (("OperationFailed", "NetworkError", "ExchangeNotAvailable"), "503 Service Unavailable", Unheard),
        (("OperationFailed", "BadResponse"), "null", Unheard),
        (("ExchangeError",), '{"code":-1006,"msg":"Execution status unknown."}', Unheard),
        (("ExchangeError",), "something nobody knows", Unheard),
        (("KeyError",), "spot", Unheard),
    ],
)
def test_only_what_is_certainly_a_refusal_is_believed(kinds: tuple[str, ...], text: str, means: type) -> None:
    assert type(failure_of(ccxt_error(*kinds, text=text), {}, 5.0)) is means


def test_the_venue_says_how_long_to_wait() -> None:
    error = ccxt_error("NetworkError", "RateLimitExceeded")
    told, untold = failure_of(error, {"Retry-After": "17"}, 5.0), failure_of(error, {}, 5.0)
    assert isinstance(told, NotNow) and isinstance(untold, NotNow)
    assert (told.after_s, untold.after_s) == (17.0, 5.0)
    assert issubclass(NotNow, VenueFailure)


async def test_the_most_urgent_goes_first() -> None:
    gate, passed = Gate(per_s=1_000.0, burst=1), list[Urgency]()

    async def ask(urgency: Urgency) -> None:
        await gate.passed(urgency)
        passed.append(urgency)

    gate.close_for(0.05)
    await asyncio.gather(*(ask(urgency) for urgency in reversed(Urgency)))
    assert passed == list(Urgency)


async def test_no_more_pass_than_the_venue_bears() -> None:
    gate = Gate(per_s=100.0, burst=3)
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(gate.passed(Urgency.TRADE) for _ in range(8)))
    assert asyncio.get_running_loop().time() - began >= 0.045


def test_live_trading_names_all_that_is_missing(tmp_path: Path) -> None:
    empty = tmp_path / "secret"
    empty.write_text("")
    found = problems(LiveSettings(venues=tuple(LiveVenue), usdm_key_file=tmp_path / "nowhere", spot_secret_file=empty))
    assert [line.split()[0].rstrip(":") for line in found] == [
        "HMM_LIVE_TRADING",
        "HMM_LIVE_SPOT_KEY_FILE",
        "HMM_LIVE_SPOT_SECRET_FILE",
        "HMM_LIVE_USDM_KEY_FILE",
        "HMM_LIVE_USDM_SECRET_FILE",
    ]


def test_a_rehearsal_needs_no_keys_and_stays_on_this_machine() -> None:
    assert problems(LiveSettings(trading=CONFIRMATION, emulator="http://127.0.0.1:8080")) == []
    with pytest.raises(ValidationError, match="only one on this machine"):
        LiveSettings(emulator="http://example.com")


def test_an_order_may_not_be_given_up_while_it_may_still_arrive() -> None:
    with pytest.raises(ValidationError, match="settle_s has to be longer"):
        LiveSettings(settle_s=5.0, recv_window_s=5.0)


def _order(**more: object) -> dict[str, Any]:
    return {
        "id": "1",
        "clientOrderId": "trend-1-0",
        "status": "closed",
        "type": "limit",
        "side": "buy",
        "amount": "0.50000000",
        "filled": "0.5",
        "price": "99.10",
        "timestamp": 5,
        "lastUpdateTimestamp": 7,
        "trades": [],
        **more,
    }


def test_an_order_is_read_to_the_last_digit() -> None:
    view = order_view(_order(), BTC, "USDT")
    assert (view.status, view.side, view.quantity) == (VenueStatus.FILLED, Side.BUY, Decimal("0.5"))
    assert (view.limit_price, view.updated_at) == (Decimal("99.1"), 7_000_000)


def test_the_average_price_of_a_market_order_is_no_limit() -> None:
    assert order_view(_order(type="market"), BTC, "USDT").limit_price is None


def test_a_status_that_nobody_knows_is_an_error_and_no_guess() -> None:
    with pytest.raises(KeyError):
        order_view(_order(status="resting"), BTC, "USDT")


def test_a_trade_without_a_fee_costs_nothing() -> None:
    trade = {"id": "9", "order": "1", "side": "sell", "price": "2", "amount": "3", "timestamp": 4, "fee": None}
    view = trade_view({**trade, "takerOrMaker": "maker"}, BTC, "USDT")
    assert (view.fee, view.fee_currency, view.liquidity) == (Decimal(0), "USDT", Liquidity.MAKER)


@pytest.mark.parametrize(
    ("active", "status", "state"),
    [
        (True, "TRADING", InstrumentState.TRADING),
        (False, "BREAK", InstrumentState.BREAK),
        (False, "DELIVERING", InstrumentState.DELISTED),
    ],
)
def test_the_state_of_an_instrument(active: bool, status: str, state: InstrumentState) -> None:  # noqa: FBT001
    limits = {"cost": {"min": "5"}}
    market = {"active": active, "info": {"status": status}, "precision": {"price": "0.01", "amount": "1"}}
    assert market_view({**market, "limits": limits}, BTC).state is state
