"""Sentences that never claim more than the numbers say."""

from __future__ import annotations

import dataclasses
import gc
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from waddington.bench.statistics import (
    Interval,
    Paired,
    beside_one,
    corrected,
    number,
    paired,
    pooled,
    pooled_verdict,
    verdict,
)
from waddington.bench.statistics.verdicts import Verdict

INF = math.inf


def said(result: Paired, p: float | None = None, metric: str = "loss") -> Verdict:
    return verdict(result, first="A", second="B", p=result.p if p is None else p, metric=metric)


def test_a_difference_is_told_with_size_interval_p_and_seeds() -> None:
    rng = np.random.default_rng(0)
    second = rng.normal(1, 0.1, 10)
    first = second - 0.5 + rng.normal(0, 0.05, 10)
    found = said(paired(first, second))
    assert found.answer == "first"
    assert found.sentence.startswith("A has a lower loss than B, by 0.5")
    assert found.sentence.endswith("(p < 0.001, paired t), on 10 seeds.")
    assert said(paired(second, first)).answer == "second"
    better = said(paired(second, first, better="higher"), metric="accuracy")
    assert (better.answer, better.sentence[:28]) == ("first", "A has a higher accuracy than")


def test_no_difference_stands_beside_what_would_have_been_detected() -> None:
    rng = np.random.default_rng(1)
    found = said(paired(rng.normal(1, 0.1, 10), rng.normal(1, 0.1, 10)))
    assert found.answer == "no difference"
    assert "n = 10 would have detected d_z ≥ 1, that is 0." in found.sentence
    assert "with a chance of 80%" in found.sentence


def test_holm_decides_and_not_the_raw_p() -> None:
    rng = np.random.default_rng(0)
    result = paired(rng.normal(-0.8, 1, 10), np.zeros(10), n_contrasts=4)
    assert result.p is not None
    assert result.p < 0.05
    found = said(result, p=0.2)
    assert found.answer == "no difference"
    assert "p = 0.200, paired t, Holm over 4" in found.sentence


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([1.0], [2.0], "1 seed, and three are the fewest"),
        ([1.0, 1.1], [2.0, 2.5], "2 seeds, and three are the fewest"),
        ([1.0, 1, 1], [2.0, 2, 2], "A is lower by 1 in all 3 seeds alike, so they count as one"),
        ([1.0, 2, 3], [1.0, 2, 3], "no seed differs"),
        ([1.0, 2, 3], [1.0, 2, INF], "1 run of B diverged; p cannot be below 1 where 1 seed differs"),
    ],
)
def test_what_cannot_be_told_is_not_told(first: list[float], second: list[float], words: str) -> None:
    found = said(paired(first, second))
    assert found.answer == "cannot be told"
    assert words in found.sentence


def test_a_test_without_its_interval_tells_nothing() -> None:
    result = paired([1, 2, 1, 2, 2, 2, 1, 2, 1], np.zeros(9))
    doubtful = dataclasses.replace(result, mean_interval=Interval(-0.1, 2.0))
    found = said(doubtful)
    assert found.answer == "cannot be told"
    assert "its interval [−0.1, 2] does not" in found.sentence


def test_diverged_runs_are_ranked_and_named() -> None:
    first = np.arange(1.0, 11)
    second = np.where(first > 8, INF, first + 1)
    found = said(paired(first, second))
    assert found.answer == "first"
    assert "by ranks, 10 seeds to 0 (p = 0.002, Wilcoxon signed-rank)" in found.sentence
    assert "2 runs of B diverged, so by how much is not measurable" in found.sentence
    even = said(paired(np.where(first > 9, INF, first), np.where(first < 2, INF, first[::-1])))
    assert even.answer == "no difference"
    assert "a sign test would have told 9 wins of 10" in even.sentence


def test_a_sentence_says_how_many_runs_diverged_and_how_many_raised() -> None:
    first = np.arange(1.0, 11)
    second = np.where(first > 7, INF, first + 1)
    both = said(paired(first, second, n_raised=(0, 2)))
    assert both.answer == "first"
    assert "1 run of B diverged, and 2 runs of B raised an error, so by how much is not" in both.sentence
    raised = said(paired(np.where(first > 9, INF, first), second, n_raised=(1, 3)))
    assert "1 run of A and 3 runs of B raised an error" in raised.sentence
    assert "diverged" not in raised.sentence
    none = said(paired(first[:3], second[-3:], n_raised=(0, 3)))
    assert none.answer == "cannot be told"
    assert "3 runs of B raised an error; p cannot be below" in none.sentence


