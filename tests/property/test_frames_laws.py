"""Frames that are read the quick way say what they say when they are read field by field."""

from hypothesis import example, given
from hypothesis import strategies as st

from contracts.codec import encode
from contracts.types import instrument_id
from services.feed.parsing import BadFrame, Shown, parse_frame
from services.feed.usualforms import usual_forms

AT = 1_723_161_254_087_891_268
KNOWN = {symbol.encode(): instrument_id("binance", symbol) for symbol in ("BTCUSDT", "ETHUSDT")}

numbers = st.one_of(
    st.decimals(0, 10**9, places=8).map(lambda number: f"{number:f}"),
    st.sampled_from(["0", "0.00000000", "1e5", "-1", "nan", "", ".5", "1.", "007", "Infinity", "61837.63000000"]),
)
times = st.one_of(st.integers(0, 10**14), st.integers(1_000_000_000_000, 1_999_999_999_999)).map(str)
wholes = st.one_of(st.integers(0, 10**19).map(str), st.sampled_from(["01", "-3", "1.5", '"7"']))
flags = st.sampled_from(["true", "false", "null", '"true"'])
symbols = st.sampled_from(["BTCUSDT", "ETHUSDT", "SOLUSDT", "btcusdt"])

SPOT_QUOTE = '{{"stream":"btcusdt@bookTicker","data":{{"u":{0},"s":"{1}","b":"{2}","B":"{3}","a":"{4}","A":"{5}"}}}}'
USDM_QUOTE = SPOT_QUOTE.replace('{{"u"', '{{"e":"bookTicker","u"').replace('"{5}"', '"{5}","T":{6},"E":{7}')
SPOT_TRADE = (
    '{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{7},"s":"{1}","t":{0},"p":"{2}","q":"{3}","T":{6},'
    '"m":{8},"M":true}}}}'
)
USDM_TRADE = (
    '{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{7},"T":{6},"s":"{1}","t":{0},"p":"{2}","q":"{3}",'
    '"X":"MARKET","m":{8}}}}}'
)
fields = st.tuples(wholes, symbols, numbers, numbers, numbers, numbers, times, times, flags)
forms = st.sampled_from([SPOT_QUOTE, USDM_QUOTE, SPOT_TRADE, USDM_TRADE])


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """A frame that is right, or nearly."""
    frame = draw(forms).format(*draw(fields))
    at = draw(st.integers(0, len(frame)))
    cut = draw(st.sampled_from([0, 0, 0, 1, 3]))
    put = draw(st.sampled_from(["", "", "", " ", '"', ",", "0", "\\", "}", "\n", "é"]))
    return (frame[:at] + put + frame[at + cut :]).encode()


def careful(frame: bytes) -> Shown | None:
    try:
        return parse_frame(frame, AT, "binance")[1]
    except BadFrame:
        return None


RIGHT = ("7", "BTCUSDT", "100.5", "2", "101", "3.25", "1723161255342", "1723161255343", "true")


@given(frames())
def test_the_quick_reading_never_says_what_the_careful_one_does_not(frame: bytes) -> None:
    quick = usual_forms(KNOWN)(b"%d %s\n" % (AT, frame), AT)
    if quick is not None:
        assert quick == careful(frame.rstrip(b"\r\n"))
        encode(quick)


@given(forms)
@example(SPOT_QUOTE)
def test_the_quick_reading_knows_the_forms_of_the_day(form: str) -> None:
    frame = form.format(*RIGHT).encode()
    assert usual_forms(KNOWN)(b"%d %s\n" % (AT, frame), AT) == careful(frame) is not None


@given(forms)
def test_what_comes_before_its_time_or_is_of_an_unknown_instrument_is_left_to_the_careful_reading(form: str) -> None:
    frame = form.format(*RIGHT).encode()
    assert usual_forms(KNOWN)(b"%d %s\n" % (AT, frame), AT + 1) is None
    assert usual_forms({})(b"%d %s\n" % (AT, frame), AT) is None
