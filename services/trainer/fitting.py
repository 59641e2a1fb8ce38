"""Let a worker process carry out a job: the event loop waits for it, and never for the fit."""

import asyncio
import os
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from contracts.models import TrainFailure
from quant.training import Problem, Trained
from services.trainer.job import Job, Outcome, packed

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
LAST_WORDS = 600
"""Characters of what a worker said before it died that are told."""


async def fit(job: Job, chunks: Sequence[bytes], within_s: float) -> Trained | Problem:
    """Carry out `job`; a worker that dies or takes too long has failed. Cancelled, it takes the worker along."""
    request = await asyncio.to_thread(packed, job, chunks)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.trainer.worker", str(os.getpid())),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **ONE_THREAD},
    )
    try:
        async with asyncio.timeout(within_s):
            answer, said = await process.communicate(request)
    except TimeoutError:
        return Problem(TrainFailure.ERROR, f"the training took longer than {within_s:g} s (fit_within_s) and was ended")
    finally:
        await _ended(process)
    if process.returncode != 0:
        return Problem(TrainFailure.ERROR, f"the worker ended with {process.returncode}: {_last_words(said)}")
    try:
        return await asyncio.to_thread(_result, answer)
    except ValidationError as wrong:
        return Problem(TrainFailure.ERROR, f"what the worker gave is no model: {wrong.errors(include_url=False)[:3]}")


def _result(answer: bytes) -> Trained | Problem:
    return Outcome.model_validate_json(answer).result()


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Leave no worker behind."""
    if process.returncode is None:
        process.kill()
        await process.wait()


def _last_words(said: bytes) -> str:
    return said.decode(errors="replace").strip()[-LAST_WORDS:] or "it said nothing (out of memory?)"
