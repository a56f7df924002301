"""The exponent of gradient descent is l/μ and that of AMGT is not μ/2."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from waddington.analysis.bounds import judge
from waddington.analysis.bounds.amgt import (
    Quadratic,
    decay_factor,
    linear_convergence,
    measure_decay,
    threshold_errors,
    threshold_holds,
)
from waddington.errors import ArgumentError

BOWL = Quadratic((("3/2", 0), (0, "27/10")))


@pytest.mark.parametrize(("mu", "exponent"), [(1.0, 1.5), (2.0, 0.75)])
def test_descent_falls_with_the_smallest_ratio_whatever_is_claimed(mu: float, exponent: float) -> None:
    found = measure_decay(BOWL, mu, steps=2000)
    assert found.fit.slope == pytest.approx(-exponent, abs=0.02)
    assert found.claimed == mu / 2.0
    assert not found.fit.is_geometric  # a power: sublinear
    assert found.fit.r2_power > 0.9999
    assert found.is_slower_than_claimed is (exponent < mu / 2.0)
    shares = np.hypot(decay_factor(1.5 / mu, found.steps - 1.0), 0.5 * decay_factor(2.7 / mu, found.steps - 1.0))
    assert found.distances == pytest.approx(shares, rel=1e-9)


def test_other_units_of_f_change_the_claim_and_not_the_run() -> None:
    once = measure_decay(BOWL, 1.0, steps=400)
    eight = measure_decay(Quadratic(((12, 0), (0, "108/5"))), 8.0, steps=400)
    assert eight.distances == pytest.approx(once.distances)
    assert not once.is_slower_than_claimed
    assert eight.is_slower_than_claimed
    assert not judge(linear_convergence(8.0, 1.2, constant=10.0), eight.steps, eight.distances).holds


@pytest.mark.parametrize(("mu", "exponent"), [(1.0, 0.5), (6.0, 0.25)])
def test_noise_limits_the_exponent_to_one_half(mu: float, exponent: float) -> None:
    """min(1/2, l/μ): below a ratio of 1/2 it is the start that is left, not the noise."""
    many = Quadratic(tuple(tuple(Fraction(3, 2) * (i == j) for j in range(30)) for i in range(30)))
    found = measure_decay(many, mu, steps=2000, noise=1.0, start=[50] * 30, first=50.0)
    assert found.fit.slope == pytest.approx(-exponent, abs=0.06)


def test_amgt_is_far_slower_than_claimed_for_a_large_mu() -> None:
    """Its steps are 1/(μk) long, so that it comes ln(k)/μ far; no power of k with μ/2 in it."""
    found = measure_decay(BOWL, 10.0, rule="amgt", steps=400, first=40.0)
    assert -0.4 < found.fit.slope < -0.1
    assert found.claimed == 5.0
    assert found.is_slower_than_claimed


def test_amgt_is_faster_than_any_power_for_a_small_mu_and_its_moment_lags() -> None:
    found = measure_decay(BOWL, 0.5, rule="amgt", steps=400, first=40.0, gamma=0.0)
    assert found.fit.slope < -2.0
    assert not found.is_slower_than_claimed
    assert found.gradients[0] == pytest.approx([1.5, 1.35])
    errors = threshold_errors(found.gradients, threshold=0.1)
    assert threshold_holds(errors, 0.1).holds is False


def test_whole_ratios_leave_nothing_to_fit() -> None:
    with pytest.raises(ArgumentError, match="0 positive values"):
        measure_decay(Quadratic(((2, 0), (0, 4))), 2.0, steps=200)
