"""Which code trains: told in each model, so that the same bytes can be trained by the same code again."""

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import quant

PACKAGE = "nautilus-hmm"
HASH_DIGITS = 16


def code_version() -> str:
    """Give the version of the package, and a hash of the sources of `quant`: features, filters and trainings."""
    root = Path(quant.__file__).parent
    digest = hashlib.sha256()
    for source in sorted(root.rglob("*.py")):
        digest.update(f"{source.relative_to(root)}\0".encode() + source.read_bytes() + b"\0")
    try:
        released = version(PACKAGE)
    except PackageNotFoundError:
        released = "unpackaged"
    return f"{released}+quant.{digest.hexdigest()[:HASH_DIGITS]}"
