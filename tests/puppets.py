"""Stacks of puppets (tests/integration/puppet.py) for the tests of the supervisor and of `hmm up`."""

import sys
from pathlib import Path
from typing import Any

from tests.servers import ROOT, free_port

PUPPET = ROOT / "tests" / "integration" / "puppet.py"

Spec = dict[str, Any]


def puppet(*arguments: str, needs: tuple[str, ...] = (), restart: str = "no", **availability: float) -> Spec:
    """A process of a process file: a puppet on a free port, ready by its health page."""
    port = free_port()
    return {
        "command": f"exec {sys.executable} -S {PUPPET} {port} {' '.join(arguments)}",
        "readiness_probe": {"http_get": {"port": port, "path": "/readyz"}, "period_seconds": 0.2},
        "depends_on": {name: {"condition": "process_healthy"} for name in needs},
        "availability": {"restart": restart, "backoff_seconds": 0.2, **availability},
        "shutdown": {"timeout_seconds": 1},
    }


def port_of(spec: Spec) -> int:
    port: int = spec["readiness_probe"]["http_get"]["port"]
    return port


def alive(pid: int | None) -> bool:
    assert pid is not None
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
