"""`hmm logs`: the log of one process, also of one that no longer runs."""

import time
from collections.abc import Iterator
from pathlib import Path

from services.cli.errors import fail
from services.cli.output import last_lines
from services.cli.settings import current

_POLL_SECONDS = 0.2


def show_log(name: str, lines: int, *, follow: bool) -> None:
    directory = current().logs
    path = directory / f"{name}.log"
    known = sorted(file.stem for file in directory.glob("*.log"))
    if name not in known:
        fail(f"there is no log of {name!r}", f"there are: {', '.join(known)}" if known else "start it: hmm up")
    for line in last_lines(path, lines):
        print(line)
    if follow:
        try:
            for text in _grown(path):
                print(text, end="", flush=True)
        except KeyboardInterrupt:
            pass


def _grown(path: Path) -> Iterator[str]:
    """What is appended to the file, also after it was moved away and begun anew."""
    file = path.open(errors="replace")
    file.seek(0, 2)
    try:
        while True:
            if text := file.read():
                yield text
                continue
            time.sleep(_POLL_SECONDS)
            if path.exists() and path.stat().st_ino != Path(f"/proc/self/fd/{file.fileno()}").stat().st_ino:
                yield file.read()  # written between our last look and the move
                file.close()
                file = path.open(errors="replace")
    finally:
        file.close()
