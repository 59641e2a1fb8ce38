"""Two runs beside each other: what they were made of, what came of them, and whether the difference is noise.

Everything is read from what the runs left in their directories; runs of other code can be compared too.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quant.chance import stream
from quant.honesty import Interval, bootstrap
from services.backtest import log, manifest
from services.backtest.settings import Unusable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Column = NDArray[np.float64]
    Figure = Callable[["Column"], float | None]

FIGURES = "figures.json"
LEVEL = 0.95
RESAMPLES = 1_000


@dataclass(frozen=True)
class Left:
    """What a run left: its documents as they are, and its log, if it left one."""

    path: Path
    run: Mapping[str, Any]
    result: Mapping[str, Any]
    figures: Mapping[str, Any]
    log: Path | None

    @property
    def span(self) -> tuple[int, int]:
        """First and last moment (ns UTC)."""
        return self.result["first_ts"], self.result["last_ts"]


def look_at(path: Path) -> Left:
    """Read what a run left in its directory; raises `Unusable`."""
    try:
        document = json.loads((path / manifest.FILE).read_text())
        figures = json.loads((path / FIGURES).read_text())
        run, result = document["run"], document["result"]
        told = {key: run[key] for key in ("data", "arguments", "components", "code")}, result["first_ts"]
    except FileNotFoundError as error:
        what = f"{path}: no run is there, or it did not end: it holds no {Path(error.filename).name}"
        raise Unusable(what, "name the --out of two hmm backtest") from None
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror or error}") from None
    except (LookupError, TypeError, ValueError) as error:
        raise Unusable(f"{path}: it is no run of hmm backtest ({error})") from None
    if told[1] is None or result["last_ts"] is None:
        raise Unusable(f"{path}: nothing was played there")
    file = path / log.FILE
    return Left(path, run, result, figures, file if file.is_file() and result.get("log_sha256") else None)


# -- what they were made of --------------------------------------------------------------------------------------------


class Kind(Enum):
    DATA = "data"
    COMPONENTS = "components"
    SETTINGS = "settings"
    """In force, of a component."""
    ARGUMENTS = "arguments"
    CODE = "code"
    ENDING = "ending"


_TAKES_PART = "takes part"


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not the same; None where one of them has no such thing."""

    kind: Kind
    place: str
    first: object
    second: object


def differences(first: Left, second: Left) -> list[Difference]:
    """List all that two runs do not have in common."""
    parts: Sequence[tuple[Kind, Mapping[str, Any], Mapping[str, Any]]] = (
        (Kind.DATA, _data(first), _data(second)),
        (Kind.COMPONENTS, _components(first), _components(second)),
        (Kind.SETTINGS, _settings(first, of=second), _settings(second, of=first)),
        (Kind.ARGUMENTS, first.run["arguments"], second.run["arguments"]),
        (Kind.CODE, first.run["code"], second.run["code"]),
        (Kind.ENDING, {"ending": first.result["ending"]}, {"ending": second.result["ending"]}),
    )
    return [
        Difference(kind, *one) for kind, mine, others in parts for one in _apart(dict(_flat(mine)), dict(_flat(others)))
    ]


def _components(left: Left) -> Mapping[str, str]:
    return dict.fromkeys(left.run["components"], _TAKES_PART)


def _settings(left: Left, *, of: Left) -> Mapping[str, Any]:
    """Give the settings of those components that the other run has, too."""
    return {name: settings for name, settings in left.run["components"].items() if name in of.run["components"]}


def _data(left: Left) -> Mapping[str, object]:
    data = left.run["data"]
    files = {f"file {number}": f"{file['name']} {file['sha256'][:16]}" for number, file in enumerate(data["files"], 1)}
    return {"kind": data["kind"], "positions": data["positions"], **files}


def _flat(document: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, object]]:
    for key, value in document.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _apart(first: Mapping[str, object], second: Mapping[str, object]) -> Iterator[tuple[str, object, object]]:
    for place in dict.fromkeys((*first, *second)):
        mine, other = first.get(place), second.get(place)
        if mine != other:
            yield place, mine, other


# -- what came of them -------------------------------------------------------------------------------------------------


