"""The manifest of a run: all that its log follows from, and what came of it."""

import hashlib
import json
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

import contracts
import eventstore
import quant
import services
import tape
import venues
from services.backtest.datafiles import DataFile
from services.backtest.ownstrategies import (
    OwnStrategy,
    is_reference,
    own_strategies,
    own_strategy,
    places_of,
    without_directory,
)
from services.backtest.run import Ending, Run
from services.backtest.settings import BacktestSettings, Unusable
from services.backtest.sourcecode import sha256_of
from services.backtest.wiring import ABSENT, SETTINGS, Wiring

FILE = "manifest.json"
FORMAT = 1
_PACKAGES = (contracts, tape, quant, eventstore, venues, services)
_DISTRIBUTION = "nautilus-hmm"
_PLACES = "places"


@dataclass(frozen=True)
class Code:
    """Which code ran: two runs of the same code and data have the same log."""

    version: str
    sha256: str
    python: str
    own: Mapping[str, str] = field(default_factory=dict)
    """Hashes of the user's own strategies by name, each with what it imports from beside it."""

    def document(self) -> dict[str, object]:
        written = asdict(self)
        return written if self.own else {key: value for key, value in written.items() if key != "own"}


class AsRecorded(BaseModel):
    """Settings of a strategy that cannot be loaded any more: they are kept as they were written."""

    model_config = ConfigDict(frozen=True, extra="allow")


@dataclass(frozen=True)
class Manifest:
    """All that the log follows from. It names no directory, time or machine: they change nothing."""

    kind: str
    data: tuple[DataFile, ...]
    positions: str | None
    """Of a record; files have none."""
    asked: BacktestSettings
    settings: Mapping[str, BaseModel]
    """In force, by component, in the order in which they hear an event."""
    code: Code

    def document(self) -> dict[str, object]:
        return {
            "format": FORMAT,
            "data": {"kind": self.kind, "files": [asdict(file) for file in self.data], "positions": self.positions},
            "arguments": {
                **self.asked.model_dump(mode="json"),
                "strategies": [without_directory(word) for word in self.asked.strategies],
            },
            "components": {name: settings.model_dump(mode="json") for name, settings in self.settings.items()},
            "code": self.code.document(),
        }

    @property
    def run_id(self) -> str:
        """Name runs that have the same log."""
        return hashlib.sha256(_text(self.document()).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Past:
    """A run that was: what it followed from, and the hash of its log (None: it left none).

    `strategies` are those of its arguments whose code is there; `missing` says of the others, by name, why not.
    """

    manifest: Manifest
    complete: bool
    log_sha256: str | None
    strategies: tuple[str, ...]
    missing: Mapping[str, str] = field(default_factory=dict)


def read(path: Path) -> Past:
    """Read a manifest again; raises `Unusable`."""
    try:
        document = json.loads(path.read_text())
        run, outcome = document["run"], document["result"]
        if run["format"] != FORMAT:
            raise Unusable(f"{path}: it is of format {run['format']}, and this code reads {FORMAT}")
        asked = _with_places(BacktestSettings.model_validate(run["arguments"]), dict(document.get(_PLACES, {})))
        own, missing = _own(asked.strategies, run["components"])
        settings_of = {**SETTINGS, **{name: one.settings for name, one in own.items()}}
        made = Manifest(
            kind=run["data"]["kind"],
            data=tuple(DataFile(**file) for file in run["data"]["files"]),
            positions=run["data"]["positions"],
            asked=asked,
            settings={
                name: (AsRecorded if name in missing else settings_of[name]).model_validate(settings)
                for name, settings in run["components"].items()
            },
            code=Code(**run["code"]),
        )
        there = {one.reference for one in own.values()}
        return Past(
            manifest=made,
            complete=outcome["ending"] == Ending.COMPLETE.value,
            log_sha256=outcome.get("log_sha256"),
            strategies=tuple(word for word in asked.strategies if word in there or not is_reference(word)),
            missing=missing,
        )
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror or error}") from None
    except ValidationError as error:
        raise Unusable(f"{path}: {error.title}.{_place(error.errors(include_url=False)[0])}") from None
    except (LookupError, TypeError, ValueError) as error:
        if isinstance(error, Unusable):
            raise
        raise Unusable(f"{path}: it is no manifest of a backtest ({error})") from None


