"""The options of `hmm backtest` for other commands that play the past: which data, strategies and settings."""

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.cli.backtestarguments import Arguments

Command = Callable[..., None]

RESULTS = ("out", "log", "report", "again", "as_json")
"""Say what is to be left of a run: each command has its own."""


def with_options_of(backtest: Command, *, but: tuple[str, ...] = ()) -> Callable[[Command], Command]:
    """Give a command all options of `backtest` that choose what is played; it gets them as `arguments`."""
    shared = [one for one in signature(backtest).parameters.values() if one.name not in (*RESULTS, *but)]

    def extend(command: Command) -> Command:
        own = [one for one in signature(command).parameters.values() if one.name != "arguments"]
        options = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in (*shared, *own)]

        def called(**given: Any) -> None:  # noqa: ANN401 # as typer read them
            chosen = {one.name: given.pop(one.name) for one in shared}
            command(arguments=_arguments(chosen), **given)

        called.__name__, called.__doc__ = command.__name__, command.__doc__
        called.__annotations__ = {one.name: one.annotation for one in options}
        called.__signature__ = Signature(options)  # type: ignore[attr-defined] # what inspect looks for
        return called

    return extend


def _arguments(chosen: Mapping[str, Any]) -> "Arguments":
    from services.cli.backtestarguments import Arguments  # noqa: PLC0415 # `hmm --help` stays quick

    named = {"changes" if name == "assignments" else name: value for name, value in chosen.items()}
    lists = {name: named[name] or () for name in ("changes",)}
    return Arguments(**{**named, **lists}, out=Path(), log=False, report=False, again=None)
