"""A tape on which the whole system has played, every position of it: with leases, deaths, late joiners and nonsense."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import chain, islice

from pydantic import BaseModel

from contracts.codec import decode, type_header
from contracts.control import LeaseTaken
from contracts.data import DataChunk
from contracts.event import Event
from contracts.models import Scale
from contracts.recorded import Recorded, Unreadable
from contracts.types import InstrumentId, Interval
from services.allocator.settings import AllocatorSettings
from services.bars.settings import BarsSettings
from services.catalog import BLUEPRINTS
from services.clock.settings import ClockSettings, ClockSource
from services.depeg.settings import DepegSettings
from services.drift.settings import DriftSettings
from services.funding.settings import FundingSettings
from services.gateway.settings import GatewaySettings
from services.hmm_ensemble.settings import HmmEnsembleSettings
from services.params.settings import ParamsSettings, PresetFactors
from services.portfolio.settings import PortfolioSettings
from services.probe.settings import ProbeSettings
from services.regime.settings import RegimeSettings
from services.risk.settings import RiskSettings
from services.router.settings import RouterSettings
from services.scheduler.settings import Plan, SchedulerSettings
from services.stops.settings import StopsSettings
from services.trend.settings import TrendSettings
from tape.blueprint import Blueprint
from tape.folding import sayable
from tape.headers import output_id
from tape.reader import received
from tape.replica import Answer, Replica
from tests.builders import START
from tests.regime_builders import CHUNK, artifact, direction_model, promoted, regime_model, spec
from venues.instruments import BINANCE_SPOT
from venues.market import SimulatedMarket

BTC = next(iter(BINANCE_SPOT))

SETTINGS: Mapping[str, BaseModel] = {
    "clock": ClockSettings(source=ClockSource.MARKET),
    "bars": BarsSettings(intervals=(Interval.S1, Interval.S5)),
    "trend": TrendSettings(
        interval=Interval.S1, fast=1, slow=3, rsi=2, rsi_min=0, rsi_max=100, atr=2, stop_atr=0.5, target_atr=1
    ),
    "risk": RiskSettings(),
    "router": RouterSettings(),
    "gateway": GatewaySettings(),
    "portfolio": PortfolioSettings(capital=Decimal(50_000)),
    "stops": StopsSettings(),
    "allocator": AllocatorSettings(),
    "depeg": DepegSettings(),
    "funding": FundingSettings(),
    "probe": ProbeSettings(instruments=(BTC,), bars=Interval.S1, interval_s=5),
    "scheduler": SchedulerSettings(plans=(Plan(interval=Interval.S1),), cron="* * * * *", first_rows=5, min_gap_s=0),
    "regime": RegimeSettings(enter=0.5, dwell=1, kept_bars=60),
    "drift": DriftSettings(observations=20, stays=0, least=4, loss=4, stays_lost=0, again_s=30),
    "params": ParamsSettings(
        presets={
            "trend": {"small": PresetFactors(size=0.5), "near": PresetFactors(stop=0.5, target=0.5)},
            "hmm_ensemble": {"small": PresetFactors(size=0.5), "plain": PresetFactors()},
        },
        change_alarm=2,
        remembered_selections=3,
    ),
    "hmm_ensemble": HmmEnsembleSettings(
        interval=Interval.S1, fast=2, slow=4, atr=2, threshold=0.1, cooldown_s=1, stop_atr=1, target_atr=1.5
    ),
}
"""Of every component, such that it has much to say in a minute."""

Message = Recorded | Unreadable

INSTRUMENTS = [instrument for instrument in BINANCE_SPOT.values() if instrument.id.endswith(("BTCUSDT", "ETHUSDT"))]


def market(count: int, seed: int = 7, quotes_per_s: float = 4.0) -> Iterator[Event]:
    """Give the first events of a simulated market of two instruments, whose models are promoted soon."""
    shown = SimulatedMarket(INSTRUMENTS, str(seed), START, {}).events(quotes_per_s)
    return islice(chain(islice(shown, 8), learned(), shown), count)


def learned() -> Iterator[Event]:
    """Promote a model of each family for each instrument, and tell of the history that they were trained on."""
    of = spec(interval=Interval.S1)
    scaler = (Scale(center=0.0, spread=0.0001),)
    models = (replace(regime_model(of=of), scaler=scaler), replace(direction_model(of=of), scaler=scaler))
    for instrument in INSTRUMENTS:
        yield chunk(instrument.id, Interval.S1)
        for model in models:
            yield promoted(artifact(model, instrument.id))


def chunk(instrument: InstrumentId, interval: Interval) -> DataChunk:
    """Ten bars before `START`."""
    return DataChunk(
        ts_event=START,
        ts_init=START,
        by="ingest",
        instrument=instrument,
        interval=interval,
        first=START - 10 * interval.nanos,
        last=START - interval.nanos,
        rows=10,
        missing=0,
        repaired=0,
        sha256=CHUNK,
        source="tape",
    )


class Stage:
    """Writes what comes from outside, and all that those who are on stage answer to it and to each other."""

    def __init__(self, blueprints: Mapping[str, Blueprint] = BLUEPRINTS) -> None:
        self._blueprints = blueprints
        self.tape: list[Message] = []
        self._on_stage: dict[str, Replica] = {}
        self._said: deque[tuple[str, Answer]] = deque()

    @property
    def position(self) -> int:
        return len(self.tape)

    def enter(self, *names: str, **changed: BaseModel) -> None:
        """Let a new instance of each lead from here on, whoever did before; it learns from the tape what was."""
        for name in (*names, *changed):
            settings = changed.get(name, SETTINGS[name])
            instance, blueprint = f"{name}-{self.position}", self._blueprints[name]
            replica = Replica(blueprint, blueprint.settings_of(first_lease(self.tape, name), settings), instance)
            for message in self.tape:
                replica.take(message)
            self._on_stage[name] = replica
            replica.will_lead_from(self.position + 1)
            self.say(lease(name, instance, settings), msg_id=f"{name}/lease/{instance}-1")

    def leave(self, name: str) -> None:
        """Let a component fall silent in the midst of it."""
        self._on_stage.pop(name, None)

    def play(self, events: Iterable[Event]) -> None:
        for event in events:
            self.say(event, msg_id=f"sim/{self.position + 1}")

    def say(self, event: Event, msg_id: str) -> None:
        """Write an event from outside, and all that follows from it."""
        self._write(Recorded(self.position + 1, None, msg_id, 0, event))
        self._settle()

    def babble(self, subject: str, payload: bytes = b"{}") -> None:
        """Write what is no event."""
        message = received(self.position + 1, subject, payload, {})
        assert isinstance(message, Unreadable)
        self._write(message)
        self._settle()

    def _write(self, message: Message) -> None:
        self.tape.append(message)
        for name, replica in list(self._on_stage.items()):
            self._said.extend((name, answer) for answer in replica.take(message))

    def _settle(self) -> None:
        while self._said:
            name, answer = self._said.popleft()
            event, payload = sayable(name, answer.cause, answer.event)
            read = decode(type_header(type(event)), type(event).subject_of(event), payload)
            msg_id = output_id(name, answer.cause, answer.index)
            self._write(Recorded(self.position + 1, answer.cause, msg_id, 0, read))


def first_lease(tape: Iterable[Message], name: str) -> LeaseTaken | None:
    events = (told.event for told in tape if isinstance(told, Recorded))
    return next((event for event in events if isinstance(event, LeaseTaken) and event.component == name), None)


def lease(name: str, instance: str, settings: BaseModel) -> LeaseTaken:
    return LeaseTaken(
        ts_event=START, ts_init=START, component=name, instance=instance, settings=settings.model_dump_json()
    )


def played(events: Iterable[Event]) -> Stage:
    """Let the whole system trade a market."""
    stage = Stage()
    stage.enter(*SETTINGS)
    stage.play(events)
    return stage
