"""Declare the streams and buckets of `deploy/nats/streams`: idempotent, and never at the cost of data."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from tape.headers import STREAM_SOURCE

STREAMS_DIR = Path(__file__).parents[2] / "deploy" / "nats" / "streams"
TAPE = "TAPE"
LEDGER = "LEDGER"
API_TIMEOUT_S = 10

Config = dict[str, Any]


class ProvisionRefused(RuntimeError):
    """What is declared would lose data, or the server would not take it: the text says what and what to do."""


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
    """Bring the server's streams to what `directory` declares.

    `last_known` gives the last position that the event store holds: a tape made anew goes on after it.
    """
    declared = declarations(directory)
    order = [TAPE, *(name for name in declared if name != TAPE)]
    return [await _apply(nc, declared[name], last_known) for name in order]


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
    try:
        config = json.loads(path.read_text())
    except ValueError as error:
        raise ProvisionRefused(f"{path.name} is not JSON: {error}") from None
    if not isinstance(config, dict) or "name" not in config:
        raise ProvisionRefused(f"{path.name} is no stream configuration: it has no name")
    return config


async def _apply(nc: Client, wanted: Config, last_known: Callable[[], int]) -> Provisioned:
    name = wanted["name"]
    info = await _api(nc, f"STREAM.INFO.{name}", {})
    if info is None:
        config = await _continued(nc, wanted, last_known) if name == TAPE else wanted
        await _api(nc, f"STREAM.CREATE.{name}", config)
        first = config.get("first_seq", 1)
        return Provisioned(name, Outcome.CREATED, f"begins at position {first}" if name == TAPE else "empty")
    if name == TAPE:
        _check_continuity(info["state"]["last_seq"], "the event store", last_known())
        _check_continuity(info["state"]["last_seq"], LEDGER, await _last_of_ledger(nc))
    current = info["config"]
    changed = {key for key, value in wanted.items() if not _same(current.get(key), value)}
    if not changed:
        return Provisioned(name, Outcome.UNCHANGED, f"{info['state']['messages']} messages")
    if lossy := lossy_changes(current, wanted):
        raise ProvisionRefused(
            f"stream {name}: changing {'; '.join(lossy)} would lose data. Restore deploy/nats/streams/{name}.json, "
            f"or, if the loss is meant, edit the stream with the nats CLI first"
        )
    await _api(nc, f"STREAM.UPDATE.{name}", {**current, **wanted})
    return Provisioned(name, Outcome.UPDATED, ", ".join(sorted(changed)))


def _check_continuity(tape_ends: int, holder: str, holder_ends: int) -> None:
    if tape_ends < holder_ends:
        raise ProvisionRefused(
            f"{TAPE} ends at position {tape_ends}, but {holder} holds positions up to {holder_ends}: going on would "
            f"use positions twice. Delete the stream ('nats stream rm {TAPE}') to continue it at {holder_ends + 1}"
        )


async def _continued(nc: Client, wanted: Config, last_known: Callable[[], int]) -> Config:
    last = max(last_known(), await _last_of_ledger(nc))
    return {**wanted, "first_seq": last + 1} if last else wanted


async def _last_of_ledger(nc: Client) -> int:
    """Give the last tape position that the ledger holds; 0 without one."""
    info = await _api(nc, f"STREAM.INFO.{LEDGER}", {})
    if info is None or not info["state"]["messages"]:
        return 0
    message = await nc.jetstream().get_msg(LEDGER, info["state"]["last_seq"])
    return source_position((message.headers or {}).get(STREAM_SOURCE, ""))


def source_position(header: str) -> int:
    """Read the tape position of a ledger message from its `Nats-Stream-Source` header (`TAPE 42 ...`); 0 if absent."""
    words = header.split(" ")
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0


def _same(current: object, wanted: object) -> bool:
    """Compare a declared value with the server's, which adds its defaults to nested settings."""
    if isinstance(wanted, dict):
        return isinstance(current, dict) and all(_same(current.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(current, list) and len(current) == len(wanted) and all(map(_same, current, wanted))
    return bool(current == wanted) or (not current and not wanted)


async def _api(nc: Client, call: str, request: Config) -> Config | None:
    """Ask JetStream; None when the stream does not exist."""
    reply = await nc.request(f"$JS.API.{call}", json.dumps(request).encode(), timeout=API_TIMEOUT_S)
    answer: Config = json.loads(reply.data)
    error = answer.get("error")
    if error is None:
        return answer
    if error.get("code") == 404:
        return None
    raise ProvisionRefused(f"the NATS server refused {call}: {error.get('description')} ({error.get('err_code')})")
