"""The streams as their servers know them: JetStream's API on either server, and what a stream holds, read in order."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NothingCame

from tape.headers import STREAM_SOURCE

TAPE = "TAPE"
LEDGER = "LEDGER"
LEDGER_DOMAIN = "ledger"
"""LEDGER is on a server of its own: this is how JetStream's API on that one is told from ours."""

API_TIMEOUT_S = 10
JOIN_WITHIN_S = 20
BATCH = 1_000
BATCH_BYTES = 16 * 1024 * 1024

Config = dict[str, Any]

_POSITION, _SUBJECT, _PENDING, _STATUS = "Nats-Sequence", "Nats-Subject", "Nats-Num-Pending", "Status"
_NOBODY = "503"
_FROM_THE_SERVER = {
    STREAM_SOURCE,
    "Nats-Stream",
    _POSITION,
    _SUBJECT,
    _PENDING,
    "Nats-Time-Stamp",
    "Nats-Last-Sequence",
    "Nats-UpTo-Sequence",
}


class ProvisionRefused(RuntimeError):
    """What is declared would lose data, or the server would not take it: the text says what and what to do."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as it was written, with its position on the tape, also where another stream keeps a copy."""

    sequence: int
    position: int
    subject: str
    headers: dict[str, str]
    payload: bytes


def api(stream: str, call: str) -> str:
    """Give the subject of a call to JetStream about `stream`: `DIRECT.GET.LEDGER` is on the ledger's server."""
    domain = f"{LEDGER_DOMAIN}." if stream == LEDGER else ""
    return f"$JS.{domain}API.{call}"


async def ask(nc: Client, stream: str, call: str, request: Mapping[str, Any] | None = None) -> Config | None:
    """Ask JetStream about `stream`; None when there is no such stream or consumer. Raises `ProvisionRefused`."""
    answer: Config = json.loads((await _request(nc, stream, call, request or {})).data)
    error = answer.get("error")
    if error is None:
        return answer
    if error.get("code") == 404:
        return None
    raise ProvisionRefused(f"the NATS server refused {call}: {error.get('description')} ({error.get('err_code')})")


async def first_from(nc: Client, stream: str, sequence: int) -> Stored | None:
    """Give the first message of `stream` whose sequence is at least `sequence`; None if there is none."""
    return await _one(nc, stream, {"seq": sequence, "next_by_subj": ">"})


async def last_on(nc: Client, stream: str, pattern: str) -> Stored | None:
    """Give the last message of `stream` on the subjects that `pattern` holds; None if there is none."""
    return await _one(nc, stream, {"last_by_subj": pattern})


async def joined(nc: Client) -> None:
    """Wait until the server of LEDGER has joined ours, which takes it a moment. Raises `ProvisionRefused`."""
    waited_until = time.monotonic() + JOIN_WITHIN_S
    while True:
        try:
            await nc.request(api(LEDGER, "INFO"), timeout=1)
        except (NoRespondersError, NothingCame):
            if time.monotonic() > waited_until:
                raise ProvisionRefused(
                    f"the server of {LEDGER} has not joined the NATS server within {JOIN_WITHIN_S:.0f} s: it runs with "
                    f"deploy/nats/ledger.conf (see its log: hmm logs ledger)"
                ) from None
            await asyncio.sleep(0.05)
        else:
            return


async def stored_from(nc: Client, stream: str, sequence: int, pattern: str = ">") -> AsyncGenerator[Stored, None]:
    """Give what `stream` holds on the subjects of `pattern` from `sequence` on, up to its present end, in order."""
    pending = True
    while pending:
        request = {"seq": sequence, "next_by_subj": pattern, "batch": BATCH, "max_bytes": BATCH_BYTES}
        async for message in _batch(nc, stream, request):
            if _is_stored(message):
                found = _stored(stream, message)
                sequence = found.sequence + 1
                yield found
            else:
                pending = int((message.headers or {}).get(_PENDING, 0)) > 0


async def last_of_each(nc: Client, stream: str, pattern: str) -> list[Stored]:
    """Give the last message on each subject that `pattern` holds: a few, at most `BATCH`."""
    request = {"multi_last": [pattern], "batch": BATCH}
    return [_stored(stream, message) async for message in _batch(nc, stream, request) if _is_stored(message)]


def source_position(header: str) -> int:
    """Read the tape position of a ledger message from its `Nats-Stream-Source` header (`TAPE 42 ...`); 0 if absent."""
    words = header.split(" ")
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0


async def _one(nc: Client, stream: str, request: Config) -> Stored | None:
    reply = await _request(nc, stream, f"DIRECT.GET.{stream}", request)
    return _stored(stream, reply) if _is_stored(reply) else None


async def _request(nc: Client, stream: str, call: str, request: Mapping[str, Any]) -> Msg:
    try:
        return await nc.request(api(stream, call), json.dumps(request).encode(), timeout=API_TIMEOUT_S)
    except (NoRespondersError, NothingCame):
        raise ProvisionRefused(f"{call}: no answer. {_away(stream)}") from None


def _away(stream: str) -> str:
    return f"The server of {stream} is away, or has no JetStream"


async def _batch(nc: Client, stream: str, request: Config) -> AsyncGenerator[Msg, None]:
    """Give the answers to one direct get; the last one is a status."""
    inbox = nc.new_inbox()
    arriving = await nc.subscribe(inbox, pending_msgs_limit=-1, pending_bytes_limit=-1)
    try:
        await nc.publish(api(stream, f"DIRECT.GET.{stream}"), json.dumps(request).encode(), reply=inbox)
        while True:
            message = await arriving.next_msg(timeout=API_TIMEOUT_S)
            if not _is_stored(message) and (message.headers or {}).get(_STATUS) == _NOBODY:
                raise ProvisionRefused(f"reading {stream}: no answer. {_away(stream)}, or there is no such stream")
            yield message
            if not _is_stored(message):
                return
    finally:
        await arriving.unsubscribe()


def _is_stored(message: Msg) -> bool:
    """Tell a stored message from the server's own words by what the server adds; its writer may have added anything."""
    return _POSITION in (message.headers or {})


def _stored(stream: str, message: Msg) -> Stored:
    headers = message.headers or {}
    sequence = int(headers[_POSITION])
    return Stored(
        sequence,
        source_position(headers.get(STREAM_SOURCE, "")) if stream == LEDGER else sequence,
        headers[_SUBJECT],
        {name: value for name, value in headers.items() if name not in _FROM_THE_SERVER},
        message.data,
    )
