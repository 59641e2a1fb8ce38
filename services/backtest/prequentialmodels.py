"""Models of a record must not know what the market of that record has still to show."""

from collections.abc import Iterable, Iterator

from contracts.control import DeadLetter
from contracts.event import Event
from contracts.market import Quote, Trade
from contracts.models import ModelPromoted, ModelPublished
from contracts.ownership import ROLES
from contracts.types import MAX_TEXT
from eventstore.marketdata.times import moment

OTHER_CLOCK_NS = 86_400 * 1_000_000_000
"""A market that is so far behind the trainer's clock is one of the past that was played again, by its own clock."""

_MARKET: frozenset[type[Event]] = frozenset({Quote, Trade})
_SAID_OF_MODELS: frozenset[type[Event]] = frozenset(ROLES["trainer"].writes)


def causal(events: Iterable[Event]) -> Iterator[Event]:
    """Give a record's events with a dead letter for each model that was trained on what comes after its position.

    What is said of models before the market begins waits until it does: only then is it known what comes after.
    """
    market: int | None = None
    early: list[Event] = []
    for event in events:
        if type(event) in _MARKET:
            if market is None:
                yield from (_vetted(said, event.ts_init) for said in early)
            market = event.ts_init if market is None else max(market, event.ts_init)
        elif type(event) in _SAID_OF_MODELS:
            if market is None:
                early.append(event)
                continue
            event = _vetted(event, market)  # noqa: PLW2901 # instead of what was said
        yield event


def data_end(model: ModelPromoted | ModelPublished) -> int:
    """Give when the last bar closed that a model was trained on (ns)."""
    return model.artifact.trained_on.last + model.artifact.spec.interval.nanos


def _vetted(said: Event, market: int) -> Event:
    if not isinstance(said, ModelPromoted | ModelPublished):
        return said
    now = market if said.ts_init - market > OTHER_CLOCK_NS else said.ts_init
    end = data_end(said)
    if end <= now:
        return said
    reason = (
        f"it was trained on bars until {moment(end)}, and here it is {moment(now)}: a model from the future is not "
        "believed; --train trains them within the run"
    )
    return DeadLetter(
        ts_event=said.ts_event,
        ts_init=said.ts_init,
        component="trainer",
        source=f"model {said.model_id} of {said.instrument}",
        reason=reason[:MAX_TEXT],
        excerpt=type(said).subject_of(said),
    )
