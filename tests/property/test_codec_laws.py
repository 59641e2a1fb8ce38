"""Laws of the wire, whatever is said and whatever comes."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.codec import CODEC, Undecodable, decode, encode, type_header
from contracts.event import EVENT_TYPES, Event
from contracts.examples import examples
from tests.property.event_strategies import events

HEADERS = st.one_of(
    st.sampled_from([type_header(event_type) for event_type in EVENT_TYPES.values()]),
    st.builds("{}.v{}".format, st.sampled_from(list(EVENT_TYPES)), st.integers()),
    st.text(),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)


def event_or_refusal(header: str, subject: str, payload: bytes) -> Event | None:
    """Decode; None if refused, and anything else it might raise fails the test."""
    try:
        return decode(header, subject, payload)
    except Undecodable:
        return None


def spelled_out(event: Event) -> dict[str, Any]:
    """An event as JSON, with the fields that the wire leaves out."""
    document: dict[str, Any] = json.loads(CODEC.adapter(type(event)).serializer.to_json(event))
    return document


@given(events())
def test_every_valid_event_is_read_back_as_it_was_written(event: Event) -> None:
    event_type = type(event)
    payload = encode(event)
    back = decode(type_header(event_type), event_type.subject_of(event), payload)
    assert back == event
    assert encode(back) == payload


@given(HEADERS, st.text(), st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_anything_at_all_is_an_event_or_a_refusal(header: str, subject: str, payload: bytes) -> None:
    event_or_refusal(header, subject, payload)


@given(events(), st.data())
def test_an_event_cut_anywhere_is_refused(event: Event, data: st.DataObject) -> None:
    payload = encode(event)
    cut = data.draw(st.integers(0, len(payload) - 1))
    assert event_or_refusal(type_header(type(event)), type(event).subject_of(event), payload[:cut]) is None


@given(st.sampled_from(list(examples().values())), st.data())
def test_a_field_replaced_by_anything_is_read_as_written_or_refused(event: Event, data: st.DataObject) -> None:
    document = spelled_out(event)
    field = data.draw(st.sampled_from(list(document)))
    document[field] = data.draw(JSON)
    payload = json.dumps(document).encode()
    back = event_or_refusal(type_header(type(event)), type(event).subject_of(event), payload)
    assert back is None or spelled_out(back) == json.loads(payload)


@given(events(), st.sampled_from(list(EVENT_TYPES.values())))
def test_an_event_of_one_type_is_not_read_as_another_on_its_own_subject(event: Event, other: type[Event]) -> None:
    read = event_or_refusal(type_header(other), type(event).subject_of(event), encode(event))
    assert (read is not None) is (other is type(event))
