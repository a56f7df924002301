"""The expected best of k trials, and attempts to success."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from waddington.bench.statistics import attempts_to_success, expected_best
from waddington.errors import ArgumentError

INF = math.inf


def test_four_trials_by_hand() -> None:
    # values 1, 2, 3, 4. k = 2: of 6 pairs the best is 1 in three, 2 in two, 3 in one: (3 + 4 + 3) / 6
    # k = 3: of 4 triples 1 in three, 2 in one: 5 / 4
    found = expected_best([3, 1, 4, 2])
    assert found.k.tolist() == [1, 2, 3, 4]
    assert found.expected == pytest.approx([2.5, 10 / 6, 5 / 4, 1])
    assert found.median.tolist() == [2, 1, 1, 1]


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_it_is_the_mean_over_all_subsets(better: str) -> None:
    values = np.random.default_rng(0).normal(size=8)
    found = expected_best(values, most=5, better=better)
    best = min if better == "lower" else max
    for k in range(1, 6):
        assert found.expected[k - 1] == pytest.approx(
            np.mean([best(subset) for subset in itertools.combinations(values, k)])
        )
    assert (found.low <= found.high).all()


def test_it_is_unbiased() -> None:
    """The mean over samples is the expected minimum of k draws: 1 / (k + 1) of a uniform variable."""
    rng = np.random.default_rng(1)
    means = np.mean([expected_best(rng.uniform(size=6), n_resamples=100).expected for _ in range(800)], axis=0)
    assert means == pytest.approx([1 / (k + 1) for k in range(1, 7)], abs=0.02)


def test_diverged_trials_are_kept() -> None:
    found = expected_best([1, 2, INF, INF])
    assert found.expected.tolist() == [INF, INF, pytest.approx(1.25), 1]
    assert found.median.tolist() == [2, 1, 1, 1]
    assert found.high[0] == INF
    assert found.low[0] == 1


def test_more_than_all_trials_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"most=3: most must be a whole number in \[1, 2\]"):
        expected_best([1, 2], most=3)


def test_attempts_by_hand() -> None:
    found = attempts_to_success([1, 2, 3, 4, INF], 2.0)
    assert (found.successes, found.trials, found.expected) == (2, 5, 2.5)
    # Clopper-Pearson by the beta distribution
    assert found.interval.low == pytest.approx(1 / stats.beta.ppf(0.975, 3, 3))
    assert found.interval.high == pytest.approx(1 / stats.beta.ppf(0.025, 2, 4))
    none = attempts_to_success([0.5, 0.6], 0.9, better="higher")
    assert (none.expected, none.interval.high) == (INF, INF)
    # no success of two: the chance is at most 1 - 0.025 ** (1 / 2)
    assert none.interval.low == pytest.approx(1 / (1 - math.sqrt(0.025)))
    with pytest.raises(ArgumentError, match="target must be finite"):
        attempts_to_success([1.0], INF)