def _with_places(asked: BacktestSettings, places: Mapping[str, str]) -> BacktestSettings:
    """Say again where the files of own strategies lie: where they did, or else here."""
    found = [places.get(word, word) for word in asked.strategies]
    there = [
        place if Path(place.rpartition(":")[0]).is_file() else word
        for word, place in zip(asked.strategies, found, strict=True)
    ]
    return asked.model_copy(update={"strategies": tuple(there)})


def _own(strategies: Sequence[str], settings: Mapping[str, object]) -> tuple[dict[str, OwnStrategy], dict[str, str]]:
    """Load the own strategies of a run that are there and take their settings; say of the others why they are not."""
    own, reasons, references = {}, [], [word for word in strategies if is_reference(word)]
    for reference in references:
        try:
            one = own_strategy(reference)
        except Unusable as refusal:
            reasons.append(str(refusal))
        else:
            own[one.name] = one
    unknown = [name for name in settings if name not in SETTINGS and name not in own]
    if len(unknown) > len(references):
        raise LookupError(unknown[-1])
    missing = dict(zip(unknown, (*reasons, *("it is called otherwise now" for _ in unknown)), strict=False))
    for name in [name for name in own if name in settings]:
        try:
            own[name].settings.model_validate(settings[name])
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            missing[name] = f"{own.pop(name).reference} takes no such settings any more: {_place(problem)}"
    return own, missing


def _place(problem: ErrorDetails) -> str:
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"


def require_same_data(past: Manifest, data: Sequence[DataFile], positions: str | None) -> None:
    """Refuse to run on other data what claims to be the same run; raises `Unusable`."""
    if (past.positions is None) != (positions is None) or (positions is not None and past.positions != positions):
        raise Unusable(f"--data: the manifest is of positions {past.positions}, and these are {positions}")
    if len(past.data) != len(data):
        raise Unusable(f"--data: the manifest is of {len(past.data)} files, and these are {len(data)}")
    for then, now in zip(past.data, data, strict=True):
        if then.sha256 != now.sha256:
            raise Unusable(f"--data: {now.name} is not the {then.name} of the manifest: its sha256 is {now.sha256}")


def failure(error: Exception) -> str:
    """Say in a line what a component raised, and where."""
    *_, last = traceback.extract_tb(error.__traceback__)
    return (
        f"{type(error).__name__}: {error} ({Path(last.filename).parent.name}/{Path(last.filename).name}:{last.lineno})"
    )


def manifest_of(
    kind: str, data: Sequence[DataFile], positions: str | None, asked: BacktestSettings, wiring: Wiring
) -> Manifest:
    return Manifest(kind, tuple(data), positions, asked, wiring.settings, code(asked.strategies))


def code(strategies: Sequence[str] = ()) -> Code:
    """Say which code this is, that of own strategies among it."""
    try:
        released = version(_DISTRIBUTION)
    except PackageNotFoundError:
        released = "0"
    own = {one.name: one.sha256 for one in own_strategies(strategies)}
    return Code(released, sha256_of(_PACKAGES), ".".join(map(str, sys.version_info[:3])), own)


def result(
    run: Run,
    ending: Ending,
    why: str,
    log_sha256: str | None,
    repairs: Mapping[str, int],
    assumptions: Sequence[str],
) -> dict[str, object]:
    """Say what came of a run; `why` it ended early, if it did."""
    return {
        "ending": ending.value,
        "why": why,
        "events": run.events,
        "positions": run.position,
        "first_ts": run.first_ts,
        "last_ts": run.last_ts,
        "log_sha256": log_sha256,
        "repairs": dict(repairs),
        "assumptions": list(assumptions),
        "absent": {name: why for name, why in ABSENT.items() if name not in run.wiring.settings},
    }


def text_of(manifest: Manifest, outcome: Mapping[str, object]) -> str:
    """Write the file: `run` is what the log follows from, `result` what came of it.

    Beside them it tells where the files of own strategies lie, for whoever looks at the run from somewhere else.
    """
    places = places_of(manifest.asked.strategies)
    beside = {_PLACES: places} if places else {}
    return _text({"run_id": manifest.run_id, "run": manifest.document(), "result": outcome, **beside})


def _text(document: Mapping[str, object]) -> str:
    return json.dumps(document, indent=2) + "\n"
