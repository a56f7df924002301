"""Targets, what it costs to reach them, and the loss all along."""

from __future__ import annotations

import math

import numpy as np
import pytest

from waddington.bench.statistics import anytime_loss, best_configuration, cost_at, first_reach, target_of, worst
from waddington.errors import ArgumentError

INF = math.inf


def test_a_target_is_the_median_of_the_best_configuration() -> None:
    finals = np.array([[3.0, 1.0, 2.0], [3.0, 5.0, 2.5], [1.0, INF, 2.2]])
    assert best_configuration(finals) == 2  # medians 3, 5, 2.2
    assert best_configuration([[0.1, 0.9], [0.2, 0.8]], better="higher") == 1
    assert target_of(finals[:, 2]) == 2.2
    assert target_of([1.0, 2.0, INF]) == 2.0
    with pytest.raises(ArgumentError, match="half of the baseline's runs diverged"):
        target_of([1.0, INF])


@pytest.mark.parametrize(
    ("values", "target", "step"),
    [
        ([4, 2, 1, 1], 3.0, 5.0),  # half way from 0 to 10
        ([4, 2, 1, 1], 2.0, 10.0),
        ([4, 2, 1, 1], 5.0, 0.0),  # at the start
        ([4, 2, 1, 1], 0.5, INF),
        ([4, INF, 1, 1], 2.0, 20.0),  # nothing to draw a line from
        ([4, math.nan, 1, 1], 2.0, 20.0),
        ([4, 1, 3, 0.5], 2.0, 20 / 3),  # the first time counts
        ([INF, INF, INF, INF], 2.0, INF),
    ],
)
def test_where_a_curve_first_reaches_a_target(values: list[float], target: float, step: float) -> None:
    assert first_reach([0, 10, 20, 30], values, target) == pytest.approx(step)
    mirrored = first_reach([0, 10, 20, 30], -np.array(values), -target, better="higher")
    assert mirrored == pytest.approx(step)


def test_what_was_spent_is_read_at_that_step() -> None:
    assert cost_at(5.0, [0, 10], [0, 4]) == 2
    assert cost_at(INF, [0, 10], [0, 4]) == INF


@pytest.mark.parametrize("steps", [[0, 0], [2, 1], [0, INF], [0]])
def test_steps_that_run_backwards_are_refused(steps: list[float]) -> None:
    with pytest.raises(ArgumentError, match="a curve"):
        first_reach(steps, [1.0, 2.0], 1.0)


def test_the_mean_log_loss_by_hand() -> None:
    e = math.e
    steps, losses = [0, 1, 3], [e**2, 1, e**-2]  # logs 2, 0, -2
    # trapezoids: 1 * (2 + 0) / 2 + 2 * (0 - 2) / 2 = -1, over 3 steps
    assert anytime_loss(steps, losses) == pytest.approx(-1 / 3)
    # burn-in of half: from step 1.5, where the line is at -0.5: 1.5 * (-0.5 - 2) / 2 over 1.5 steps
    assert anytime_loss(steps, losses, burn_in=0.5) == pytest.approx(-1.25)
    # a burn-in that ends at a recorded step begins there, whatever stood before
    assert anytime_loss(steps, [INF, *losses[1:]], burn_in=1 / 3) == pytest.approx(-1)
    assert anytime_loss([5], [e]) == pytest.approx(1)


def test_what_has_no_logarithm() -> None:
    assert anytime_loss([0, 1], [1.0, INF]) == INF
    assert anytime_loss([0, 1], [1.0, math.nan]) == INF
    assert anytime_loss([0, 1], [0.0, 0.0], floor=1e-3) == pytest.approx(math.log(1e-3))
    with pytest.raises(ArgumentError, match="a loss of -1"):
        anytime_loss([0, 1], [1.0, -1.0])
    with pytest.raises(ArgumentError, match="burn_in"):
        anytime_loss([0, 1], [1.0, 1.0], burn_in=1.0)


def test_the_worst_value_is_on_the_bad_side() -> None:
    assert (worst("lower"), worst("higher")) == (INF, -INF)
    with pytest.raises(ArgumentError, match="better='up'"):
        worst("up")  # type: ignore[arg-type]
