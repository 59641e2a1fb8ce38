"""The process that fits: one job from standard input, one outcome to standard output, and it ends.

It gives way to everything else on the machine, and it does not outlive the trainer. What goes wrong in it is an
outcome too.
"""

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from contracts.data import DataChunk
from contracts.market import Bar
from contracts.models import TrainFailure
from eventstore.chunks import BadChunk, from_parquet
from quant.training import Problem, Trained, Training, train_direction, train_regime
from services.trainer.job import Job, Outcome, unpacked

_PR_SET_PDEATHSIG = 1
AUTOGROUP = Path("/proc/self/autogroup")


class NotAsListed(Exception):
    """A chunk holds other bars than the ledger says."""


def carried_out(job: Job, chunks: Sequence[bytes]) -> Trained | Problem:
    """Train as `job` says on the bars in `chunks`."""
    try:
        bars = [bar for listed, data in zip(job.chunks, chunks, strict=True) for bar in bars_of(listed, data)]
    except (BadChunk, NotAsListed) as wrong:
        return Problem(TrainFailure.BAD_DATA, str(wrong))
    settings = job.regime or job.direction
    assert settings is not None
    named = tuple(chunk.sha256 for chunk in job.chunks)
    training = Training(job.instrument, bars, named, settings, job.champion, job.seed, job.code)
    try:
        return train_regime(training) if job.regime is not None else train_direction(training)
    except Exception:  # noqa: BLE001 # told on the tape, and the next job is another process
        return Problem(TrainFailure.ERROR, traceback.format_exc(limit=-3))


def bars_of(listed: DataChunk, data: bytes) -> list[Bar]:
    """Read the bars of a chunk. Raises `BadChunk`, `NotAsListed`."""
    try:
        bars = from_parquet(data)
    except BadChunk as wrong:
        raise BadChunk(f"chunk {listed.sha256}: {wrong}") from wrong
    alien = any((bar.instrument, bar.interval) != (listed.instrument, listed.interval) for bar in bars)
    if alien or len(bars) != listed.rows or (bars[0].ts_open, bars[-1].ts_open) != (listed.first, listed.last):
        raise NotAsListed(
            f"chunk {listed.sha256} does not hold the {listed.rows} bars of {listed.interval.value} of "
            f"{listed.instrument} from {listed.first} to {listed.last} that {listed.by} has listed: import it again"
        )
    return bars


def give_way(nice: int) -> None:
    """Let everything else on the machine go first.

    Linux shares the processors among sessions before it looks at niceness within one, so this becomes a session of its
    own, and that one is niced.
    """
    os.setsid()
    os.nice(nice)
    if AUTOGROUP.exists():
        AUTOGROUP.write_text(str(nice))


def main(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        return
    answer = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no outcome
    job, chunks = unpacked(sys.stdin.buffer.read())
    give_way(job.nice)
    with os.fdopen(answer, "wb") as out:
        out.write(Outcome.of(carried_out(job, chunks)).model_dump_json().encode())


if __name__ == "__main__":
    main(int(sys.argv[1]))
