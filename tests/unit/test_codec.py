"""The codec: what is on the tape is an event, and what is no event is refused with the field that is wrong."""

import json
from dataclasses import MISSING, fields, replace
from decimal import Decimal
from typing import Any

import pytest

from contracts.books import EquityMarked, PositionChanged
from contracts.codec import Codec, Undecodable, decode, encode, type_header
from contracts.event import EVENT_TYPES, Event, event, record
from contracts.examples import ARTIFACT, AT, TERMS, examples
from contracts.market import Bar, Quote, Trade
from contracts.models import sha256_of
from contracts.orders import OrderFilled, OrderIntent, OrderTerms, RiskRejected
from contracts.types import Interval, OrderType, Price
from contracts.venue import SubmitOrder

EXAMPLES = examples()
QUOTE = "md.quote.binance.BTCUSDT"


def example(event_type: type[Event], **changes: Any) -> Event:  # noqa: ANN401 (fields are of any kind)
    return replace(EXAMPLES[event_type], **changes)


def document(event_type: type[Event]) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(encode(EXAMPLES[event_type]))
    return loaded


def read(event_type: type[Event], changed: dict[str, Any]) -> Event:
    """Decode the example of a type after its document was changed."""
    subject = event_type.subject_of(EXAMPLES[event_type])
    return decode(type_header(event_type), subject, json.dumps(changed).encode())


def changed(event_type: type[Event], place: str, value: object) -> dict[str, Any]:
    """Give the example's document with `value` at the dotted `place`."""
    whole = document(event_type)
    *path, last = place.split(".")
    node = whole
    for step in path:
        node = node[step]
    node[last] = value
    return whole


def test_there_is_an_example_of_every_event_type() -> None:
    assert set(EXAMPLES) == set(EVENT_TYPES.values())


@pytest.mark.parametrize("written", EXAMPLES.values(), ids=lambda written: type(written).__name__)
def test_every_example_is_read_back_as_it_was_written(written: Event) -> None:
    event_type = type(written)
    back = decode(type_header(event_type), event_type.subject_of(written), encode(written))
    assert back == written
    assert type(back) is event_type


def test_what_an_order_does_not_ask_for_is_not_on_the_wire_so_that_older_code_reads_a_plain_order() -> None:
    plain = replace(TERMS, link=None)
    document = json.loads(encode(example(SubmitOrder, order=plain)))["order"]
    assert set(document) == {field.name for field in fields(OrderTerms) if field.default is MISSING}


def test_money_keeps_its_digits() -> None:
    fill = example(OrderFilled, price=Decimal("61837.600"))
    assert json.loads(encode(fill))["price"] == "61837.600"


@pytest.mark.parametrize("event_type", EXAMPLES, ids=lambda event_type: event_type.__name__)
def test_an_unknown_field_is_refused(event_type: type[Event]) -> None:
    with pytest.raises(Undecodable, match=r"colour: .*not.*(permitted|expected)|Unexpected keyword"):
        read(event_type, {**document(event_type), "colour": "blue"})


@pytest.mark.parametrize("event_type", EXAMPLES, ids=lambda event_type: event_type.__name__)
def test_every_missing_field_is_named_unless_it_came_later_and_has_a_default(event_type: type[Event]) -> None:
    whole = document(event_type)
    for field in fields(event_type):
        without = {key: value for key, value in whole.items() if key != field.name}
        if field.default is not MISSING:
            assert getattr(read(event_type, without), field.name) == field.default
            continue
        with pytest.raises(Undecodable, match=rf"{event_type.__name__}.v1.{field.name}: "):
            read(event_type, without)


@pytest.mark.parametrize("event_type", EXAMPLES, ids=lambda event_type: event_type.__name__)
def test_every_field_of_a_wrong_type_is_named(event_type: type[Event]) -> None:
    for field in document(event_type):
        with pytest.raises(Undecodable, match=rf"{event_type.__name__}.v1.{field}"):
            read(event_type, changed(event_type, field, {"wrong": []}))


