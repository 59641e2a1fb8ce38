"""The tables that are folded from events: their rows, the folds, and how they are written."""

from eventstore.projections.equity import Equity
from eventstore.projections.fills import Fills
from eventstore.projections.orders import Orders
from eventstore.projections.positions import Positions
from eventstore.projections.projection import AnyProjection

PROJECTIONS: dict[str, AnyProjection] = {made.name: made for made in (Orders(), Fills(), Positions(), Equity())}
"""Every projection by name, which is also its table's name."""
