"""What is known of instruments and models, for commands: read from the event store, or a clear end."""

from dataclasses import dataclass
from typing import NoReturn

from contracts.data import DataChunk
from contracts.models import Artifact, ModelFamily, ModelPromoted, ModelPublished
from contracts.types import InstrumentId, Interval, instrument_id
from eventstore.chunkledger import ChunkLedger
from services.cli.errors import fail, misused
from services.cli.store import Row, Store

_MOST_CHUNKS = 1_000_000
_TO_IMPORT = "bring some in: hmm import FILE, or hmm backfill --symbols SYMBOL"
_MODELS = """
    SELECT * FROM models
    ORDER BY venue, symbol, family, status = 'retired', coalesce(promoted_position, 0) DESC, updated_position DESC
"""


@dataclass(frozen=True)
class Known:
    """A model's row, and all of it as it was said."""

    row: Row
    artifact: Artifact
    published: ModelPublished | None
    """None where its publication was before all that is known."""

    @property
    def model_id(self) -> str:
        return str(self.row["model_id"])


def ledger_of(store: Store) -> ChunkLedger:
    """Fold what is said of fetched history."""
    ledger = ChunkLedger()
    for recorded in store.events("type = %s", [DataChunk.__name__], limit=_MOST_CHUNKS):
        if isinstance(recorded.event, DataChunk):
            ledger.hear(recorded.event)
    return ledger


def find_instrument(ledger: ChunkLedger, symbol: str | None) -> InstrumentId:
    """Find what is meant by a symbol or whole name; without one, the only instrument there is."""
    known = tuple(dict.fromkeys(instrument for instrument, _ in ledger.streams()))
    if not known:
        fail("there is no market history", _TO_IMPORT)
    found = known if symbol is None else ledger.named(symbol)
    if len(found) == 1:
        return found[0]
    if symbol is None:
        misused("there is history of several instruments", f"say which: --symbol {' | '.join(known)}")
    if found:
        misused(f"{symbol} is the symbol of several instruments", f"say which: --symbol {' | '.join(found)}")
    return fail(f"there is no history of {symbol}: there is of {', '.join(known)}", _TO_IMPORT)


def find_interval(ledger: ChunkLedger, instrument: InstrumentId, wanted: str | None) -> Interval:
    """Find the length of bars that is meant; without one, the only one there is."""
    known = [interval for one, interval in ledger.streams() if one == instrument]
    names = [interval.value for interval in known]
    if wanted is None and len(known) == 1:
        return known[0]
    if wanted is None:
        misused(f"there are bars of several lengths of {instrument}", f"say which: --interval {' | '.join(names)}")
    if wanted not in names:
        misused(f"there are no {wanted} bars of {instrument}", f"there are: --interval {' | '.join(names)}")
    return Interval(wanted)


def all_models(store: Store) -> list[Row]:
    return store.rows(_MODELS)


def find_model(store: Store, model_id: str) -> Known:
    """Find a model by its id, or by the beginning of it."""
    rows = all_models(store)
    found = [row for row in rows if row["model_id"].startswith(model_id)] if model_id else []
    if len(found) == 1:
        return _known(store, found[0])
    if not rows:
        fail("there are no models", "train one: hmm train --symbol SYMBOL")
    named = ", ".join(row["model_id"] for row in (found or rows)[:10])
    return fail(f"{model_id}: {'several models begin so' if found else 'no such model'}", f"there are: {named}")


def find_champion(store: Store, family: ModelFamily, symbol: str | None) -> Known:
    """Find the model that is believed; without a symbol, the only one of its family."""
    champions = [row for row in all_models(store) if (row["family"], row["status"]) == (family.value, "champion")]
    names = [instrument_of(row) for row in champions]
    wanted = [row for row in champions if symbol is None or symbol in (instrument_of(row), row["symbol"])]
    if len(wanted) == 1:
        return _known(store, wanted[0])
    if wanted:
        misused("there are models of several instruments", f"say which: --symbol {' | '.join(map(str, names))}")
    return _no_champion(store, family, symbol, names)


def instrument_of(row: Row) -> InstrumentId:
    return instrument_id(row["venue"], row["symbol"])


def _no_champion(store: Store, family: ModelFamily, symbol: str | None, names: list[InstrumentId]) -> NoReturn:
    whose = f" of {symbol}" if symbol else ""
    others = f"; there are of {', '.join(names)}" if names else ""
    waiting = [
        row["model_id"]
        for row in all_models(store)
        if row["family"] == family.value and symbol in (None, instrument_of(row), row["symbol"])
    ]
    train = f"train one: hmm train --symbol {symbol or 'SYMBOL'}"
    remedy = f"promote one ({', '.join(waiting[:5])}): hmm models promote ID, or {train}" if waiting else train
    fail(f"no {family.value} model{whose} is believed{others}", remedy)


def _known(store: Store, row: Row) -> Known:
    published = _said(store, row["published_position"])
    promoted = _said(store, row["promoted_position"])
    said = published or promoted
    if said is None:
        fail(
            f"the event store has nothing of the model {row['model_id']} but that it was {row['status']}",
            f"its document is the object {row['sha256'] or row['model_id']} of the bucket models",
        )
    return Known(row, said.artifact, published if isinstance(published, ModelPublished) else None)


def _said(store: Store, position: int | None) -> ModelPublished | ModelPromoted | None:
    recorded = None if position is None else store.at(position)
    event = None if recorded is None else recorded.event
    return event if isinstance(event, ModelPublished | ModelPromoted) else None
