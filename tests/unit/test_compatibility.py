"""An event type may change without a new version only while everything written before can still be read."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from contracts.compatibility import Schema, incompatibilities
from contracts.documents import schemas
from contracts.orders import OrderTerms


def of(required: tuple[str, ...] = ("a",), **properties: Any) -> Schema:  # noqa: ANN401 (schemas are JSON)
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {"a": {"type": "integer"}, **properties},
        "required": list(required),
    }


OLD = of(b={"type": "string", "maxLength": 10})


def test_every_schema_is_compatible_with_itself() -> None:
    for schema in schemas().values():
        assert incompatibilities(schema, schema) == []


@pytest.mark.parametrize(
    "new",
    [
        of(b={"type": "string", "maxLength": 10}, c={"type": "integer"}),
        of((), b={"type": "string", "maxLength": 10}),
        of(b={"type": "string", "maxLength": 10, "description": "better words", "title": "B"}),
    ],
    ids=["optional field added", "field no longer required", "described"],
)
def test_what_was_written_before_stays_readable(new: Schema) -> None:
    assert incompatibilities(OLD, new) == []


@pytest.mark.parametrize(
    ("new", "problem"),
    [
        (of(), "b: was removed"),
        (of(renamed={"type": "string", "maxLength": 10}), "b: was removed"),
        (of(("a", "b"), b={"type": "string", "maxLength": 10}), "b: is required now and was not"),
        (of(("a", "c"), b={"type": "string", "maxLength": 10}, c={}), "c: is required now and was not"),
        (of(b={"type": "integer", "maxLength": 10}), "b.type: 'string' became 'integer'"),
        (of(b={"type": "string", "maxLength": 5}), "b.maxLength: 10 became 5"),
        (of(b={"type": "string", "maxLength": 10, "pattern": "x"}), "b.pattern: None became 'x'"),
    ],
    ids=["removed", "renamed", "required", "required and new", "retyped", "narrowed", "constrained"],
)
def test_what_would_refuse_older_events_is_named(new: Schema, problem: str) -> None:
    assert incompatibilities(OLD, new) == [problem]


@pytest.mark.parametrize("name", ["title", "description", "default", "examples"])
def test_a_field_may_be_named_like_a_decoration(name: str) -> None:
    old = of()
    old["properties"][name] = {"type": "string"}
    assert incompatibilities(old, of()) == [f"{name}: was removed"]


def test_a_choice_may_grow_and_not_shrink() -> None:
    few, many = of(b={"enum": ["x"], "type": "string"}), of(b={"enum": ["x", "y"], "type": "string"})
    assert incompatibilities(few, many) == []
    assert incompatibilities(many, few) == ["b: no longer takes 'y'"]


def test_a_choice_that_becomes_anything_is_told() -> None:
    assert incompatibilities(of(b={"enum": ["x"], "type": "string"}), of(b={"type": "integer"})) != []


def test_the_fields_of_a_nested_record_are_compared_by_their_place() -> None:
    adapter = TypeAdapter(OrderTerms)
    nested = {"$ref": "#/$defs/OrderTerms"}
    old = {**of(order=nested), "$defs": {"OrderTerms": adapter.json_schema()}}
    changed = adapter.json_schema()
    del changed["properties"]["side"]
    new = {**of(order=nested), "$defs": {"OrderTerms": changed, **adapter.json_schema()["$defs"]}}
    old["$defs"].update(adapter.json_schema()["$defs"])
    assert incompatibilities(old, new) == ["order.side: was removed"]


def test_the_records_of_a_list_are_compared() -> None:
    old, new = of(b={"type": "array", "items": of(c={})}), of(b={"type": "array", "items": of()})
    assert incompatibilities(old, new) == ["b.items.c: was removed"]