@pytest.mark.parametrize(
    ("event_type", "place", "value"),
    [
        (Quote, "bid", "61837.63"),
        (Quote, "bid", True),
        (Quote, "bid", 0),
        (Quote, "bid_size", -1.0),
        (Quote, "ts_event", 1.5),
        (Quote, "ts_event", "1723161254087891268"),
        (Quote, "ts_init", -1),
        (Quote, "instrument", "BTCUSDT"),
        (Quote, "instrument", "binance.BTC.USDT"),
        (Quote, "instrument", "binance.*"),
        (Trade, "aggressor", "BUY"),
        (Trade, "trade_id", 7),
        (Trade, "trade_id", "x" * 2001),
        (Trade, "trade_id", "\x00"),
        (Quote, "ts_event", 2**63),
        (SubmitOrder, "order.quantity", "1E+100"),
        (SubmitOrder, "order.quantity", "1" * 31),
        (Bar, "interval", "7s"),
        (Bar, "trades", -1),
        (SubmitOrder, "order.quantity", 0.01),
        (SubmitOrder, "order.quantity", "0"),
        (SubmitOrder, "order.quantity", "-1"),
        (SubmitOrder, "order.quantity", "a lot"),
        (SubmitOrder, "order.quantity", "NaN"),
        (SubmitOrder, "order.quantity", "Infinity"),
        (SubmitOrder, "order.quantity", "1_000"),
        (SubmitOrder, "order.quantity", " 1 "),
        (SubmitOrder, "order.quantity", "\N{ARABIC-INDIC DIGIT ONE}"),
        (SubmitOrder, "order.limit_price", 100),
        (SubmitOrder, "order.client_order_id", "a b"),
        (SubmitOrder, "order.client_order_id", "x" * 37),
        (SubmitOrder, "order.strategy", ""),
        (SubmitOrder, "order.reduce_only", "false"),
        (SubmitOrder, "order.colour", "blue"),
        (PositionChanged, "realized_pnl", 0),
        (RiskRejected, "reasons", [{"rail": "no_such_rail", "detail": ""}]),
        (OrderIntent, "exit", {"stop": 0, "target": None}),
    ],
)
def test_a_wrong_value_is_refused_with_its_field(event_type: type[Event], place: str, value: object) -> None:
    with pytest.raises(Undecodable, match=rf"{event_type.__name__}\.v1\.{place}"):
        read(event_type, changed(event_type, place, value))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_a_number_that_is_none_is_refused_with_its_field(number: str) -> None:
    payload = encode(EXAMPLES[Quote]).replace(b"61837.63", number.encode())
    with pytest.raises(Undecodable, match=r"Quote\.v1\.bid"):
        decode("Quote.v1", QUOTE, payload)


@pytest.mark.parametrize(
    ("event_type", "place", "value", "problem"),
    [
        (Quote, "bid", 70000.0, "bid: .*crossed book"),
        (Bar, "high", 61837.0, "high: "),
        (Bar, "low", 61831.0, "high: "),
        (Bar, "ts_close", 1_723_161_254_000_000_000, "ts_close: .*5s"),
        (SubmitOrder, "order.limit_price", None, "order.limit_price: a limit order needs one"),
        (SubmitOrder, "order.order_type", "market", "order.limit_price: a market order has none"),
        (RiskRejected, "reasons", [], "reasons: "),
        (PositionChanged, "average_price", None, "average_price: "),
        (PositionChanged, "quantity", "0", "average_price: "),
        (EquityMarked, "equity", "1", "equity: "),
    ],
)
def test_fields_that_contradict_each_other_are_refused(
    event_type: type[Event], place: str, value: object, problem: str
) -> None:
    with pytest.raises(Undecodable, match=rf"{event_type.__name__}\.v1\.{problem}"):
        read(event_type, changed(event_type, place, value))


@pytest.mark.parametrize("subject", ["md.quote.binance.ETHUSDT", "md.trade.binance.BTCUSDT", "", "md.quote"])
def test_an_event_on_a_foreign_subject_is_refused(subject: str) -> None:
    with pytest.raises(Undecodable, match=r"subject .*foreign.*md.quote.binance.BTCUSDT"):
        decode("Quote.v1", subject, encode(EXAMPLES[Quote]))


@pytest.mark.parametrize(
    "header", ["", "Quote", "Quote.v", "Quote.vx", "Quote.v-1", "Quotes.v1", "quote.v1", "Quote.v1.v1"]
)
def test_a_header_that_names_no_type_is_refused(header: str) -> None:
    with pytest.raises(Undecodable, match=r"Hmm-Type: .*no event type"):
        decode(header, QUOTE, encode(EXAMPLES[Quote]))


@pytest.mark.parametrize("header", ["Quote.v2", "Quote.v12"])
def test_a_version_that_is_newer_than_this_code_is_refused_with_the_one_it_knows(header: str) -> None:
    with pytest.raises(Undecodable, match=r"newer than this code, which knows Quote.v1"):
        decode(header, QUOTE, encode(EXAMPLES[Quote]))


@pytest.mark.parametrize(
    "header", ["Quote.v0", "Quote.v01", "Quote.v\N{ARABIC-INDIC DIGIT ONE}", f"Quote.v{'9' * 5000}"]
)
def test_a_version_that_never_was_is_refused(header: str) -> None:
    with pytest.raises(Undecodable, match=r"Hmm-Type"):
        decode(header, QUOTE, encode(EXAMPLES[Quote]))


