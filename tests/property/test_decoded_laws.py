"""Decoded events are kept to the last bit, and a file of them that is not as it was written is not used."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.codec import write
from contracts.event import Event
from contracts.market import Bar, Funding, MarketGap, Quote, Trade
from eventstore.marketdata.columnar import from_parts, to_parts
from eventstore.marketdata.decoded import Damaged, DecodedWriter, Told, read_decoded
from tests.property.event_strategies import events

ANY = st.lists(st.one_of(events(), events([Quote, Trade, Bar, Funding, MarketGap])), min_size=1, max_size=30)

TOLD = st.builds(
    Told,
    events=st.lists(events([Quote, Trade]), max_size=6),
    rows=st.integers(0, 10**9),
    repairs=st.dictionaries(st.text(max_size=5), st.integers(0, 10**6), max_size=2),
)


def bits(events: list[Event]) -> list[tuple[type[Event], bytes, str]]:
    return [(type(event), write(event), repr(event)) for event in events]


@given(ANY)
def test_events_of_every_type_come_back_as_they_were(events: list[Event]) -> None:
    types, parts = to_parts(events)
    assert bits(from_parts(types, parts)) == bits(events)


@given(st.lists(TOLD, max_size=8))
def test_a_file_gives_back_what_was_told_and_how_far_the_reading_was(told: list[Told]) -> None:
    with TemporaryDirectory() as folder:
        path = write_file(Path(folder), told)
        found = read_decoded(path, "key")
        again = [one for one in found.told(None) if one.events]
    assert again == [one for one in told if one.events]
    assert (found.rows, found.repairs) == (7, {"of all": 1})


@given(st.lists(TOLD, min_size=1, max_size=4), st.data())
def test_a_file_with_any_byte_changed_or_missing_is_damaged(told: list[Told], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = write_file(Path(folder), told)
        content = path.read_bytes()
        at = data.draw(st.integers(8, len(content) - 1))
        changed = bytes([content[at] ^ data.draw(st.integers(1, 255))])
        path.write_bytes(data.draw(st.sampled_from([content[:at], content[:at] + changed + content[at + 1 :]])))
        with pytest.raises(Damaged):
            read_decoded(path, "key")


def write_file(folder: Path, told: list[Told]) -> Path:
    writer = DecodedWriter(folder / "some.events", "key")
    for one in told:
        writer.add(one)
    writer.finish(None, 7, {"of all": 1})
    return writer.path
