"""What travels beside an event: its id, type, cause, and the trace that ties a chain of causes together."""

from dataclasses import dataclass

from contracts.codec import type_header
from contracts.event import Event

MSG_ID = "Nats-Msg-Id"
TYPE = "Hmm-Type"
CAUSE = "Hmm-Cause"
TS = "Hmm-Ts"
TRACE = "traceparent"
STREAM_SOURCE = "Nats-Stream-Source"

Headers = dict[str, str]


def output_id(name: str, cause: int, index: int) -> str:
    """Name the `index`-th output of the component `name` for the input at position `cause`."""
    return f"{name}/{cause}/{index}"


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far a component got: the input and output of its last message on the tape."""

    cause: int
    index: int


def watermark_of(msg_id: str) -> Watermark | None:
    """Read an output id back; None if it is an edge's own kind of id."""
    parts = msg_id.rsplit("/", 2)
    if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        return None
    return Watermark(int(parts[1]), int(parts[2]))


@dataclass(frozen=True, slots=True)
class Fence:
    """What a writer demands of the server: that the last message on `subject` is still the one at `position`."""

    subject: str
    position: int

    @property
    def headers(self) -> Headers:
        return {
            "Nats-Expected-Last-Subject-Sequence": str(self.position),
            "Nats-Expected-Last-Subject-Sequence-Subject": self.subject,
        }


def writer_and_watermark(msg_id: str) -> tuple[str, Watermark | None]:
    """Read the writer of a message from its id, and how far it got; None if it is an edge's own kind of id."""
    return msg_id.partition("/")[0], watermark_of(msg_id)


def new_trace(origin_ns: int, salt: int) -> str:
    """Begin a W3C trace: its id carries when the outside fact was put on the tape, so latency needs no other clock."""
    return f"00-{origin_ns:016x}{salt & 0xFFFFFFFFFFFFFFFF:016x}-{salt & 0xFFFFFFFFFFFFFFFF or 1:016x}-01"


def same_trace(parent: str, span: int) -> str:
    """Continue the trace of the event in hand with a span of our own."""
    return f"{parent[:36]}{span & 0xFFFFFFFFFFFFFFFF or 1:016x}-01"


def origin_ns(traceparent: str) -> int | None:
    """When the outside fact that began this chain was put on the tape (wall clock, ns); None if not ours to read."""
    try:
        return int(traceparent[3:19], 16)
    except ValueError:
        return None


def write_headers(event: Event, msg_id: str, cause: int | None, now_ns: int, trace: str) -> Headers:
    headers = {MSG_ID: msg_id, TYPE: type_header(type(event)), TS: str(now_ns), TRACE: trace}
    if cause is not None:
        headers[CAUSE] = str(cause)
    return headers
