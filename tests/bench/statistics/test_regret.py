"""Regret to the best arm of each task."""

from __future__ import annotations

import math

import numpy as np
import pytest

from waddington.bench.statistics import regrets
from waddington.errors import ArgumentError

INF = math.inf


def test_two_arms_on_two_tasks_by_hand() -> None:
    # means on the first task 2 and 3, on the second 5 and 4
    first, second = regrets([[[1, 3], [5, 4]], [[3, 3], [5, 4]]], ["a", "b"], n_resamples=200)
    assert first.by_task == pytest.approx([0.0, 0.25])
    assert (first.mean, first.worst, first.worst_task) == pytest.approx((0.125, 0.25, 1))
    assert second.by_task == pytest.approx([0.5, 0.0])
    assert (second.mean, second.worst, second.worst_task) == pytest.approx((0.25, 0.5, 0))
    # b is 3 on both seeds, and a, the best arm, 1, 2 or 3 as seeds are drawn
    assert second.worst_interval is not None
    assert (second.worst_interval.low, second.worst_interval.high) == pytest.approx((0.0, 2.0))


def test_an_arm_that_diverged_has_infinite_regret_and_no_interval() -> None:
    first, second = regrets([[[1, INF]], [[1, 2]]], ["a", "b"], n_resamples=100)
    assert (first.worst, second.worst) == (0.0, INF)
    assert first.worst_interval is not None
    assert second.mean_interval is None


def test_where_every_arm_diverged_every_regret_is_infinite() -> None:
    assert [one.worst for one in regrets([[[INF, INF]]], ["a", "b"], n_resamples=100)] == [INF, INF]


def test_regrets_do_not_know_units() -> None:
    values = np.random.default_rng(0).lognormal(size=(5, 3, 4))
    units = np.array([1.0, 1e-3, 1e3])[None, :, None]
    for one, other in zip(
        regrets(values, "abcd", n_resamples=100), regrets(values * units, "abcd", n_resamples=100), strict=True
    ):
        assert one.by_task == pytest.approx(other.by_task)


def test_intervals_hold_what_was_measured() -> None:
    values = np.random.default_rng(1).lognormal(0, 0.2, size=(10, 8, 5)) * np.array([1, 1.1, 1.2, 1.3, 1.4])
    for one in regrets(values, "abcde", n_resamples=500):
        assert one.mean_interval is not None
        assert one.mean_interval.low <= one.mean <= one.mean_interval.high


@pytest.mark.parametrize(
    ("values", "arms", "match"),
    [([[[1.0, 0.0]]], "ab", "above zero"), ([[[1.0, 2.0]]], "a", "by 1 names"), ([[1.0]], "a", "3 axes")],
)
def test_what_has_no_ratio_is_refused(values: list[object], arms: str, match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        regrets(values, arms)


def test_a_single_seed_has_no_interval() -> None:
    (first, second) = regrets([[[1.0, 2.0], [3.0, 2.0]]], ["A", "B"])
    assert (first.mean, second.mean) == (0.25, 0.5)
    assert first.mean_interval is first.worst_interval is second.mean_interval is second.worst_interval is None
