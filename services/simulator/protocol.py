"""The NATS protocol, as a server reads and writes it."""

import json
from dataclasses import dataclass

HEADER_LINE = b"NATS/1.0\r\n"
NO_RESPONDERS = b"NATS/1.0 503\r\n\r\n"
NOT_FOUND = b"NATS/1.0 404 Message Not Found\r\n\r\n"
MAX_PAYLOAD = 1024 * 1024
INFO = b"INFO " + json.dumps({"version": "2.15.0", "headers": True, "max_payload": MAX_PAYLOAD}).encode() + b"\r\n"


@dataclass(frozen=True, slots=True)
class Publication:
    """What a client publishes: `headers` as they come, empty if there are none."""

    subject: str
    reply: str
    headers: bytes
    payload: bytes


def publication(command: bytes) -> Publication:
    """Read a PUB or HPUB command."""
    line, _, rest = command.partition(b"\r\n")
    words = line.decode().split(" ")
    size = int(words[-1])
    head = int(words[-2]) if words[0] == "HPUB" else 0
    return Publication(words[1], words[2], rest[:head], rest[head:size])


def delivery(subject: str, sid: str, reply: str, headers: bytes, payload: bytes) -> bytes:
    """Write a message to a subscriber."""
    to = f"{subject} {sid} {reply}" if reply else f"{subject} {sid}"
    if not headers:
        return f"MSG {to} {len(payload)}\r\n".encode() + payload + b"\r\n"
    size = len(headers)
    return f"HMSG {to} {size} {size + len(payload)}\r\n".encode() + headers + payload + b"\r\n"


def with_headers(headers: bytes, more: dict[str, str]) -> bytes:
    """Add header lines to a header block, which may be empty."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in more.items())
    return (headers[:-2] if headers else HEADER_LINE) + lines.encode() + b"\r\n"
