"""`hmm nats-context`: tell the `nats` command line tool where the tape is, so that it needs no flags."""

import json
import os
from pathlib import Path

from services.cli.errors import fail
from services.cli.settings import current

_NAME = "hmm"


def write_context() -> None:
    """Write and select a context for the nats tool; prints its path."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "nats"
    file = home / "context" / f"{_NAME}.json"
    settings = current()
    context = {"description": "Nautilus HMM: the tape", "url": settings.nats_url}
    if settings.operator_key is not None:
        context["nkey"] = str(settings.operator_key.absolute())
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(context, indent=2) + "\n")
        (home / "context.txt").write_text(_NAME)
    except OSError as error:
        fail(f"cannot write {error.filename}: {error.strerror}", "set XDG_CONFIG_HOME to a directory you may write")
    print(file)
