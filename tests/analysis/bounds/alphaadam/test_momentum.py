"""Momentum's variance: the formula, its brute force, and a simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from waddington.analysis.bounds.alphaadam import (
    displacement_factor,
    printed_off_diagonal_factor,
    simulate_momentum,
    variance_factor,
)
from waddington.errors import ArgumentError

betas = st.floats(0.0, 0.99)
quick = settings(deadline=None, max_examples=60)


def weights(beta: float, steps: int) -> np.ndarray:
    """What m_t gives to g_1, ..., g_t."""
    return (1.0 - beta) * beta ** np.arange(steps)[::-1]


def test_the_factor_of_the_corollary() -> None:
    assert variance_factor(0.9) == pytest.approx(1.0 / 19.0)
    assert variance_factor(0.9) == pytest.approx(0.1**2 / (1.0 - 0.81))
    assert variance_factor(0.99) == pytest.approx(0.00502513, rel=1e-5)
    assert variance_factor(0.0) == 1.0
    assert printed_off_diagonal_factor(0.9) == pytest.approx(1.0 / 361.0)


def test_corrected_momentum_begins_as_a_gradient_and_correlated_gradients_average_less() -> None:
    assert variance_factor(0.9, step=1, bias_correction=True) == pytest.approx(1.0)
    half = 0.9**7
    assert variance_factor(0.9, step=7, bias_correction=True) == pytest.approx((1.0 + half) / (1.0 - half) / 19.0)
    assert variance_factor(0.9, autocorrelation=0.9) == pytest.approx(1.81 / 0.19 / 19.0)  # 0.50


@quick
@given(betas, st.integers(1, 60), st.floats(-0.95, 0.95))
@example(0.9, 13, 0.9)
@example(0.5, 1, 0.5)
def test_the_factor_of_a_finite_run_is_the_sum_over_all_pairs_of_gradients(beta: float, step: int, rho: float) -> None:
    apart = np.abs(np.subtract.outer(np.arange(step), np.arange(step)))
    sums = weights(beta, step) @ np.power(rho, apart) @ weights(beta, step)
    assert variance_factor(beta, step=step, autocorrelation=rho) == pytest.approx(sums, rel=1e-6, abs=1e-9)
    assert variance_factor(beta, step=4000, autocorrelation=rho) == pytest.approx(
        variance_factor(beta, autocorrelation=rho), rel=1e-9
    )


@quick
@given(betas, st.integers(1, 40))
def test_a_sum_of_updates_is_a_sum_of_gradients(beta: float, updates: int) -> None:
    rest = np.array([weights(beta, updates - first).sum() for first in range(updates)])  # of g_first in m_1 + ... + m_K
    assert displacement_factor(beta, updates, start="rest") == pytest.approx(np.square(rest).sum() / updates, rel=1e-8)
    lags = np.abs(np.subtract.outer(np.arange(updates), np.arange(updates)))
    sums = variance_factor(beta) * np.power(beta, lags).sum() / updates
    assert displacement_factor(beta, updates) == pytest.approx(sums, rel=1e-6)


def test_the_displacement_is_not_made_steadier() -> None:
    assert displacement_factor(0.9, 1) == pytest.approx(variance_factor(0.9))
    assert displacement_factor(0.9, 300) == pytest.approx(0.968, abs=1e-3)
    assert displacement_factor(0.9, 100_000) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("rho", "corrected"), [(0.0, False), (0.6, False), (0.0, True)])
def test_a_simulation_finds_one_factor_for_all_entries_and_not_its_square(rho: float, corrected: bool) -> None:
    steps = 12 if corrected else 80
    found = simulate_momentum(0.8, steps=steps, chains=6000, autocorrelation=rho, bias_correction=corrected, seed=3)
    right = variance_factor(0.8, step=steps, autocorrelation=rho, bias_correction=corrected)
    assert abs(found.variance - right) < 4.0 * found.variance_error
    assert abs(found.off_diagonal - right) < 4.0 * found.off_diagonal_error
    assert abs(found.off_diagonal - printed_off_diagonal_factor(0.8)) > 10.0 * found.off_diagonal_error
    if rho == 0.0:
        moved = displacement_factor(0.8, steps, start="rest")
        assert abs(found.displacement - moved) < 4.0 * found.displacement_error


def test_a_simulation_is_the_seeds_and_saves(tmp_path) -> None:
    found = simulate_momentum(0.5, np.diag([1.0, 4.0]), steps=3, chains=50)
    assert found.variance == simulate_momentum(0.5, np.diag([1.0, 4.0]), steps=3, chains=50).variance
    assert math.isnan(found.off_diagonal)
    assert type(found).load(found.save(tmp_path / "found.npz")).variance == found.variance


def test_what_is_no_covariance_or_decay_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"eigenvalue -1; accepted: a symmetric and positive definite"):
        simulate_momentum(0.9, np.array([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(ArgumentError, match=r"covariance of shape \(2, 3\)"):
        simulate_momentum(0.9, np.ones((2, 3)))
    with pytest.raises(ArgumentError, match="beta=1"):
        variance_factor(1.0)
    with pytest.raises(ArgumentError, match="autocorrelation=1"):
        variance_factor(0.9, autocorrelation=1.0)
    with pytest.raises(ArgumentError, match="start='anywhere'"):
        displacement_factor(0.9, 3, start="anywhere")
