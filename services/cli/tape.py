"""`hmm tape`: read the tape, one event a line; each fill with the chain of causes behind it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nats.aio.client import Client
from nats.errors import TimeoutError as NothingCame
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError, NotFoundError

from contracts.ownership import matches
from services.cli import broker
from services.cli.causes import Step, causes
from services.cli.errors import fail, misused, not_running
from services.cli.settings import StackSettings, current

_CONNECT_SECONDS = 5
_QUIET_SECONDS = 5.0
_CHAINED = "order.filled."
_HIDDEN = {"ts_event", "ts_init", "instrument"}
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(s|m|h|d)$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Line:
    """One message of the tape, as it is shown; `payload` is None where it is no JSON object."""

    position: int
    subject: str
    type: str
    cause: int | None
    payload: dict[str, object] | None


def show_tape(
    start: int | None,
    stop: int | None,
    since: str | None,
    subject: str,
    run: Path | None,
    *,
    follow: bool,
    as_json: bool,
) -> None:
    """Print what the tape, or the log of a `run`, holds between two positions; with `follow`, also what comes."""
    if start is not None and since is not None:
        misused("--from and --since both say where to begin", "give one of them")
    began = _moment(since) if since is not None else None
    try:
        if run is not None:
            if follow:
                misused("--follow: a run that was says nothing more", "leave it out")
            _print_run(run, start or 1, stop, began, subject, as_json=as_json)
            return
        asyncio.run(_print_tape(start, stop, began, subject, follow=follow, as_json=as_json))
    except (KeyboardInterrupt, BrokenPipeError):
        return


def _moment(text: str) -> datetime:
    if match := _DURATION.match(text):
        return datetime.now(UTC) - timedelta(**{_UNITS[match[2]]: float(match[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        misused(f"--since {text}: neither a duration (10m, 2h) nor a time (2026-01-31T12:00:00Z)")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _print_run(
    directory: Path, start: int, stop: int | None, since: datetime | None, subject: str, *, as_json: bool
) -> None:
    from services.cli.runrecord import lines_of, run_in  # noqa: PLC0415 # slow to import

    known: dict[int, Step] = {}
    for read in lines_of(run_in(directory)):
        if stop is not None and read.position > stop:
            return
        if read.cause is None:
            known.clear()  # every cause of what it leads to comes after it
        known[read.position] = Step(read.position, read.subject, read.cause)
        if read.position < start or not matches(read.subject, subject):
            continue
        line = Line(read.position, read.subject, read.header, read.cause, _object(read.payload))
        if since is None or _known_at(line) >= since:
            _print(line, _chain(known, line) if line.subject.startswith(_CHAINED) else [], as_json=as_json)


def _known_at(line: Line) -> datetime:
    ts = (line.payload or {}).get("ts_init")
    return datetime.fromtimestamp(ts / 1e9 if isinstance(ts, int) else 0, UTC)


def _chain(known: dict[int, Step], line: Line) -> list[Step]:
    chain, cause = [], line.cause
    while cause in known:
        chain.append(known[cause])
        cause = known[cause].cause
    return chain


async def _print_tape(
    start: int | None, stop: int | None, since: datetime | None, subject: str, *, follow: bool, as_json: bool
) -> None:
    nc = await connect(current())
    try:
        async for line in _read(nc, _consumer(start, since, subject), stop, follow=follow):
            chain = []
            if line.subject.startswith(_CHAINED):
                chain = await causes(line.cause, lambda position: _step(nc, position))
            _print(line, chain, as_json=as_json)
    finally:
        await nc.close()


async def connect(settings: StackSettings) -> Client:
    """Connect, or leave with a line that says why not."""
    try:
        return await broker.connect(settings, timeout_seconds=_CONNECT_SECONDS)
    except broker.Unreachable as error:
        not_running(str(error))


def _consumer(start: int | None, since: datetime | None, subject: str) -> ConsumerConfig:
    config = ConsumerConfig(
        filter_subject=subject,
        ack_policy=AckPolicy.NONE,
        inactive_threshold=30.0,
        mem_storage=True,
        deliver_policy=DeliverPolicy.ALL,
    )
    if start is not None:
        config.deliver_policy, config.opt_start_seq = DeliverPolicy.BY_START_SEQUENCE, start
    elif since is not None:
        config.deliver_policy, config.opt_start_time = DeliverPolicy.BY_START_TIME, since
    return config


async def _read(nc: Client, config: ConsumerConfig, stop: int | None, *, follow: bool) -> AsyncIterator[Line]:
    """Give what the tape holds from where `config` begins; without `follow`, up to its present end."""
    js = nc.jetstream(timeout=10)
    inbox = nc.new_inbox()
    messages = await nc.subscribe(inbox)
    config.deliver_subject = inbox
    config.flow_control, config.idle_heartbeat = True, 1.0
    try:
        info = await js.add_consumer("TAPE", config)
    except NotFoundError:
        fail("the server has no TAPE stream", "make it: hmm provision")
    except APIError as error:
        misused(f"--subject {config.filter_subject}: {error.description}")
    pending = info.num_pending or 0
    while pending or follow:
        try:
            message = await messages.next_msg(timeout=_QUIET_SECONDS)
        except NothingCame:
            continue
        if not message.reply.startswith("$JS.ACK"):
            if message.reply:
                await nc.publish(message.reply)
            continue
        words = message.reply.split(".")
        position, pending = int(words[-4]), int(words[-1])
        if stop is not None and position > stop:
            return
        headers = message.headers or {}
        cause = headers.get("Hmm-Cause")
        yield Line(
            position,
            message.subject,
            headers.get("Hmm-Type", "?"),
            int(cause) if cause else None,
            _object(message.data),
        )


async def _step(nc: Client, position: int) -> Step | None:

    try:
        message = await nc.jetstream(timeout=10).get_msg("TAPE", position, direct=True)
    except NotFoundError:
        return None
    cause = (message.headers or {}).get("Hmm-Cause")
    return Step(position, message.subject or "", int(cause) if cause else None)


def _object(payload: bytes) -> dict[str, object] | None:
    try:
        document = json.loads(payload)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _print(line: Line, chain: list[Step], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**asdict(line), **({"causes": [asdict(step) for step in chain]} if chain else {})}))
        return
    cause = f"<- {line.cause}" if line.cause is not None else ""
    print(f"{line.position:>9} {_time(line)} {line.subject:<40} {line.type:<22} {cause:<12} {_summary(line.payload)}")
    for step in chain:
        print(f"{'':>9} because of {step.position:>9} {step.subject}")


def _time(line: Line) -> str:
    ts = (line.payload or {}).get("ts_init")
    return f"{datetime.fromtimestamp(ts / 1e9, UTC):%m-%d %H:%M:%S.%f}"[:-3] if isinstance(ts, int) else " " * 18


def _summary(payload: dict[str, object] | None, prefix: str = "") -> str:
    if payload is None:
        return "(not an event)"
    words = []
    for key, value in payload.items():
        if key in _HIDDEN or value is None:
            continue
        if isinstance(value, dict):
            words.append(_summary(value, f"{key}."))
        else:
            words.append(f"{prefix}{key}={value if not isinstance(value, list) else json.dumps(value)}")
    return " ".join(words)
