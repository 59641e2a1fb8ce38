"""Which components take part in a backtest, in which order, under which settings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from contracts.ownership import ROLES, Kind
from contracts.types import Interval
from services.backtest.exchange import exchange_wanted, require_listed
from services.backtest.ownstrategies import FORM, is_reference, own_strategies
from services.backtest.settings import BacktestSettings, Unusable
from services.bars.settings import PriceSource
from services.catalog import BLUEPRINTS
from services.clock.settings import ClockSource
from services.depeg.rules import Depeg
from services.funding.rules import FundingGuard
from services.gateway.rules import Gateway
from services.gateway.settings import GatewayMode, GatewaySettings
from services.hmm_ensemble.rules import HmmEnsemble
from services.hmm_ensemble.settings import HmmEnsembleSettings
from services.ingest.settings import IngestSettings
from services.ingest.settings import Source as BarSource
from services.probe.rules import Probe
from services.risk.rules import Risk
from services.router.rules import Router
from services.scheduler.settings import Plan, SchedulerSettings
from services.stops.rules import Stops
from services.trainer.settings import TrainerSettings
from services.trend.rules import Trend
from tape.blueprint import Blueprint
from tape.component import Component
from venues.instruments import Listing

if TYPE_CHECKING:
    from services.backtest.prequential import Edges

INGEST, TRAINER = "ingest", "trainer"
"""Edges of the live stack that a run has only where it trains models."""

GUARDS = ("depeg", "funding", "probe")
"""Strategies to the tape, since they may wish for orders; they run whoever trades."""

STRATEGIES = tuple(name for name in BLUEPRINTS if ROLES[name].kind is Kind.STRATEGY and name not in GUARDS)

ABSENT: Mapping[str, str] = {"scheduler": "no model is trained within the run (--train)"}
"""Components of the live stack that do not run unless models are trained, and why."""

TRAINING = ("scheduler", INGEST, TRAINER)
"""Who takes part besides where models are trained within the run: the component that asks, and two edges."""

ORDER = (
    *("gateway", "clock", "bars", "regime", "drift", "params"),
    *STRATEGIES,
    *(*GUARDS, "stops", "risk", "router", "portfolio", "allocator"),
)
"""Who hears an event before whom: the exchange first, so that what it does with an event is said before decisions."""

SETTINGS: Mapping[str, type[BaseModel]] = {
    **{name: BLUEPRINTS[name].settings for name in (*ORDER, "scheduler")},
    INGEST: IngestSettings,
    TRAINER: TrainerSettings,
}
"""Of all that may take part."""

_ALL = "all"
_SEEDS = 2**31
_BELIEVED_FOR_BARS = 10
"""A model speaks every few bars: what it said is believed for twice as many, as usual bars have it."""

_LISTED: Mapping[str, Any] = {
    "gateway": Gateway,
    "trend": Trend,
    "hmm_ensemble": HmmEnsemble,
    "depeg": Depeg,
    "funding": FundingGuard,
    "probe": Probe,
    "stops": Stops,
    "risk": Risk,
    "router": Router,
}
"""Components that are built with what the exchange lists."""


@dataclass(frozen=True)
class Wiring:
    """The components of a run by name, in order, with the settings that each has."""

    blueprints: Mapping[str, Blueprint]
    settings: Mapping[str, BaseModel]
    training_s: float = 0.0
    """Of market time that a training takes, where models are trained."""

    def build(self) -> list[Component]:
        components = {name: settings for name, settings in self.settings.items() if name in self.blueprints}
        built = {name: self.blueprints[name].build(settings) for name, settings in components.items()}
        missing = [name for name, component in built.items() if component is None]
        assert not missing, f"{', '.join(missing)}: no component under these settings"
        return [component for component in built.values() if component is not None]

    def edges(self) -> "Edges | None":
        """Give who trains within the run; None where nobody does."""
        if TRAINER not in self.settings:
            return None
        from services.backtest.prequential import Edges  # noqa: PLC0415 # most runs train nothing

        return Edges(self.settings, self.training_s)


@dataclass(frozen=True)
class Nature:
    """What the data is like, as far as components have to be told; None where it does not say."""

    interval: Interval | None = None
    """Of the bars that it consists of."""
    currency: str | None = None
    """In which all of its instruments are paid."""
    prices: PriceSource | None = None
    """What bars have to be made of, where it is not for the settings to say: there may be no trades in it."""


def wire(asked: BacktestSettings, usual: Mapping[str, BaseModel], listing: Listing, nature: Nature) -> Wiring:
    """Wire a run: `usual` settings, changed by what the data is like, and then as asked; raises `Unusable`."""
    names, own = participants(asked), own_strategies(asked.strategies)
    usual = {**{one.name: one.settings() for one in own}, **usual}
    settings = {name: _derived(name, usual[name], asked, nature) for name in names}
    for name, assignments in _assigned(asked.changes, names).items():
        settings[name] = _changed(name, settings[name], assignments)
    _require_simulation(settings)
    require_listed(_gateway_of(settings), listing)
    if asked.train:
        _require_bars(settings)
    for one in own:
        one.build(settings[one.name], listing)  # what its constructor refuses is known before anything is played
    return Wiring(blueprints(listing, asked.strategies), settings, asked.training_s)


def participants(asked: BacktestSettings) -> tuple[str, ...]:
    """Name who takes part; raises `Unusable`."""
    strategies = asked.strategies
    for name in strategies:
        if name not in (*STRATEGIES, _ALL) and not is_reference(name):
            known = f"there are {', '.join(STRATEGIES)}, or all; one of your own is {FORM}"
            raise Unusable(f"--strategies {','.join(strategies)}: there is no strategy {name!r}", known)
    trading = STRATEGIES if _ALL in strategies else strategies
    own = [one.name for one in own_strategies(strategies)]
    components = [name for name in ORDER if name not in STRATEGIES or name in trading]
    behind = components.index(GUARDS[0])  # own strategies hear behind those that are ours
    components[behind:behind] = own
    return (*components, *TRAINING) if asked.train else tuple(components)


def settings_types(strategies: Sequence[str] = ()) -> Mapping[str, type[BaseModel]]:
    """Give the settings of all that may take part, own strategies among them; raises `Unusable`."""
    return {**SETTINGS, **{own.name: own.settings for own in own_strategies(strategies)}}


def blueprints(listing: Listing, strategies: Sequence[str] = ()) -> Mapping[str, Blueprint]:
    """Give every blueprint, for an exchange that lists `listing`; own strategies may raise `Unusable`."""
    ours = {
        name: replace(blueprint, build=_with(_LISTED[name], listing)) if name in _LISTED else blueprint
        for name, blueprint in BLUEPRINTS.items()
    }
    return {**ours, **{own.name: own.blueprint(listing) for own in own_strategies(strategies)}}


def _with(component: Any, listing: Listing) -> Any:  # noqa: ANN401 # a class of any of them
    return lambda settings: component(settings, listing)


def _derived(name: str, usual: BaseModel, asked: BacktestSettings, nature: Nature) -> BaseModel:
    wanted = (*_wanted(name, usual, asked, nature), *_taught(usual, asked, nature.interval))
    changes = {key: value for key, value in wanted if value is not None}
    try:
        return type(usual).model_validate({**usual.model_dump(), **changes}) if changes else usual
    except ValidationError as error:
        raise Unusable(f"{name}: {_first_problem(error)}") from None


def _wanted(name: str, usual: BaseModel, asked: BacktestSettings, nature: Nature) -> Iterator[tuple[str, object]]:
    """Say what the data and the arguments of the command mean for a component."""
    interval = nature.interval
    match name:
        case "clock":
            yield "source", ClockSource.MARKET
        case "bars":
            yield "intervals", interval and _as_long(interval, usual.model_dump()["intervals"])
            yield "source", nature.prices
        case "params":
            yield "seed", asked.seed
        case "portfolio":
            yield "currency", nature.currency
            yield "capital", asked.capital
        case "allocator":
            yield "currency", nature.currency
            yield "capital_each", asked.capital
        case "risk":
            yield "starting_capital", None if asked.capital is None else float(asked.capital)
            yield "max_mark_age_ms", interval and max(interval.nanos / 1e6, usual.model_dump()["max_mark_age_ms"])
        case "gateway":
            assert isinstance(usual, GatewaySettings)
            yield from exchange_wanted(usual, asked)
        case _ if name in STRATEGIES or name not in SETTINGS:
            fields = type(usual).model_fields
            yield from (
                pair for pair in (("interval", interval), ("fee_bps", asked.taker_fee_bps)) if pair[0] in fields
            )
        case _:
            return


def _taught(usual: BaseModel, asked: BacktestSettings, interval: Interval | None) -> Iterator[tuple[str, object]]:
    """Say what the seed and the length of the data's bars mean for who trains on them, and for who believes it."""
    if isinstance(usual, HmmEnsembleSettings) and interval is not None:
        age_s = min(_BELIEVED_FOR_BARS * interval.nanos / 1e9, 86_400)
        yield "max_regime_age_s", max(usual.max_regime_age_s, age_s)
        yield "max_direction_age_s", max(usual.max_direction_age_s, age_s)
    if isinstance(usual, TrainerSettings):
        yield "seed", None if asked.seed is None else asked.seed % _SEEDS
    if isinstance(usual, SchedulerSettings):
        yield "plans", interval and _plans(interval, usual)
    if isinstance(usual, IngestSettings):
        yield "source", BarSource.TAPE
        yield "intervals", interval and _as_long(interval, usual.intervals)


