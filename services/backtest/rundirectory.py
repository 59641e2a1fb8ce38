"""What a run left in its directory, for whoever goes through it again: its log, who took part, what could be traded."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from services.backtest import log, manifest
from services.backtest.settings import Unusable
from services.backtest.wiring import blueprints
from tape.blueprint import Blueprint
from venues.instruments import LISTING, Instrument, Listing

_MADE = TypeAdapter(list[Instrument])


@dataclass(frozen=True)
class RunDirectory:
    """A run that was: `settings` are in force, by component; `blueprints` build what it built.

    `missing` says why not, of strategies of the user's own that cannot be loaded any more.
    """

    path: Path
    run_id: str
    settings: Mapping[str, BaseModel]
    blueprints: Mapping[str, Blueprint]
    complete: bool
    missing: Mapping[str, str]

    @property
    def log(self) -> Path:
        return self.path / log.FILE


def unlisted(listing: Listing) -> object:
    """Give, for the manifest, the instruments whose rules were taken for granted."""
    made = [instrument for instrument in listing.values() if instrument.id not in LISTING]
    return _MADE.dump_python(made, mode="json")


def open_run(path: Path) -> RunDirectory:
    """Look at the directory of a run; raises `Unusable`."""
    file = path / manifest.FILE
    if not file.is_file():
        raise Unusable(f"{path}: no run is there, for it holds no {manifest.FILE}", "name the --out of hmm backtest")
    past = manifest.read(file)
    if not (path / log.FILE).is_file():
        raise Unusable(f"{path}: the run left no log", "run it again without --no-log")
    made = blueprints({**LISTING, **{one.id: one for one in _made(file)}}, past.strategies)
    return RunDirectory(path, past.manifest.run_id, past.manifest.settings, made, past.complete, past.missing)


def _made(file: Path) -> list[Instrument]:
    try:
        return _MADE.validate_python(json.loads(file.read_text())["result"].get("listed", []))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise Unusable(f"{file}: result.listed: {problem['msg']}") from None
