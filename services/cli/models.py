"""`hmm models`: the models there are, one in full, and the operator's decisions on them."""

import asyncio
import getpass
import json
import sys

from nats.errors import Error as NatsError

from contracts.control import Alert
from contracts.models import (
    ARTIFACT,
    DirectionModel,
    ModelAction,
    ModelDecided,
    ModelPromoted,
    ModelRetired,
    RegimeModel,
)
from contracts.recorded import Recorded
from services.cli.control import say
from services.cli.errors import fail
from services.cli.following import follow, wait_for_archive
from services.cli.knowledge import Known, all_models, find_model, instrument_of
from services.cli.modelwords import (
    duration,
    print_scores,
    print_states,
    print_transitions,
    regime_summaries,
    slow_summaries,
    time,
    trained_on,
)
from services.cli.output import plain, table
from services.cli.settings import StackSettings, current
from services.cli.store import Row, open_store
from services.cli.tape import connect
from services.cli.temporary import running_servers
from services.cli.train import TRAINER

_ANSWER_SECONDS = 20.0
_FAILED = """
    SELECT position, request, family, venue, symbol, failure, reason, time
    FROM trainings WHERE step = 'failed' ORDER BY position DESC LIMIT 10
"""


def show_models(*, as_json: bool) -> None:
    """List the models, and the last trainings that gave none."""
    with running_servers(current()) as settings, open_store() as store:
        wait_for_archive(settings)
        models, failed = all_models(store), store.rows(_FAILED)
        notes = store.notes("models", "trainings")
    if as_json:
        print(json.dumps({"models": models, "failed": failed, "notes": notes}, default=plain, indent=2))
        return
    for note in notes:
        print(f"note: {note}")
    if models:
        columns = ("model", "family", "instrument", "status", "states", "trained on", "nats/obs.", "calibration", "why")
        right = frozenset({"nats/obs.", "calibration"})
        table("models", columns, [_line(row) for row in models], right=right)
    else:
        print("there are no models; train one: hmm train --symbol SYMBOL")
    if failed:
        shown = ("request", "when", "family", "instrument", "failure", "why")
        table("the last trainings that gave none", shown, [_failed_line(row) for row in failed])


def show_model(model_id: str, *, as_json: bool) -> None:
    """Print one model in full; `model_id` may be the beginning of its id."""
    with running_servers(current()) as settings, open_store() as store:
        wait_for_archive(settings)
        known = find_model(store, model_id)
    if as_json:
        model = known.artifact.regime
        states = [] if model is None else [state.document() for state in regime_summaries(model)]
        artifact = ARTIFACT.dump_python(known.artifact, mode="json")
        document = {"model": known.row, "states": states, "artifact": artifact}
        print(json.dumps(document, default=plain, indent=2))
        return
    _print(known)


def decide(model_id: str, action: ModelAction, reason: str) -> None:
    """Promote or retire a model whatever the gate says, and wait until it is so."""
    with running_servers(current(), needs=(TRAINER,)) as settings:
        wait_for_archive(settings)
        with open_store() as store:
            known = find_model(store, model_id)
        operator = getpass.getuser()
        position = say(
            lambda now: ModelDecided(
                ts_event=now, ts_init=now, model_id=known.model_id, action=action, operator=operator, reason=reason
            )
        )
        asyncio.run(_await_decided(settings, known, action, position))


async def _await_decided(settings: StackSettings, known: Known, action: ModelAction, decision: int) -> None:
    nc = await connect(settings)
    wanted = ModelPromoted if action is ModelAction.PROMOTE else ModelRetired
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            async for told in follow(nc, ("model.>", "alert.>"), decision):
                if not isinstance(told, Recorded) or told.cause != decision:
                    continue
                if isinstance(told.event, Alert):
                    print(f"{told.event.severity.value}: {told.event.message}", file=sys.stderr)
                    if told.event.code != "no_champion":
                        fail(f"the model {known.model_id} stays {known.row['status']}", "see hmm models")
                elif isinstance(told.event, wanted):
                    done = "believed" if action is ModelAction.PROMOTE else "retired"
                    print(
                        f"{known.model_id} of {instrument_of(known.row)} is {done} from position {told.position:,} on"
                    )
                    return
    except TimeoutError:
        fail(f"the trainer did not answer within {_ANSWER_SECONDS:g} s; it will", "see hmm models, hmm status")
    except NatsError as error:
        fail(f"the NATS server went away: {str(error) or type(error).__name__}", "see hmm models")
    finally:
        await nc.close()


