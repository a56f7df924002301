"""Minimum detectable effects."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from waddington.bench.statistics import detectable_wins, minimum_detectable_effect
from waddington.errors import ArgumentError


@pytest.mark.parametrize(
    ("n", "level", "effect"),
    [(5, 0.05, 1.68), (10, 0.05, 1.0), (20, 0.05, 0.66), (10, 0.05 / 4, 1.28), (20, 0.05 / 14, 0.95)],
)
def test_the_table_that_studies_are_planned_by(n: int, level: float, effect: float) -> None:
    assert minimum_detectable_effect(n, level=level) == pytest.approx(effect, abs=0.006)


@pytest.mark.parametrize(("n", "level"), [(3, 0.05), (3, 0.01), (4, 0.0025), (10, 0.0125)])
def test_a_simulated_test_finds_it_four_times_in_five(n: int, level: float) -> None:
    """SciPy's noncentral t has holes where effects are large, and solvers that meet one are led astray."""
    effect = minimum_detectable_effect(n, level=level)
    assert effect is not None
    samples = np.random.default_rng(0).normal(effect, 1, size=(100_000, n))
    assert (stats.ttest_1samp(samples, 0, axis=1).pvalue <= level).mean() == pytest.approx(0.8, abs=0.006)


def test_too_few_pairs_detect_nothing() -> None:
    assert minimum_detectable_effect(2) is None
    assert minimum_detectable_effect(3, level=1e-6) is None
    assert detectable_wins(5) is None  # 2 / 2**5 = 0.0625
    assert detectable_wins(6) == 6  # 2 / 2**6 = 0.031
    with pytest.raises(ArgumentError, match=r"power=0\.01"):
        minimum_detectable_effect(5, power=0.01)
