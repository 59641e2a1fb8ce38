"""Declare the streams, buckets and consumers of `deploy/nats`: idempotent, and never at the cost of data."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from tape.continuity import ends
from tape.streams import LEDGER, TAPE, Config, ProvisionRefused, ask, joined, source_position

__all__ = [
    "LEDGER",
    "STREAMS_DIR",
    "TAPE",
    "Outcome",
    "ProvisionRefused",
    "Provisioned",
    "provision",
    "source_position",
]

STREAMS_DIR = Path(__file__).parents[2] / "deploy" / "nats" / "streams"
CONSUMERS_DIR = STREAMS_DIR.with_name("consumers")

FOLLOWING_NS = 3_000_000_000
"""LEDGER hears from TAPE every second, also when there is nothing to copy."""
YOUNG = timedelta(minutes=1)
"""LEDGER may still be following the TAPE before this one."""


OLD_AFTER_S = 60.0


class Outcome(Enum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Provisioned:
    stream: str
    outcome: Outcome
    detail: str


async def provision(nc: Client, last_known: Callable[[], int], directory: Path = STREAMS_DIR) -> list[Provisioned]:
    """Bring the streams of both servers to what `directory` declares.

    `last_known` gives the last position that the event store holds: a tape made anew goes on after it.
    """
    declared = declarations(directory)
    await joined(nc)
    made = [await _apply_tape(nc, declared.pop(TAPE), last_known())]
    for consumer in map(_read_json, sorted(CONSUMERS_DIR.glob("*.json"))):
        await ask(nc, TAPE, f"CONSUMER.CREATE.{TAPE}.{consumer['config']['name']}", consumer)
    made += [await _apply(nc, wanted) for wanted in declared.values()]
    if any(one.stream == LEDGER and one.outcome is not Outcome.CREATED for one in made):
        await _let_follow(nc, declared[LEDGER]["sources"])
    return made


def declarations(directory: Path = STREAMS_DIR) -> dict[str, Config]:
    """Read the declared streams, by name; raises `ProvisionRefused` for a file that is none."""
    declared = {config["name"]: config for config in map(_read, sorted(directory.glob("*.json")))}
    if TAPE not in declared:
        raise ProvisionRefused(f"{directory} declares no {TAPE} stream")
    return declared


def lossy_changes(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """List the settings whose change would drop messages, or that the server cannot change."""
    found = []
    for key, unlimited in (("max_age", 0), ("max_bytes", -1), ("max_msgs", -1), ("max_msgs_per_subject", -1)):
        if key not in wanted:
            continue
        now, then = current.get(key, unlimited), wanted[key]
        if then > 0 and (now <= 0 or then < now):
            found.append(f"{key} from {now} to {then}")
    found += [
        f"{key} from {current.get(key, default)!r} to {wanted[key]!r}"
        for key, default in (("storage", "file"), ("retention", "limits"), ("persist_mode", "default"))
        if key in wanted and current.get(key, default) != wanted[key]
    ]
    if gone := sorted(set(current.get("subjects") or ()) - set(wanted.get("subjects") or ())):
        found.append(f"subjects without {', '.join(gone)}")
    return found


def _read(path: Path) -> Config:
    config = _read_json(path)
    if "name" not in config:
        raise ProvisionRefused(f"{path.name} is no stream configuration: it has no name")
    return config


def _read_json(path: Path) -> Config:
    try:
        config = json.loads(path.read_text())
    except ValueError as error:
        raise ProvisionRefused(f"{path.name} is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise ProvisionRefused(f"{path.name} is no JSON object")
    return config


async def _apply_tape(nc: Client, wanted: Config, archived: int) -> Provisioned:
    found = await ends(nc, archived)
    if found.tape is None:
        config = {**wanted, "first_seq": found.last + 1} if found.last else wanted
        await ask(nc, TAPE, f"STREAM.CREATE.{TAPE}", config)
        return Provisioned(TAPE, Outcome.CREATED, f"begins at position {found.last + 1}")
    if found.cut_off:
        raise ProvisionRefused(
            f"{TAPE} ends at position {found.tape}, but {found.furthest} holds positions up to {found.last}: going on "
            f"would use positions twice. 'hmm provision' archives what is left and continues at {found.last + 1}"
        )
    return await _apply(nc, wanted)


async def _apply(nc: Client, wanted: Config) -> Provisioned:
    name = wanted["name"]
    info = await ask(nc, name, f"STREAM.INFO.{name}")
    if info is None:
        await ask(nc, name, f"STREAM.CREATE.{name}", wanted)
        return Provisioned(name, Outcome.CREATED, "empty")
    current = info["config"]
    changed = {key for key, value in wanted.items() if not _same(current.get(key), value)}
    if not changed:
        return Provisioned(name, Outcome.UNCHANGED, f"{info['state']['messages']} messages")
    if lossy := lossy_changes(current, wanted):
        raise ProvisionRefused(
            f"stream {name}: changing {'; '.join(lossy)} would lose data. Restore deploy/nats/streams/{name}.json, "
            f"or, if the loss is meant, edit the stream with the nats CLI first"
        )
    await ask(nc, name, f"STREAM.UPDATE.{name}", {**current, **wanted})
    return Provisioned(name, Outcome.UPDATED, ", ".join(sorted(changed)))


async def _let_follow(nc: Client, sources: list[Config]) -> None:
    """Let LEDGER look for TAPE now: by itself it notices only after half a minute that TAPE is another one."""
    tape, ledger = await ask(nc, TAPE, f"STREAM.INFO.{TAPE}"), await ask(nc, LEDGER, f"STREAM.INFO.{LEDGER}")
    assert tape is not None and ledger is not None, "they have just been provisioned"
    follows = all(0 <= source["active"] < FOLLOWING_NS for source in ledger["sources"])
    age = datetime.fromisoformat(tape["ts"]) - datetime.fromisoformat(tape["created"])
    if follows and age > YOUNG:
        return
    for config in ({**ledger["config"], "sources": []}, {**ledger["config"], "sources": sources}):
        await ask(nc, LEDGER, f"STREAM.UPDATE.{LEDGER}", config)


def _age_s(info: Config) -> float:
    """How long a stream has been there, by its server's clock."""
    return (datetime.fromisoformat(info["ts"]) - datetime.fromisoformat(info["created"])).total_seconds()


def _same(current: object, wanted: object) -> bool:
    """Compare a declared value with the server's, which adds its defaults to nested settings."""
    if isinstance(wanted, dict):
        return isinstance(current, dict) and all(_same(current.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(current, list) and len(current) == len(wanted) and all(map(_same, current, wanted))
    return bool(current == wanted) or (not current and not wanted)
