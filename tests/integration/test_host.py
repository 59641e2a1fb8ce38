"""The host: a component on the live tape says each thing once, however it was interrupted, and knows its limits."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
from nats.aio.client import Client
from pydantic import BaseModel, ConfigDict

from contracts.control import DeadLetter, LeaseTaken
from contracts.event import Event
from contracts.market import Bar, Quote
from contracts.orders import OrderInitialized, RiskApproved
from contracts.types import Side
from contracts.venue import SubmitOrder, VenueAccepted
from services.clock.blueprint import BLUEPRINT as CLOCK
from services.clock.rules import MarketClock
from services.clock.settings import ClockSettings, ClockSource
from services.router.blueprint import BLUEPRINT as ROUTER
from services.router.rules import Router
from services.router.settings import RouterSettings
from tape.blueprint import Blueprint, Observers
from tape.component import Component, on
from tape.consumers import provision_consumers
from tape.headers import TRACE, TYPE, origin_ns
from tape.host import Host, HostState, NotDeclared
from tape.memory import MemoryTape
from tape.provision import STREAMS_DIR, provision
from tape.wire import Wire
from tests.builders import START, approval, intent, quote, submit, terms
from tests.judge import JUDGE, Judge, JudgeSettings
from tests.live import Broker, Message, client, messages, put, tape, until
from tests.servers import scratch_directory

pytestmark = pytest.mark.integration

OUTPUTS = 3
FORGETFUL_NS = 100_000_000
"""A duplicate window that is over before a test goes on: what is exactly once here is so without the server's help."""


class NoSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@pytest.fixture
async def nc(fresh_nats_url: str) -> AsyncIterator[Client]:
    async with tape(fresh_nats_url) as nc:
        await provision_consumers(nc)
        yield nc


@pytest.fixture
async def forgetful(fresh_nats_url: str, tmp_path: Path) -> AsyncIterator[Client]:
    """A tape whose server soon forgets which ids it has seen."""
    directory = shutil.copytree(STREAMS_DIR, tmp_path / "streams")
    declared = directory / "TAPE.json"
    declared.write_text(json.dumps(json.loads(declared.read_text()) | {"duplicate_window": FORGETFUL_NS}))
    async with client(fresh_nats_url) as nc:
        await provision(nc, lambda: 0, directory)
        await provision_consumers(nc)
        yield nc


@asynccontextmanager
async def hosted(nc: Client, blueprint: Blueprint, settings: BaseModel | None = None) -> AsyncIterator[Host]:
    """A host that leads; whatever ends it ends the test."""
    async with started(nc, blueprint, settings) as host:
        await until(lambda: host.state is HostState.LIVE)
        yield host


@asynccontextmanager
async def started(nc: Client, blueprint: Blueprint, settings: BaseModel | None = None) -> AsyncIterator[Host]:
    host = Host(blueprint, settings or blueprint.settings(), Wire(nc), None)
    await host.start()
    working = asyncio.create_task(host.run())
    try:
        yield host
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await host.stop()


async def lead_once(nc: Client, name: str, settings: str = "{}") -> None:
    """Put on the tape that somebody led before: from there on the component has a voice."""
    lease = LeaseTaken(ts_event=START, ts_init=START, component=name, instance="old", settings=settings)
    await put(nc, lease, f"{name}/lease/old-1")


@asynccontextmanager
async def provisioned(nc: Client) -> AsyncIterator[None]:
    await provision_consumers(nc)
    yield


async def wish(nc: Client, number: int) -> int:
    return await put(nc, intent(terms(order_id=f"wish-{number}")), f"trend/{number}/0")


async def has_said(nc: Client, count: int, subject: str = "risk.approved.*.*") -> bool:
    return len(await messages(nc, subject)) >= count


def ids(said: list[Message]) -> list[str]:
    return [message.msg_id for message in said]


def seen(said: list[Message]) -> list[str]:
    events = [message.event for message in said]
    return [event.order.client_order_id for event in events if isinstance(event, RiskApproved)]


# -- what travels beside an output ------------------------------------------------------------------------------------


async def test_outputs_are_named_by_their_cause_and_carry_type_and_cause(nc: Client) -> None:
    async with hosted(nc, JUDGE):
        cause = await wish(nc, 1)
        await until(lambda: has_said(nc, OUTPUTS))
    said = await messages(nc, "risk.>")
    assert ids(said) == [f"risk/{cause}/{index}" for index in range(OUTPUTS)]
    assert {message.cause for message in said} == {cause}
    assert {message.headers[TYPE] for message in said} == {"RiskApproved.v1"}


