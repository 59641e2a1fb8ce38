"""A strategy of the user's own trades like ours, is part of what a run is known by, and is refused with a reason."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from contracts.control import DeadLetter
from contracts.orders import OrderFilled
from contracts.types import Interval
from services.backtest import manifest
from services.backtest.manifest import AsRecorded, Manifest, manifest_of
from services.backtest.ownstrategies import own_strategy
from services.backtest.settings import BacktestSettings, Unusable
from services.backtest.wiring import ORDER, STRATEGIES, Nature, Wiring, wire
from tape.audit import Audit, Audits
from tape.verdict import Span
from tests.backtested import USUAL, events_of, played, waves
from tests.servers import ROOT
from venues.instruments import LISTING

GUIDE = (ROOT / "docs" / "backtest.md").read_text()
EXAMPLE = GUIDE.partition("```python\n")[2].partition("```")[0]
ENDED = {"ending": "complete", "log_sha256": "ab" * 32}

PLAIN = """
from contracts.market import Bar
from tape.component import on
from tape.strategy import Strategy

class Mine(Strategy):
    def __init__(self) -> None:
        super().__init__("mine")

    @on(Bar)
    def on_bar(self, bar: Bar) -> None:
        pass
"""
WITH_SETTINGS = """
from decimal import Decimal
from contracts.types import Interval
from pydantic import BaseModel, ConfigDict

class Mine(Mine):
    class Settings(BaseModel):
        model_config = ConfigDict(frozen=True)
        interval: Interval = Interval.S5
        fee_bps: Decimal = Decimal(10)
        bars: int = 3

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        if settings.bars < 0:
            raise ValueError("bars of the past only")
"""


CHEATING = """from dataclasses import replace
        from decimal import Decimal
        from contracts.types import Side
        wish = self.market_order(
            quote, quote.instrument, Side.BUY, Decimal("0.001"), reference_price=quote.ask, reason="as another"
        )
        yield {said}
"""


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where modules are looked for is as before behind each test."""
    monkeypatch.setattr(sys, "path", [*sys.path])


Write = Callable[[str], str]


@pytest.fixture
def mine(tmp_path: Path) -> Write:
    """Write a module, and give the reference of its class `Mine`."""

    def write(source: str) -> str:
        file = tmp_path / "my.py"
        file.write_text(source)
        return f"{file}:Mine"

    return write


def wired(*strategies: str, changes: tuple[str, ...] = (), nature: Nature | None = None, **asked: object) -> Wiring:
    wanted = BacktestSettings.model_validate({"strategies": strategies, "changes": changes, **asked})
    return wire(wanted, USUAL, LISTING, nature or Nature())


def made(*strategies: str) -> Manifest:
    asked = BacktestSettings(strategies=strategies)
    return manifest_of("frames", (), None, asked, wire(asked, USUAL, LISTING, Nature()))


def test_the_one_of_the_guide_trades_and_an_audit_agrees_with_it(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(EXAMPLE)
    changes = ("averages.interval=5s", "averages.fast=2", "averages.slow=5")
    wiring = wired(f"{tmp_path / 'my.py'}:Averages", changes=changes)
    run = played(events_of(waves(tmp_path)), tmp_path, wiring)
    assert len([one for one in run.heard if isinstance(one.event, OrderFilled)]) > 4
    audit = Audit(wiring.blueprints["averages"], wiring.settings["averages"], Span(1, run.run.position))
    Audits([audit]).take(run.log)
    assert audit.verdict().compared > 4 and not audit.verdict().diverging


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("quote", "Quote is not for it to say"),
        (
            "replace(wish, order=replace(wish.order, strategy='trend'))",
            "intent.trend.binance.BTCUSDT is not for it to say",
        ),
    ],
)
def test_it_cannot_speak_for_others(mine: Write, tmp_path: Path, said: str, complaint: str) -> None:
    source = PLAIN.replace("Bar", "Quote").replace(
        " -> None:\n        pass", ":\n        " + CHEATING.format(said=said)
    )
    wiring = wired(mine(source.replace("bar: Quote", "quote: Quote")))
    run = played(events_of(waves(tmp_path, 20)), tmp_path, wiring)
    dead = [one.event for one in run.heard if isinstance(one.event, DeadLetter)]
    assert dead and all(complaint in letter.reason for letter in dead)
    assert not [one for one in run.heard if isinstance(one.event, OrderFilled)]


def test_it_trades_alone_or_beside_ours_and_hears_behind_them(mine: Write) -> None:
    own = mine(PLAIN)
    others = [name for name in ORDER if name not in STRATEGIES]
    assert [one.name for one in wired(own).build() if one.name != "mine"] == others
    names = list(wired("trend", own).settings)
    assert names.index("trend") + 1 == names.index("mine") == names.index("depeg") - 1
    assert set(wired("all", own).settings) == {*ORDER, "mine"}


