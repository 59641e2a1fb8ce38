"""Which source code there is: two runs of the same code and data have the same log."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType


def sha256_of(packages: Sequence[ModuleType]) -> str:
    """Hash all sources of packages, by their names and contents, wherever they lie."""
    digest = hashlib.sha256()
    for package in packages:
        root = Path(package.__path__[0])
        for file in sorted(root.rglob("*.py")):
            digest.update(f"{package.__name__}/{file.relative_to(root).as_posix()}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()
