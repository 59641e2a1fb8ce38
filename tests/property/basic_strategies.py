"""What any event is made of."""

from hypothesis import strategies as st

from contracts.examples import AT
from contracts.types import instrument_id

SYMBOLS = ("BTCUSDT", "ETHUSDT", "1000SATS-PERP_X")
INSTRUMENTS = [instrument_id(venue, symbol) for venue in ("binance", "kraken") for symbol in SYMBOLS]
DAY = 86_400_000_000_000

nanos = st.builds(
    lambda day, rest: day + rest, st.sampled_from([0, AT, AT + DAY, 2**63 - 1 - DAY]), st.integers(0, 10**9)
)
"""From a few days only, the first and last possible among them: each day of market data is a table of its own."""

prices = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
sizes = st.floats(min_value=0, allow_infinity=False)
texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40)
tokens = st.text("abcXYZ019_-", min_size=1, max_size=12)
numbers = st.floats(-1e6, 1e6).map(lambda number: number + 0.0)
"""Without the negative zero, whose sign a database does not keep in JSON."""
shares = st.floats(0, 1)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
