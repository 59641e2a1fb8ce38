"""`hmm status`: how every process is, and what tape, store, orders, positions and equity look like."""

import asyncio
import json
from dataclasses import asdict
from typing import Any

import typer

from services.cli.errors import ExitCode
from services.cli.health import Health, ask_all
from services.cli.output import cell, moment, number, plain, size, table
from services.cli.settings import StackSettings, current
from services.cli.survey import Survey, survey
from services.supervisor import control
from services.supervisor.state import ProcessReport, StackReport, running

Json = dict[str, Any]


def show_status(*, as_json: bool) -> None:
    settings = current()
    if asyncio.run(_status(settings, as_json=as_json)):
        return
    raise typer.Exit(ExitCode.NOT_RUNNING)


async def _status(settings: StackSettings, *, as_json: bool) -> bool:
    """Whether anything runs."""
    report, note = await _report(settings)
    health = await ask_all(report.processes) if report else {}
    # With servers that are not ours there is something to see even then.
    elsewhere = bool(settings.external_nats_url and settings.external_database_url)
    found = await survey(settings) if report or elsewhere else Survey()
    if as_json:
        print(json.dumps(_as_json(report, health, found, note), default=plain, indent=2))
    else:
        _print(report, health, found, note)
    return report is not None


async def _report(settings: StackSettings) -> tuple[StackReport | None, str]:
    """What the supervisor says, or why it says nothing."""
    identity = running(settings.run)
    if identity is None:
        return None, f"nothing is running in {settings.run}; start it: hmm up"
    try:
        return await asyncio.wait_for(control.ask_report(settings.run), timeout=5), ""
    except (control.NotAnswering, TimeoutError) as error:
        reason = str(error) or "it is starting, stopping or stuck; try again, or: hmm down"
        return None, f"the supervisor (pid {identity.pid}) does not answer: {reason}"


def _as_json(report: StackReport | None, health: dict[str, Health], found: Survey, note: str) -> Json:
    processes = report.processes if report else ()
    return {
        "running": report is not None,
        "since": report.identity.since if report else None,
        "supervisor_pid": report.identity.pid if report else None,
        "processes": [_process_json(process, health.get(process.name)) for process in processes],
        "tape": {stream: asdict(figures) for stream, figures in found.tape.items()},
        "store": {
            "checkpoints": found.store.checkpoints,
            "rows": found.store.rows,
            "rows_at_least": sorted(found.store.longer),
        },
        "orders": found.orders,
        "positions": found.positions,
        "equity": found.equity,
        "holds": found.holds,
        "notes": {**({"processes": note} if note else {}), **found.notes},
    }


def _process_json(process: ProcessReport, health: Health | None) -> Json:
    return {
        "name": process.name,
        "pid": process.pid,
        "state": process.state.value,
        "restarts": process.restarts,
        "since": process.since,
        "reason": process.reason,
        "phase": health.state.value if health else None,
        "position": health.position if health else None,
        "lag": health.lag if health else None,
        "events_per_second": health.events_per_second if health else None,
        "detail": health.detail if health else "",
    }


def _print(report: StackReport | None, health: dict[str, Health], found: Survey, note: str) -> None:
    if note:
        print(note)
    if report:
        print(f"running since {moment(report.identity.since)}")
        _print_processes(report, health)
    if found.tape:
        columns = ("stream", "first", "last", "messages", "size")
        streams = [
            (name, number(it.first_seq), number(it.last_seq), number(it.messages), size(it.bytes))
            for name, it in found.tape.items()
        ]
        table("tape", columns, streams, right=frozenset(columns[1:]))
    _print_store(found)
    if found.orders:
        table("orders", tuple(found.orders), [tuple(number(count) for count in found.orders.values())])
    _print_rows("positions", found.positions)
    _print_rows("equity", found.equity)
    _print_rows("trading is held back", found.holds)
    for line in found.grouped_notes:
        print(line)


def _print_processes(report: StackReport, health: dict[str, Health]) -> None:
    columns = ("process", "pid", "state", "restarts", "phase", "position", "lag", "events/s", "")
    rows = [_process_row(process, health.get(process.name)) for process in report.processes]
    table("", columns, rows, right=frozenset({"pid", "restarts", "position", "lag", "events/s"}))


def _process_row(process: ProcessReport, health: Health | None) -> tuple[str, ...]:
    told = ("-", "-", "-", "-", process.reason)
    if health:
        figures = (number(health.position), number(health.lag), number(health.events_per_second))
        told = (health.state.value, *figures, health.detail or process.reason)
    pid = str(process.pid) if process.pid else "-"
    return (process.name, pid, process.state.value, str(process.restarts), *told)


def _print_store(found: Survey) -> None:
    rows = found.store.rows
    if rows:
        counts = [f"{number(count)}{'+' if name in found.store.longer else ''}" for name, count in rows.items()]
        table("store: rows", tuple(rows), [counts])
    if found.store.checkpoints:
        positions = tuple(number(position) for position in found.store.checkpoints.values())
        table("store: checkpoints", tuple(found.store.checkpoints), [positions])


def _print_rows(title: str, rows: list[Json]) -> None:
    if rows:
        cells = [tuple(cell(value) for value in row.values()) for row in rows]
        table(title, tuple(rows[0]), cells)
