"""The emulator as a process of its own: addressed by people and by tests in other processes."""

import asyncio
import gzip
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import ccxt.pro

from tests.emulated import ASK, BID, QUICK, SPOT, exchange_at, quoted_emulator
from venues.emulator import point

ROOT = Path(__file__).parents[2]
QUOTE = {"symbol": "BTCUSDT", "bid": BID, "bid_size": 1, "ask": ASK, "ask_size": 1}


Answer: TypeAlias = Any


async def ask(url: str, method: str, path: str, body: object = None) -> Answer:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{url}/emulator/{path}", json=body) as answer,
    ):
        return (await answer.json()) if answer.status == 200 else await answer.text()


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[str]:
    command = (sys.executable, "-m", "venues.emulator", "--port", "0", *arguments)
    running = await asyncio.create_subprocess_exec(*command, cwd=ROOT / "libs", stdout=PIPE)
    try:
        assert running.stdout is not None
        line = (await asyncio.wait_for(running.stdout.readline(), 30)).decode()
        match = re.match(r"REST (http://127\.0\.0\.1:\d+)  websockets ws://", line)
        assert match is not None, line
        yield match[1]
    finally:
        running.kill()
        await running.wait()


async def test_the_market_can_be_moved_and_the_truth_asked_from_elsewhere() -> None:
    async with quoted_emulator() as emulator, exchange_at(emulator, "binance") as spot:
        url = emulator.rest_url
        await spot.create_order(SPOT, "limit", "buy", 0.01, 59_000, {"clientOrderId": "p-1"})
        await ask(url, "POST", "quote", {**QUOTE, "bid": 58_000, "ask": 58_001})
        await ask(url, "POST", "mark", {"symbol": "BTCUSDT", "mark": "58000.5", "rate": "0.0001"})
        await ask(url, "POST", "trade", {"symbol": "BTCUSDT", "price": 58_000, "size": 1, "aggressor": "SELL"})
        truth = await ask(url, "GET", "truth")
    (order,) = truth["orders"]["spot"]
    assert (order["client_id"], order["status"], order["filled"]) == ("p-1", "FILLED", "0.01000")
    assert truth["created"] == {"spot": {"p-1": 1}, "usdm": {}}
    assert float(truth["spot"]["BTC"]["free"]) == 1.01


async def test_faults_are_scripted_and_their_log_is_told() -> None:
    async with quoted_emulator() as emulator:
        url = emulator.rest_url
        await ask(url, "POST", "faults", [{"kind": "break", "at": "GET /api/v3/time", "symbol": "BTCUSDT"}])
        async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v3/time"):
            pass
        truth = await ask(url, "GET", "truth")
        refused = await ask(url, "POST", "faults", [{"kind": "lose", "at": "POST *"}])
    assert [(struck["kind"], struck["site"]) for struck in truth["faults"]] == [("break", "GET /api/v3/time")]
    assert "lose strikes events" in refused


async def test_a_body_that_is_wrong_is_refused_with_its_reason() -> None:
    async with quoted_emulator() as emulator:
        unknown = await ask(emulator.rest_url, "POST", "quote", {**QUOTE, "symbol": "NOPE"})
        missing = await ask(emulator.rest_url, "POST", "trade", {"symbol": "BTCUSDT"})
    assert "NOPE is not listed" in unknown
    assert "price" in missing


async def test_a_process_plays_recorded_frames_and_ccxt_trades_there(tmp_path: Path) -> None:
    frames = tmp_path / "spot.gz"
    frame = '{"stream":"btcusdt@bookTicker","data":{"s":"BTCUSDT","b":"60000.0","B":"1","a":"60000.1","A":"1"}}'
    frames.write_bytes(gzip.compress(f"1 {frame}\n20000000 {frame}\n".encode()))
    async with process("--frames", str(frames)) as url:
        spot = ccxt.pro.binance(QUICK)
        point(spot, url, url.replace("http", "ws"), "emulator-key", "emulator-secret")
        order = await spot.create_order(SPOT, "market", "buy", 0.01)
        await spot.close()
        truth = await ask(url, "GET", "truth")
    assert order["average"] == ASK
    assert len(truth["orders"]["spot"]) == 1