def _line(row: Row) -> tuple[str, ...]:
    return (
        row["model_id"],
        row["family"],
        instrument_of(row),
        row["status"],
        (row["states"] or "-").replace(",", " "),
        "-" if row["rows"] is None else f"{row['rows']:,} x {row['interval']} to {time(row['last'])}",
        "-" if row["log_likelihood"] is None else f"{row['log_likelihood']:+.4f}",
        "-" if row["calibration_error"] is None else f"{row['calibration_error']:.1%}",
        row["reason"] or row["gate"] or "-",
    )


def _failed_line(row: Row) -> tuple[str, ...]:
    of = (str(row["request"]), f"{row['time']:%m-%d %H:%M:%S}", row["family"], instrument_of(row))
    return (*of, row["failure"], row["reason"])


def _print(known: Known) -> None:
    row, artifact = known.row, known.artifact
    spec = artifact.spec
    seen = f"{spec.window} bars of {spec.interval.value} ({duration(spec.nanos / 60e9)})"
    features = f"{', '.join(feature.value for feature in spec.features)} of {seen}, means over {spec.lookback}"
    for name, value in (
        ("model", f"{known.model_id} ({row['family']} of {instrument_of(row)})"),
        ("status", f"{row['status']}{_since(row)}"),
        ("why", row["reason"] or row["gate"] or "-"),
        ("observes", features),
        ("trained on", trained_on(artifact)),
        ("chunks", "\n             ".join(artifact.trained_on.chunks)),
        ("code, seed", f"{artifact.code}, {artifact.seed}"),
        ("sha256", row["sha256"]),
    ):
        print(f"{name:<12} {value}")
    if artifact.regime is not None:
        _print_regime(artifact.regime)
    elif artifact.direction is not None:
        _print_direction(artifact.direction)
    if known.published is not None:
        said = known.published
        print_scores([("this one", said.score), (f"champion {said.champion}", said.champion_score)])
        print(f"gate: {'passed' if said.passed else 'not passed'}: {said.gate}")


def _since(row: Row) -> str:
    times = {"champion": "promoted", "shadow": "published", "retired": "retired"}[row["status"]]
    position = row[f"{times}_position"]
    return "" if position is None else f" ({times} at position {position:,}, {row[f'{times}_at']:%Y-%m-%d %H:%M:%S})"


def _print_regime(model: RegimeModel) -> None:
    print_states("states", regime_summaries(model))
    print_transitions("transitions, from one observation to the next", model.fast.labels, model.fast.transitions)
    if model.slow is not None:
        print_states(f"slow states, of {model.slow.every} observations each", slow_summaries(model))
        for label, matrix in zip(model.slow.model.labels, model.slow.transitions, strict=True):
            print_transitions(f"transitions while the slow state is {label}", model.fast.labels, matrix)
    print(
        f"confidence is p^{model.confidence_exponent:.2f}, normalised; an observation below "
        f"{model.improbable_below:.2f} nats is of no state"
    )


def _print_direction(model: DirectionModel) -> None:
    kind = f"{len(model.trees)} trees" if model.trees else "logistic regression"
    print(f"{'says':<12} the probability that the price is higher {model.horizon} observations ahead, by {kind}")
    if model.weights:
        weights = zip(model.spec.features, model.weights, strict=True)
        rows = [(feature.value, f"{weight:+.4f}") for feature, weight in weights]
        table("weights, per spread of the feature", ("feature", "weight"), rows, right=frozenset({"weight"}))
