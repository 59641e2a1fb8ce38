"""What PostgreSQL cannot keep although it is a valid event: found when a batch fails, and set aside with the reason."""

from dataclasses import fields, is_dataclass
from decimal import Decimal

from contracts.codec import CODEC, type_header
from contracts.recorded import Recorded, Unreadable

BIGINT_MAX = 2**63 - 1
NUMERIC_DIGITS = 1000
"""Far below what NUMERIC takes, so that sums and products of kept amounts can be kept as well."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def as_unreadable(message: Recorded | Unreadable) -> Recorded | Unreadable:
    """Give the message itself if it can be kept, otherwise what is put into `unreadable` instead."""
    if isinstance(message, Unreadable):
        return message
    reason = _problem("msg_id", message.msg_id) or _problem(type(message.event).type_name, message.event)
    if reason is None:
        return message
    event_type = type(message.event)
    headers = {"Nats-Msg-Id": message.msg_id, "Hmm-Type": type_header(event_type), "Hmm-Ts": str(message.ts_recorded)}
    if message.cause is not None:
        headers["Hmm-Cause"] = str(message.cause)
    payload = CODEC.adapter(event_type).serializer.to_json(message.event)
    return Unreadable(message.position, event_type.subject_of(message.event), headers, payload, reason)


def keepable_text(text: str) -> str:
    """Replace what no text column takes."""
    return text.encode(errors="replace").decode().replace("\x00", REPLACEMENT)


def _problem(place: str, value: object) -> str | None:
    """Name the first field that cannot be kept, and why."""
    if isinstance(value, str):
        return None if keepable_text(value) == value else f"{place}: PostgreSQL keeps no U+0000 and no half characters"
    if isinstance(value, int):
        return None if value <= BIGINT_MAX else f"{place}: {str(value)[:40]} does not fit into 64 bits"
    if isinstance(value, Decimal):
        return _decimal_problem(place, value)
    if isinstance(value, tuple):
        problems = (_problem(f"{place}.{index}", part) for index, part in enumerate(value))
        return next(filter(None, problems), None)
    if is_dataclass(value):
        problems = (_problem(f"{place}.{field.name}", getattr(value, field.name)) for field in fields(value))
        return next(filter(None, problems), None)
    return None


def _decimal_problem(place: str, value: Decimal) -> str | None:
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int), "events hold no NaN and no infinity"
    if exponent < -NUMERIC_DIGITS or len(digits) + exponent > NUMERIC_DIGITS:
        return f"{place}: {str(value)[:40]} has more than {NUMERIC_DIGITS} digits before or after the point"
    return None
