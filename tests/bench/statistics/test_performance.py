"""Performance profiles."""

from __future__ import annotations

import math

import numpy as np
import pytest

from waddington.bench.statistics import profiles
from waddington.errors import ArgumentError

INF = math.inf


def test_two_arms_on_four_tasks_by_hand() -> None:
    # one seed; times of (a, b) on four tasks, ratios to the faster: (1, 2), (1.5, 1), (1, inf), (inf, inf)
    times = [[[10, 20], [30, 20], [5, INF], [INF, INF]]]
    found = profiles(times, taus=[1, 1.5, 2, 4], n_resamples=100)
    assert found.ratios.tolist() == [[1, 2], [1.5, 1], [1, INF], [INF, INF]]
    assert found.shares.tolist() == [[0.5, 0.75, 0.75, 0.75], [0.25, 0.25, 0.5, 0.5]]
    # area from 1 to 4 over 3: a: (3 + 2.5 + 3 + 0) / 3 / 4 tasks, b: (2 + 3 + 0 + 0) / 3 / 4
    assert found.scores == pytest.approx([8.5 / 12, 5 / 12])
    assert found.low.tolist() == found.high.tolist() == found.shares.tolist()  # one seed: nothing to draw


def test_the_score_is_the_area_under_the_curve() -> None:
    times = np.random.default_rng(0).uniform(1, 6, size=(3, 5, 4))
    found = profiles(times, taus=np.linspace(1, 4, 3001), n_resamples=100)
    assert found.scores == pytest.approx(np.trapezoid(found.shares, found.taus, axis=1) / 3, abs=5e-3)


def test_a_tasks_time_is_the_median_over_seeds() -> None:
    times = np.array([[[1.0, 3.0]], [[2.0, 3.0]], [[INF, 3.0]]])  # medians 2 and 3
    found = profiles(times, n_resamples=500)
    assert found.ratios.tolist() == [[1, 1.5]]
    assert found.score_low[0] < found.scores[0] <= found.score_high[0]
    assert ((found.low <= found.shares) & (found.shares <= found.high)).all()
    assert found.taus[[0, -1]].tolist() == [1, 4]


def test_intervals_hold_what_was_measured_though_many_arms_are_alike() -> None:
    """The least of many noisy times, drawn anew, would move every interval away from its estimate."""
    times = np.random.default_rng(2).lognormal(3, 0.5, size=(10, 8, 11))
    found = profiles(times, n_resamples=500)
    assert ((found.score_low < found.scores) & (found.scores < found.score_high)).all()
    assert ((found.low <= found.shares) & (found.shares <= found.high)).mean() > 0.95


def test_reached_at_the_start_is_the_fastest() -> None:
    assert profiles([[[0.0, 0.0, 1.0]]], n_resamples=100).ratios.tolist() == [[1, 1, INF]]


@pytest.mark.parametrize(
    ("times", "taus", "words"),
    [
        ([[[-1.0]]], None, "at least 0"),
        ([[[math.nan]]], None, "NaN"),
        ([[[1.0]]], [2, 3], "increase from 1"),
        ([[[1.0]]], [1, 1], "increase from 1"),
        ([[1.0]], None, "3 axes"),
    ],
)
def test_what_is_no_time_is_refused(times: list, taus: list | None, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        profiles(times, taus=taus)
