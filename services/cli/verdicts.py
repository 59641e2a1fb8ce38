"""How the verdicts of an audit are shown: a line for each component, then the first divergences side by side."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

from contracts.codec import write
from contracts.event import Event
from contracts.recorded import Unreadable
from services.cli.output import number, plain, table
from tape.audit import SHOWN
from tape.verdict import Divergence, Kind, Span, Verdict

Json = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What an audit has found, and what it had to go by."""

    source: str
    span: Span
    seconds: float
    what_if: bool
    verdicts: Sequence[Verdict]

    @property
    def diverging(self) -> int:
        return sum(verdict.diverging for verdict in self.verdicts)

    @property
    def notes(self) -> list[str]:
        """Say what the record lacks."""
        span, notes = self.span, []
        if span.begins > 1:
            notes.append(f"inputs before position {span.begins:,} are not on record: state is made from there")
        if span.whole_from > span.begins:
            notes.append(
                f"market data before position {span.whole_from:,} was let go: state is made without it, and what was "
                "said is compared from there"
            )
        if span.cuts:
            notes.append(f"lost in a power cut, so that what follows cannot be verified: {_listed(span.cuts)}")
        if gone := [hole for hole in span.holes if hole not in span.cuts]:
            notes.append(f"not on record, and no power cut explains it: {_listed(gone)}")
        return notes


def print_outcome(outcome: Outcome) -> None:
    for note in outcome.notes:
        print(f"note: {note}")
    for verdict in outcome.verdicts:
        print(f"{verdict.component:<10} {_line(verdict, outcome.seconds)}")
    if outcome.what_if:
        print(f"what-if: {number(outcome.diverging)} outputs would differ")
    found = sorted((one for verdict in outcome.verdicts for one in verdict.first), key=lambda one: one.position)
    for divergence in found[:SHOWN]:
        _print_divergence(divergence)
    if outcome.diverging > SHOWN:
        print(f"\nthe first {SHOWN} of {number(outcome.diverging)} are shown")


def print_json(outcome: Outcome) -> None:
    document = {
        "source": outcome.source,
        "from": outcome.span.first,
        "to": outcome.span.stop,
        "seconds": outcome.seconds,
        "what_if": outcome.what_if,
        "diverging": outcome.diverging,
        "notes": outcome.notes,
        "components": [_verdict_json(verdict, outcome.seconds) for verdict in outcome.verdicts],
    }
    print(json.dumps(document, default=plain, indent=2))


def _line(verdict: Verdict, seconds: float) -> str:
    kinds = ", ".join(f"{number(count)} {kind.value}" for kind, count in verdict.divergences.items() if count)
    counts = {
        "pending": verdict.pending,
        "unverifiable": verdict.unverifiable,
        "before its first lease": verdict.silent,
    }
    rest = "".join(f", {number(count)} {what}" for what, count in counts.items() if count)
    if verdict.edge:
        return f"edge, nothing to re-judge{rest}"
    return (
        f"{verdict.events:>11,} events folded, {verdict.compared:>9,} outputs compared: "
        f"{f'DIVERGES: {kinds}' if kinds else '0 divergences'}{rest}"
        f" ({seconds:.2f} s, {_rate(verdict, seconds):,.0f} events/s)"
    )


def _rate(verdict: Verdict, seconds: float) -> float:
    return verdict.events / seconds if seconds else 0.0


def _listed(ranges: Iterable[range]) -> str:
    listed = [f"{hole.start:,} to {hole.stop - 1:,}" if len(hole) > 1 else f"{hole.start:,}" for hole in ranges]
    more = f" and {len(listed) - SHOWN} more stretches" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more


def _print_divergence(found: Divergence) -> None:
    what = found.recorded if found.recorded is not None else found.computed
    where = "before the output at" if found.kind is Kind.MISSING else "at"
    print(
        f"\n{found.component}: {found.kind.value} {type(what).__name__} {where} position {found.position:,}, "
        f"output {found.index} of cause {found.cause:,}"
    )
    if found.differences:
        rows = [(one.field, _shown(one.recorded), _shown(one.computed)) for one in found.differences]
        table("", ("field", "recorded", "computed"), rows)
    else:
        print(f"  recorded  {_shown(found.recorded)}")
        print(f"  computed  {_shown(found.computed)}")


def _shown(value: object) -> str:
    """Give a value, or all fields of a record, in one line."""
    if value is None:
        return "-"
    if isinstance(value, Unreadable):
        return f"unreadable: {value.reason}"
    if is_dataclass(value):
        return " ".join(_assignments(value, ""))
    return str(value.value) if isinstance(value, Enum) else str(value)


def _assignments(value: object, place: str) -> Iterator[str]:
    if is_dataclass(value):
        for field in fields(value):
            yield from _assignments(getattr(value, field.name), f"{place}.{field.name}" if place else field.name)
    elif isinstance(value, tuple):
        for index, part in enumerate(value):
            yield from _assignments(part, f"{place}.{index}")
    elif value is not None:
        yield f"{place}={_shown(value)}"


def _verdict_json(verdict: Verdict, seconds: float) -> Json:
    return {
        **asdict(verdict),
        "divergences": {kind.value: count for kind, count in verdict.divergences.items()},
        "events_per_second": round(_rate(verdict, seconds)),
        "first": [_divergence_json(divergence) for divergence in verdict.first],
    }


def _divergence_json(found: Divergence) -> Json:
    return {
        "kind": found.kind.value,
        "position": found.position,
        "cause": found.cause,
        "index": found.index,
        "recorded": _event_json(found.recorded),
        "computed": _event_json(found.computed),
        "differences": [
            {"field": one.field, "recorded": _shown(one.recorded), "computed": _shown(one.computed)}
            for one in found.differences
        ],
    }


def _event_json(event: Event | Unreadable | None) -> Json | None:
    if event is None:
        return None
    if isinstance(event, Unreadable):
        return {"type": "unreadable", "subject": event.subject, "reason": event.reason}
    return {"type": type(event).__name__, **json.loads(write(event))}