@pytest.mark.parametrize("cut", [0, 1, 20, -1])
def test_a_cut_payload_is_refused(cut: int) -> None:
    with pytest.raises(Undecodable, match=r"Quote\.v1.*JSON"):
        decode("Quote.v1", QUOTE, encode(EXAMPLES[Quote])[:cut])


def test_all_wrong_fields_are_named_at_once() -> None:
    with pytest.raises(Undecodable, match=r"bid_size.*; .*ask_size"):
        read(Quote, {**document(Quote), "bid_size": -1, "ask_size": -1})


def test_a_refusal_shows_only_the_beginning_of_what_came() -> None:
    with pytest.raises(Undecodable) as refusal:
        read(Trade, {**document(Trade), "trade_id": "x" * 100_000})
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (example(Quote, bid=float("nan")), "Quote.bid: "),
        (example(Quote, ask=float("inf")), "Quote.ask: "),
        (example(Quote, bid="cheap"), "Quote.bid: "),
        (example(Quote, ts_init=1.5), "Quote.ts_init: "),
        (example(Quote, bid=70000.0), "crossed book"),
        (example(Quote, instrument="nowhere"), "Quote.instrument: "),
        (example(OrderFilled, fee=Decimal("NaN")), "OrderFilled.fee: "),
        (example(OrderFilled, quantity=Decimal(0)), "OrderFilled.quantity: "),
        (example(OrderFilled, trade_id="x" * 2001), "OrderFilled.trade_id: "),
    ],
)
def test_what_no_reader_would_take_is_not_written(wrong: Event, problem: str) -> None:
    with pytest.raises(Undecodable, match=problem):
        encode(wrong)


def test_two_events_of_one_name_cannot_be_declared() -> None:
    with pytest.raises(AssertionError, match=r"declared twice"):

        @event("md.other.{instrument}")
        class Quote(Event): ...


@record
class Weight(Event):
    """An event type whose first version said `pounds`, and whose second said `weight` without a unit."""

    grams: Price

    def contradiction(self) -> str | None:
        return "grams: heavier than the world" if self.grams > 6e27 else None


Weight.type_name, Weight.version, Weight.subject_template = "Weight", 3, "scales"
Weight.subject_of = staticmethod(lambda _event: "scales")

OLDER = Codec(
    {"Weight": Weight},
    {
        ("Weight", 1): lambda old: {
            **{key: value for key, value in old.items() if key != "pounds"},
            "weight": old["pounds"] * 453.6,
        },
        ("Weight", 2): lambda old: {
            **{key: value for key, value in old.items() if key != "weight"},
            "grams": old["weight"],
        },
    },
)


@pytest.mark.parametrize(("version", "field", "value"), [(1, "pounds", 2), (2, "weight", 907.2), (3, "grams", 907.2)])
def test_every_older_version_is_lifted_to_the_current_one(version: int, field: str, value: float) -> None:
    payload = json.dumps({"ts_event": AT, "ts_init": AT, field: value}).encode()
    assert OLDER.decode(f"Weight.v{version}", "scales", payload) == Weight(ts_event=AT, ts_init=AT, grams=907.2)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"7", b"null", b"{}", b'{"pounds": "heavy"}', b"\xff"])
def test_an_older_document_that_cannot_be_lifted_is_refused(payload: bytes) -> None:
    with pytest.raises(Undecodable, match=r"Weight.v1"):
        OLDER.decode("Weight.v1", "scales", payload)


@pytest.mark.parametrize(("value", "problem"), [(-1, "grams: "), (1e28, "heavier than the world")])
def test_what_was_lifted_is_checked_like_anything_else(value: float, problem: str) -> None:
    payload = json.dumps({"ts_event": AT, "ts_init": AT, "weight": value}).encode()
    with pytest.raises(Undecodable, match=problem):
        OLDER.decode("Weight.v2", "scales", payload)


def test_a_version_without_an_upcaster_is_refused() -> None:
    with pytest.raises(Undecodable, match=r"Hmm-Type: 'Weight.v1'"):
        Codec({"Weight": Weight}, {}).decode("Weight.v1", "scales", b"{}")


def test_orders_are_equal_by_value() -> None:
    first, second = examples()[SubmitOrder], examples()[SubmitOrder]
    assert isinstance(first, SubmitOrder) and isinstance(first.order, OrderTerms)
    assert first == second
    assert first.order.order_type is OrderType.LIMIT
    assert Interval("5s").nanos == 5_000_000_000


def test_a_model_has_the_same_hash_after_it_was_kept_as_a_document_that_knows_no_sign_of_zero() -> None:
    model = ARTIFACT.regime
    assert model is not None
    signed, plain = (replace(ARTIFACT, regime=replace(model, improbable_below=zero)) for zero in (-0.0, 0.0))
    assert sha256_of(signed) == sha256_of(plain)
    assert sha256_of(signed) != sha256_of(ARTIFACT)
