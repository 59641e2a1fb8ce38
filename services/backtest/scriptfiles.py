"""Reads scripts of what goes wrong at the exchange: CSV with a header, or a JSON list of objects of the same names."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from services.backtest.script import Script
from services.backtest.settings import Unusable
from venues.simulated.disturbances import Outage, Rejects, Slowdown
from venues.simulated.settings import Halt

MOST_ROWS = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class What(Enum):
    """What a row is about."""

    OUTAGE = "outage"
    REJECTS = "rejects"
    SLOW = "slow"
    HALT = "halt"


_PLACES: Mapping[What, tuple[str, type[BaseModel]]] = {
    What.OUTAGE: ("outages", Outage),
    What.REJECTS: ("rejects", Rejects),
    What.SLOW: ("slowdowns", Slowdown),
    What.HALT: ("halts", Halt),
}

_NAMES = {"from": "begins_at", "to": "ends_at"}

Row = Mapping[str, Any]


def read_script(file: Path) -> Script:
    """Read a script; raises `Unusable`."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Unusable(f"--script {file}: {error.strerror or error}") from None
    found: dict[str, list[BaseModel]] = {place: [] for place, _ in _PLACES.values()}
    for number, row in enumerate(_rows(file, content), start=1):
        if number > MOST_ROWS:
            raise Unusable(f"{file}: it has more than {MOST_ROWS:,} rows")
        place, entry = _entry(f"{file}: row {number}", row)
        found[place].append(entry)
    if not any(found.values()):
        raise Unusable(f"{file}: it says nothing", _remedy())
    return Script.model_validate({"name": file.name, "sha256": hashlib.sha256(content).hexdigest(), **found})


def _rows(file: Path, content: bytes) -> Iterator[Row]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unusable(f"{file}: it is no text: {error.reason} at byte {error.start}") from None
    if text.lstrip().startswith(("[", "{")):
        yield from _objects(file, text)
        return
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    if "what" not in (reader.fieldnames or ()):
        raise Unusable(f"{file}: its first line names no column `what`", _remedy())
    for number, row in enumerate(reader, start=1):
        if None in row:
            raise Unusable(f"{file}: row {number} has more values than there are columns")
        yield {name: value.strip() for name, value in row.items() if value and value.strip()}


def _objects(file: Path, text: str) -> Iterator[Row]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise Unusable(f"{file}: {error}") from None
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise Unusable(f"{file}: it is no list of objects", _remedy())
    yield from document


def _entry(place: str, row: Row) -> tuple[str, BaseModel]:
    known = {what.value: what for what in What}
    if row.get("what") not in known:
        raise Unusable(f"{place}: what is {row.get('what')!r}", f"it is one of {', '.join(known)}")
    what = known[str(row["what"])]
    list_name, model = _PLACES[what]
    given = {_NAMES.get(name, name): value for name, value in row.items() if name != "what"}
    for name in ("begins_at", "ends_at"):
        if given.get(name) is not None:
            given[name] = _moment(place, given[name])
    try:
        return list_name, model.model_validate(given)
    except ValidationError as error:
        raise Unusable(f"{place}: {_said(error)}", _remedy(what)) from None


def _moment(place: str, text: object) -> int:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise Unusable(f"{place}: {text!r} is not a time", "give it in UTC: 2024-01-31T12:00:00") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def _said(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    shown = {inner: outer for outer, inner in _NAMES.items()}
    where = ".".join(shown.get(str(word), str(word)) for word in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _remedy(what: What | None = None) -> str:
    """Say what may be written."""
    if what is None:
        return f"a row has: what ({', '.join(one.value for one in What)}), from, to, and what belongs to it"
    shown = {inner: outer for outer, inner in _NAMES.items()}
    fields = (shown.get(name, name) for name in _PLACES[what][1].model_fields)
    return f"{what.value} has {', '.join(fields)}"
