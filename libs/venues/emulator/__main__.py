"""Run the emulator for people: `python -m venues.emulator --port 8900 --frames usdm:FILE --frames FILE`."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from venues.emulator.control import FAULTS
from venues.emulator.emulator import Emulator
from venues.emulator.faults import Fault
from venues.emulator.frames import Recording
from venues.emulator.settings import EmulatorSettings


async def serve(
    settings: EmulatorSettings, recordings: list[Recording], speed: float, faults: tuple[Fault, ...]
) -> None:
    """Run until it is stopped; the recordings are played over and over."""
    async with Emulator(settings) as emulator:
        emulator.faults.add(*faults)
        key = f"key {settings.api_key}  secret {settings.secret}"
        sys.stdout.write(f"REST {emulator.rest_url}  websockets {emulator.ws_url}  {key}\n")
        sys.stdout.flush()
        while recordings and await emulator.play(recordings, speed):
            pass
        await asyncio.Event().wait()


def main(
    port: Annotated[int, typer.Option(help="on loopback; 0: a free one")] = 8900,
    frames: Annotated[list[str] | None, typer.Option(help="FILE, spot:FILE or usdm:FILE of recorded frames")] = None,
    speed: Annotated[float, typer.Option(min=0.001, help="times faster than it happened")] = 1.0,
    faults: Annotated[Path | None, typer.Option(exists=True, help="a JSON list of faults")] = None,
    seed: Annotated[int, typer.Option(help="of everything that happens by chance")] = 7,
) -> None:
    """Run an emulated Binance (spot and USD-M) on loopback."""
    script = FAULTS.validate_json(faults.read_bytes()) if faults else ()
    recordings = [Recording.parse(text) for text in frames or []]
    asyncio.run(serve(EmulatorSettings(port=port, seed=seed), recordings, speed, script))


if __name__ == "__main__":
    typer.run(main)
