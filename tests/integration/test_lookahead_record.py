"""`hmm lookahead` and `hmm warmup-check` on what was recorded, which is read in pieces and let go before its end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eventstore.archive import Archive
from eventstore.migrate import migrate
from tests.integration.test_backtest_record import TAPE
from tests.live import PATIENCE_S

pytestmark = pytest.mark.integration

HMM = Path(sys.executable).with_name("hmm")


@pytest.fixture
def store_url(fresh_database_url: str) -> str:
    migrate(fresh_database_url)
    archive = Archive(fresh_database_url)
    archive.write(TAPE)
    archive.close()
    return fresh_database_url


def hmm(home: Path, store_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HMM_")}
    mine = {"HMM_RUN_DIR": str(home / "run"), "HMM_DATABASE_URL": store_url, "HMM_NATS_URL": "nats://127.0.0.1:1"}
    return subprocess.run(
        [HMM, *arguments, "--data", "store:-", "--no-cache"],
        env=environment | mine,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE_S,
        check=False,
    )


def test_a_record_is_examined_as_files_are(store_url: str, tmp_path: Path) -> None:
    result = hmm(tmp_path, store_url, "lookahead", "--cuts", "2", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["compared"]["regime"] > 0
    assert found["files"] is None


def test_a_record_in_which_nobody_decides_late_enough_is_one_clear_line(store_url: str, tmp_path: Path) -> None:
    result = hmm(tmp_path, store_url, "warmup-check", "--starts", "0,2", "--window", "8")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "hmm: nobody decided anything where it is compared; give more data, or other strategies"
    ]
