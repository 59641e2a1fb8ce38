"""A strategy of the user's own: loaded by the place and name of its class, checked, and built as any component is."""

import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.ownership import ROLES, WISHES, Kind, Role
from contracts.signals import SignalGiven
from services.backtest.settings import Unusable
from services.backtest.sourcecode import sha256_with_imports
from services.backtest.voice import held_to
from tape.blueprint import Blueprint
from tape.component import Moment
from tape.strategy import Strategy
from venues.instruments import LISTING, Listing

FORM = "FILE.py:CLASS or MODULE:CLASS"
_GUIDE = "see docs/backtest.md, A strategy of your own"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,20}")
"""Ids of orders begin with it, and must not become longer than exchanges take."""
_TAKEN = (*ROLES, "all")
_MAY_SAY = frozenset((*WISHES, SignalGiven))


class NoSettings(BaseModel):
    """Of a strategy that declares none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class OwnStrategy:
    """A class that was loaded: `sha256` is of its file and of what that imports from beside it."""

    reference: str
    name: str
    settings: type[BaseModel]
    sha256: str
    made: type[Strategy]

    @property
    def role(self) -> Role:
        return Role(self.name, Kind.STRATEGY, self.made.produces, self.made.consumes())

    def blueprint(self, listing: Listing) -> Blueprint:
        return Blueprint(self.name, self.settings, lambda settings: self.build(settings, listing), role=self.role)

    def build(self, settings: BaseModel, listing: Listing) -> Strategy:
        """Build it; raises `Unusable` where its constructor does not take it."""
        built = _built(self.reference, held_to(self.role, self.made), settings, listing)
        if built.name != self.name:
            raise Unusable(
                f"{self.reference}: it is called {self.name}, and with {settings!r} {built.name}",
                "a name may not depend on settings",
            )
        return built


def is_reference(word: str) -> bool:
    """Say whether a word of `--strategies` means a class, and not a name."""
    return ":" in word


def own_strategies(words: Sequence[str]) -> tuple[OwnStrategy, ...]:
    """Load those that are references, each once; raises `Unusable`."""
    found: dict[str, OwnStrategy] = {}
    _require_names(words)
    for word in dict.fromkeys(filter(is_reference, words)):
        own = own_strategy(word)
        if found.setdefault(own.name, own).made is not own.made:
            raise Unusable(
                f"--strategies {word}: it is called {own.name}, and so is {found[own.name].reference}",
                "give one of them another name, in super().__init__(NAME)",
            )
    return tuple(found.values())


def _require_names(words: Sequence[str]) -> None:
    """Refuse two files of one name: a run knows them by it."""
    files: dict[str, Path] = {}
    for word in filter(is_reference, words):
        file = Path(word.rpartition(":")[0])
        if files.setdefault(file.name, file.resolve()) != file.resolve():
            raise Unusable(f"--strategies {word}: there are two files {file.name}", "give one of them another name")


def own_strategy(reference: str) -> OwnStrategy:
    """Load a class and look it over. A process reads a file once: all its runs are of the same code."""
    place, _, class_name = reference.rpartition(":")
    if not place or not class_name.isidentifier():
        raise Unusable(f"--strategies {reference}: names no class", f"the form is {FORM}")
    if _is_file(place) and not Path(place).is_file():
        raise Unusable(f"--strategies {reference}: there is no such file", f"the form is {FORM}")
    module, sha256 = _of_file(Path(place).resolve()) if _is_file(place) else _of_name(place)
    made = _class_in(module, class_name, reference)
    settings = _settings_of(made, reference)
    probe = _built(reference, made, _usual(settings, reference), LISTING)
    _require_role(probe, made, reference)
    return OwnStrategy(reference, probe.name, settings, sha256, made)


def without_directory(reference: str) -> str:
    """Name the file alone: where it lies changes nothing."""
    place, colon, class_name = reference.rpartition(":")
    return f"{Path(place).name}:{class_name}" if colon and _is_file(place) else reference


def places_of(references: Sequence[str]) -> dict[str, str]:
    """Say of those that name a file where it lies, by their names without it."""
    named = [word.rpartition(":") for word in filter(is_reference, references)]
    return {
        f"{Path(place).name}:{class_name}": f"{Path(place).resolve()}:{class_name}"
        for place, _, class_name in named
        if _is_file(place)
    }


def _is_file(place: str) -> bool:
    return place.endswith(".py") or "/" in place


# -- loading -----------------------------------------------------------------------------------------------------------


class _AsWritten(SourceFileLoader):
    """Reads the source each time: a compiled copy is told from it by size and seconds only, and would be left there."""

    def get_code(self, fullname: str) -> CodeType:
        del fullname
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


@cache
def _of_file(path: Path) -> tuple[ModuleType, str]:
    name = path.name  # no module that is imported can be called so, and it is the same wherever the file lies
    spec = spec_from_file_location(name, path, loader=_AsWritten(name, str(path)))
    assert spec is not None and spec.loader is not None, "it has a loader of ours"
    module = module_from_spec(spec)
    sys.modules[name] = module  # whoever resolves annotations looks there
    _find_also_in(path.parent)
    with _complaining(f"--strategies {path.name}"):
        spec.loader.exec_module(module)
    return module, sha256_with_imports(path, path.parent)


@cache
def _of_name(name: str) -> tuple[ModuleType, str]:
    if not all(word.isidentifier() for word in name.split(".")):
        raise Unusable(f"--strategies {name}: is no name of a module", f"the form is {FORM}")
    _find_also_in(Path.cwd())
    with _complaining(f"--strategies {name}", name):
        module = importlib.import_module(name)
    source = getattr(module, "__file__", None)
    if source is None:
        raise Unusable(f"--strategies {name}: there is no source of it", f"the form is {FORM}")
    file = Path(source)
    above = name.count(".") + (file.name == "__init__.py")
    return module, sha256_with_imports(file, file.parents[above])


def _find_also_in(folder: Path) -> None:
    """Let modules of a folder be imported, where nothing that is installed has their name."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


