"""The feed edge: every frame comes onto the tape once, under an id that a second start finds again."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig

from contracts.control import DeadLetter
from contracts.market import MarketGap, Quote, Trade
from services.feed.app import Feed
from services.feed.pace import ASK_EVERY
from services.feed.settings import FeedSettings
from tape.host import HostState
from tape.wire import Wire
from tests.framefiles import START_NS, book, market, trade, write
from tests.live import PATIENCE_S, Message, messages, tape, until
from tests.servers import ROOT

pytestmark = pytest.mark.integration

QUOTES = 2_000
TRADES = QUOTES // 4
SECOND = 1_000_000_000


@pytest.fixture
async def nc(fresh_nats_url: str) -> AsyncIterator[Client]:
    async with tape(fresh_nats_url) as nc:
        yield nc


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / f"{symbol}.gz", market(symbol, QUOTES)) for symbol in ("BTCUSDT", "ETHUSDT")]


def replay(*files: Path, speed: str = "max", max_lag: int = 2_000) -> FeedSettings:
    return FeedSettings(source=f"frames:{','.join(map(str, files))}", speed=speed, max_lag=max_lag)


@asynccontextmanager
async def feeding(nc: Client, settings: FeedSettings) -> AsyncIterator[tuple[Feed, asyncio.Task[None]]]:
    feed = Feed(settings, None)
    await feed.start(Wire(nc))
    running = asyncio.create_task(feed.run())
    try:
        yield feed, running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await feed.stop()


async def play(nc: Client, settings: FeedSettings) -> Feed:
    async with feeding(nc, settings) as (feed, running):
        await asyncio.wait_for(running, timeout=PATIENCE_S)
        assert feed.state is HostState.FINISHED
        return feed


async def brought(nc: Client) -> list[Message]:
    """What feeds have put on the tape, but for the leases they took."""
    return [message for message in await messages(nc) if not message.subject.startswith("lease.")]


def numbers(said: list[Message]) -> list[int]:
    return [int(message.msg_id.rpartition("/")[2]) for message in said]


async def test_every_frame_comes_onto_the_tape_once_in_order_of_receipt(nc: Client, files: list[Path]) -> None:
    feed = await play(nc, replay(*files))
    said = await brought(nc)
    events = [message.event for message in said]
    assert [type(event) for event in events].count(Quote) == 2 * QUOTES
    assert [type(event) for event in events].count(Trade) == 2 * TRADES
    assert [event.ts_init for event in events] == sorted(event.ts_init for event in events)
    kinds = f"{2 * QUOTES} quote, {2 * TRADES} trade, 0 funding, 0 depth, 0 snapshot, 0 bad"
    assert feed.detail == f"{len(said)} frames: {kinds}"
    assert all(message.cause is None for message in said)


async def test_ids_come_from_what_is_in_the_files(nc: Client, files: list[Path], tmp_path: Path) -> None:
    await play(nc, replay(*files))
    ids = [message.msg_id for message in await brought(nc)]
    assert numbers(await brought(nc)) == list(range(len(ids)))
    moved = [file.rename(tmp_path / f"moved-{file.name}") for file in files]
    feed = await play(nc, replay(*moved))
    assert feed.handled == 0
    assert [message.msg_id for message in await brought(nc)] == ids


async def test_a_feed_that_is_killed_goes_on_behind_its_last_event(
    nc: Client, files: list[Path], fresh_nats_url: str
) -> None:
    settings = {"HMM_FEED_SOURCE": f"frames:{files[0]},{files[1]}", "HMM_FEED_SPEED": "200"}
    before = 0
    for _ in range(2):
        process = start(fresh_nats_url, settings)
        try:
            await until(lambda before=before: has_more(nc, before + 200), within_s=30)
        finally:
            process.kill()
            process.communicate(timeout=10)
        before = len(await brought(nc))
        assert before < 2 * (QUOTES + TRADES)
    await play(nc, replay(*files))
    assert numbers(await brought(nc)) == list(range(2 * (QUOTES + TRADES)))


async def has_more(nc: Client, count: int) -> bool:
    return (await nc.jetstream(timeout=30).stream_info("TAPE")).state.messages > count


def start(nats_url: str, settings: dict[str, str]) -> subprocess.Popen[str]:
    """The feed as the stack runs it."""
    environment = {**os.environ, "HMM_NATS_URL": nats_url, **settings}
    command = [sys.executable, "-m", "services.feed.app"]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


# -- what is wrong in a file ------------------------------------------------------------------------------------------


async def test_broken_frames_become_dead_letters_that_say_where_and_the_rest_is_played(
    nc: Client, tmp_path: Path
) -> None:
    good = [book(START_NS + number * SECOND, "BTCUSDT", 100.0, 100.5) for number in range(8)]
    bad = {
        2: (good[1][:60], "not JSON"),
        4: (f"{START_NS + 2 * SECOND} {{}}", "stream, data: a frame has both"),
        5: (good[2].replace("bookTicker", "kline_1m"), "stream: 'btcusdt@kline_1m' is unknown"),
        6: (book(START_NS + 2 * SECOND, "BTCUSDT", 101.0, 100.0), "Quote.bid: 101.0 is above the ask 100.0"),
        7: (book(START_NS + 2 * SECOND, "BTCUSDT", 100.0, 101.0, size="-1"), "Quote.bid_size: Input should be greater"),
        9: (good[0], "time runs backwards by 2.000 s"),
        10: ("nonsense", "a line begins with the receive time in ns"),
        11: (trade(START_NS + 3 * SECOND, "BTCUSDT", 100, 1).replace('"0.01"', '"NaN"'), "Trade.size: Input should be"),
        12: (trade(START_NS + 3 * SECOND, "BTCUSDT", 100, 1).replace('"p"', '"P"'), "data.p: is missing"),
        13: (f"{START_NS + 3 * SECOND} \x00\x01", "not JSON"),
    }
    rest = iter(good)
    lines = [bad[number][0] if number in bad else next(rest) for number in range(1, len(good) + len(bad) + 1)]
    feed = await play(nc, replay(write(tmp_path / "odd.gz", lines)))
    said = [message.event for message in await brought(nc)]
    assert [event.ts_init for event in said if isinstance(event, Quote)] == [START_NS + n * SECOND for n in range(8)]
    letters = [event for event in said if isinstance(event, DeadLetter)]
    assert [letter.source for letter in letters] == [f"odd.gz:{number}" for number in bad]
    for letter, (_, reason) in zip(letters, bad.values(), strict=True):
        assert letter.reason.startswith(reason)
    assert feed.detail == f"18 frames: 8 quote, 0 trade, 0 funding, 0 depth, 0 snapshot, {len(bad)} bad"


async def test_files_that_are_none_are_reported_and_the_others_are_played(nc: Client, tmp_path: Path) -> None:
    good = write(tmp_path / "good.gz", market("BTCUSDT", 40))
    plain, empty, cut = tmp_path / "plain.gz", tmp_path / "empty.gz", tmp_path / "cut.gz"
    plain.write_text("not gzip")
    write(empty, [])
    cut.write_bytes(write(tmp_path / "whole.gz", market("ETHUSDT", 4_000)).read_bytes()[:5_000])
    await play(nc, replay(good, plain, empty, cut))
    said = [message.event for message in await brought(nc)]
    letters = {event.source: event.reason for event in said if isinstance(event, DeadLetter)}
    assert letters["plain.gz:1"].startswith("the file cannot be read on: Not a gzipped file")
    assert letters["empty.gz:0"] == "the file is empty"
    (end_of_cut,) = [reason for source, reason in letters.items() if source.startswith("cut.gz:")]
    assert end_of_cut.startswith("the file cannot be read on: Compressed file ended")
    assert sum(isinstance(event, Quote) and event.instrument == "binance.BTCUSDT" for event in said) == 40


async def test_what_did_not_come_is_said(nc: Client, tmp_path: Path) -> None:
    lines = [
        trade(START_NS, "BTCUSDT", 100.0, 1),
        trade(START_NS + SECOND, "BTCUSDT", 100.0, 5),
        trade(START_NS + 61 * SECOND, "BTCUSDT", 100.0, 6),
    ]
    await play(nc, replay(write(tmp_path / "gaps.gz", lines)))
    said = [message.event for message in await brought(nc)]
    assert [type(event) for event in said] == [Trade, MarketGap, Trade, MarketGap, Trade]
    assert [event.missing for event in said if isinstance(event, MarketGap)] == [3, 60 * SECOND]


# -- pace -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("only_trades", [False, True])
async def test_at_full_speed_it_waits_for_the_slowest_reader(nc: Client, tmp_path: Path, *, only_trades: bool) -> None:
    lines = [line for line in market("BTCUSDT", 12_000) if not only_trades or "@trade" in line]
    slow = ConsumerConfig(
        durable_name="trend",
        filter_subjects=["md.>", "clock.>"],
        ack_policy=AckPolicy.ALL,
        max_ack_pending=-1,
        ack_wait=60,
    )
    await nc.jetstream(timeout=30).add_consumer("TAPE", slow)
    reading = await nc.jetstream(timeout=30).pull_subscribe_bind("trend", "TAPE")
    await nc.jetstream(timeout=30).publish("clock.1s", b"")
    (first,) = await reading.fetch(1, timeout=5)  # who has not begun is not waited for
    await first.ack()
    taken = 0
    async with feeding(nc, replay(write(tmp_path / "long.gz", lines), max_lag=1_000)) as (feed, running):
        while taken < len(lines):
            await asyncio.sleep(0.05)
            assert feed.handled - taken <= 1_000 + 2 * ASK_EVERY  # what is on its way is not seen yet
            batch = await reading.fetch(750, timeout=5)
            await batch[-1].ack()
            taken += len(batch)
        await asyncio.wait_for(running, timeout=5)
    assert taken == len(lines) == feed.handled


async def test_at_a_given_speed_it_keeps_the_time_of_the_recording(nc: Client, tmp_path: Path) -> None:
    lines = [book(START_NS + number * SECOND, "BTCUSDT", 100.0, 100.5) for number in range(11)]
    began = asyncio.get_running_loop().time()
    await play(nc, replay(write(tmp_path / "ten.gz", lines), speed="10"))
    assert 1.0 <= asyncio.get_running_loop().time() - began < 2.0


# -- the simulated market ---------------------------------------------------------------------------------------------


async def test_the_simulated_market_goes_on_where_it_was(nc: Client) -> None:
    ends: dict[str, float] = {}
    for _ in range(3):
        async with feeding(nc, FeedSettings(quotes_per_s=200)) as (feed, running):
            before = feed.handled
            await until(lambda feed=feed, before=before: feed.handled > before + 100)
            assert not running.done()
        await asyncio.sleep(0.05)
        quotes = [message.event for message in await messages(nc, "md.quote.>")]
        moves = moved([quote for quote in quotes if isinstance(quote, Quote)], ends)
        assert max(moves) < 0.01
    assert len(ends) == 3
    assert len({message.msg_id for message in await brought(nc)}) == len(await brought(nc))


def moved(quotes: list[Quote], ends: dict[str, float]) -> list[float]:
    """How far prices went from quote to quote, as a share."""
    moves = [0.0]
    for quote in quotes:
        moves.append(abs(quote.mid / ends.get(quote.instrument, quote.mid) - 1))
        ends[quote.instrument] = quote.mid
    return moves


# -- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"HMM_FEED_SPEED": "quick"}, "feed: HMM_FEED_SPEED: Value error, speed is max or a number above 0"),
        ({"HMM_FEED_SOURCE": "tape"}, "feed: HMM_FEED: Value error, source is sim or frames:FILE[,FILE...]"),
        ({"HMM_FEED_SOURCE": "frames:/no/such"}, "feed: HMM_FEED_SOURCE: there is no file /no/such"),
        ({"HMM_FEED_COLOUR": "red"}, "feed: HMM_FEED_COLOUR is no setting of feed; it has HMM_FEED_MAX_LAG, "),
        ({"HMM_FEED_SYMBOLS": '["XYZ"]'}, "feed: HMM_FEED_SYMBOLS: no XYZ of binance; there are binance.BTCUSDT, "),
    ],
)
def test_wrong_settings_are_one_line_errors(settings: dict[str, str], line: str) -> None:
    process = start("nats://127.0.0.1:1", settings)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert said.startswith(line)
    assert said.count("\n") == 1