def _as_long(interval: Interval, usual: Sequence[Interval]) -> tuple[Interval, ...]:
    """Leave out bars that are shorter than those the data consists of: nothing is known of them."""
    return (interval, *(one for one in usual if one.nanos > interval.nanos))


def _plans(interval: Interval, usual: SchedulerSettings) -> tuple[Plan, ...]:
    """Train on bars that are no shorter than those the data consists of."""
    longer = (plan.model_copy(update={"interval": interval}) for plan in usual.plans)
    return tuple(
        plan if plan.interval.nanos > interval.nanos else other for plan, other in zip(usual.plans, longer, strict=True)
    )


def _assigned(changes: Sequence[str], names: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Read `COMPONENT.KEY=VALUE`; raises `Unusable`."""
    assigned: dict[str, list[tuple[str, str]]] = {}
    for change in changes:
        place, separator, value = change.partition("=")
        name, dot, key = place.partition(".")
        if not (separator and dot and key):
            raise Unusable(f"--set {change}: not of the form COMPONENT.KEY=VALUE", "for instance trend.slow=20")
        if name in TRAINING and name not in names:
            raise Unusable(f"--set {change}: {name} does not run: {ABSENT['scheduler']}", "add --train")
        if name not in names:
            left_out = name in STRATEGIES
            why = f"{name} is not among --strategies" if left_out else f"there is no component {name!r}"
            raise Unusable(f"--set {change}: {why}", "" if left_out else f"there are {', '.join(names)}")
        assigned.setdefault(name, []).append((key, value))
    return assigned


def _changed(name: str, settings: BaseModel, assignments: Sequence[tuple[str, str]]) -> BaseModel:
    document = settings.model_dump()
    for key, text in assignments:
        *path, last = key.split(".")
        if (path or [last])[0] not in document:
            raise Unusable(f"--set {name}.{key}: {name} has no such setting", f"it has {', '.join(document) or 'none'}")
        group = document
        for word in path:
            group = group.get(word)  # type: ignore[assignment] # looked at next
            if not isinstance(group, dict):
                raise Unusable(f"--set {name}.{key}: {word} has no settings of its own")
        group[last] = _value(f"{name}.{key}", text)
    try:
        return type(settings).model_validate(document)
    except ValidationError as error:
        said = " ".join(f"--set {name}.{key}={text}" for key, text in assignments)
        raise Unusable(f"{said}: {_first_problem(error)}") from None


def _value(place: str, text: str) -> object:
    """Read lists, groups and null as JSON; all else is text, which the settings read by their types."""
    if not text.startswith(("[", "{")) and text != "null":
        return text
    try:
        value: object = from_json(text)
    except ValueError as error:
        raise Unusable(f"--set {place}={text}: {error}") from None
    return value


def _gateway_of(settings: Mapping[str, BaseModel]) -> GatewaySettings:
    gateway = settings["gateway"]
    assert isinstance(gateway, GatewaySettings)
    return gateway


def _require_simulation(settings: Mapping[str, BaseModel]) -> None:
    """Refuse to be anything but a backtest."""
    if settings["gateway"].model_dump()["mode"] is not GatewayMode.SIMULATED:
        raise Unusable("gateway.mode: a backtest trades on the simulated exchange only", "leave it at simulated")
    if settings["clock"].model_dump()["source"] is not ClockSource.MARKET:
        raise Unusable("clock.source: time is that of the market data", "leave it at market")


def _require_bars(settings: Mapping[str, BaseModel]) -> None:
    """Refuse to wait for bars that nobody makes or keeps."""
    scheduler, ingest, bars = settings["scheduler"], settings[INGEST], settings["bars"]
    assert isinstance(scheduler, SchedulerSettings) and isinstance(ingest, IngestSettings)
    if ingest.source is not BarSource.TAPE:
        raise Unusable("ingest.source: a run trains on its own bars only", "leave it at tape")
    made = bars.model_dump()["intervals"]
    for interval in dict.fromkeys(plan.interval for plan in scheduler.plans):
        for component, intervals in (("bars", made), (INGEST, ingest.intervals)):
            if interval not in intervals:
                there = ", ".join(one.value for one in intervals)
                raise Unusable(
                    f"scheduler.plans: models are to be trained on bars of {interval.value}, and {component}.intervals "
                    f"has {there}",
                    f'--set \'scheduler.plans=[{{"interval":"{intervals[0].value}"}}]\', or --set both intervals',
                )


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    place = ".".join(map(str, problem["loc"]))
    message = problem["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
