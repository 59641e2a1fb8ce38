"""`hmm calibrate`: how far regimes are believed, and how much and how often is traded, as the operator tells it."""

import getpass
import json

from contracts.regimes import CalibrationSet
from contracts.types import InstrumentId
from services.cli.control import say
from services.cli.errors import misused
from services.cli.output import plain, table
from services.cli.store import Row, open_store

_COLUMNS = ("instrument", "confidence_gain", "quote_multiplier", "cooldown_scale", "operator", "reason", "position")
_LAST = """
    SELECT DISTINCT ON (payload ->> 'instrument')
        coalesce(payload ->> 'instrument', '*') AS instrument,
        (payload ->> 'confidence_gain')::float8 AS confidence_gain,
        (payload ->> 'quote_multiplier')::float8 AS quote_multiplier,
        (payload ->> 'cooldown_scale')::float8 AS cooldown_scale,
        payload ->> 'operator' AS operator, payload ->> 'reason' AS reason, seq AS position
    FROM events WHERE type = 'CalibrationSet' ORDER BY payload ->> 'instrument' NULLS FIRST, seq DESC
"""


def calibrate(
    instrument: str | None,
    confidence_gain: float | None,
    quote_multiplier: float | None,
    cooldown_scale: float | None,
    reason: str,
    *,
    as_json: bool,
) -> None:
    """Set the three factors of an instrument, or of all that have none of their own; without any, show them."""
    if confidence_gain is None and quote_multiplier is None and cooldown_scale is None:
        _show(instrument, as_json=as_json)
        return
    if confidence_gain is None or quote_multiplier is None or cooldown_scale is None:
        misused(
            "a calibration is set as a whole: --confidence-gain, --quote-multiplier and --cooldown-scale",
            "1 changes nothing; what is in force: hmm calibrate",
        )
    gain, multiplier, scale = confidence_gain, quote_multiplier, cooldown_scale
    named, operator = None if instrument is None else InstrumentId(instrument), getpass.getuser()
    position = say(
        lambda now: CalibrationSet(
            ts_event=now,
            ts_init=now,
            instrument=named,
            confidence_gain=gain,
            quote_multiplier=multiplier,
            cooldown_scale=scale,
            operator=operator,
            reason=reason,
        )
    )
    whom = instrument or "every instrument without its own"
    print(f"confidence x{gain:g}, size x{multiplier:g}, pause x{scale:g} for {whom} from position {position} on")


def _show(instrument: str | None, *, as_json: bool) -> None:
    with open_store() as store:
        rows = [row for row in store.rows(_LAST) if instrument is None or row["instrument"] in ("*", instrument)]
        notes = store.notes()
    if as_json:
        print(json.dumps({"calibrations": rows, "notes": notes}, default=plain, indent=2))
        return
    for note in notes:
        print(f"note: {note}")
    if not rows:
        print(f"nothing was calibrated{'' if instrument is None else f' for {instrument}'}: all factors are 1")
        return
    table("calibration; * is for instruments without their own", _COLUMNS, [_line(row) for row in rows])


def _line(row: Row) -> tuple[str, ...]:
    return tuple(f"{row[name]:g}" if isinstance(row[name], float) else str(row[name]) for name in _COLUMNS)
