"""From recorded frames to archived rows, the whole system running, as a ratio of a bare relay in the same run.

The floor reads the same files, parses each frame and publishes the quotes and trades of it with bare nats-py,
pipelined; one bare ordered consumer counts them. Ours is what a user starts: `hmm up --feed frames:... --speed max`,
seven components and the archive reading along on the same cores, from the first event published to the last row.

Run it with `python -m tests.bench.bench_replay`.
"""

import asyncio
import gzip
import json
import os
import subprocess
import time
from pathlib import Path

import nats
import pytest
import uvloop
from nats.aio.msg import Msg
from pydantic_core import from_json

from tape.provision import provision
from tests.servers import ROOT, free_port, nats_server, scratch_directory

FILES = [ROOT.parent / "shared" / "data" / "binance-ws" / f"spot-{name}-20240808.gz" for name in ("btcusdt", "ethusdt")]
FRAMES, QUOTES, TRADES = 74_867, 52_117, 15_863
WINDOW = 1024
LEAST_RATIO = 0.15


async def _relay(url: str) -> float:
    """Give frames per second of the floor."""
    nc = await nats.connect(url)
    await provision(nc, lambda: 0)
    inbox, heard, acknowledged, sent = nc.new_inbox(), 0, 0, 0

    async def on_ack(_message: Msg) -> None:
        nonlocal acknowledged
        acknowledged += 1

    async def hear(_message: Msg) -> None:
        nonlocal heard
        heard += 1

    await nc.subscribe(f"{inbox}.*", cb=on_ack)
    await nc.jetstream().subscribe("md.>", ordered_consumer=True, cb=hear)
    began = time.perf_counter()
    for file in FILES:
        with gzip.open(file, "rb") as lines:
            for line in lines:
                data = from_json(line.partition(b" ")[2]).get("data")
                if data is None or "U" in data:
                    continue
                sent += 1
                subject = f"md.quote.binance.{data['s']}"
                await nc.publish(subject, json.dumps(data).encode(), f"{inbox}.{sent}", {"Nats-Msg-Id": str(sent)})
                while sent - acknowledged > WINDOW:  # noqa: ASYNC110
                    await asyncio.sleep(0)
    while heard < sent:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    seconds = time.perf_counter() - began
    await nc.close()
    assert sent == QUOTES + TRADES
    return FRAMES / seconds


def _replay(run: Path) -> float:
    """Give frames per second of the whole system; every frame must be accounted for."""
    ports = {"HMM_NATS_PORT": free_port(), "HMM_NATS_MONITOR_PORT": free_port(), "HMM_POSTGRES_PORT": free_port()}
    base = {"HMM_RUN_DIR": str(run), "HMM_HEALTH_PORT_BASE": "27300"}
    environment = {**os.environ, **base, **{name: str(port) for name, port in ports.items()}}

    def hmm(*words: str) -> str:
        command = [str(ROOT / ".venv" / "bin" / "hmm"), *words]
        return subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stdout

    try:
        hmm("up", "--feed", "frames:" + ",".join(map(str, FILES)), "--speed", "max", "--fresh")
        (row,) = json.loads(
            hmm(
                "sql",
                "--json",
                "SELECT (SELECT count(*) FROM quotes) AS quotes, (SELECT count(*) FROM trades) AS trades,"
                " extract(epoch FROM (SELECT moved_at FROM checkpoints WHERE name = 'archive'))"
                " - (SELECT min(ts_recorded) FROM quotes) / 1e9 AS seconds",
            )
        )
    finally:
        hmm("down")
    assert (row["quotes"], row["trades"]) == (QUOTES, TRADES)
    return FRAMES / float(row["seconds"])


@pytest.mark.skipif(not all(map(Path.exists, FILES)), reason="the recorded frames are not there")
def test_recorded_frames_become_rows_at_a_fair_share_of_a_bare_relay() -> None:
    with scratch_directory() as run, nats_server(run) as url:
        floor = uvloop.run(_relay(url))
    with scratch_directory() as run:
        ours = _replay(run)
    print(
        f"\nbare relay {floor:,.0f} frames/s; whole system, file to rows {ours:,.0f} frames/s; ratio {ours / floor:.2f}"
    )
    assert ours / floor >= LEAST_RATIO


if __name__ == "__main__":
    test_recorded_frames_become_rows_at_a_fair_share_of_a_bare_relay()
