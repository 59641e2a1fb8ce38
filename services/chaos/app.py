"""`just chaos`: run the real stack on a recorded market, strike it at random moments, and see that nothing is missing.

A seed draws the market and the blows; where exactly they fall is up to the machine.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from services.chaos.frames import record
from services.chaos.plan import Blow, Strike, draw
from services.chaos.stack import Stack, new_stack
from services.chaos.verify import verify
from services.cli.settings import SERVICES

STANDBYS = ("router", "risk")
CALM_WITHIN_S = 180.0
LOOK_EVERY_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="just chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the market lasts")
    parser.add_argument("--rate", type=float, default=1_000.0, help="quotes a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the stack's directory to be looked at")
    wanted = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="hmm-chaos-"))
    directory.chmod(0o711)  # PostgreSQL runs as another user
    try:
        sound = asyncio.run(_run(directory, wanted.seed, wanted.minutes * 60, wanted.rate))
    finally:
        if wanted.keep:
            print(f"kept: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    sys.exit(0 if sound else 1)


async def _run(directory: Path, seed: int, seconds: float, rate: float) -> bool:
    market = directory / "market.gz"
    quotes, trades = record(market, seed, seconds, rate)
    print(f"seed {seed}: {quotes:,} quotes and {trades:,} trades in {seconds:g} s", flush=True)
    stack = new_stack(directory / "run")
    try:
        stack.hmm("up", "--detach", "--fresh", "--feed", f"frames:{market}")
        for name in STANDBYS:
            stack.start_standby(name)
        await _storm(stack, seed, seconds)
        calm_s = await _calm(stack)
        print(f"calm {calm_s:.1f} s after the last blow", flush=True)
        database_url = stack.database_url
        sound = True
        for finding in verify(stack, database_url, quotes, trades):
            print(f"  WRONG {finding.what}: {finding.wrong}" if finding.wrong else f"  ok    {finding.what}")
            sound = sound and not finding.wrong
        return sound
    finally:
        stack.end()


async def _storm(stack: Stack, seed: int, seconds: float) -> None:
    """Strike as drawn; a pause goes on while the next blow falls elsewhere."""
    began = time.monotonic()
    done: Counter[str] = Counter()
    under_way = []
    for strike in draw(seed, seconds, SERVICES, tuple(f"{name}-standby" for name in STANDBYS)):
        while (left := began + strike.at_s - time.monotonic()) > 0:
            await asyncio.sleep(min(left, LOOK_EVERY_S))
            stack.keep_standbys()
        under_way.append(asyncio.create_task(_struck(stack, strike, done)))
    await asyncio.gather(*under_way)
    stack.keep_standbys()
    print(f"struck: {', '.join(f'{count} {blow}' for blow, count in sorted(done.items()))}", flush=True)


async def _struck(stack: Stack, strike: Strike, done: Counter[str]) -> None:
    fell = await stack.strike(strike)
    lasts = f" for {strike.lasts_s:g} s" if strike.blow is Blow.PAUSE else ""
    print(
        f"  {strike.at_s:6.1f} s {strike.blow.value} {strike.target}{lasts}{'' if fell else ': not running'}",
        flush=True,
    )
    done[strike.blow.value if fell else "missed"] += 1


async def _calm(stack: Stack) -> float:
    """Wait until the market is over, everybody has read everything, and all of it is archived."""
    began = time.monotonic()
    before = None
    while True:
        stack.keep_standbys()
        status = stack.status()
        now = _at_rest(status)
        if now is not None and now == before:
            return time.monotonic() - began
        before = now
        if time.monotonic() - began > CALM_WITHIN_S:
            raise RuntimeError(f"it does not come to rest: {status}")
        await asyncio.sleep(LOOK_EVERY_S)


def _at_rest(status: dict[str, object]) -> int | None:
    """Give the last position when nothing is left to do; None as long as something is."""
    processes = {process["name"]: process for process in status["processes"]}  # type: ignore[attr-defined]
    services = [processes[name] for name in SERVICES]
    if any(process["pid"] is None or process["lag"] is None or process["lag"] > 0 for process in services):
        return None
    if processes["feed"]["phase"] != "finished":
        return None
    tape, store = status["tape"], status["store"]
    last: int = tape["TAPE"]["last_seq"]  # type: ignore[index]
    return last if store["checkpoints"].get("archive") == last else None  # type: ignore[index]


if __name__ == "__main__":
    main()
