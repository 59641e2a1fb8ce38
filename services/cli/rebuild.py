"""`hmm rebuild`: fold projections anew from the events, and say whether they were right."""

import dataclasses
import json
import sys
from collections.abc import Sequence

import psycopg
import typer

from eventstore.rebuild import RebuildRefused, RebuildReport
from eventstore.rebuild import rebuild as rebuild_projections
from services.cli.errors import ExitCode, fail, not_running
from services.cli.settings import current


def rebuild(projections: Sequence[str], *, as_json: bool) -> None:
    """Rebuild the named projections (none named: all) and say of each whether it was right before."""
    try:
        reports = rebuild_projections(current().database_url, projections or None, _show_progress)
    except RebuildRefused as refusal:
        fail(str(refusal))
    except psycopg.OperationalError as error:
        not_running(f"no answer from the database: {str(error).splitlines()[-1].strip()}")
    if as_json:
        print(json.dumps([{**dataclasses.asdict(report), "equal": report.equal} for report in reports], default=str))
    else:
        for report in reports:
            _print_report(report)
    if not all(report.equal for report in reports):
        raise typer.Exit(ExitCode.FAILED)


def _show_progress(reached: int, target: int) -> None:
    if sys.stderr.isatty():
        print(f"\rposition {reached:,} of {target:,}", end="\n" if reached >= target else "", file=sys.stderr)


def _print_report(report: RebuildReport) -> None:
    rate = report.events / report.seconds if report.seconds else 0
    verdict = (
        "equal to what was there" if report.equal else f"NOT EQUAL: {report.differing} rows differed, now replaced"
    )
    print(
        f"{report.projection:<10} {report.rows_after:>9,} rows from {report.events:>9,} events"
        f" in {report.seconds:.2f} s ({rate:,.0f}/s): {verdict}"
    )
    for difference in report.sample:
        print(f"  {difference}")
