"""The script of faults: what goes wrong, where, when and how often; the same by the same seed."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum, unique
from fnmatch import fnmatchcase
from random import Random
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


@unique
class FaultKind(StrEnum):
    """What can go wrong. Sites in brackets."""

    HOLD = "hold"
    """[request] Do it, then keep the answer for `seconds`."""
    DROP_BEFORE = "drop before"
    """[request] Close the connection without doing it."""
    DROP_AFTER = "drop after"
    """[request] Do it, then close the connection without an answer."""
    REFUSE = "refuse"
    """[request] Answer with HTTP `status` (429, 418, 5xx) without doing it."""
    DO_AND_REFUSE = "do and refuse"
    """[request] Do it, then answer with HTTP `status`: 503 says that the state is unknown."""
    SKEW = "skew"
    """[request] Move the exchange's clock by `seconds`, from this request on."""
    PARTIAL = "partial"
    """[match] Let only `share` of an execution happen."""
    LOSE = "lose"
    """[event] Do not send it."""
    REPEAT = "repeat"
    """[event] Send it twice."""
    SWAP = "swap"
    """[event] Send it after the next one (or after `seconds`, when there is none)."""
    DELAY = "delay"
    """[event] Send it, and so all that follow, `seconds` later."""
    DISCONNECT = "disconnect"
    """[event] Close the websocket instead of sending."""
    EXPIRE_KEY = "expire key"
    """[request, event] Let the listen keys of USD-M expire."""
    BREAK = "break"
    """[request, event] Stop the trading of `symbol` (every symbol, when it is not given)."""


REQUEST_KINDS = frozenset(
    {
        FaultKind.HOLD,
        FaultKind.DROP_BEFORE,
        FaultKind.DROP_AFTER,
        FaultKind.REFUSE,
        FaultKind.DO_AND_REFUSE,
        FaultKind.SKEW,
    }
)
EVENT_KINDS = frozenset({FaultKind.LOSE, FaultKind.REPEAT, FaultKind.SWAP, FaultKind.DELAY, FaultKind.DISCONNECT})


class Fault(BaseModel):
    """One line of the script.

    `at` is a pattern of sites: `POST /api/v3/order`, `ws spot order.place`, `user spot executionReport`,
    `market usdm BTCUSDT trade`, `match spot BTCUSDT`; `*` is anything. It strikes at the `nth` matching site and after,
    each time with `probability`, `times` times at most (None: for ever).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    at: str = Field(min_length=1)
    nth: int = Field(default=1, ge=1)
    times: int | None = Field(default=1, ge=1)
    probability: float = Field(default=1.0, gt=0, le=1)
    seconds: float = Field(default=30.0, description="of holding, delay or skew (negative: the clock goes back)")
    status: int = Field(default=503, ge=400, le=599)
    share: Decimal = Field(default=Decimal("0.5"), gt=0, lt=1)
    symbol: str | None = None

    @model_validator(mode="after")
    def _kind_fits_its_site(self) -> Self:
        site = self.at.partition(" ")[0]
        if self.kind in EVENT_KINDS and site not in {"user", "market", "*"}:
            raise ValueError(f"{self.kind} strikes events: at begins with user or market, not with {site!r}")
        if self.kind in REQUEST_KINDS and site in {"user", "market", "match"}:
            raise ValueError(f"{self.kind} strikes requests, not {site!r}")
        if self.kind is FaultKind.PARTIAL and site not in {"match", "*"}:
            raise ValueError(f"{self.kind} strikes executions: at begins with match, not with {site!r}")
        return self


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that happened: the `number`-th strike of the script, at which site, at `time` in ms."""

    number: int
    fault: Fault
    site: str
    time: int


@dataclass(slots=True)
class _Line:
    fault: Fault
    random: Random
    seen: int = 0
    struck: int = 0

    def strikes(self, site: str) -> bool:
        fault = self.fault
        if not fnmatchcase(site, fault.at) or (fault.times is not None and self.struck >= fault.times):
            return False
        self.seen += 1
        lucky = fault.probability < 1 and self.random.random() >= fault.probability
        if self.seen < fault.nth or lucky:
            return False
        self.struck += 1
        return True


class Faults:
    """The script, with a log of what was done. Each line has its own chance: lines do not disturb each other."""

    def __init__(self, seed: int) -> None:
        self.log: list[Struck] = []
        self._seed = seed
        self._lines: list[_Line] = []
        self._added = 0

    def add(self, *faults: Fault) -> None:
        for fault in faults:
            self._lines.append(_Line(fault, Random(f"{self._seed}/{self._added}")))  # noqa: S311
            self._added += 1

    def clear(self) -> None:
        """Forget the script; the log stays."""
        self._lines.clear()

    @property
    def pending(self) -> list[Fault]:
        """Lines that are not used up."""
        return [line.fault for line in self._lines if line.fault.times is None or line.struck < line.fault.times]

    def strike(self, site: str, now: int, kinds: Iterable[FaultKind] = FaultKind) -> list[Fault]:
        """Pass a site; give the faults of these kinds that strike there, in the order of the script."""
        wanted = frozenset(kinds)
        struck = [line.fault for line in self._lines if line.fault.kind in wanted and line.strikes(site)]
        self.log.extend(Struck(len(self.log) + i, fault, site, now) for i, fault in enumerate(struck, start=1))
        return struck
