"""A market played to a run from end to end: what every command does that lets the past be traded."""

from collections.abc import Callable
from itertools import islice

from eventstore.ahead import garbage_looked_for_rarely
from services.backtest.manifest import failure
from services.backtest.run import Ending, Run
from services.backtest.settings import BacktestSettings, Unusable
from services.backtest.sources import Source, within
from tape.span import in_spans

AT_ONCE = 5_000
"""Events between two looks at the progress."""

Reached = Callable[[int, int], None]
"""Is told how many rows and how many events were played."""


def play(
    run: Run, source: Source, asked: BacktestSettings, reached: Reached, *, one_by_one: bool = False
) -> tuple[Ending, str]:
    """Play all there is, or as much as can be, or until `run.stopping`; says why it ended early.

    `one_by_one` hands over each quote alone: for who wants to stop behind a certain event. The outcome is the same.
    """
    events = within(source.events, asked)
    try:
        with garbage_looked_for_rarely():
            more = True
            while more and not run.stopping:
                some = islice(events, AT_ONCE)
                more = run.take(some if one_by_one else in_spans(some))
                reached(source.rows_done(), run.events)
    except Unusable as bad:
        return Ending.FAILED, str(bad)
    except Exception as error:  # noqa: BLE001 # a bad answer, or a bad reader: what was before is kept
        return Ending.FAILED, f"behind position {run.position}: {failure(error)}"
    if run.stopping:
        return Ending.INTERRUPTED, "stopped by Ctrl-C"
    return Ending.COMPLETE, ""
