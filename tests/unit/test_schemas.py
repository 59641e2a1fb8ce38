"""The committed documents are those of the code, and they describe what is really on the wire."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from contracts.codec import decode, encode, type_header
from contracts.documents import goldens, json_schema, schemas
from contracts.event import EVENT_TYPES, Event
from contracts.examples import examples
from contracts.ownership import ROLES
from services.cli import schemas as command
from services.cli.schemas import PERMISSIONS, SCHEMAS, Drift, find_drift
from tape.asyncapi import asyncapi
from tape.permissions import USERS, key_variable

asyncapi_once = cache(asyncapi)
"""Made from the code alone, in seconds: all comparisons here share one."""

GOLDEN = sorted((SCHEMAS / "golden").glob("*.json"))


def required(event_type: type[Event]) -> list[str]:
    """The fields that were always there: those that came later have a default."""
    return [field.name for field in fields(event_type) if field.default is MISSING]


def holds(document: Any, older: Any) -> bool:  # noqa: ANN401 (JSON)
    """Whether a document says all that an older one said, and nothing else but fields that came later."""
    if isinstance(older, dict):
        return all(key in document and holds(document[key], value) for key, value in older.items())
    if isinstance(older, list):
        return len(document) == len(older) and all(map(holds, document, older))
    return bool(document == older)


@pytest.fixture(scope="module", autouse=True)
def made_once() -> Iterator[None]:
    """Let the command take the one AsyncAPI document that all tests here share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "asyncapi", asyncapi_once)
        yield


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the committed documents that may be changed."""
    return Path(shutil.copytree(SCHEMAS, tmp_path / "schemas"))


def loaded(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def changed(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**loaded(path), **changes}, indent=2, sort_keys=True) + "\n")


def test_the_committed_documents_are_current() -> None:
    assert find_drift(SCHEMAS) == Drift()


def test_the_servers_permissions_are_those_of_the_ownership_table(tmp_path: Path) -> None:
    older = tmp_path / "permissions.conf"
    older.write_text(PERMISSIONS.read_text().replace('"risk.approved.*.*"', '"risk.>"'))
    assert list(find_drift(SCHEMAS, older).stale) == [older]


def test_the_servers_permissions_name_no_key_and_let_nobody_in_without_one() -> None:
    conf = PERMISSIONS.read_text()
    keys = re.findall(r"nkey: (\S+)", conf)
    assert sorted(keys) == sorted(f"${key_variable(user)}" for user in USERS)
    assert len(keys) == len(ROLES) + 2
    assert "no_auth_user" not in conf


def test_there_is_a_schema_and_a_golden_event_of_every_type() -> None:
    headers = {type_header(event_type) for event_type in EVENT_TYPES.values()}
    assert headers == set(schemas()) == set(goldens())
    assert headers <= {path.stem for path in GOLDEN}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_golden_event_is_read_and_its_schema_takes_it(path: Path) -> None:
    golden = loaded(path)
    schema = loaded(SCHEMAS / "events" / path.name)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(golden["payload"])
    event = decode(golden["type"], golden["subject"], json.dumps(golden["payload"]).encode())
    assert holds(json.loads(encode(event)), golden["payload"])


@pytest.mark.parametrize("event_type", EVENT_TYPES.values(), ids=EVENT_TYPES)
def test_a_schema_refuses_unknown_missing_and_wrong_fields(event_type: type[Event]) -> None:
    payload = json.loads(encode(examples()[event_type]))
    validator = Draft202012Validator(json_schema(event_type))
    wrong = [{**payload, "colour": "blue"}]
    wrong += [{key: value for key, value in payload.items() if key != field} for field in required(event_type)]
    wrong += [{**payload, field: {"wrong": []}} for field in payload]
    for document in wrong:
        with pytest.raises(ValidationError):
            validator.validate(document)


def test_a_schema_names_its_version_and_its_subject() -> None:
    schema = schemas()["Quote.v1"]
    assert (schema["x-version"], schema["x-subject"]) == (1, "md.quote.{instrument}")


def test_the_asyncapi_document_names_every_subject() -> None:
    addresses = {channel["address"] for channel in asyncapi_once()["channels"].values()}
    assert {"md.quote.*.*", "risk.approved.*.*", "intent.trend.*.*", "alert.router"} <= addresses


def test_a_document_that_is_missing_or_older_is_stale_but_a_golden_event_is_never_written_anew(copied: Path) -> None:
    kept = copied / "golden" / "Quote.v1.json"
    changed(kept, payload={**loaded(kept)["payload"], "bid": 1.0})
    (copied / "events" / "Quote.v1.json").unlink()
    changed(copied / "events" / "Trade.v1.json", description="older words")
    (copied / "golden" / "Bar.v1.json").unlink()
    changed(copied / "asyncapi.json", info={})
    drift = find_drift(copied)
    assert {path.name for path in drift.stale} == {"Quote.v1.json", "Trade.v1.json", "Bar.v1.json", "asyncapi.json"}
    assert drift.broken == []


def test_a_change_that_older_events_do_not_survive_is_broken(copied: Path) -> None:
    path = copied / "events" / "Quote.v1.json"
    schema = loaded(path)
    changed(path, properties={**schema["properties"], "depth": {"type": "integer"}})
    golden = loaded(copied / "golden" / "Trade.v1.json")
    (copied / "golden" / "Trade.v0.json").write_text(json.dumps({**golden, "type": "Trade.v0"}))
    field, event = find_drift(copied).broken
    assert field == "Quote.v1 depth: was removed"
    assert event.startswith("golden event Trade.v0 is no longer read: Hmm-Type")
