"""What a sweep tries: each setting that varies, from where to where, and how it is written for `--set`."""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from math import isfinite, prod
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel

from services.backtest.settings import Unusable

FORM = "COMPONENT.KEY=LOW..HIGH, LOW..HIGH:STEP, LOW..HIGH:log or A,B,C"
MOST_CHOICES = 1_000
_DIGITS = 6
"""Of a number without a step: more would only make commands unreadable."""

Parameters = Mapping[str, float | int | str]


@dataclass(frozen=True, slots=True)
class Whole:
    """Whole numbers from `low` to `high`, both among them."""

    place: str
    low: int
    high: int
    step: int = 1
    log: bool = False

    @property
    def values(self) -> Sequence[int] | None:
        return range(self.low, self.high + 1, self.step)


@dataclass(frozen=True, slots=True)
class Real:
    """Numbers from `low` to `high`; without a `step` any of them."""

    place: str
    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def values(self) -> Sequence[float] | None:
        if self.step is None:
            return None
        count = int((self.high - self.low) / self.step + 1e-9) + 1
        return tuple(float(f"{self.low + number * self.step:.12g}") for number in range(count))


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several words, as `--set` takes them."""

    place: str
    words: tuple[str, ...]

    @property
    def values(self) -> Sequence[str] | None:
        return self.words


Dimension = Whole | Real | Choice


@dataclass(frozen=True)
class Space:
    """All settings that vary, in order."""

    dimensions: tuple[Dimension, ...]

    @property
    def points(self) -> int | None:
        """How many combinations there are; None if there is no end of them."""
        sizes = [dimension.values for dimension in self.dimensions]
        return None if any(values is None for values in sizes) else prod(len(values or ()) for values in sizes)

    def point(self, number: int) -> Parameters:
        """Give a combination by its number."""
        found: dict[str, float | int | str] = {}
        for dimension in reversed(self.dimensions):
            values = dimension.values
            assert values is not None, "a number without a step has no end of values"
            number, place = divmod(number, len(values))
            found[dimension.place] = values[place]
        return MappingProxyType({dimension.place: found[dimension.place] for dimension in self.dimensions})

    def changes(self, parameters: Parameters) -> tuple[str, ...]:
        """Write a combination as it is given to `--set`."""
        return tuple(f"{one.place}={_written(one, parameters[one.place])}" for one in self.dimensions)

    def document(self) -> list[dict[str, object]]:
        """Say it in JSON: two spaces are one if this is equal."""
        return [{"kind": type(one).__name__.lower(), **asdict(one)} for one in self.dimensions]


def _written(dimension: Dimension, value: float | str) -> str:
    if isinstance(dimension, Real):
        return f"{value:.12g}" if dimension.step is not None else f"{value:.{_DIGITS}g}"
    return str(value)


# -- reading -----------------------------------------------------------------------------------------------------------


def read_space(file: Path | None, varied: Sequence[str], settings: Mapping[str, BaseModel]) -> Space:
    """Read `--space` and `--vary`, the latter on top; `settings` say which are whole numbers; raises `Unusable`."""
    told: dict[str, tuple[str, str]] = {}
    if file is not None:
        told.update({place: (text, f"{file}: {place}") for place, text in _in_file(file)})
    for text in varied:
        place, separator, values = text.partition("=")
        if not separator or not place or not values:
            raise Unusable(f"--vary {text}: not of the form {FORM}", "for instance trend.slow=10..60")
        told[place] = (values, f"--vary {place}={values}")
    if not told:
        raise Unusable("nothing varies: there is no sweep", f"name settings with --vary {FORM}, or --space FILE")
    return Space(tuple(_dimension(place, text, where, settings) for place, (text, where) in told.items()))


def _in_file(file: Path) -> Iterator[tuple[str, str]]:
    try:
        written = file.read_text()
        document = json.loads(written) if file.suffix == ".json" else tomllib.loads(written)
    except OSError as error:
        raise Unusable(f"--space {file}: {error.strerror or error}") from None
    except ValueError as error:
        raise Unusable(f"--space {file}: {error}", "it is TOML, or JSON if its name ends so") from None
    if not isinstance(document, dict):
        raise Unusable(f"--space {file}: no table of settings", 'for instance: trend.slow = "10..60"')
    yield from _flat(document, "", file)


def _flat(document: Mapping[str, object], above: str, file: Path) -> Iterator[tuple[str, str]]:
    for key, value in document.items():
        place = f"{above}{key}"
        match value:
            case dict():
                yield from _flat(value, f"{place}.", file)
            case str():
                yield place, value
            case list() if value and all(isinstance(one, str | int | float) for one in value):
                yield place, ",".join(json.dumps(one) if isinstance(one, bool) else str(one) for one in value)
            case _:
                raise Unusable(f"--space {file}: {place}: neither a range nor a list of values", f"a range is {FORM}")


def _dimension(place: str, text: str, where: str, settings: Mapping[str, BaseModel]) -> Dimension:
    value = _now(place, where, settings)
    if ".." not in text:
        return _choice(place, text, where)
    span, _, how = text.partition(":")
    low, _, high = span.partition("..")
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise Unusable(f"{where}: {place} is no number", "name its values: A,B,C")
    log = how == "log"
    if isinstance(value, int):
        return _whole(place, (low, high, "" if log else how), where, log=log)
    return _real(place, (low, high, "" if log else how), where, log=log)


def _now(place: str, where: str, settings: Mapping[str, BaseModel]) -> object:
    """Find the value that a setting has when it does not vary."""
    name, _, key = place.partition(".")
    if name not in settings:
        raise Unusable(f"{where}: there is no component {name!r}", f"there are {', '.join(settings)}")
    value: object = settings[name].model_dump()
    for word in key.split("."):
        if not isinstance(value, dict) or word not in value:
            known = ", ".join(map(str, value)) if isinstance(value, dict) else "none"
            raise Unusable(f"{where}: there is no setting {word!r} in {place}", f"there are {known}")
        value = value[word]
    return value


def _choice(place: str, text: str, where: str) -> Choice:
    words = tuple(word.strip() for word in (text.split(";") if "[" in text else text.split(",")))
    if not all(words) or len(words) < 2:
        raise Unusable(f"{where}: two values at least", f"the form is {FORM}")
    if len(set(words)) < len(words):
        raise Unusable(f"{where}: a value is named twice")
    if len(words) > MOST_CHOICES:
        raise Unusable(f"{where}: more than {MOST_CHOICES} values")
    return Choice(place, words)


def _whole(place: str, texts: Sequence[str], where: str, *, log: bool) -> Whole:
    try:
        low, high, step = (int(text) if text else 1 for text in texts)
    except ValueError:
        raise Unusable(f"{where}: {place} takes whole numbers", f"the form is {FORM}") from None
    _require_range(low, high, step, where, log=log)
    return Whole(place, low, low + (high - low) // step * step, step, log)


def _real(place: str, texts: Sequence[str], where: str, *, log: bool) -> Real:
    try:
        low, high, step = (float(text) if text else None for text in texts)
    except ValueError:
        raise Unusable(f"{where}: not numbers", f"the form is {FORM}") from None
    if low is None or high is None or not all(isfinite(one) for one in (low, high, step or 1.0)):
        raise Unusable(f"{where}: not numbers", f"the form is {FORM}")
    _require_range(low, high, step if step is not None else high - low, where, log=log)
    return Real(place, low, high, step, log)


def _require_range(low: float, high: float, step: float, where: str, *, log: bool) -> None:
    if low >= high:
        raise Unusable(f"{where}: {low:g} is not below {high:g}")
    if step <= 0 or step > high - low:
        raise Unusable(f"{where}: a step of {step:g} does not fit in")
    if log and low <= 0:
        raise Unusable(f"{where}: a logarithm needs numbers above 0")
