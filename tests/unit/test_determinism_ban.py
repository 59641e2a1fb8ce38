"""The linter's determinism ban bites in components and in what they are made of, and leaves edges alone."""

import json
import subprocess
import sys

import pytest

from tests.servers import ROOT

FORBIDDEN = """\
import time
from time import monotonic
import random
import asyncio
import threading
datetime.datetime.now()
datetime.datetime.utcnow()
numpy.random.default_rng()
os.environ
uuid.uuid4()
""".splitlines()
PREAMBLE = ["import datetime", "import os", "import uuid", "import numpy"]


@pytest.mark.parametrize(
    "path",
    ["services/trend/rules.py", "libs/contracts/market.py", "libs/quant/ema.py", "libs/venues/simulated/exchange.py"],
)
def test_a_component_cannot_reach_clock_chance_or_environment(path: str) -> None:
    assert banned(path) == FORBIDDEN


@pytest.mark.parametrize("path", ["services/clock/app.py", "libs/tape/reader.py", "libs/venues/ccxt_gateway.py"])
def test_an_edge_may(path: str) -> None:
    assert banned(path) == []


def banned(path: str) -> list[str]:
    """The lines that ruff, with the project's settings, would refuse in a file of this name."""
    lines = [*PREAMBLE, *FORBIDDEN]
    options = ["--no-cache", "--select=TID251", "--output-format=json", f"--stdin-filename={path}"]
    command = [sys.executable, "-m", "ruff", "check", *options]
    result = subprocess.run(command, cwd=ROOT, input="\n".join(lines), text=True, capture_output=True, check=False)
    return [lines[finding["location"]["row"] - 1] for finding in json.loads(result.stdout)]
