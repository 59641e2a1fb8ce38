"""How fast market data is read, in one run with a floor: python -m tests.bench.bench_marketfiles

Frames beside a loop of `json.loads` over the same lines; CSV and Parquet beside pyarrow reading the same file into
columns; the cache of decoded events beside the first reading. CPU time, the best of several; then the peak of memory
over a file of `--rows` quotes, which is made, played and removed.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from contracts.event import Event
from eventstore.ahead import garbage_looked_for_rarely
from eventstore.marketdata.decodedcache import DecodedCache
from eventstore.marketfiles import read_market
from services.backtest.kept import kept
from services.backtest.settings import BacktestSettings
from services.backtest.sources import Reading, frames
from tests.servers import ROOT

RECORDED = ROOT.parent / "shared" / "data" / "binance-ws"
ROWS = 300_000
GROUP = 1_000_000
BEGIN_NS = 1_700_000_000 * 10**9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="quotes of the file whose memory is measured")
    parser.add_argument("--play", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.play is not None:
        _play(asked.play)
        return
    with tempfile.TemporaryDirectory() as folder, garbage_looked_for_rarely():
        files = sorted(RECORDED.glob("spot-*.gz"))
        if files:
            _frames(files, Path(folder))
        else:
            print("no recorded frames here: they are not measured")
        _tables(Path(folder))
        _memory(Path(folder), asked.rows)


def _frames(files: list[Path], folder: Path) -> None:
    lines = sum(_parsed(file) for file in files)

    def floor() -> None:
        for file in files:
            _parsed(file)

    _told("frames", lines, lambda: _all(frames(files, "binance").events), "json.loads", floor)
    events = list(frames(files, "binance").events)
    size = 16_384
    told = [events[at : at + size] for at in range(0, len(events), size)]

    def read() -> Reading:
        reading = Reading((part for part in told), lambda: 0, dict)
        return kept(reading, DecodedCache(folder / "cache", 1 << 30, print), "key", BacktestSettings())

    began = time.process_time()
    for _ in read().lists:
        pass
    print(f"cache written: {len(events) / (time.process_time() - began):,.0f} events/s")
    first = _seconds(lambda: _all(frames(files, "binance").events)) / len(events)
    again = _seconds(lambda: deque(read().lists, maxlen=0)) / len(events)
    octets = sum(path.stat().st_size for path in (folder / "cache").iterdir()) / len(events)
    print(
        f"cache read: {1 / again:,.0f} events/s, {first / again:.1f} x the first reading; {octets:.1f} bytes an event"
    )


def _parsed(file: Path) -> int:
    """Give how many lines a file has, after parsing each."""
    with gzip.open(file) as lines:
        return sum(isinstance(json.loads(line.partition(b" ")[2]), dict) for line in lines)


def _tables(folder: Path) -> None:
    one = pc.ReadOptions(use_threads=False)
    for name, table in (("BTCUSDT-quotes", _quotes(0, ROWS)), ("BTCUSDT-trades", _trades(ROWS))):
        csv, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
        pc.write_csv(table, csv)
        pq.write_table(table, parquet)
        _told(csv.name, ROWS, partial(_market, csv), "pyarrow", partial(pc.read_csv, csv, one))
        _told(
            parquet.name, ROWS, partial(_market, parquet), "pyarrow", partial(pq.read_table, parquet, use_threads=False)
        )


def _market(file: Path) -> None:
    _all(read_market([file]).events)


def _memory(folder: Path, rows: int) -> None:
    file = folder / "BTCUSDT-quotes-long.parquet"
    schema = _quotes(0, 1).schema
    with pq.ParquetWriter(file, schema) as writer:
        for at in range(0, rows, GROUP):
            writer.write_table(_quotes(at, min(GROUP, rows - at)), row_group_size=GROUP)
    said = subprocess.run(
        [sys.executable, "-m", "tests.bench.bench_marketfiles", "--play", str(file)],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    print(f"{rows:,} quotes of Parquet ({file.stat().st_size >> 20:,} MB): {said.stdout.strip()}")


def _play(file: Path) -> None:
    began = time.process_time()
    with garbage_looked_for_rarely():
        _market(file)
    seconds = time.process_time() - began
    # What getrusage tells of a child begins with what its parent had.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(f"read in {seconds:.1f} s, memory at most {int(peak.split()[1]) >> 10:,} MB")


def _quotes(first: int, count: int) -> pa.Table:
    at = np.arange(first, first + count)
    tick = 600_000 + (np.sin(at / 10_000) * 20_000).astype(np.int64) + at * 7_919 % 11
    columns = {
        "ts_event": BEGIN_NS + at * 50_000_000,
        "bid": tick * 0.1,
        "bid_size": (1 + at * 31 % 5_000) * 0.001,
        "ask": (tick + 1) * 0.1,
        "ask_size": (1 + at * 17 % 5_000) * 0.001,
    }
    return pa.table(columns)


def _trades(count: int) -> pa.Table:
    quotes = _quotes(0, count)
    return pa.table(
        {
            "time": quotes["ts_event"],
            "price": quotes["bid"],
            "size": quotes["bid_size"],
            "side": np.where(np.arange(count) % 3, "buy", "sell"),
            "id": np.arange(count),
        }
    )


def _all(events: Iterable[Event]) -> None:
    deque(events, maxlen=0)


def _told(name: str, rows: int, read: Callable[[], object], peer: str, floor: Callable[[], object]) -> None:
    ours, theirs = _seconds(read), _seconds(floor)
    print(f"{name}: {rows / ours:,.0f} rows/s; {peer} {rows / theirs:,.0f}; we take {ours / theirs:.2f} of its time")


def _seconds(work: Callable[[], object], rounds: int = 3) -> float:
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


if __name__ == "__main__":
    main()
