"""`hmm audit`: run components over what they heard, and compare what they say now with what they said then."""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path

import typer
from pydantic import BaseModel, ValidationError

from contracts.ownership import ROLES
from services.backtest.rundirectory import RunDirectory
from services.catalog import BLUEPRINTS
from services.cli.errors import ExitCode, misused
from services.cli.progress import progress
from services.cli.record import Record, Source, chosen_span, opened, source_named
from services.cli.runrecord import RunRecord, run_in
from services.cli.settings import StackSettings, current
from services.cli.verdicts import Outcome, print_json, print_outcome
from tape.audit import Audit, Audits
from tape.blueprint import Blueprint
from tape.settings import load
from tape.verdict import Span

Changes = Mapping[str, Mapping[str, str]]
"""New values of settings, by component and key."""


def audit(
    component: str | None,
    start: int | None,
    stop: int | None,
    assignments: Sequence[str],
    source: str,
    run: Path | None,
    *,
    all_of_them: bool,
    as_json: bool,
) -> None:
    """Audit one component, or all of them in one pass; with `assignments`, under other settings."""
    past = None if run is None else run_in(run)
    known = BLUEPRINTS if past is None else past.blueprints
    names = _chosen(component, known, {} if past is None else past.missing, all_of_them=all_of_them)
    changes = _changes(assignments, component, known)
    begins = _settings_of_today(names) if past is None else _settings_of_the_run(past, names, all_of_them=all_of_them)
    settings = {name: _changed(known[name], begun, changes.get(name, {})) for name, begun in begins.items()}
    what_if = frozenset(changes)
    if past is None:
        judging = judge(current(), source_named(source), settings, what_if, start, stop)
    else:
        judging = judge_record(RunRecord(past), Source.RUN, past.blueprints, settings, what_if, start, stop)
    try:
        with silent_about_the_past():
            outcome = asyncio.run(judging)
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    (print_json if as_json else print_outcome)(outcome)
    if outcome.diverging and not outcome.what_if:
        raise typer.Exit(ExitCode.FAILED)


@contextmanager
def silent_about_the_past() -> Iterator[None]:
    """What a component could not handle was shown when it happened; now it is compared like all that it said."""
    logger = logging.getLogger("tape")
    usual = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(usual)


async def judge(
    stack: StackSettings,
    source: Source,
    settings: Mapping[str, BaseModel],
    what_if: frozenset[str],
    start: int | None,
    stop: int | None,
) -> Outcome:
    """Judge on the event store or the tape what `judge_record` judges."""
    async with opened(source, stack) as record:
        return await judge_record(record, source, BLUEPRINTS, settings, what_if, start, stop)


async def judge_all(record: Record, source: Source, start: int | None, stop: int | None) -> Outcome:
    """Judge every component on a record, each under the settings of its leases."""
    return await judge_record(
        record, source, BLUEPRINTS, _settings_of_today(tuple(BLUEPRINTS)), frozenset(), start, stop
    )


async def judge_record(
    record: Record,
    source: Source,
    blueprints: Mapping[str, Blueprint],
    settings: Mapping[str, BaseModel],
    what_if: frozenset[str],
    start: int | None,
    stop: int | None,
) -> Outcome:
    """Judge the components that have `settings`; those in `what_if` keep them, the others follow their leases."""
    began = time.monotonic()
    extent = await record.extent()
    first, last = chosen_span(extent, start, stop, source)
    span = Span(first, last, extent.first, extent.whole_from, extent.holes, extent.cuts)
    trial = []
    for name, wanted in settings.items():
        blueprint, keeps = blueprints[name], name in what_if
        begins = wanted if keeps else blueprint.settings_of(await record.first_lease(name), wanted)
        trial.append(Audit(blueprint, begins, span, keep_settings=keeps))
    audits = Audits(trial)
    with progress(extent.first, last) as reached:
        events = 0
        async with aclosing(record.messages(extent.first, last, audits.reads)) as batches:
            async for batch in batches:
                audits.take(batch)
                events += len(batch)
                reached(batch[-1].position, events)
                await asyncio.sleep(0)  # here Ctrl-C is heard
    return Outcome(source.value, span, time.monotonic() - began, bool(what_if), audits.verdicts())


def _chosen(
    component: str | None, known: Mapping[str, Blueprint], missing: Mapping[str, str], *, all_of_them: bool
) -> list[str]:
    if all_of_them and component is None:
        for name, why in missing.items():
            print(f"hmm: {name} is not audited: {why}", file=sys.stderr)
        return list(known)
    if component is not None and component in missing:
        misused(f"{component} cannot be audited: {missing[component]}", "--all audits the others")
    if all_of_them or component is None or component not in known:
        misused(_complaint(component, all_of_them=all_of_them), f"there are {', '.join(known)}")
    return [component]


def _complaint(component: str | None, *, all_of_them: bool) -> str:
    if component is None:
        return "name a component, or --all"
    if all_of_them:
        return f"{component} and --all: give one of them"
    if component in ROLES:
        return f"{component} is an edge: it acts on the outside world, which cannot be judged again"
    return f"there is no component {component!r}"


def _changes(assignments: Sequence[str], component: str | None, known: Mapping[str, Blueprint]) -> Changes:
    """Read `key=value`, or `component.key=value` where there is more than one."""
    changes: dict[str, dict[str, str]] = {}
    for assignment in assignments:
        key, separator, value = assignment.partition("=")
        name, dot, field = ("", ".", key) if component else key.partition(".")
        name = component or name
        if not (separator and dot):
            form = "key=value" if component else "component.key=value"
            misused(f"--set {assignment}: not of the form {form}")
        if name not in known:
            misused(f"--set {assignment}: there is no component {name!r}", f"there are {', '.join(known)}")
        changes.setdefault(name, {})[field] = value
    return changes


def _settings_of_today(names: Sequence[str]) -> Mapping[str, BaseModel]:
    try:
        return {name: load(BLUEPRINTS[name].settings, name) for name in names}
    except SystemExit as refusal:
        misused(str(refusal.code))


def _settings_of_the_run(run: RunDirectory, names: Sequence[str], *, all_of_them: bool) -> Mapping[str, BaseModel]:
    if absent := [name for name in names if name not in run.settings and not all_of_them]:
        misused(f"{absent[0]} had no part in the run", f"there were {', '.join(run.settings)}")
    return {name: settings for name, settings in run.settings.items() if name in names}


def _changed(blueprint: Blueprint, settings: BaseModel, changes: Mapping[str, str]) -> BaseModel:
    fields = blueprint.settings.model_fields
    for key in changes:
        if key not in fields:
            known = ", ".join(fields) or "none"
            misused(f"--set {key}: {blueprint.name} has no such setting", f"its settings are {known}")
    values = {key: _value(key, text) for key, text in changes.items()}
    try:
        return blueprint.settings.model_validate({**settings.model_dump(), **values})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"]))
        misused(f"--set: {blueprint.name}{f'.{place}' if place else ''}: {problem['msg']}")


def _value(key: str, text: str) -> object:
    """Read a list as JSON; all else is text, which the settings take as environment variables do."""
    if not text.startswith(("[", "{")):
        return text
    try:
        value: object = json.loads(text)
    except ValueError as error:
        misused(f"--set {key}={text}: {error}")
    return value
