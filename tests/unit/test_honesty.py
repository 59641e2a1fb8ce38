"""Honesty: luck is told from skill as the papers say, and where they give an example, with its numbers."""

from collections.abc import Sequence
from itertools import combinations
from math import log, sqrt
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant.chance import Chance, stream
from quant.honesty import (
    best_of_luck,
    bootstrap,
    deflated_sharpe,
    least_track_record,
    overfitting,
    probabilistic_sharpe,
)

SHARPES = st.floats(-1, 1)


def noise(name: str, count: int, mean: float = 0.0) -> list[float]:
    chance = stream(1, name)
    return [mean + chance.normal() for _ in range(count)]


def test_the_deflated_sharpe_ratio_of_the_paper_is_found() -> None:
    variance, per_year = 0.5, 250
    sharpe = 2.5 / sqrt(per_year)
    benchmark = best_of_luck(100, variance / per_year)
    assert benchmark == pytest.approx(0.1132, abs=5e-5)
    assert probabilistic_sharpe(sharpe, 1250, -3, 10, benchmark) == pytest.approx(0.9004, abs=5e-4)


def test_a_sharpe_ratio_at_its_benchmark_is_as_likely_above_as_below() -> None:
    assert probabilistic_sharpe(0.1, 250, benchmark=0.1) == pytest.approx(0.5)


@given(SHARPES, st.integers(2, 500), st.integers(1, 500))
def test_more_observations_make_a_positive_ratio_surer_and_a_negative_one_less_likely(
    sharpe: float, few: int, more: int
) -> None:
    first, second = probabilistic_sharpe(sharpe, few), probabilistic_sharpe(sharpe, few + more)
    assert first is not None and second is not None
    assert second >= first if sharpe >= 0 else second <= first


def test_a_sample_too_skewed_for_the_formula_has_no_probability() -> None:
    assert probabilistic_sharpe(1.0, 100, skewness=4, kurtosis=3) is None
    assert probabilistic_sharpe(1.0, 1) is None


def test_the_least_track_record_is_where_the_probability_is_reached() -> None:
    needed = least_track_record(0.1, -0.5, 5)
    assert needed is not None
    surer, nearly = (probabilistic_sharpe(0.1, round(needed) + more, -0.5, 5) for more in (1, -1))
    assert surer is not None and nearly is not None
    assert nearly < 0.95 < surer
    assert least_track_record(-0.1) is None


def test_one_trial_needs_no_luck_and_more_trials_need_more() -> None:
    expected = [best_of_luck(trials, 1.0) for trials in (1, 2, 10, 100, 1000)]
    assert expected[0] == 0
    assert expected == sorted(expected)
    assert best_of_luck(10, 1.0) == pytest.approx(1.5746, abs=1e-3)


def test_the_best_of_many_lucky_trials_is_not_believed() -> None:
    trials = [fmean(noise(f"trial {number}", 250)) for number in range(50)]
    best = max(trials)
    alone, among = deflated_sharpe(best, 250, [best]), deflated_sharpe(best, 250, trials)
    assert alone is not None and among is not None
    assert alone > 0.95
    assert among < 0.75


def test_the_choice_among_noise_is_overfitted_about_half_of_the_time() -> None:
    found = [overfitting([noise(f"{run}/{n}", 120) for n in range(10)], blocks=6).probability for run in range(12)]
    assert 0.3 < fmean(found) < 0.7


def test_a_trial_that_is_truly_better_is_chosen_rightly() -> None:
    good = overfitting([*(noise(f"n{n}", 200) for n in range(5)), noise("good", 200, mean=0.8)])
    assert good.probability == 0
    assert good.loss == 0


def test_what_is_good_in_one_half_and_bad_in_the_other_is_overfitted() -> None:
    first, flat = [1.0, 1.1] * 20 + [-1.0, -1.1] * 20, [0.01, -0.005] * 40
    found = overfitting([first, [-one for one in first], flat, [0.9 * one for one in flat]], blocks=2)
    assert found.probability == 1
    assert found.loss == 1


def test_there_is_a_logit_for_each_way_to_divide_the_time() -> None:
    trials = [noise(f"c{number}", 64) for number in range(4)]
    found = overfitting(trials, blocks=8)
    assert len(found.logits) == 70
    assert found.logits == pytest.approx(plain_logits(trials, 8))


def plain_logits(trials: Sequence[Sequence[float]], blocks: int) -> list[float]:
    length = len(trials[0]) // blocks
    logits = []
    for chosen in combinations(range(blocks), blocks // 2):
        parts = (chosen, [block for block in range(blocks) if block not in chosen])
        halves = [[ratio(joined(trial, part, length)) for trial in trials] for part in parts]
        best = max(range(len(trials)), key=lambda n: halves[0][n])
        rank = sum(other <= halves[1][best] for other in halves[1]) / (len(trials) + 1)
        logits.append(log(rank / (1 - rank)))
    return logits


def joined(trial: Sequence[float], part: Sequence[int], length: int) -> list[float]:
    return [value for block in part for value in trial[length * block : length * (block + 1)]]


def ratio(values: Sequence[float]) -> float:
    return float(np.mean(values) / np.std(values))


def test_an_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    values = noise("mean", 400, mean=5.0)
    found = bootstrap(values, {"mean": lambda sample: float(sample.mean())}, Chance(3), mean_block=1)["mean"]
    half = 1.645 * float(np.std(values)) / sqrt(400)
    assert found.value == pytest.approx(fmean(values))
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=half / 5)


def test_blocks_know_that_neighbours_go_together() -> None:
    steps = noise("walk", 600)
    values = [fmean(steps[number : number + 10]) for number in range(590)]
    mean = {"mean": lambda sample: float(sample.mean())}
    alone = bootstrap(values, mean, Chance(3), mean_block=1)["mean"]
    blocked = bootstrap(values, mean, Chance(3), mean_block=25)["mean"]
    assert blocked.high - blocked.low > 2 * (alone.high - alone.low)


@settings(max_examples=20)
@given(st.integers(0, 2**64 - 1), st.lists(st.floats(-1, 1), min_size=2, max_size=30))
def test_the_same_seed_gives_the_same_intervals_within_what_was_seen(seed: int, values: list[float]) -> None:
    mean = {"mean": lambda sample: float(sample.mean())}
    first, second = (bootstrap(values, mean, Chance(seed), resamples=20) for _ in range(2))
    assert first == second
    assert min(values) - 1e-9 <= first["mean"].low <= first["mean"].high <= max(values) + 1e-9


@given(st.integers(0, 2**64 - 1), st.integers(1, 60), st.integers(0, 9))
def test_resamples_are_drawn_as_one_draws_word_by_word(seed: int, count: int, drawn: int) -> None:
    chance, single = Chance(seed, drawn), Chance(seed, drawn)
    values, drawn_first = [float(number) for number in range(count + 1)], {"first": lambda sample: float(sample[0])}
    found = bootstrap(values, drawn_first, chance, resamples=10, mean_block=1)["first"]
    samples = [[single.word() % len(values) for _ in values] for _ in range(10)]
    firsts = sorted(sample[0] for sample in samples)
    assert chance.drawn == single.drawn
    assert firsts[0] <= found.low <= found.high <= firsts[-1]


def test_what_nothing_determines_has_no_interval() -> None:
    assert bootstrap([1.0], {"mean": lambda sample: float(sample.mean())}, Chance(1)) == {}
    assert bootstrap([1.0, 2.0], {"never": lambda _: None}, Chance(1), resamples=20) == {}
