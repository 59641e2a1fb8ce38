"""When may an event type change without a new version? When everything written before can still be read."""

from collections.abc import Iterator
from typing import Any

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None
Schema = dict[str, Any]

_DECORATION = {"title", "description", "examples", "default"}


def incompatibilities(old: Schema, new: Schema) -> list[str]:
    """List what of the `old` JSON Schema the `new` one would refuse, by field; strict where it cannot tell."""
    return list(_compare(_inlined(old, old), _inlined(new, new), ""))


def _inlined(node: Json, root: Schema) -> Json:
    """Replace references by what they point to: an event is a tree of values."""
    if isinstance(node, list):
        return [_inlined(item, root) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str):
        target = root["$defs"][reference.rpartition("/")[2]]
        return _inlined({**target, **{key: value for key, value in node.items() if key != "$ref"}}, root)
    return {
        key: _fields(value, root) if key == "properties" and isinstance(value, dict) else _inlined(value, root)
        for key, value in node.items()
        if key != "$defs" and key not in _DECORATION
    }


def _fields(properties: dict[str, Json], root: Schema) -> dict[str, Json]:
    """Inline the fields of a record, whatever their names: one may well be called `title`."""
    return {name: _inlined(schema, root) for name, schema in properties.items()}


def _compare(old: Json, new: Json, place: str) -> Iterator[str]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        if old != new:
            yield f"{place}: {old!r} became {new!r}"
        return
    known, wanted = old.get("enum"), new.get("enum")
    if "properties" in old and "properties" in new:
        yield from _compare_fields(old, new, place)
    elif isinstance(known, list) and isinstance(wanted, list):
        if gone := [value for value in known if value not in wanted]:
            yield f"{place}: no longer takes {', '.join(map(repr, gone))}"
    else:
        for key in sorted({*old, *new}):
            yield from _compare(old.get(key), new.get(key), f"{place}.{key}" if place else key)


def _compare_fields(old: Schema, new: Schema, place: str) -> Iterator[str]:
    before = f"{place}." if place else ""
    for name, schema in old["properties"].items():
        if name not in new["properties"]:
            yield f"{before}{name}: was removed"
        else:
            yield from _compare(schema, new["properties"][name], before + name)
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield f"{before}{name}: is required now and was not"