@pytest.mark.parametrize("is_better", [True, False])
def test_over_tasks_better_is_said_whichever_way_the_metrics_go(is_better: bool) -> None:
    """Accuracies are negated before they are pooled with losses: higher would be false of one or the other."""
    rng = np.random.default_rng(0)
    accuracy, loss = rng.uniform(0.7, 0.8, size=(5, 3)), rng.uniform(1, 2, size=(5, 3))
    ahead = np.array([0.02, 0.03, 0.04]) * rng.uniform(0.5, 1.5, size=(5, 3))
    good = np.concatenate([-(accuracy + ahead), loss - ahead], axis=1)
    bad = np.concatenate([-accuracy, loss], axis=1)
    result = pooled(*((good, bad) if is_better else (bad, good)), scale="standardized")
    found = pooled_verdict(result, first="A", second="B", p=result.p, metric="metric")
    assert found.answer == ("first" if is_better else "second")
    assert found.sentence.startswith(f"Over 6 tasks A has a {'better' if is_better else 'worse'} metric than B")
    assert "below zero where A is better" in found.sentence
    assert not {"higher", "lower"} & set(found.sentence.split())


def test_over_tasks_a_share_of_seeds_is_that_of_the_better_arm_also_where_higher_is_better() -> None:
    first, second = np.full((5, 8), 2.0), np.ones((5, 8))
    second[0] = -INF
    result = pooled(first, second, better="higher", n_raised=(0, 8))
    found = pooled_verdict(result, first="A", second="B", p=result.p, metric="return")
    assert found.answer == "first"
    assert "A has a better return than B: seeds in which A is better minus those" in found.sentence
    assert ": +100% [" in found.sentence
    assert found.sentence.endswith("Seeds are counted, because 8 runs of B raised an error.")


def test_ranks_and_seeds_that_disagree_tell_nothing() -> None:
    d = np.array([*([-1.0] * 12), *np.arange(10, 20), INF])
    result = paired(d, np.zeros(len(d)))
    assert (result.wins, result.losses) == (12, 11)
    found = said(result, p=0.01)
    assert found.answer == "cannot be told"
    assert "the ranks say one thing" in found.sentence


def test_over_tasks_what_is_counted_is_tasks() -> None:
    rng = np.random.default_rng(0)
    second = rng.uniform(1, 2, size=(5, 6))
    first = second * rng.uniform(0.85, 0.95, size=(5, 6))
    result = pooled(first, second)
    found = pooled_verdict(result, first="A", second="B", p=result.p)
    assert found.answer == "first"
    assert found.sentence.startswith("Over 6 tasks A has a better loss than B: a factor of 0.897 [0.8")
    assert found.sentence.endswith("with 5 seeds each.")
    none = pooled_verdict(result, first="A", second="B", p=0.3)
    assert none.answer == "no difference"
    assert "6 tasks would have detected a factor of 1.0" in none.sentence
    two = pooled(first[:, :2], second[:, :2])
    assert pooled_verdict(two, first="A", second="B", p=two.p).answer == "cannot be told"


def test_over_tasks_with_diverged_runs() -> None:
    first = np.ones((5, 8))
    second = np.full((5, 8), 2.0)
    second[0] = INF
    result = pooled(first, second)
    found = pooled_verdict(result, first="A", second="B", p=result.p)
    assert found.answer == "first"
    assert "minus those in which it is worse: +100% [+100%, +100%] (p = 0.008, Wilcoxon signed-rank)" in found.sentence
    assert found.sentence.endswith("with 5 seeds each. Seeds are counted, because 8 runs of B diverged.")
    few = pooled(first[:, :5], second[:, :5])
    unknown = pooled_verdict(few, first="A", second="B", p=few.p)
    assert unknown.answer == "cannot be told"
    assert "p cannot be below 0.062 where 5 tasks differ" in unknown.sentence


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123456, "0.0123"), (1234567.0, "1.23e+06"), (12345.0, "12345"), (-0.00012, "−0.00012"), (INF, "∞"), (0, "0")],
)
def test_numbers_for_people(value: float, text: str) -> None:
    assert number(value) == text


