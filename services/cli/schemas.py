"""`hmm schemas`: write or check what is generated: the documents under `schemas/`, and who may what on the server."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contracts.codec import Undecodable, decode
from contracts.compatibility import incompatibilities
from contracts.documents import goldens, schemas
from services.cli.errors import fail
from tape.asyncapi import asyncapi
from tape.permissions import permissions_conf

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "schemas"
PERMISSIONS = ROOT / "deploy" / "nats" / "permissions.conf"

Document = dict[str, Any]


@dataclass
class Drift:
    """Which files are not what the code says, each with what should be in it."""

    stale: dict[Path, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


def write_schemas(*, check: bool) -> None:
    """Write what is stale, or only say so; a change that older events would not survive is refused."""
    drift = find_drift(SCHEMAS, PERMISSIONS)
    if drift.broken:
        for problem in drift.broken:
            print(f"  {problem}")
        fail("incompatible without a new version", "raise the type's version and add an upcaster in contracts/codec.py")
    if check and drift.stale:
        first = next(iter(drift.stale)).name
        fail(f"{len(drift.stale)} generated files are stale, first {first}", "write them: hmm schemas")
    for path, text in drift.stale.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    print(f"schemas: {len(drift.stale)} written" if drift.stale else "schemas: current")


def find_drift(directory: Path, permissions: Path = PERMISSIONS) -> Drift:
    """Compare the documents under `directory`, and the server's permissions, with those that the code makes."""
    drift = Drift()
    for name, schema in schemas().items():
        _compare_schema(drift, directory / "events" / f"{name}.json", schema)
    for name, golden in goldens().items():
        path = directory / "golden" / f"{name}.json"
        if not path.exists():
            drift.stale[path] = _text(golden)
    for path in sorted((directory / "golden").glob("*.json")):
        _check_golden(drift, path)
    _compare(drift, directory / "asyncapi.json", _text(asyncapi()))
    _compare(drift, permissions, permissions_conf())
    return drift


def _compare_schema(drift: Drift, path: Path, schema: Document) -> None:

    if path.exists():
        drift.broken += [
            f"{path.stem} {problem}" for problem in incompatibilities(json.loads(path.read_text()), schema)
        ]
    _compare(drift, path, _text(schema))


def _compare(drift: Drift, path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        drift.stale[path] = text


def _check_golden(drift: Drift, path: Path) -> None:
    """Every event that was ever golden is still read."""
    golden = json.loads(path.read_text())
    try:
        decode(golden["type"], golden["subject"], json.dumps(golden["payload"]).encode())
    except Undecodable as error:
        drift.broken.append(f"golden event {path.stem} is no longer read: {error}")


def _text(document: Document) -> str:
    return json.dumps(document, indent=2, sort_keys=True) + "\n"
