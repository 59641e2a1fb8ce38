"""The supervisor's control socket: one JSON request a connection, answered by JSON lines."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import BaseModel, ValidationError

from services.supervisor.logs import Logs
from services.supervisor.state import Command, Identity, Line, Outcome, Request, StackReport, socket_address
from services.supervisor.supervise import Supervisor

_REPLY_BYTES = 4 * 1024 * 1024


class NotAnswering(Exception):
    """No supervisor listens there."""


class Forbidden(NotAnswering):
    """It listens to another user only."""


class Control:
    """Serves status, stop, restart and the merged log of one supervisor."""

    def __init__(self, run: Path, supervisor: Supervisor, identity: Identity, logs: Logs) -> None:
        self._run = run
        self._supervisor = supervisor
        self._identity = identity
        self._logs = logs

    async def serve(self) -> asyncio.Server:
        return await asyncio.start_unix_server(self._answer, sock=_listener(self._run))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = Request.model_validate_json(await reader.readline())
            await self._obey(request, reader, writer)
        except ValidationError as error:
            await _send(writer, Outcome(error=f"not a request: {error.errors()[0]['msg']}"))
        except (OSError, ValueError):
            pass  # the asker has gone, or never was one of ours
        finally:
            writer.close()

    async def _obey(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match request.command:
            case Command.STATUS:
                processes = tuple(self._supervisor.report())
                await _send(writer, StackReport(identity=self._identity, processes=processes))
            case Command.STOP:
                await self._supervisor.stop()
                await _send(writer, Outcome())
            case Command.RESTART if not self._supervisor.knows(request.process):
                await _send(writer, Outcome(error=f"there is no process {request.process!r}"))
            case Command.RESTART:
                await self._supervisor.restart(request.process)
                await _send(writer, Outcome())
            case Command.FOLLOW:
                await self._stream(reader, writer)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._logs.follow() as follower:
            gone = asyncio.create_task(reader.read())
            try:
                while not gone.done():
                    taking = asyncio.create_task(follower.take())
                    await asyncio.wait([taking, gone], return_when=asyncio.FIRST_COMPLETED)
                    if not taking.done():
                        taking.cancel()
                        return
                    for line in taking.result():
                        text = line.text.decode(errors="replace")
                        writer.write(Line(process=line.process, text=text).model_dump_json().encode() + b"\n")
                    await writer.drain()
            finally:
                gone.cancel()


def _listener(run: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    with socket_address(run) as address:
        Path(address).unlink(missing_ok=True)  # a killed supervisor's: what counts is the lock, and that is ours
        mask = os.umask(0o177)
        try:
            listener.bind(address)
        finally:
            os.umask(mask)
    listener.setblocking(False)  # noqa: FBT003 # as the library has it
    return listener


async def _send(writer: asyncio.StreamWriter, reply: BaseModel) -> None:
    writer.write(reply.model_dump_json().encode() + b"\n")
    await writer.drain()


async def _connect(run: Path, request: Request) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        with socket_address(run) as address:
            reader, writer = await asyncio.open_unix_connection(address, limit=_REPLY_BYTES)
    except PermissionError:
        raise Forbidden("it belongs to another user") from None
    except OSError as error:
        raise NotAnswering(error.strerror or str(error)) from None
    writer.write(request.model_dump_json().encode() + b"\n")
    return reader, writer


async def _ask(run: Path, request: Request) -> bytes:
    reader, writer = await _connect(run, request)
    try:
        answer = await reader.readline()
    except OSError as error:
        raise NotAnswering(str(error)) from None
    finally:
        writer.close()
    if not answer:
        raise NotAnswering("it ended before it answered")
    return answer


async def ask_report(run: Path) -> StackReport:
    """What the supervisor of `run` says about its processes."""
    return StackReport.model_validate_json(await _ask(run, Request(command=Command.STATUS)))


async def ask_stop(run: Path) -> Outcome:
    """Stop the stack; returns when all has ended."""
    return Outcome.model_validate_json(await _ask(run, Request(command=Command.STOP)))


async def ask_restart(run: Path, process: str) -> Outcome:
    return Outcome.model_validate_json(await _ask(run, Request(command=Command.RESTART, process=process)))


async def follow(run: Path) -> AsyncIterator[Line]:
    """The merged log, from its last lines on, until the supervisor ends."""
    reader, writer = await _connect(run, Request(command=Command.FOLLOW))
    try:
        while line := await reader.readline():
            yield Line.model_validate_json(line)
    except (OSError, ValueError):
        return  # it ended in the middle of a line
    finally:
        writer.close()
