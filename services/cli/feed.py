"""What `hmm up` is asked to feed the system with, checked before anything is started."""

import math
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from services.cli.errors import misused

_FRAMES = "frames:"


class ClockSource(Enum):
    """Whose time the clock tells: in a replay, time is the market's."""

    WALL = "wall"
    MARKET = "market"


@dataclass(frozen=True)
class Feed:
    """A market: the simulator, or recorded frames (`files` is empty for the simulator)."""

    files: tuple[Path, ...]
    speed: str

    @property
    def source(self) -> str:
        return _FRAMES + ",".join(str(file) for file in self.files) if self.files else "sim"

    @property
    def ends(self) -> bool:
        return bool(self.files)

    def environment(self) -> dict[str, str]:
        clock = ClockSource.MARKET if self.files else ClockSource.WALL
        past = "tape" if self.files else "sim"  # a recorded market has no past that could be made up
        return {
            "HMM_FEED_SOURCE": self.source,
            "HMM_FEED_SPEED": self.speed,
            "HMM_CLOCK_SOURCE": clock.value,
            "HMM_INGEST_SOURCE": os.environ.get("HMM_INGEST_SOURCE") or past,
        }


def parse_feed(source: str, speed: str) -> Feed:
    return Feed(_files(source), _speed(speed))


def _files(source: str) -> tuple[Path, ...]:
    if source == "sim":
        return ()
    if not source.startswith(_FRAMES):
        misused(f"--feed {source}: not a feed", "use sim, or frames:FILE[,FILE...]")
    names = source.removeprefix(_FRAMES).split(",")
    return tuple(_file(name) for name in names)


def _file(name: str) -> Path:
    file = Path(name).expanduser().absolute()
    if not name:
        misused("--feed frames: a file name is empty", "use frames:FILE[,FILE...]")
    if not file.exists():
        misused(f"--feed: there is no file {file}")
    if not file.is_file():
        misused(f"--feed: {file} is not a file")
    if not os.access(file, os.R_OK):
        misused(f"--feed: {file} may not be read by you")
    if "," in str(file):
        misused(f"--feed: {file} has a comma in its path, which separates files", "link it from elsewhere")
    return file


def _speed(speed: str) -> str:
    if speed == "max":
        return speed
    try:
        factor = float(speed)
    except ValueError:
        factor = math.nan
    if not (math.isfinite(factor) and factor > 0):
        misused(f"--speed {speed}: not a speed", "use 1, another number greater than 0, or max")
    return f"{factor:g}"
