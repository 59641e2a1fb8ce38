"""Scripts of what goes wrong are read from CSV and JSON, and a wrong row is named with its remedy."""

import hashlib
import json
from pathlib import Path

import pytest

from services.backtest.script import Script
from services.backtest.scriptfiles import read_script
from services.backtest.settings import Unusable
from venues.simulated.disturbances import Fate

NOON = 1_641_211_200 * 1_000_000_000
CSV = """what, from, to, instrument, share, reason, commands, delay_ms
outage, 2022-01-03T12:00:00, 2022-01-03T12:30:00,,,,refused,
rejects, 2022-01-03T13:00:00+01:00, 2022-01-04, binance.BTCUSDT, 0.5, too busy,,
slow, 2022-01-03T12:00:00.000001, 2022-01-04,,,,,250
halt, 2022-01-03T12:00:00,, binance.BTCUSDT,,,,
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "script"
    file.write_text(text)
    return file


def refusal(file: Path) -> Unusable:
    with pytest.raises(Unusable) as refused:
        read_script(file)
    return refused.value


def test_a_script_has_outages_refusals_slowness_and_halts(tmp_path: Path) -> None:
    script = read_script(written(tmp_path, CSV))
    assert (script.outages[0].begins_at, script.outages[0].commands) == (NOON, Fate.REFUSED)
    assert (script.rejects[0].begins_at, script.rejects[0].share) == (NOON, 0.5)
    assert (script.slowdowns[0].begins_at, script.slowdowns[0].delay_ms) == (NOON + 1_000, 250)
    assert (script.halts[0].instrument, script.halts[0].ends_at) == ("binance.BTCUSDT", None)


def test_json_says_the_same_as_csv(tmp_path: Path) -> None:
    rows = [
        {"what": "outage", "from": "2022-01-03T12:00:00", "to": "2022-01-03T12:30:00", "commands": "refused"},
        {
            "what": "rejects",
            "from": "2022-01-03T12:00:00",
            "to": "2022-01-04",
            "instrument": "binance.BTCUSDT",
            "share": 0.5,
            "reason": "too busy",
        },
        {"what": "slow", "from": "2022-01-03T12:00:00.000001", "to": "2022-01-04", "delay_ms": 250},
        {"what": "halt", "from": "2022-01-03T12:00:00", "instrument": "binance.BTCUSDT"},
    ]
    told = read_script(written(tmp_path, json.dumps(rows))).model_dump(exclude={"sha256"})
    assert told == read_script(written(tmp_path, CSV)).model_dump(exclude={"sha256"})


def test_a_script_is_known_by_the_hash_of_its_bytes_and_read_again_from_a_manifest(tmp_path: Path) -> None:
    script = read_script(written(tmp_path, CSV))
    assert script.sha256 == hashlib.sha256(CSV.encode()).hexdigest()
    assert Script.model_validate_json(script.model_dump_json()) == script


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("", "names no column `what`", "what (outage, rejects, slow, halt)"),
        ("what,from,to\n", "it says nothing", "outage"),
        ("what,from,to\nflood,2022-01-03,2022-01-04\n", "row 1: what is 'flood'", "outage, rejects, slow, halt"),
        ("what,from,to\noutage,yesterday,2022-01-04\n", "row 1: 'yesterday' is not a time", "in UTC"),
        ("what,from,to\noutage,2022-01-04,2022-01-03\n", "must be after begins_at", "from, to"),
        ("what,from,to\noutage,2022-01-03,\n", "row 1: to: Field required", "outage has from, to, commands, reason"),
        ("what,from,to,shar\nrejects,2022-01-03,2022-01-04,1\n", "row 1: shar: Extra inputs", "share"),
        ("what,from,to\nslow,2022-01-03,2022-01-04\n", "row 1: delay_ms: Field required", "delay_ms"),
        ("what,from\noutage,2022-01-03,2022-01-04\n", "row 1 has more values", ""),
        ("[1]", "it is no list of objects", "outage"),
        ("[{", "property name", ""),
    ],
)
def test_what_is_wrong_with_a_script_is_named_with_its_place(
    tmp_path: Path, text: str, message: str, remedy: str
) -> None:
    refused = refusal(written(tmp_path, text))
    assert message in str(refused)
    assert remedy in refused.remedy


def test_a_script_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    assert "No such file" in str(refusal(tmp_path / "none"))
    file = tmp_path / "script"
    file.write_bytes(b"\xff\xfe\x00")
    assert "it is no text" in str(refusal(file))
