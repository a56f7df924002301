"""Effects over tasks: tasks are the blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from waddington.bench.statistics import pooled
from waddington.bench.statistics.pooling import hierarchical_interval
from waddington.errors import ArgumentError


def test_log_ratios_by_hand() -> None:
    # ratios: task 1: 1/2, 1/2; task 2: 1/4, 1; task 3: 2, 1/2; mean logs, in log 2: -1, -1, 0
    first = [[1.0, 1.0, 4.0], [2.0, 3.0, 1.0]]
    second = [[2.0, 4.0, 2.0], [4.0, 3.0, 2.0]]
    found = pooled(first, second)
    assert found.effects == pytest.approx(np.array([-1.0, -1.0, 0.0]) * math.log(2))
    assert found.mean == pytest.approx(-2 / 3 * math.log(2))
    assert found.ratio == pytest.approx(2 ** (-2 / 3))
    # over tasks: mean -2/3, sd = sqrt(1/3), t = -2/3 / sqrt(1/9) = -2 with 2 degrees
    assert found.p == pytest.approx(2 * stats.t.sf(2, 2))
    assert (found.n_tasks, found.n_seeds, found.test, found.reason) == (3, 2, "paired t", "")


def test_standardized_by_hand() -> None:
    # d = (-1, -3) and (0, 2): means -2 and 1, sd sqrt(2) both
    found = pooled([[0, 1], [0, 3]], [[1, 1], [3, 1]], scale="standardized")
    assert found.effects == pytest.approx(np.array([-2, 1]) / math.sqrt(2))
    assert found.ratio is None


def test_where_runs_diverged_what_counts_is_seeds_won() -> None:
    first = np.ones((5, 6))
    second = np.full((5, 6), 2.0)
    first[0, 0] = second[0, 0] = second[1, 0] = math.inf
    second[:, 5] = 1.0
    found = pooled(first, second)
    assert found.scale == "net wins"
    assert "diverged" in found.reason
    assert found.effects == pytest.approx([-4 / 5, -1, -1, -1, -1, 0])
    assert found.test == "Wilcoxon signed-rank"
    assert found.over_tasks.reasons["p_wilcoxon"] == "p cannot be below 0.062 where 5 seeds differ"


def test_a_task_that_does_not_vary_has_no_standardized_effect() -> None:
    found = pooled([[1, 2], [1, 3]], [[2, 2], [2, 2]], scale="standardized")
    assert found.scale == "net wins"
    assert "task 0" in found.reason
    equal = pooled([[1, 2], [1, 3]], [[1, 3], [1, 2]], scale="standardized")
    assert (equal.scale, equal.effects[0]) == ("standardized", 0)


def test_the_floor_hides_what_does_not_matter() -> None:
    found = pooled([[1e-30], [1e-9]], [[1e-20], [1.0]], floor=1e-9)
    assert found.effects == pytest.approx([(0 + math.log(1e-9)) / 2])
    with pytest.raises(ArgumentError, match="found 0; accepted: values above 0, a floor above 0"):
        pooled([[0.0]], [[1.0]])


def test_one_task_has_an_interval_over_seeds_and_no_test() -> None:
    found = pooled([[1.0], [1.5], [2.0]], [[2.0], [2.5], [2.5]])
    assert found.p is None
    assert found.interval.high < 0


def test_the_hierarchical_bootstrap_has_the_variance_of_its_two_draws() -> None:
    """Drawing tasks gives the variance of task means over T, drawing seeds the mean variance within over S T."""
    values = np.random.default_rng(0).normal(size=(10, 30)) + np.random.default_rng(1).normal(size=30)
    between = values.mean(axis=0).var() / 30
    within = values.var(axis=0).mean() / (10 * 30)
    interval = hierarchical_interval(values)
    width = 2 * stats.norm.ppf(0.975) * math.sqrt(between + within)
    assert interval.high - interval.low == pytest.approx(width, rel=0.03)
    assert interval.low < values.mean() < interval.high