@contextmanager
def _complaining(where: str, wanted: str = "") -> Iterator[None]:
    """Make `Unusable` of whatever a module raises when it is read, with the place in it."""
    try:
        yield
    except SyntaxError as error:
        said = f"{Path(error.filename or '?').name}, line {error.lineno}: {error.msg}"
        raise Unusable(f"{where}: {said}", "mend it: it is no Python") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 # whatever a stranger's code raises
        if isinstance(error, ModuleNotFoundError) and f"{wanted}.".startswith(f"{error.name}."):
            remedy = f"it is looked for here and among what is installed; the form is {FORM}"
            raise Unusable(f"{where}: there is no module {error.name}", remedy) from None
        raise Unusable(f"{where}: reading it raised {_raised(error)}", "mend it") from None


def _raised(error: BaseException) -> str:
    """Say what was raised, and where outside of this file."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    at = [frame for frame in frames if not frame.filename.startswith("<")]
    said = f"{type(error).__name__}: {error}".removesuffix(": ")
    return f"{said} ({Path(at[-1].filename).name}, line {at[-1].lineno})" if at else said


# -- looking it over ---------------------------------------------------------------------------------------------------


def _class_in(module: ModuleType, class_name: str, reference: str) -> type[Strategy]:
    there = [name for name, one in vars(module).items() if _is_strategy(one) and one.__module__ == module.__name__]
    known = f"there are {', '.join(there)}" if there else f"it has no strategies; {_GUIDE}"
    made = vars(module).get(class_name)
    if made is None:
        raise Unusable(f"--strategies {reference}: there is no {class_name} in it", known)
    if not _is_strategy(made):
        raise Unusable(f"--strategies {reference}: {class_name} is no class made from tape.strategy.Strategy", known)
    strategy: type[Strategy] = made
    return strategy


def _is_strategy(one: object) -> bool:
    return inspect.isclass(one) and issubclass(one, Strategy) and one is not Strategy


def _settings_of(made: type[Strategy], reference: str) -> type[BaseModel]:
    settings: object = getattr(made, "Settings", NoSettings)
    where = f"--strategies {reference}: its Settings"
    if not (inspect.isclass(settings) and issubclass(settings, BaseModel)):
        raise Unusable(f"{where} are no pydantic model", f"class Settings(BaseModel): ...; {_GUIDE}")
    if not settings.model_config.get("frozen"):
        raise Unusable(f"{where} can be changed within a run", "model_config = ConfigDict(frozen=True, extra='forbid')")
    bare = [name for name, field in settings.model_fields.items() if field.is_required()]
    if bare:
        raise Unusable(f"{where} have no default for {', '.join(bare)}", "give each a default")
    return settings


def _usual(settings: type[BaseModel], reference: str) -> BaseModel:
    try:
        usual = settings()
        read = settings.model_validate_json(usual.model_dump_json())
    except (ValidationError, ValueError) as error:
        said = " ".join(str(error).split())
        raise Unusable(f"--strategies {reference}: its Settings refuse their own defaults: {said}", "mend it") from None
    if read != usual:
        raise Unusable(
            f"--strategies {reference}: its Settings are others when they are read from JSON again",
            "a run keeps them as JSON: use numbers, text, Decimal, enums, tuples",
        )
    return usual


def _built(reference: str, made: type[Strategy], settings: BaseModel, listing: Listing) -> Strategy:
    given = _given(reference, made, settings, listing)
    try:
        return made(**given)
    except Exception as error:  # noqa: BLE001 # whatever a stranger's code raises
        how = "" if isinstance(settings, NoSettings) else f" with {settings!r}"
        raise Unusable(f"--strategies {reference}: its constructor raised {_raised(error)}{how}", "mend it") from None


def _given(reference: str, made: type[Strategy], settings: BaseModel, listing: Listing) -> dict[str, Any]:
    """Choose what its constructor asks for."""
    asked = inspect.signature(made).parameters
    offered: dict[str, object] = {"listing": listing}
    if not isinstance(settings, NoSettings):
        offered["settings"] = settings
        if "settings" not in asked:
            raise Unusable(
                f"--strategies {reference}: it declares Settings, and its constructor does not take them",
                "def __init__(self, settings: Settings)",
            )
    if missing := [name for name in _needed(asked) if name not in offered]:
        raise Unusable(
            f"--strategies {reference}: its constructor asks for {', '.join(missing)}",
            f"it may ask for settings (if it declares Settings) and listing; give others a default; {_GUIDE}",
        )
    return {name: value for name, value in offered.items() if name in asked}


def _needed(asked: Mapping[str, inspect.Parameter]) -> Iterator[str]:
    various = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return (name for name, one in asked.items() if one.default is one.empty and one.kind not in various)


def _require_role(probe: Strategy, made: type[Strategy], reference: str) -> None:
    """Refuse what could not be a strategy among the others."""
    where, name = f"--strategies {reference}", getattr(probe, "name", None)
    if not isinstance(getattr(probe, "moment", None), Moment) or not isinstance(name, str):
        raise Unusable(f"{where}: its constructor does not begin it", "call super().__init__(NAME) there")
    if _NAME.fullmatch(name) is None:
        raise Unusable(f"{where}: it is called {name!r}", "a name is of letters, digits, _ and -, at most 20")
    if name in _TAKEN:
        raise Unusable(f"{where}: it is called {name}, as another component is", "give super().__init__ another name")
    if strange := [one.__name__ for one in made.produces if one not in _MAY_SAY]:
        may = ", ".join(sorted(one.__name__ for one in _MAY_SAY))
        raise Unusable(f"{where}: it says {', '.join(strange)}", f"a strategy may say {may}")
    if set(made.consumes()) == set(Strategy.consumes()):
        raise Unusable(f"{where}: it hears nothing of the market", "mark a method with @on(Bar) or @on(Quote)")
