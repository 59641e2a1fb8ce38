"""Whether the ports we need are free, and who has them when they are not."""

import socket
from dataclasses import dataclass
from pathlib import Path

from services.cli.errors import fail

_LISTENING = "0A"


@dataclass(frozen=True)
class NeededPort:
    port: int
    process: str
    variable: str


def require_free(ports: list[NeededPort]) -> None:
    for needed in ports:
        if not is_free(needed.port):
            owner = _owner(needed.port)
            remedy = f"end that, or set {needed.variable} to use other ports" if needed.variable else "end that"
            fail(f"port {needed.port}, which {needed.process} needs, is taken by {owner}", remedy)


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections do not matter
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _owner(port: int) -> str:
    inodes = _listeners(port)
    for process in Path("/proc").glob("[0-9]*"):
        if inodes & _sockets(process):
            return f"{_name(process)} (pid {process.name})"
    return "another program"


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:  # it has just ended
        return "a program"


def _listeners(port: int) -> set[str]:
    """The sockets that listen on `port`, by inode."""
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes


def _sockets(process: Path) -> set[str]:
    try:
        links = [str(link.readlink()) for link in (process / "fd").iterdir()]
    except OSError:  # not ours to look into, or gone
        return set()
    return {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:[")}
