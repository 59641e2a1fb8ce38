"""The options of `hmm backtest`: as they are typed, and what they mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from pydantic import ValidationError

from eventstore.marketdata.columns import Role
from services.backtest.scriptfiles import read_script
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
    latency: str | None
    report_latency: str | None
    feed_latency: str | None
    fees: str | None
    slippage: float | None
    impact: float | None
    borrow: str | None
    script: Path | None
    spread: float | None
    venue: str
    symbol: str | None
    columns: str | None
    sizes: str | None
    zone: str | None
    bar_time: str | None
    path: str | None
    repair: bool
    cache: bool
    train: bool
    training_time: float | None
    out: Path
    log: bool
    report: bool
    again: Path | None

    @property
    def names_settings(self) -> bool:
        """Whether anything is to be other than usual."""
        options = (self.since, self.until, self.capital, self.seed, self.latency, self.fees, self.spread)
        exchange = (self.report_latency, self.feed_latency, self.slippage, self.impact, self.borrow, self.script)
        files = (self.symbol, self.columns, self.sizes, self.zone, self.bar_time, self.path)
        flags = (self.changes, self.repair, self.train, self.strategies != EVERYONE)
        given = (*options, *exchange, *files, self.training_time)
        return any(flags) or any(option is not None for option in given)


def asked_for(arguments: Arguments) -> BacktestSettings:
    """Read the options, or leave with a line that names what is wrong."""
    maker, taker = _fees(arguments.fees)
    if arguments.training_time is not None and not arguments.train:
        misused("--training-time: no models are trained", "add --train")
    given = {
        "strategies": tuple(name for name in arguments.strategies.split(",") if name),
        "begins_at": _moment("--from", arguments.since),
        "ends_at": _moment("--to", arguments.until),
        "capital": None if arguments.capital is None else _amount("--capital", arguments.capital),
        "seed": arguments.seed,
        "latency_ms": arguments.latency,
        "report_latency_ms": arguments.report_latency,
        "feed_latency_ms": arguments.feed_latency,
        "slippage_bps": arguments.slippage,
        "impact_bps": arguments.impact,
        "borrow_bps": None if arguments.borrow is None else _amount("--borrow", arguments.borrow),
        "script": None if arguments.script is None else read_script(arguments.script),
        "maker_fee_bps": maker,
        "taker_fee_bps": taker,
        "changes": tuple(arguments.changes),
        "venue": arguments.venue,
        "repair": arguments.repair,
        "symbol": arguments.symbol,
        "columns": _columns(arguments.columns),
        "zone": arguments.zone,
        "cache": arguments.cache,
        **{key: value for key in _CHOICES if (value := getattr(arguments, key)) is not None},
        "train": arguments.train,
        **({} if arguments.training_time is None else {"training_s": arguments.training_time}),
        **({} if arguments.spread is None else {"spread_bps": arguments.spread}),
    }
    try:
        return BacktestSettings.model_validate(given)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        message = problem["msg"].removeprefix("Value error, ")
        misused(f"{_OPTIONS[str(problem['loc'][0])]}: {message}" if problem["loc"] else message)


_CHOICES = ("sizes", "bar_time", "path")
"""Options that are one of a few words."""


_OPTIONS = {
    "strategies": "--strategies",
    "begins_at": "--from",
    "ends_at": "--to",
    "capital": "--capital",
    "seed": "--seed",
    "latency_ms": "--latency",
    "report_latency_ms": "--report-latency",
    "feed_latency_ms": "--feed-latency",
    "slippage_bps": "--slippage",
    "impact_bps": "--impact",
    "borrow_bps": "--borrow",
    "maker_fee_bps": "--fees",
    "taker_fee_bps": "--fees",
    "spread_bps": "--spread",
    "changes": "--set",
    "training_s": "--training-time",
    "venue": "--venue",
    "symbol": "--symbol",
    "columns": "--columns",
    "sizes": "--sizes",
    "zone": "--zone",
    "bar_time": "--bar-time",
    "path": "--path",
}


def _columns(text: str | None) -> dict[Role, str]:
    """Read `ROLE=COLUMN[,ROLE=COLUMN]`."""
    told: dict[Role, str] = {}
    known = {role.value: role for role in Role}
    for part in filter(None, (text or "").split(",")):
        word, sign, column = part.partition("=")
        if not sign or not column.strip():
            misused(f"--columns {part}: not of the form ROLE=COLUMN", "for instance time=ts,open=o")
        if word.strip() not in known:
            misused(f"--columns {part}: there is no {word.strip()!r}", f"there are {', '.join(known)}")
        if known[word.strip()] in told:
            misused(f"--columns {text}: {word.strip()} is named twice")
        told[known[word.strip()]] = column.strip()
    return told


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