def test_figures_beside_one_say_on_which_side_of_it_they_lie() -> None:
    assert beside_one(1.0, 0.9999, 2.0) == ["1", "0.9999", "2"]
    assert beside_one(1.07, 0.9, 1.2) == ["1.07", "0.9", "1.2"]
    assert beside_one(1.0 + 1e-12, 2.0)[0] == "1"  # nine digits are the most that are written


def test_a_factor_over_tasks_whose_interval_nearly_has_one_says_on_which_side_it_ends() -> None:
    rng = np.random.default_rng(2)
    second = rng.uniform(1, 2, (6, 8))
    result = pooled(second * np.exp(rng.normal(0.0, 0.01, (6, 8))), second)
    off = dataclasses.replace(result, mean=0.05, interval=Interval(0.0004, 0.1))
    assert "a factor of 1.0513 [1.0004, 1.1052] (" in pooled_verdict(off, first="A", second="B", p=0.3).sentence
    huge = dataclasses.replace(result, mean=800.0, interval=Interval(-800.0, 900.0))
    assert "a factor of ∞ [0, ∞]" in pooled_verdict(huge, first="A", second="B", p=0.3).sentence


Maker = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]


def alike(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two arms that are one: skewed losses that share the seeds' luck."""
    luck = rng.lognormal(0, 0.5, size=10)
    first, second = luck * rng.lognormal(0, 0.2, size=(2, 10))
    return first, second


def permuted(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two arms that differ, with labels that say nothing."""
    better, worse = alike(rng)
    swap = rng.random(10) < 0.5
    return np.where(swap, better, worse + 1), np.where(swap, worse + 1, better)


def diverging(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    first, second = alike(rng)
    return np.where(rng.random(10) < 0.2, INF, first), np.where(rng.random(10) < 0.2, INF, second)


def false_claims(make: Maker, runs: int) -> int:
    """Count the comparisons of equal arms that end with a better one."""
    rng = np.random.default_rng(7)
    results = [paired(*make(rng), n_resamples=200) for _ in range(runs)]
    return sum(said(result).answer in ("first", "second") for result in results)


def most(runs: int) -> int:
    return int(stats.binom.ppf(0.999, runs, 0.05))


@pytest.mark.parametrize("make", [alike, permuted, diverging])
def test_noise_is_called_a_difference_no_more_often_than_the_level(make: Maker) -> None:
    assert false_claims(make, 100) <= most(100)


@pytest.mark.slow
@pytest.mark.parametrize(("make", "runs"), [(alike, 2000), (permuted, 1000), (diverging, 2000)])
def test_of_2000_comparisons_of_equals_the_false_ones_stay_at_the_level(make: Maker, runs: int) -> None:
    assert 0 < false_claims(make, runs) <= most(runs)  # and it does speak


def test_the_tests_p_is_uniform_where_arms_are_alike() -> None:
    """Two-sided: neither too bold nor too shy, at two levels."""
    rng = np.random.default_rng(3)
    p = np.array([paired(*rng.normal(size=(2, 10)), n_resamples=100).p_t for _ in range(120)])
    for level in (0.05, 0.5):
        low, high = stats.binom.ppf((0.0005, 0.9995), len(p), level)
        assert low <= (p <= level).sum() <= high


@pytest.mark.slow
def test_a_family_of_contrasts_keeps_its_level() -> None:
    """Four contrasts with one arm, among five that are alike: Holm lets any through in at most 5 % of families."""
    rng = np.random.default_rng(11)
    runs, errors = 200, 0
    gc.freeze()  # statsmodels collects garbage in every call of Holm's; what is frozen it need not walk through
    for _ in range(runs):
        values = rng.normal(size=(5, 10))
        raw = [paired(values[0], other, n_contrasts=4, n_resamples=100).p for other in values[1:]]
        errors += any((p or 1.0) <= 0.05 for p in corrected(raw))
    gc.unfreeze()
    assert 0 < errors <= most(runs)


@pytest.mark.slow
def test_pooled_noise_keeps_its_level() -> None:
    rng = np.random.default_rng(5)
    count = 0
    for _ in range(1000):
        tasks = rng.normal(0, 0.1, size=6)  # each task favours an arm a little, on average none
        first, second = np.exp(rng.normal(0, 0.3, size=(2, 10, 6)) + np.stack([tasks, -tasks])[:, None])
        result = pooled(first, second, n_resamples=200)
        count += pooled_verdict(result, first="A", second="B", p=result.p).answer in ("first", "second")
    assert 0 < count <= most(1000)
