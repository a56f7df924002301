"""Means and ratios over seeds, with intervals where there are any."""

from __future__ import annotations

import math

import pytest

from waddington.claims.experiments.comparing import log_ratio, mean_of


def test_a_ratio_is_the_geometric_mean_of_ratios() -> None:
    found = log_ratio([2.0, 8.0, 4.0], [1.0, 2.0, 4.0])
    assert found.middle == pytest.approx(2.0)
    assert found.interval is not None
    assert found.low < 2.0 < found.high
    assert (found.wins, found.seeds) == (0, 3)


def test_a_lost_run_leaves_no_ratio_and_every_comparison_with_it_is_false() -> None:
    found = log_ratio([None, 0.5, 0.5], [1.0, 1.0, 1.0])
    assert math.isnan(found.middle)
    assert [found.high < 1.0, found.low > 1.0] == [False, False]
    assert "diverged" in found.words()


def test_what_does_not_vary_is_its_own_interval() -> None:
    found = mean_of([2.0, 2.0, 2.0])
    assert (found.low, found.middle, found.high) == (2.0, 2.0, 2.0)
    assert found.words() == "2"
    assert mean_of([1.0, 2.0, 3.0]).words(2) == "2 [−0.48, 4.5]"
