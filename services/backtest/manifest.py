"""The manifest of a run: all that its log follows from, and what came of it."""

import hashlib
import json
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ValidationError

import contracts
import eventstore
import quant
import services
import tape
import venues
from services.backtest.datafiles import DataFile
from services.backtest.run import Ending, Run
from services.backtest.settings import BacktestSettings, Unusable
from services.backtest.sourcecode import sha256_of
from services.backtest.wiring import ABSENT, SETTINGS, Wiring

FILE = "manifest.json"
FORMAT = 1
_PACKAGES = (contracts, tape, quant, eventstore, venues, services)
_DISTRIBUTION = "nautilus-hmm"


@dataclass(frozen=True)
class Code:
    """Which code ran: two runs of the same code and data have the same log."""

    version: str
    sha256: str
    python: str


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
            "arguments": self.asked.model_dump(mode="json"),
            "components": {name: settings.model_dump(mode="json") for name, settings in self.settings.items()},
            "code": asdict(self.code),
        }

    @property
    def run_id(self) -> str:
        """Name runs that have the same log."""
        return hashlib.sha256(_text(self.document()).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Past:
    """A run that was: what it followed from, and the hash of its log (None: it left none)."""

    manifest: Manifest
    complete: bool
    log_sha256: str | None


def read(path: Path) -> Past:
    """Read a manifest again; raises `Unusable`."""
    try:
        document = json.loads(path.read_text())
        run, outcome = document["run"], document["result"]
        if run["format"] != FORMAT:
            raise Unusable(f"{path}: it is of format {run['format']}, and this code reads {FORMAT}")
        made = Manifest(
            kind=run["data"]["kind"],
            data=tuple(DataFile(**file) for file in run["data"]["files"]),
            positions=run["data"]["positions"],
            asked=BacktestSettings.model_validate(run["arguments"]),
            settings={name: SETTINGS[name].model_validate(settings) for name, settings in run["components"].items()},
            code=Code(**run["code"]),
        )
        return Past(made, outcome["ending"] == Ending.COMPLETE.value, outcome.get("log_sha256"))
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror or error}") from None
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"]))
        raise Unusable(f"{path}: {error.title}.{place}: {problem['msg']}") from None
    except (LookupError, TypeError, ValueError) as error:
        if isinstance(error, Unusable):
            raise
        raise Unusable(f"{path}: it is no manifest of a backtest ({error})") from None


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
    return Manifest(kind, tuple(data), positions, asked, wiring.settings, code())


def code() -> Code:
    """Say which code this is."""
    try:
        released = version(_DISTRIBUTION)
    except PackageNotFoundError:
        released = "0"
    return Code(released, sha256_of(_PACKAGES), ".".join(map(str, sys.version_info[:3])))


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
    """Write the file: `run` is what the log follows from, `result` what came of it."""
    return _text({"run_id": manifest.run_id, "run": manifest.document(), "result": outcome})


def _text(document: Mapping[str, object]) -> str:
    return json.dumps(document, indent=2) + "\n"
