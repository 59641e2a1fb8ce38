"""`hmm train`: ask for a model, wait for it, and say what it learned and whether it is believed."""

import asyncio
import getpass
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import typer
from nats.errors import Error as NatsError

from contracts.models import ModelFamily, ModelPromoted, ModelPublished, TrainFailed, TrainRequested, TrainStarted
from contracts.recorded import Recorded
from contracts.types import InstrumentId, Interval
from services.cli.control import OPS, say
from services.cli.errors import ExitCode, fail, misused
from services.cli.following import follow, wait_for_archive
from services.cli.knowledge import find_instrument, find_interval, ledger_of
from services.cli.modelwords import duration, print_scores, print_states, regime_summaries, slow_summaries, trained_on
from services.cli.output import plain
from services.cli.settings import StackSettings, current
from services.cli.store import open_store
from services.cli.tape import connect
from services.cli.temporary import running_servers

TRAINER = "trainer"
ALL = "all"
_PATIENCE_S = 20.0


@dataclass
class Wanted:
    """One training that was asked for at the position `request`, and what has come of it."""

    family: ModelFamily
    request: int
    started: TrainStarted | None = None
    failed: TrainFailed | None = None
    published: ModelPublished | None = None
    promoted: Recorded | None = None
    began: float = field(default_factory=time.monotonic)
    judged: float = 0.0
    seconds: float = 0.0

    @property
    def is_done(self) -> bool:
        """Whether nothing more will come; a promotion that does not follow at once is of another time."""
        if self.published is not None and self.published.passed:
            return self.promoted is not None or time.monotonic() - self.judged > _PATIENCE_S
        return self.published is not None or self.failed is not None

    def hear(self, recorded: Recorded) -> None:
        event = recorded.event
        if getattr(event, "request", None) == self.request:
            self.seconds = time.monotonic() - self.began
        match event:
            case TrainStarted(request=self.request):
                self.started, self.began = event, time.monotonic()
            case TrainFailed(request=self.request):
                self.failed = event
            case ModelPublished(request=self.request):
                self.published, self.judged = event, time.monotonic()
            case ModelPromoted() if self.published is not None and event.model_id == self.published.model_id:
                self.promoted = recorded
            case _:
                pass

    @property
    def stage(self) -> str:
        seconds = f"{time.monotonic() - self.began:.0f} s"
        if self.published is not None:
            return f"{self.family.value}: model {self.published.model_id} is published, and passed the gate"
        if self.started is not None:
            return f"{self.family.value}: training on {self.started.rows:,} bars, {seconds}"
        waiting = f"{self.family.value}: waiting for the trainer, {seconds}"
        return f"{waiting} (is it up? hmm status)" if time.monotonic() - self.began > _PATIENCE_S else waiting


def train(symbol: str | None, family: str, interval: str | None, reason: str, *, as_json: bool) -> None:
    """Ask for trainings of an instrument and print what comes of them; exit code 1 if one gave no model."""
    families = _families(family)
    with running_servers(current(), needs=(TRAINER,)) as settings:
        wait_for_archive(settings)
        with open_store() as store:
            ledger = ledger_of(store)
        instrument = find_instrument(ledger, symbol)
        bars = find_interval(ledger, instrument, interval)
        wanted = [Wanted(one, _ask(one, instrument, bars, reason)) for one in families]
        asyncio.run(_await_all(settings, wanted))
    if as_json:
        print(json.dumps([_as_json(one) for one in wanted], default=plain, indent=2))
    else:
        for one in wanted:
            _print(one, instrument)
    if any(one.failed for one in wanted):
        raise typer.Exit(ExitCode.FAILED)


def _families(name: str) -> tuple[ModelFamily, ...]:
    if name == ALL:
        return tuple(ModelFamily)
    try:
        return (ModelFamily(name),)
    except ValueError:
        known = ", ".join(family.value for family in ModelFamily)
        misused(f"--family {name}: no family of models", f"it is one of {known}, {ALL}")


def _ask(family: ModelFamily, instrument: InstrumentId, interval: Interval, reason: str) -> int:
    """Request a training; gives the position of the request."""
    who = getpass.getuser()
    return say(
        lambda now: TrainRequested(
            ts_event=now,
            ts_init=now,
            by=OPS,
            family=family,
            instrument=instrument,
            interval=interval,
            reason=f"{who}: {reason}" if reason else f"asked for by {who}",
        )
    )


async def _await_all(settings: StackSettings, wanted: list[Wanted]) -> None:
    """Follow the tape until every training has ended."""
    nc = await connect(settings)
    try:
        with _progress() as show:
            async for told in follow(nc, ("train.>", "model.>"), min(one.request for one in wanted)):
                for one in wanted:
                    if isinstance(told, Recorded):
                        one.hear(told)
                if all(one.is_done for one in wanted):
                    return
                show(next(one.stage for one in wanted if not one.is_done))
    except asyncio.CancelledError:
        fail("stopped waiting", "the training stays asked for, and is done when the trainer is up: hmm models")
    except NatsError as error:
        fail(f"the NATS server went away: {str(error) or type(error).__name__}", "what comes of it: hmm models")
    finally:
        await nc.close()


class _Stages:
    """Prints a stage when it begins: for whoever is no terminal."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, stage: str) -> None:
        begun = stage.rpartition(",")[0] or stage
        if begun != self._last:
            print(begun, file=sys.stderr, flush=True)
            self._last = begun


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Show the stage that a training is at, and for how long."""
    if not sys.stderr.isatty():
        yield _Stages()
        return
    from rich.console import Console  # noqa: PLC0415 # slow to import

    with Console(stderr=True).status("waiting for the trainer") as status:
        yield status.update


def _print(one: Wanted, instrument: InstrumentId) -> None:
    if one.failed is not None:
        print(
            f"hmm: no {one.family.value} model of {instrument}: {one.failed.failure.value}: {one.failed.detail}",
            file=sys.stderr,
        )
        return
    said = one.published
    assert said is not None
    print(f"{one.family.value} model {said.model_id} of {instrument}, in {one.seconds:.1f} s")
    print(f"trained on {trained_on(said.artifact)}")
    if (model := said.artifact.regime) is not None:
        print_states(f"states, seen every {duration(model.spec.nanos / 60e9)}", regime_summaries(model))
        print_states("slow states, which condition them", slow_summaries(model))
    print_scores([("this one", said.score), (f"champion {said.champion}", said.champion_score)])
    print(f"gate: {'passed' if said.passed else 'not passed'}: {said.gate}")
    if one.promoted is not None:
        print(f"believed from position {one.promoted.position:,} on; see it: hmm regimes --plot FILE")
    else:
        print(f"it runs as a shadow; believe it all the same: hmm models promote {said.model_id}")


def _as_json(one: Wanted) -> dict[str, Any]:
    document: dict[str, Any] = {"family": one.family.value, "request": one.request, "seconds": round(one.seconds, 3)}
    if one.failed is not None:
        return {**document, "outcome": "failed", "failure": one.failed.failure.value, "detail": one.failed.detail}
    said = one.published
    assert said is not None
    states = [] if said.artifact.regime is None else regime_summaries(said.artifact.regime)
    return {
        **document,
        "outcome": "published" if one.promoted is None else "promoted",
        "model_id": said.model_id,
        "sha256": said.sha256,
        "instrument": said.instrument,
        "states": [state.document() for state in states],
        "score": asdict(said.score),
        "champion": said.champion,
        "champion_score": said.champion_score and asdict(said.champion_score),
        "passed": said.passed,
        "gate": said.gate,
        "promoted_position": one.promoted and one.promoted.position,
    }