class Unit(Enum):
    MONEY = "money"
    SHARE = "share"
    RATIO = "ratio"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of both runs; `noise` is where its difference (second - first) lies, had the past been another one."""

    name: str
    unit: Unit
    first: float | None
    second: float | None
    noise: Interval | None = None

    @property
    def difference(self) -> float | None:
        return None if self.first is None or self.second is None else self.second - self.first

    @property
    def is_beyond_noise(self) -> bool | None:
        return None if self.noise is None else not self.noise.low <= 0 <= self.noise.high


_FIGURES: Sequence[tuple[str, Unit, tuple[str, ...]]] = (
    ("net", Unit.MONEY, ("net_pnl",)),
    ("return", Unit.SHARE, ("headline", "total_return")),
    ("annual return", Unit.SHARE, ("headline", "annual_return")),
    ("volatility", Unit.SHARE, ("headline", "volatility")),
    ("Sharpe ratio", Unit.RATIO, ("headline", "sharpe")),
    ("Sortino ratio", Unit.RATIO, ("headline", "sortino")),
    ("Calmar ratio", Unit.RATIO, ("headline", "calmar")),
    ("max drawdown", Unit.SHARE, ("headline", "drawdown", "depth")),
    ("fees", Unit.MONEY, ("fees",)),
    ("funding", Unit.MONEY, ("funding",)),
    ("spread and slippage", Unit.MONEY, ("slippage",)),
    ("trades", Unit.COUNT, ("trades", "count")),
    ("win rate", Unit.SHARE, ("trades", "win_rate")),
    ("profit factor", Unit.RATIO, ("trades", "profit_factor")),
    ("expectancy", Unit.MONEY, ("trades", "expectancy")),
    ("time in the market", Unit.SHARE, ("exposed",)),
    ("turnover of a year", Unit.RATIO, ("turnover",)),
)
_NOISY = {
    "return": "total_return",
    "volatility": "volatility",
    "Sharpe ratio": "sharpe",
    "max drawdown": "max_drawdown",
}


def rows(first: Left, second: Left, noise: Mapping[str, Interval]) -> list[Row]:
    """Put figures beside each other, and what each strategy brought."""
    found = [
        Row(name, unit, _at(first.figures, path), _at(second.figures, path), noise.get(_NOISY.get(name, "")))
        for name, unit, path in _FIGURES
    ]
    mine, other = _by_strategy(first.figures), _by_strategy(second.figures)
    return found + [Row(f"net of {name}", Unit.MONEY, mine.get(name), other.get(name)) for name in {**mine, **other}]


def _at(figures: Mapping[str, Any], path: Sequence[str]) -> float | None:
    value: Any = figures
    for word in path:
        value = value.get(word) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) else None


def _by_strategy(figures: Mapping[str, Any]) -> dict[str, float]:
    return {one["name"]: float(one["net_pnl"]) for one in figures.get("strategies", ())}


# -- is it noise -------------------------------------------------------------------------------------------------------


def noise(first: Sequence[float], second: Sequence[float], per_year: float, seed: int = 0) -> dict[str, Interval]:
    """Give intervals of differences (second - first) of figures of returns over the same periods.

    Both are drawn from the same periods, in blocks (stationary bootstrap, Politis and Romano 1994): what moves them
    together moves no difference, and neighbours stay together.
    """
    import numpy as np  # noqa: PLC0415 # slow to import

    assert len(first) == len(second), "returns over the same periods"
    pairs = np.array([first, second], dtype=np.float64)

    def apart(figure: "Figure") -> "Figure":
        def measured(places: "Column") -> float | None:
            drawn = pairs[:, places.astype(np.int64)]
            mine, other = figure(drawn[0]), figure(drawn[1])
            return None if mine is None or other is None else other - mine

        return measured

    def ratio(sample: "Column") -> float | None:
        spread = float(sample.std(ddof=1))
        return float(sample.mean()) / spread * float(np.sqrt(per_year)) if spread > 0 else None

    def deepest(sample: "Column") -> float:
        worth = np.concatenate(([1.0], np.cumprod(1 + sample)))
        return float((1 - worth / np.maximum.accumulate(worth)).max())

    figures = {
        "total_return": apart(lambda sample: float(np.prod(1 + sample)) - 1),
        "volatility": apart(lambda sample: float(sample.std(ddof=1) * np.sqrt(per_year))),
        "sharpe": apart(ratio),
        "max_drawdown": apart(deepest),
    }
    places = [float(number) for number in range(len(first))]
    chance = stream(seed, "comparison")
    return bootstrap(
        places, figures, chance, resamples=RESAMPLES, mean_block=max(1.0, len(places) ** (1 / 3)), level=LEVEL
    )
