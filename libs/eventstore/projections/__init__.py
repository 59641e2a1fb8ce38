"""The tables that are folded from events: their rows, the folds, and how they are written."""

from eventstore.projections.alerts import Alerts
from eventstore.projections.capital import Capital
from eventstore.projections.equity import Equity
from eventstore.projections.fills import Fills
from eventstore.projections.ingest_ledger import IngestLedger, Watermarks
from eventstore.projections.models import Models
from eventstore.projections.order_events import OrderEvents
from eventstore.projections.orders import Orders
from eventstore.projections.positions import Positions
from eventstore.projections.presets import Presets
from eventstore.projections.projection import AnyProjection
from eventstore.projections.regimes import Regimes
from eventstore.projections.risk_state import RiskState
from eventstore.projections.strategy_pnl import StrategyPnl
from eventstore.projections.trades_closed import TradesClosed
from eventstore.projections.trainings import Trainings

_ALL: tuple[AnyProjection, ...] = (
    Orders(),
    OrderEvents(),
    Fills(),
    Positions(),
    TradesClosed(),
    StrategyPnl(),
    Equity(),
    RiskState(),
    Capital(),
    Alerts(),
    IngestLedger(),
    Watermarks(),
    Trainings(),
    Models(),
    Regimes(),
    Presets(),
)

PROJECTIONS: dict[str, AnyProjection] = {made.name: made for made in _ALL}
"""Every projection by name, which is also its table's name."""
