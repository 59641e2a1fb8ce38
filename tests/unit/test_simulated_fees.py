"""Fees by what was traded in the thirty days before today, as exchanges set them."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from contracts.types import Side
from contracts.venue import VenueFilled
from tests.builders import LISTING, listed, ns, quote, submit, terms
from venues.simulated import SimulatedExchange, SimulationSettings
from venues.simulated.tiers import DAY

BUY = Side.BUY
DAYS = 86_400
TIERS = [
    {"from_volume": 1_000, "maker_fee": "0.0009", "taker_fee": "0.0008"},
    {"from_volume": 5_000, "maker_fee": "0.0004", "taker_fee": "0.0006"},
]


def venue(**settings: object) -> SimulatedExchange:
    return SimulatedExchange(LISTING, SimulationSettings.model_validate({"fee_tiers": TIERS, **settings}))


def fee(at: SimulatedExchange, day: float, quantity: str = "1", number: int = 0) -> Decimal:
    """Buy at 1000 on a day, and give the share that was paid."""
    listed(at.on_quote(quote(999.0, 1000.0, size=100, at=day * DAYS)))
    said = listed(at.command(submit(terms(BUY, quantity, order_id=f"d{day}-{number}"), at=day * DAYS)))
    (fill,) = [report for report in said if isinstance(report, VenueFilled)]
    return (fill.fee / (fill.price * fill.quantity)).normalize()


def test_what_was_traded_today_counts_from_tomorrow_on() -> None:
    at = venue()
    assert fee(at, 0, "2") == Decimal("0.001")
    assert fee(at, 0, "2", number=1) == Decimal("0.001")
    assert fee(at, 1) == Decimal("0.0008")


def test_a_higher_tier_needs_its_volume_to_the_last_coin() -> None:
    just, below = venue(), venue()
    assert fee(just, 0, "5") == fee(below, 0, "4.999") == Decimal("0.001")
    assert (fee(just, 1), fee(below, 1)) == (Decimal("0.0006"), Decimal("0.0008"))


def test_volume_counts_for_thirty_days() -> None:
    still, over = venue(), venue()
    fee(still, 0, "5")
    fee(over, 0, "5")
    assert fee(still, 30) == Decimal("0.0006")
    assert fee(over, 31) == Decimal("0.001")


def test_days_are_those_of_utc() -> None:
    at, midnight = venue(), (ns(0) // DAY + 1) * DAY
    before = (midnight - 1_000_000_000 - ns(0)) / 1e9 / DAYS
    after = (midnight - ns(0)) / 1e9 / DAYS
    assert fee(at, before, "5") == Decimal("0.001")
    assert fee(at, after) == Decimal("0.0006")


def test_only_what_tiers_need_is_kept() -> None:
    at, without = venue(), SimulatedExchange(LISTING, SimulationSettings())
    for day in range(100):
        fee(at, day)
    fee(without, 0)
    assert len(at.state().account.volumes["sim"].parts) == 31
    assert without.state().account.volumes == {}


@pytest.mark.parametrize(
    ("tiers", "message"),
    [
        ([TIERS[1], TIERS[0]], "does not come after"),
        ([TIERS[0], TIERS[0]], "does not come after"),
        ([{"from_volume": 1, "maker_fee": "0.002", "taker_fee": "0"}], "more is paid"),
        ([{"from_volume": 0, "maker_fee": "0", "taker_fee": "0"}], "greater than 0"),
    ],
)
def test_tiers_that_no_exchange_has_are_refused(tiers: list[dict[str, object]], message: str) -> None:
    for place in ({"fee_tiers": tiers}, {"perpetuals": {"fee_tiers": tiers}}):
        with pytest.raises(ValidationError, match=message):
            SimulationSettings.model_validate(place)
