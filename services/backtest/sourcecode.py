"""Which source code there is: two runs of the same code and data have the same log."""

import ast
import hashlib
from collections.abc import Iterable, Iterator, Sequence
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


def sha256_with_imports(file: Path, root: Path) -> str:
    """Hash a file and what it imports from below `root`, directly or not, by their names there and contents."""
    digest = hashlib.sha256()
    for one in sorted(_with_imports(file, root)):
        digest.update(f"{one.relative_to(root).as_posix()}\0".encode())
        digest.update(one.read_bytes())
    return digest.hexdigest()


def _with_imports(file: Path, root: Path) -> set[Path]:
    found, waiting = {file}, [file]
    while waiting:
        new = set(_imported(waiting.pop(), root)) - found
        found |= new
        waiting += new
    return found


def _imported(file: Path, root: Path) -> Iterator[Path]:
    """Give the files below `root` that the imports of a file may mean."""
    if file.suffix != ".py":
        return
    package = file.relative_to(root).parts[:-1]
    for node in ast.walk(ast.parse(file.read_bytes(), file.name)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(root, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = (*above, *(node.module.split(".") if node.module else ()))
            for alias in node.names:
                yield from _files(root, (*module, alias.name))


def _files(root: Path, names: Iterable[str]) -> Iterator[Path]:
    """Give what is read when a module is imported: it, and the packages around it."""
    place = root
    for name in names:
        place /= name
        yield from (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file())
