"""The options of `hmm backtest`: as they are typed, and what they mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from pydantic import ValidationError

from services.backtest.settings import BacktestSettings
from services.cli.errors import misused

EVERYONE = "all"


@dataclass(frozen=True)
class Arguments:
    """The command as it was typed."""

    data: str
    strategies: str
    changes: Sequence[str]
    since: str | None
    until: str | None
    capital: str | None
    seed: int | None
    latency: float | None
    fees: str | None
    spread: float | None
    venue: str
    repair: bool
    out: Path
    log: bool
    report: bool
    again: Path | None

    @property
    def names_settings(self) -> bool:
        """Whether anything is to be other than usual."""
        options = (self.since, self.until, self.capital, self.seed, self.latency, self.fees, self.spread)
        flags = (self.changes, self.repair, self.strategies != EVERYONE)
        return any(flags) or any(option is not None for option in options)


def asked_for(arguments: Arguments) -> BacktestSettings:
    """Read the options, or leave with a line that names what is wrong."""
    maker, taker = _fees(arguments.fees)
    given = {
        "strategies": tuple(name for name in arguments.strategies.split(",") if name),
        "begins_at": _moment("--from", arguments.since),
        "ends_at": _moment("--to", arguments.until),
        "capital": None if arguments.capital is None else _amount("--capital", arguments.capital),
        "seed": arguments.seed,
        "latency_ms": arguments.latency,
        "maker_fee_bps": maker,
        "taker_fee_bps": taker,
        "changes": tuple(arguments.changes),
        "venue": arguments.venue,
        "repair": arguments.repair,
        **({} if arguments.spread is None else {"spread_bps": arguments.spread}),
    }
    try:
        return BacktestSettings.model_validate(given)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        message = problem["msg"].removeprefix("Value error, ")
        misused(f"{_OPTIONS[str(problem['loc'][0])]}: {message}" if problem["loc"] else message)


_OPTIONS = {
    "strategies": "--strategies",
    "begins_at": "--from",
    "ends_at": "--to",
    "capital": "--capital",
    "seed": "--seed",
    "latency_ms": "--latency",
    "maker_fee_bps": "--fees",
    "taker_fee_bps": "--fees",
    "spread_bps": "--spread",
    "changes": "--set",
    "venue": "--venue",
}


def _fees(text: str | None) -> tuple[Decimal | None, Decimal | None]:
    if text is None:
        return None, None
    maker, comma, taker = text.partition(",")
    if not comma:
        misused(f"--fees {text}: not two fees", "give MAKER,TAKER in basis points, for instance 2,5")
    return _amount("--fees", maker), _amount("--fees", taker)


def _amount(option: str, text: str) -> Decimal:
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        misused(f"{option} {text}: not a number")
    if not amount.is_finite():
        misused(f"{option} {text}: not a number")
    return amount


def _moment(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        misused(f"{option} {text}: not a time", "give it in UTC: 2024-01-31 or 2024-01-31T12:00:00")
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int((moment - _EPOCH).total_seconds() * 1_000_000) * 1000


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
