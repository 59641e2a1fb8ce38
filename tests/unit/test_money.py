from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from contracts.types import exponent_of


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_the_exponent_of_an_amount_is_that_of_its_last_digit(amount: Decimal) -> None:
    assert exponent_of(amount) == amount.as_tuple().exponent