async def test_the_trace_is_carried_along_the_whole_chain(nc: Client) -> None:
    async with hosted(nc, JUDGE), hosted(nc, ROUTER):
        await wish(nc, 1)
        await until(lambda: has_said(nc, OUTPUTS, "venue.command.submit.*.*"))
    chain = [message.headers[TRACE] for message in await messages(nc) if not message.subject.startswith("lease.")]
    assert len(chain) == 1 + OUTPUTS + 3 * OUTPUTS
    assert len({trace[:36] for trace in chain}) == 1
    assert len({trace[36:] for trace in chain}) == len(chain)
    assert {origin_ns(trace) for trace in chain} == {origin_ns(chain[0])} != {None}


async def test_what_came_without_a_trace_begins_one(nc: Client) -> None:
    wished = intent(terms())
    async with hosted(nc, JUDGE):
        await put(nc, wished, "trend/1/0")
        headers = {TYPE: "OrderIntent.v1", "Hmm-Ts": "1"}
        stripped = (await messages(nc, "intent.>"))[0]
        await nc.jetstream(timeout=30).publish(stripped.subject, stripped.payload, headers=headers)
        await until(lambda: has_said(nc, 2 * OUTPUTS))
    assert all(origin_ns(message.headers[TRACE]) for message in await messages(nc, "risk.>"))


async def test_says_live_what_it_says_in_memory(nc: Client) -> None:
    wishes = [intent(terms(order_id=f"wish-{number}")) for number in range(5)]
    memory = MemoryTape([Judge(JudgeSettings()), Router(RouterSettings())])
    memory.play(wishes)
    async with hosted(nc, JUDGE), hosted(nc, ROUTER):
        for number, wished in enumerate(wishes, start=1):
            await put(nc, wished, f"trend/{number}/0")
            await until(lambda number=number: has_said(nc, number * OUTPUTS, "venue.command.>"))
    said = [message for message in await messages(nc) if message.cause is not None]
    live = [message.event for message in said]
    assert sorted(map(repr, live)) == sorted(repr(recorded.event) for recorded in memory.recorded)


# -- exactly once -----------------------------------------------------------------------------------------------------


async def test_starts_again_without_repeating_or_losing_anything(forgetful: Client) -> None:
    async with hosted(forgetful, JUDGE):
        await wish(forgetful, 1)
        await wish(forgetful, 2)
        await until(lambda: has_said(forgetful, 2 * OUTPUTS))
    await wish(forgetful, 3)  # nobody is there to answer
    await asyncio.sleep(2 * FORGETFUL_NS / 1e9)
    async with hosted(forgetful, JUDGE):
        await wish(forgetful, 4)
        await until(lambda: has_said(forgetful, 4 * OUTPUTS))
    await asyncio.sleep(2 * FORGETFUL_NS / 1e9)
    async with hosted(forgetful, JUDGE) as host:
        await until(lambda: host.reader is not None and host.reader.lag == 0)
    said = await messages(forgetful, "risk.>")
    assert seen(said) == [f"seen-{number}-{index}" for number in (1, 2, 3, 4) for index in range(OUTPUTS)]
    assert len(set(ids(said))) == 4 * OUTPUTS


@pytest.mark.parametrize("got_out", range(OUTPUTS + 1))
async def test_killed_between_two_outputs_goes_on_with_the_next(forgetful: Client, got_out: int) -> None:
    await lead_once(forgetful, "risk")
    first = await wish(forgetful, 1)
    cause = await wish(forgetful, 2)
    for position, number, count in ((first, 1, OUTPUTS), (cause, 2, got_out)):
        for index in range(count):
            event = approval(terms(order_id=f"seen-{number}-{index}"))
            await put(forgetful, event, f"risk/{position}/{index}", position)
    await asyncio.sleep(2 * FORGETFUL_NS / 1e9)
    async with hosted(forgetful, JUDGE):
        await wish(forgetful, 3)
        await until(lambda: has_said(forgetful, 3 * OUTPUTS))
    said = await messages(forgetful, "risk.>")
    assert seen(said) == [f"seen-{number}-{index}" for number in (1, 2, 3) for index in range(OUTPUTS)]
    assert len(set(ids(said))) == 3 * OUTPUTS


async def test_a_killed_broker_makes_it_repeat_and_lose_nothing() -> None:
    with scratch_directory() as run, Broker(run) as broker:
        async with tape(broker.url) as nc, client(broker.url) as other, provisioned(nc), hosted(nc, JUDGE):
            for number in range(1, 5):
                await wish(other, number)
            await until(lambda: has_said(other, 4 * OUTPUTS))
            broker.kill()
            broker.start()
            for number in range(5, 9):
                await wish(other, number)
            await until(lambda: has_said(other, 8 * OUTPUTS))
            said = await messages(other, "risk.>")
    assert seen(said) == [f"seen-{number}-{index}" for number in range(1, 9) for index in range(OUTPUTS)]


