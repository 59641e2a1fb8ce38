"""Asking a process how it is: one HTTP GET or one command, with a deadline."""

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.supervisor.child import Child
from services.supervisor.model import ExecCheck, HttpGet, Probe


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


async def http_get(target: HttpGet, timeout: float) -> Answer | None:
    """The answer of a health port; None when there is none in time. (A client library would cost more than this.)"""
    try:
        async with asyncio.timeout(timeout):
            return await _exchange(target)
    except (OSError, TimeoutError, ValueError, IndexError):
        return None


async def _exchange(target: HttpGet) -> Answer:
    reader, writer = await asyncio.open_connection(target.host, target.port)
    try:
        host = f"{target.host}:{target.port}"
        writer.write(f"GET {target.path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return Answer(int(head.split(b" ", 2)[1]), body)
    finally:
        writer.close()


async def passes(probe: Probe, directory: Path, environment: Mapping[str, str]) -> bool:
    """One attempt at a probe."""
    if probe.http_get:
        answer = await http_get(probe.http_get, probe.timeout_seconds)
        return answer is not None and 200 <= answer.status < 400
    assert probe.exec is not None
    return await _run(probe.exec, probe.timeout_seconds, directory, environment)


async def _run(check: ExecCheck, timeout: float, directory: Path, environment: Mapping[str, str]) -> bool:
    child = Child(check.command, directory, environment, sink=lambda _line: None, death=signal.SIGKILL)
    try:
        await asyncio.wait([child.exited], timeout=timeout)
    finally:
        code = await child.finish(signal.SIGKILL, grace=1.0)
    return code == os.EX_OK