def test_it_is_the_same_class_by_whatever_path_it_is_named(mine: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    own = mine(PLAIN)
    monkeypatch.chdir(Path(own).parent)
    assert list(wired(own, "my.py:Mine", "./my.py:Mine").settings).count("mine") == 1


def test_a_module_is_looked_for_in_the_present_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package" / "my.py").write_text(PLAIN)
    monkeypatch.chdir(tmp_path)
    assert "mine" in wired("own_package.my:Mine").settings


def test_its_settings_are_filled_as_those_of_ours(mine: Write) -> None:
    own = mine(PLAIN + WITH_SETTINGS)
    nature = Nature(interval=Interval.M5)
    wiring = wired(own, changes=("mine.bars=7",), nature=nature, taker_fee_bps=Decimal(2))
    assert wiring.settings["mine"].model_dump() == {"interval": Interval.M5, "fee_bps": 2, "bars": 7}


def test_settings_that_it_does_not_take_are_refused_before_anything_is_played(mine: Write) -> None:
    own = mine(PLAIN + WITH_SETTINGS)
    with pytest.raises(Unusable, match="mine has no such setting") as refusal:
        wired(own, changes=("mine.bar=7",))
    assert "bars" in refusal.value.remedy
    with pytest.raises(Unusable, match=r"raised ValueError: bars of the past only \(my\.py, line \d+\) with .*bars=-1"):
        wired(own, changes=("mine.bars=-1",))


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("class Mine(:\n", r"my\.py, line 1: invalid syntax"),
        ("\n\nraise OSError('no')\n", r"reading it raised OSError: no \(my\.py, line 3\)"),
        ("import own_absent\n", r"reading it raised ModuleNotFoundError: No module named 'own_absent'"),
        (PLAIN.replace("Mine", "Other"), "there is no Mine in it"),
        ("class Mine:\n    pass\n", "Mine is no class made from tape.strategy.Strategy"),
        (PLAIN.replace("(self)", "(self, fast: int)"), "its constructor asks for fast"),
        (PLAIN.replace("(self)", "(self, settings: object)"), "its constructor asks for settings"),
        (PLAIN.replace('super().__init__("mine")', "1 / 0"), r"raised ZeroDivisionError: .* \(my\.py, line 8\)"),
        (PLAIN.replace('super().__init__("mine")', "pass"), "its constructor does not begin it"),
        (PLAIN.replace('"mine"', '"my own"'), "it is called 'my own'"),
        (PLAIN.replace('"mine"', '"' + "m" * 21 + '"'), "it is called 'mmm"),
        (PLAIN.replace('"mine"', '"trend"'), "it is called trend, as another component is"),
        (PLAIN.replace('"mine"', '"feed"'), "it is called feed, as another component is"),
        (PLAIN.replace("    def __init__", "    produces = (Bar,)\n    def __init__"), "it says Bar"),
        (PLAIN.replace("    @on(Bar)\n", ""), "it hears nothing of the market"),
        (PLAIN.replace("    def __init__", "    Settings = dict\n    def __init__"), "are no pydantic model"),
        (PLAIN + WITH_SETTINGS.replace("frozen=True", ""), "can be changed within a run"),
        (PLAIN + WITH_SETTINGS.replace(" = 3", ""), "have no default for bars"),
        (PLAIN + WITH_SETTINGS.replace("bars: int = 3", "bars: object = (1, 2)"), "when they are read from JSON again"),
        (PLAIN + WITH_SETTINGS.replace("settings: Settings", ""), "its constructor does not take them"),
    ],
)
def test_what_is_wrong_with_it_is_said(mine: Write, source: str, complaint: str) -> None:
    reference = mine(source)
    with pytest.raises(Unusable, match=complaint) as refusal:
        own_strategy(reference)
    assert "my.py" in str(refusal.value) and refusal.value.remedy


@pytest.mark.parametrize(
    ("reference", "complaint"),
    [
        ("absent.py:Mine", "there is no such file"),
        ("own_absent:Mine", "there is no module own_absent"),
        ("services.own_absent:Mine", "there is no module services.own_absent"),
        ("a-b:Mine", "is no name of a module"),
        ("my.py:", "names no class"),
        (":Mine", "names no class"),
        ("sys:Mine", "there is no source of it"),
    ],
)
def test_a_reference_to_nothing_says_what_is_missing(reference: str, complaint: str) -> None:
    with pytest.raises(Unusable, match=complaint) as refusal:
        own_strategy(reference)
    assert reference.rpartition(":")[0] in str(refusal.value) and "CLASS" in refusal.value.remedy


def test_two_of_one_name_are_refused(mine: Write, tmp_path: Path) -> None:
    own = mine(PLAIN)
    (tmp_path / "other.py").write_text(PLAIN)
    with pytest.raises(Unusable, match="it is called mine, and so is"):
        wired(own, f"{tmp_path / 'other.py'}:Mine")


