"""The ensemble in the whole chain, on the simulated market whose regimes are known: what it wishes for comes to be."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import cache
from itertools import takewhile

from contracts.books import PositionClosed
from contracts.control import Alert
from contracts.event import Event
from contracts.laws import Law, Laws
from contracts.orders import OrderFilled, OrderIntent, RiskRejected
from contracts.recorded import Recorded
from contracts.regimes import UNKNOWN, RegimeInferred
from contracts.signals import SignalGiven
from contracts.types import Interval, OrderType
from services.bars.rules import Bars
from services.bars.settings import BarsSettings
from services.clock.rules import MarketClock
from services.gateway.rules import Gateway
from services.hmm_ensemble.rules import HmmEnsemble
from services.hmm_ensemble.settings import HmmEnsembleSettings
from services.portfolio.rules import Portfolio
from services.portfolio.settings import PortfolioSettings
from services.risk.rules import Risk
from services.risk.settings import RiskSettings
from services.router.rules import Router
from services.router.settings import RouterSettings
from services.stops.rules import Stops
from services.stops.settings import StopsSettings
from tape.memory import MemoryTape
from tests.builders import ns
from venues.instruments import BINANCE_SPOT
from venues.market import Regime, SimulatedMarket, SimulatedSymbol
from venues.simulated import SimulationSettings

STATES = tuple(regime.value for regime in Regime)
SECONDS = 900
UNKNOWN_FROM = 840
SETTINGS = HmmEnsembleSettings(notional=Decimal(100), cooldown_s=10)


def inferred(symbol: SimulatedSymbol, shown: Event) -> RegimeInferred:
    """Say what the market knows of itself; at the end, that nobody knows it."""
    label = symbol.regime.value if shown.ts_init < ns(UNKNOWN_FROM) else UNKNOWN
    return RegimeInferred(
        ts_event=shown.ts_event,
        ts_init=shown.ts_init,
        instrument=symbol.instrument.id,
        model_id="truth",
        regime=label,
        states=STATES,
        probabilities=tuple(float(state == symbol.regime.value) for state in STATES),
        entropy=0.0,
        confidence=1.0,
        confident=True,
        log_likelihood=-1.0,
        observation=(0.0,),
        close=100.0,
    )


def outside() -> Iterator[Event]:
    market = SimulatedMarket(list(BINANCE_SPOT.values())[:2], "5", ns(0), {})
    due = ns(5)
    for shown in takewhile(lambda event: event.ts_init < ns(SECONDS), market.events(quotes_per_s=4.0)):
        if shown.ts_init >= due:
            due += Interval.S5.nanos
            yield from (inferred(symbol, shown) for symbol in market.symbols)
        yield shown


class Traded:
    """What became of a quarter of an hour."""

    def __init__(self, settings: HmmEnsembleSettings) -> None:
        self.ensemble = HmmEnsemble(settings, BINANCE_SPOT)
        self.tape = MemoryTape(
            [
                MarketClock(),
                Bars(BarsSettings(intervals=(Interval.S5,))),
                self.ensemble,
                Risk(RiskSettings(), BINANCE_SPOT),
                Router(RouterSettings(), BINANCE_SPOT),
                Gateway(SimulationSettings(latency_ms=20), BINANCE_SPOT),
                Portfolio(PortfolioSettings()),
                Stops(StopsSettings(), BINANCE_SPOT),
            ]
        )
        self.played = list(outside())
        self.tape.play(self.played)

    def whole(self) -> Iterator[Recorded]:
        said = {recorded.position: recorded for recorded in self.tape.recorded}
        rest = iter(self.played)
        for position in range(1, self.tape.position + 1):
            yield said.get(position) or Recorded(position, None, "", 0, next(rest))


@cache
def traded() -> Traded:
    return Traded(SETTINGS)


def kinds(intents: Iterable[OrderIntent]) -> list[str]:
    return ["exit" if intent.order.reduce_only else "entry" for intent in intents]


def test_it_opens_and_leaves_positions_and_nobody_has_to_be_called() -> None:
    tape = traded().tape
    assert len(tape.of_type(PositionClosed)) >= 5
    assert {"entry", "exit"} == set(kinds(tape.of_type(OrderIntent)))
    assert tape.of_type(RiskRejected) == []
    assert tape.of_type(Alert) == []


def test_a_stop_or_a_target_that_rests_with_the_router_leaves_as_well() -> None:
    tape = traded().tape
    exits = {exit_.client_order_id: exit_ for wish in tape.of_type(OrderIntent) for exit_ in wish.attached}
    left_by = {
        exits[fill.client_order_id].order_type for fill in tape.of_type(OrderFilled) if fill.client_order_id in exits
    }
    assert left_by <= {OrderType.STOP_MARKET, OrderType.MARKET_IF_TOUCHED}
    assert left_by


def test_when_every_regime_is_unknown_it_ends_flat_and_nothing_rests() -> None:
    ensemble = traded().ensemble
    assert not any(ensemble.positions.values())
    assert ensemble.orders == {}
    assert all(market.view.side is None for market in ensemble.markets.values())


def test_every_law_of_orders_holds() -> None:
    laws = Laws()
    found = [violation for recorded in traded().whole() for violation in laws.look(recorded)]
    assert [violation for violation in (*found, *laws.at_rest()) if violation.law is not Law.LEASE] == []


def test_a_dry_run_gives_the_same_signals_and_trades_nothing() -> None:
    dry = Traded(SETTINGS.model_copy(update={"dry_run": True})).tape
    sides = [
        [(told.instrument, told.side, told.ts_init) for told in tape.of_type(SignalGiven)]
        for tape in (dry, traded().tape)
    ]
    assert sides[0] == sides[1]
    assert dry.of_type(OrderIntent) == []
    assert any(told.shadow_pnl != 0 for told in dry.of_type(SignalGiven))
