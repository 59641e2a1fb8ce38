"""Chance: the same draws for the same seed, evenly and normally distributed, and each stream on its own."""

from itertools import islice
from statistics import NormalDist, fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.chance import Chance, stream

SEEDS = st.integers(0, 2**64 - 1)


def test_its_words_are_those_of_the_published_generator() -> None:
    chance = Chance(1234567)
    assert [chance.word() for _ in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@given(SEEDS, st.integers(0, 50), st.integers(1, 50))
def test_a_stream_goes_on_from_its_number_of_draws_alone(seed: int, before: int, after: int) -> None:
    whole, first = Chance(seed), Chance(seed)
    drawn = [whole.normal() for _ in range(before + after)]
    assert [first.normal() for _ in range(before)] == drawn[:before]
    second = Chance(seed, first.drawn)
    assert [second.normal() for _ in range(after)] == drawn[before:]


@given(SEEDS)
def test_a_uniform_draw_lies_between_0_and_1_and_is_neither(seed: int) -> None:
    assert 0 < Chance(seed).uniform() < 1


@pytest.mark.parametrize("word", [0, 2**64 - 1])
def test_not_even_the_outermost_word_is_beyond_a_normal_draw(word: int) -> None:
    class Outermost(Chance):
        def word(self) -> int:
            return word

    assert 7 < abs(Outermost(0).normal()) < 9


def test_uniform_draws_are_spread_evenly() -> None:
    chance = Chance(42)
    counts = [0] * 16
    for _ in range(16_000):
        counts[int(chance.uniform() * 16)] += 1
    chi_squared = sum((count - 1000) ** 2 / 1000 for count in counts)
    assert chi_squared < 37.7


def test_normal_draws_have_the_normal_distribution() -> None:
    chance = Chance(42)
    drawn = sorted(chance.normal() for _ in range(5_000))
    assert abs(fmean(drawn)) < 0.05
    assert abs(pstdev(drawn) - 1) < 0.03
    furthest = max(abs(NormalDist().cdf(value) - (n + 0.5) / 5_000) for n, value in enumerate(drawn))
    assert furthest < 1.63 / 5_000**0.5


def test_streams_of_other_names_or_seeds_are_others() -> None:
    streams = [stream(1, "trend"), stream(1, "hmm_ensemble"), stream(2, "trend"), stream(1), stream(1, "trend", "x")]
    assert len({one.seed for one in streams}) == len(streams)
    firsts = {tuple(islice(iter(one.word, None), 3)) for one in streams}
    assert len(firsts) == len(streams)


def test_a_stream_of_the_same_name_is_the_same_in_every_process() -> None:
    assert stream(1, "trend") == Chance(stream(1, "trend").seed)
    assert stream(1, "trend").uniform() == 0.9913445733686538