def test_two_files_of_one_name_are_refused(mine: Write, tmp_path: Path) -> None:
    own = mine(PLAIN)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "my.py").write_text(PLAIN.replace('"mine"', '"other"'))
    with pytest.raises(Unusable, match=r"there are two files my\.py"):
        wired(own, f"{tmp_path / 'other' / 'my.py'}:Mine")


def test_a_name_that_follows_from_settings_is_refused(mine: Write) -> None:
    renamed = "super().__init__()\n        self.name += str(settings.bars)"
    own = mine((PLAIN + WITH_SETTINGS).replace("super().__init__()", renamed))
    with pytest.raises(Unusable, match=r"it is called mine3, and with .*bars=4.* mine4"):
        wired(own, changes=("mine3.bars=4",))


def test_a_run_is_known_by_the_code_of_it_and_not_by_where_that_lies(tmp_path: Path) -> None:
    sources = {
        "first": {"my.py": PLAIN, "noise.py": "A = 1"},
        "same": {"my.py": PLAIN, "noise.py": "A = 2"},
        "changed": {"my.py": f"{PLAIN}\n"},
        "beside": {"my.py": PLAIN.replace("pass", "from own_beside import A"), "own_beside.py": "A = 1"},
        "changed beside": {"my.py": PLAIN.replace("pass", "from own_beside import A"), "own_beside.py": "A = 2"},
    }
    runs = {}
    for folder, files in sources.items():
        (tmp_path / folder).mkdir()
        for name, source in files.items():
            (tmp_path / folder / name).write_text(source)
        runs[folder] = made(f"{tmp_path / folder / 'my.py'}:Mine")
    assert runs["first"].run_id == runs["same"].run_id
    assert len({run.run_id for run in runs.values()}) == len({run.code.own["mine"] for run in runs.values()}) == 4
    assert str(tmp_path) not in json.dumps(runs["first"].document())


def test_the_hash_has_what_is_imported_from_within_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = []
    for number, content in enumerate(("A = 1", "A = 2")):
        package = tmp_path / str(number) / f"own_package_{number}"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "deep.py").write_text(content)
        (package / "near.py").write_text("from . import deep")
        (package / "my.py").write_text(f"from .near import deep\n{PLAIN}")
        monkeypatch.chdir(tmp_path / str(number))
        with_it = own_strategy(f"own_package_{number}.my:Mine").sha256
        (package / "deep.py").unlink()
        hashes.append(with_it)
    assert hashes[0] != hashes[1]


def test_a_manifest_without_one_is_as_before() -> None:
    document = made("trend").document()
    assert "own" not in json.dumps(document["code"])
    assert '"places"' not in manifest.text_of(made("trend"), ENDED)


def kept(run: Manifest, folder: Path) -> Path:
    file = folder / manifest.FILE
    file.write_text(manifest.text_of(run, ENDED))
    return file


def test_a_run_finds_it_from_anywhere(mine: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine(PLAIN + WITH_SETTINGS)
    monkeypatch.chdir(tmp_path)
    run = made("trend", "my.py:Mine")
    file = kept(run, tmp_path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    past = manifest.read(file)
    assert not past.missing
    assert past.strategies == past.manifest.asked.strategies == ("trend", f"{tmp_path / 'my.py'}:Mine")
    assert past.manifest.settings == run.settings
    assert past.manifest.run_id == run.run_id


def test_a_run_whose_strategy_moved_finds_it_here(mine: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(mine(PLAIN))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "my.py").rename(tmp_path / "elsewhere" / "my.py")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert manifest.read(kept(run, tmp_path)).strategies == ("my.py:Mine",)


def test_a_run_whose_strategy_is_gone_is_read_all_the_same(mine: Write, tmp_path: Path) -> None:
    run = made("trend", mine(PLAIN + WITH_SETTINGS))
    (tmp_path / "my.py").unlink()
    past = manifest.read(kept(run, tmp_path))
    assert "there is no such file" in past.missing["mine"]
    assert past.strategies == ("trend",)
    assert past.manifest.settings["mine"] == AsRecorded.model_validate(run.settings["mine"].model_dump(mode="json"))
    assert past.manifest.document()["components"] == run.document()["components"]


def test_a_run_whose_strategy_takes_other_settings_now_is_read_all_the_same(mine: Write, tmp_path: Path) -> None:
    run = made(mine(PLAIN + WITH_SETTINGS))
    then = replace(run, settings={**run.settings, "mine": AsRecorded.model_validate({"bars": "many"})})
    past = manifest.read(kept(then, tmp_path))
    assert "takes no such settings any more: bars" in past.missing["mine"]
    assert past.strategies == ()