async def test_dead_letters_are_not_repeated_either(forgetful: Client) -> None:
    await lead_once(forgetful, "risk")
    await put(forgetful, quote(bid=13.0), "feed/1")
    async with hosted(forgetful, JUDGE):
        await until(lambda: has_said(forgetful, 1, "dead.risk"))
    await asyncio.sleep(2 * FORGETFUL_NS / 1e9)
    async with hosted(forgetful, JUDGE):
        await wish(forgetful, 1)
        await until(lambda: has_said(forgetful, OUTPUTS))
    assert len(await messages(forgetful, "dead.>")) == 1


async def test_takes_over_from_an_edge_without_answering_the_past(nc: Client) -> None:
    """The wall clock of a simulated market, then a replay's clock on the same tape: no second ticks twice."""
    wall, market = MarketClock().on_market(quote(at=0)), MarketClock().on_market(quote(at=5))
    assert wall is not None and market is not None
    await lead_once(nc, "clock", ClockSettings(source=ClockSource.WALL).model_dump_json())
    await put(nc, quote(at=0), "feed/1")
    await put(nc, wall[0], "clock/wall-1")
    async with hosted(nc, CLOCK, ClockSettings(source=ClockSource.MARKET)):
        position = await put(nc, quote(at=5), "feed/2")
        await until(lambda: has_said(nc, 2, "clock.1s"))
    ticks = await messages(nc, "clock.>")
    assert ids(ticks) == ["clock/wall-1", f"clock/{position}/0"]


async def test_observers_hear_only_what_is_said_live(nc: Client) -> None:
    heard: list[tuple[str, float | None]] = []

    def hear(said: Event, milliseconds: float | None) -> None:
        assert isinstance(said, RiskApproved)
        heard.append((said.order.client_order_id, milliseconds))

    async with hosted(nc, JUDGE):
        await wish(nc, 1)
        await until(lambda: has_said(nc, OUTPUTS))
    observers: Observers = {RiskApproved: hear}
    async with hosted(nc, replace(JUDGE, observe=lambda: observers)):
        await wish(nc, 2)
        await until(lambda: has_said(nc, 2 * OUTPUTS))
    assert [order for order, _ in heard] == [f"seen-2-{index}" for index in range(OUTPUTS)]
    assert all(milliseconds is not None and 0 < milliseconds < 10_000 for _, milliseconds in heard)


# -- what goes wrong --------------------------------------------------------------------------------------------------


async def dead_letter(nc: Client) -> DeadLetter:
    (letter,) = await messages(nc, "dead.risk")
    assert isinstance(letter.event, DeadLetter)
    return letter.event


@pytest.mark.parametrize(
    ("payload", "headers", "reason"),
    [
        (b'{"bid": ', {TYPE: "Quote.v1", "Hmm-Ts": "5"}, "Quote.v1: Invalid JSON"),
        (b"\x00\xff\xfe", {TYPE: "Quote.v1", "Hmm-Ts": "99999999999999999999"}, "Quote.v1: Invalid JSON"),
        (b"{}", {TYPE: "Quote.v99", "Hmm-Ts": "x"}, "Hmm-Type: 'Quote.v99' is newer than this code"),
        (b"{}" * 4000, {}, "Hmm-Type: '' is no event type that this code knows"),
    ],
)
async def test_what_cannot_be_read_becomes_a_dead_letter_and_it_goes_on(
    nc: Client, payload: bytes, headers: dict[str, str], reason: str
) -> None:
    async with hosted(nc, JUDGE):
        ack = await nc.jetstream(timeout=30).publish("md.quote.sim.BTCUSDT", payload, headers=headers)
        await wish(nc, 1)
        await until(lambda: has_said(nc, OUTPUTS))
    letter = await dead_letter(nc)
    assert letter.reason.startswith(reason)
    assert letter.source == f"position {ack.seq}, md.quote.sim.BTCUSDT"
    assert letter.component == "risk"


async def test_a_handler_that_raises_makes_a_dead_letter_and_it_goes_on(nc: Client) -> None:
    async with hosted(nc, JUDGE):
        position = await put(nc, quote(bid=13.0), "feed/1")
        await wish(nc, 1)
        await until(lambda: has_said(nc, OUTPUTS))
    letter = await dead_letter(nc)
    assert letter.reason.startswith("ZeroDivisionError: thirteen (tests.judge:")
    assert letter.source == f"position {position}, md.quote.sim.BTCUSDT"
    assert '"bid":13.0' in letter.excerpt
    assert letter.ts_init == START


async def test_an_answer_that_is_no_event_makes_a_dead_letter_in_its_place(nc: Client) -> None:
    async with hosted(nc, JUDGE):
        position = await put(nc, quote(bid=14.0), "feed/1")
        await until(lambda: has_said(nc, 2))
    letter = await dead_letter(nc)
    assert letter.reason.startswith("RiskApproved.mark: Input should be")
    assert letter.source == f"answer to position {position}"
    answers = [message.msg_id for message in await messages(nc) if message.cause == position]
    assert answers == [f"risk/{position}/{index}" for index in range(3)]


