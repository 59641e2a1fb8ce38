"""regimes: which kind of market it was, observation by observation, as it was known then."""

import json
from typing import ClassVar, NamedTuple

from contracts.ownership import EventTypes
from contracts.recorded import Recorded
from contracts.regimes import RegimeInferred
from eventstore.instruments import venue_and_symbol
from eventstore.projections.projection import Journal


class RegimeRow(NamedTuple):
    """`probabilities` and `slow` are JSON objects: the probability by the label of each state."""

    position: int
    cause: int | None
    venue: str
    symbol: str
    model_id: str
    regime: str
    confident: bool
    confidence: float
    entropy: float
    log_likelihood: float
    close: float
    probabilities: str
    slow: str
    ts_event: int
    ts_init: int


class Regimes(Journal[RegimeRow]):
    name = "regimes"
    row = RegimeRow
    handles: ClassVar[EventTypes] = (RegimeInferred,)

    def row_of(self, recorded: Recorded) -> RegimeRow:
        inferred = recorded.event
        assert isinstance(inferred, RegimeInferred)
        venue, symbol = venue_and_symbol(inferred.instrument)
        return RegimeRow(
            position=recorded.position,
            cause=recorded.cause,
            venue=venue,
            symbol=symbol,
            model_id=inferred.model_id,
            regime=inferred.regime,
            confident=inferred.confident,
            confidence=inferred.confidence,
            entropy=inferred.entropy,
            log_likelihood=inferred.log_likelihood,
            close=inferred.close,
            probabilities=json.dumps(dict(zip(inferred.states, inferred.probabilities, strict=True))),
            slow=json.dumps(dict(zip(inferred.slow_states, inferred.slow, strict=True))),
            ts_event=inferred.ts_event,
            ts_init=inferred.ts_init,
        )
