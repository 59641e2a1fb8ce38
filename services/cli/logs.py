"""`hmm logs`: the log of one process, also of one that no longer runs."""

import os
import time
from pathlib import Path
from typing import BinaryIO

from services.cli.errors import fail
from services.cli.output import tail
from services.cli.settings import current

_POLL_SECONDS = 0.2


def show_log(name: str, lines: int, *, follow: bool) -> None:
    directory = current().logs
    path = directory / f"{name}.log"
    known = sorted(file.stem for file in directory.glob("*.log"))
    if name not in known:
        fail(f"there is no log of {name!r}", f"there are: {', '.join(known)}" if known else "start it: hmm up")
    file: BinaryIO = path.open("rb")
    try:
        for line in tail(file, lines):
            print(line)
        while follow:
            moved = _was_moved(path, file)  # asked first: what is read after it was moved is all there will be
            if data := file.read():
                print(data.decode(errors="replace"), end="", flush=True)
            elif moved:
                file.close()
                file = path.open("rb")
            else:
                time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        pass
    finally:
        file.close()


def _was_moved(path: Path, file: BinaryIO) -> bool:
    """Whether the log had grown large and was begun anew."""
    try:
        return path.stat().st_ino != os.fstat(file.fileno()).st_ino
    except FileNotFoundError:  # between the two
        return False