class Unlisted(Component):
    produces: ClassVar[tuple[type[Event], ...]] = ()


class Forger(Judge):
    produces: ClassVar[tuple[type[Event], ...]] = (RiskApproved, OrderInitialized, Quote)


class Eavesdropper(Judge):
    @on(Bar)
    def on_bar(self, _bar: Bar) -> None: ...


@pytest.mark.parametrize(
    ("component", "what"),
    [
        (Unlisted("nobody"), r"nobody is not in contracts/ownership\.py"),
        (Forger(JudgeSettings()), "risk may not write OrderInitialized, Quote"),
        (Eavesdropper(JudgeSettings()), "risk may not read Bar"),
    ],
)
async def test_nobody_says_or_hears_what_the_table_does_not_allow(
    nats_url: str, component: Component, what: str
) -> None:
    async with client(nats_url) as nc:
        with pytest.raises(NotDeclared, match=what):
            Host(Blueprint(component.name, NoSettings, lambda _settings: component), NoSettings(), Wire(nc), None)


# -- nothing reaches a venue before it is on disk ---------------------------------------------------------------------


@dataclass
class DealerState:
    heard: list[str]


class Dealer(Component):
    """Stands in for a gateway."""

    produces: ClassVar[tuple[type[Event], ...]] = (VenueAccepted,)
    durable: ClassVar[tuple[type[Event], ...]] = (SubmitOrder,)
    State: ClassVar[type[DealerState]] = DealerState

    def __init__(self) -> None:
        super().__init__("gateway")
        self.heard: list[str] = []

    def state(self) -> DealerState:
        return DealerState(self.heard)

    def restore(self, state: DealerState) -> None:
        self.heard = state.heard

    @on(SubmitOrder)
    def on_submit(self, command: SubmitOrder) -> tuple[VenueAccepted]:
        order = command.order
        self.heard.append(order.client_order_id)
        return (
            VenueAccepted(
                ts_event=START,
                ts_init=START,
                client_order_id=order.client_order_id,
                instrument=order.instrument,
                venue_order_id="1",
            ),
        )

    @on(Quote)
    def on_quote(self, quote: Quote) -> None:
        self.heard.append(f"quote {quote.bid}")


DEALER = Blueprint("gateway", NoSettings, lambda _settings: Dealer())


def heard(host: Host) -> list[str]:
    assert isinstance(host.component, Dealer)
    return host.component.heard


async def test_a_command_waits_until_the_ledger_holds_it(nc: Client) -> None:
    await nc.jetstream(timeout=30).delete_consumer("TAPE", "LEDGER")  # it follows TAPE no more
    async with hosted(nc, DEALER) as host:
        await put(nc, quote(bid=1.0), "feed/1")
        await put(nc, submit(terms(Side.BUY, order_id="first")), "router/1/0")
        await put(nc, quote(bid=2.0), "feed/2")
        await asyncio.sleep(0.5)
        assert heard(host) == ["quote 1.0"]
        assert await messages(nc, "venue.report.>") == []
        await provision(nc, lambda: 0)  # now LEDGER follows TAPE
        await until(lambda: has_said(nc, 1, "venue.report.>"))
        await put(nc, submit(terms(Side.BUY, order_id="second")), "router/3/0")
        await until(lambda: has_said(nc, 2, "venue.report.>"))
        assert heard(host) == ["quote 1.0", "first", "quote 2.0", "second"]


async def test_commands_from_before_the_start_are_in_the_ledger_already(nc: Client) -> None:
    await lead_once(nc, "gateway")
    for number in range(3):
        await put(nc, submit(terms(order_id=f"order-{number}")), f"router/{number}/0")
    async with hosted(nc, DEALER):
        assert await until(lambda: has_said(nc, 3, "venue.report.>")) < 2
    async with hosted(nc, DEALER) as again:
        assert len(heard(again)) == 3
    assert len(await messages(nc, "venue.report.>")) == 3


async def test_commands_go_on_after_the_broker_was_killed() -> None:
    with scratch_directory() as run, Broker(run) as broker:
        async with tape(broker.url) as nc, client(broker.url) as other:
            await provision_consumers(nc)
            async with hosted(nc, DEALER) as host:
                await put(other, submit(terms(order_id="before")), "router/1/0")
                await until(lambda: has_said(other, 1, "venue.report.>"))
                broker.kill()
                broker.start()
                await until(lambda: nc.is_connected and other.is_connected)
                await put(other, submit(terms(order_id="after")), "router/2/0")
                await until(lambda: has_said(other, 2, "venue.report.>"), within_s=30)
                assert heard(host) == ["before", "after"]
