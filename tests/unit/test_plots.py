"""Pictures of regimes: what is shaded is what was known, in colours that stay."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib import colors
from matplotlib.image import imread
from numpy.typing import NDArray

from contracts.regimes import UNKNOWN
from quant.regime import Inference, RegimeFilter
from services.backtest.colours import COLOURS, colours
from services.cli.plots import SUFFIXES, Picture, Run, draw, regime_of, runs
from services.cli.regimes import Seen
from tests.regime_builders import moving, regime_model

LABELS = ("calm", "wild")
WINDOW = 60 * 10**9
RATHER_CALM, RATHER_WILD = (0.8, 0.2), (0.2, 0.8)


def inference(number: int, probabilities: tuple[float, float] = RATHER_CALM, *, improbable: bool = False) -> Inference:
    """Infer something of the `number`-th minute."""
    return Inference(
        closed_at=number * WINDOW,
        close=100.0 + number % 7,
        observation=(0.0,),
        probabilities=probabilities,
        calibrated=probabilities,
        slow=(),
        log_likelihood=-1.0,
        improbable=improbable,
    )


def calm_then_wild(count: int) -> list[Inference]:
    return [inference(number, RATHER_CALM if number <= count // 2 else RATHER_WILD) for number in range(1, count + 1)]


def picture(inferences: Sequence[Inference]) -> Picture:
    end = inferences[-1].closed_at
    return Picture("file.BTC", "a model", LABELS, inferences, WINDOW, (0, end // 2), scored_from=end // 4)


def holds(pixels: NDArray[np.float32], colour: str, opacity: float) -> bool:
    """Whether some pixel has a colour, of some opacity on white."""
    wanted = np.array([opacity * part + 1 - opacity for part in colors.to_rgb(colour)])
    return bool((np.abs(pixels - wanted).max(axis=-1) < 0.01).any())


def test_windows_that_follow_each_other_with_one_regime_are_one_stretch() -> None:
    assert runs(calm_then_wild(6), LABELS, WINDOW) == [Run("calm", 0, 3 * WINDOW), Run("wild", 3 * WINDOW, 6 * WINDOW)]


def test_what_was_not_observed_is_of_no_regime() -> None:
    apart = [inference(1), inference(2), inference(9)]
    assert runs(apart, LABELS, WINDOW) == [Run("calm", 0, 2 * WINDOW), Run("calm", 8 * WINDOW, 9 * WINDOW)]


def test_what_no_state_explains_is_unknown() -> None:
    assert regime_of(inference(1, RATHER_WILD), LABELS) == "wild"
    assert regime_of(inference(1, RATHER_WILD, improbable=True), LABELS) == UNKNOWN


def test_a_regime_has_its_colour_whatever_stands_beside_it() -> None:
    assert colours(("wild", "odd", "calm"))["calm"] == colours(("calm",))["calm"] == COLOURS["calm"]


def test_no_two_regimes_look_alike() -> None:
    painted = colours((*COLOURS, "odd", "odd2", "odd3"))
    assert len(set(painted.values())) == len(painted)


@pytest.mark.parametrize(("suffix", "begins"), [(".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_a_picture_is_of_the_kind_that_its_name_says(tmp_path: Path, suffix: str, begins: bytes) -> None:
    assert suffix in SUFFIXES
    file = tmp_path / f"out{suffix}"
    draw(picture([inference(5)]), file)
    assert file.read_bytes().startswith(begins)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.float32]:
    """The pixels of a picture of ten calm minutes, ten that were not observed, and ten wild ones."""
    calm = [inference(number) for number in range(1, 11)]
    wild = [inference(number, RATHER_WILD) for number in range(21, 31)]
    file = tmp_path_factory.mktemp("plots") / "drawn.png"
    draw(picture([*calm, *wild]), file)
    pixels: NDArray[np.float32] = imread(file)[..., :3]
    return pixels[pixels.shape[0] // 5 :]


@pytest.mark.parametrize(("part", "regime"), [(0.2, "calm"), (0.5, None), (0.85, "wild")])
def test_price_and_probabilities_have_the_colour_of_the_regime_of_that_time(
    drawn: NDArray[np.float32], part: float, regime: str | None
) -> None:
    column = round(part * drawn.shape[1])
    there = drawn[:, column - 40 : column + 40]
    shaded, stacked = ({label for label in LABELS if holds(there, COLOURS[label], o)} for o in (0.36, 0.85))
    assert shaded == ({regime} if regime else set())
    assert stacked == (set(LABELS) if regime else set())


def test_what_is_shown_of_the_past_is_what_the_filter_said_then() -> None:
    model, bars = regime_model(), moving([2.0] * 20 + [-2.0] * 20)
    online = RegimeFilter(model)
    said = [made for bar in bars[:25] if (made := online.update(bar)) is not None]
    assert list(Seen.of(model, bars).inferences[: len(said)]) == said


def test_shares_of_time_are_of_the_windows_that_were_seen() -> None:
    seen = Seen.of(regime_model(), moving([2.0] * 31 + [-2.0] * 10))
    assert sum(seen.shares().values()) == pytest.approx(1.0)
    assert seen.shares()["rising"] == pytest.approx(30 / 40, abs=0.03)
    assert seen.visits() == {"rising": 1, "falling": 1}
    assert seen.last(5).shares() == {"falling": 1.0}


def test_the_unknown_is_a_regime_of_its_own_in_the_shares() -> None:
    model = replace(regime_model(), improbable_below=0.0)
    assert Seen.of(model, moving([2.0] * 10)).shares() == {UNKNOWN: 1.0}
