"""The strength α: its slopes, its pole, its band."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.analysis.bounds import alphaadam, judge
from waddington.analysis.bounds.alphaadam import (
    compensated_length,
    mask_strength,
    orthogonality_bound,
    orthogonality_dimension,
    strength_band,
    strength_slope,
    strength_slopes,
)
from waddington.errors import ArgumentError

numbers = st.floats(-1e3, 1e3).filter(lambda value: abs(value) > 1e-3)
vectors = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=40)


@settings(deadline=None, max_examples=20)
@given(vectors, st.floats(0.0, 0.99), st.floats(1e-5, 1.0), st.floats(1.0, 2.0))
def test_the_two_slopes_are_parallel_in_every_dimension(drawn, beta: float, lr: float, alpha: float) -> None:
    grad, exp_avg = torch.tensor(drawn, dtype=torch.float64).T
    direction = (beta * exp_avg + grad).numpy()
    found = strength_slopes(grad, exp_avg, beta=beta, lr=lr, alpha=alpha)
    np.testing.assert_allclose(found.by_rate, -alpha * direction, rtol=1e-12)
    np.testing.assert_allclose(found.by_strength, -lr * direction, rtol=1e-12)
    if np.abs(direction).max() > 1e-100:
        assert found.cosine == pytest.approx(1.0, abs=1e-12)


def test_the_promised_cosine_is_violated_as_soon_as_it_says_anything() -> None:
    bound = orthogonality_bound(0.05)
    assert orthogonality_dimension(0.1, 0.05) == pytest.approx(2.0 * math.log(40.0) / 0.01)
    assert bound(orthogonality_dimension(0.1)) == pytest.approx(0.1)
    dimensions = np.array([1.0, 7.0, 8.0, 1e6])
    judged = judge(bound, dimensions, np.ones(4))
    assert judged.first_violation == 8.0  # 2 log 40 = 7.4
    assert [each.name for each in judged.violated] == ["independent directions"]
    assert math.isnan(strength_slopes(torch.zeros(3), torch.zeros(3)).cosine)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(numbers, st.booleans()), min_size=1, max_size=30), st.floats(1e-4, 10.0))
def test_within_a_step_the_strength_does_not_know_the_rate(drawn, lr: float) -> None:
    update = torch.tensor([value for value, _ in drawn], dtype=torch.float64)
    mask = torch.tensor([float(kept) for _, kept in drawn], dtype=torch.float64)
    for form in ("squared", "root"):
        alpha = float(mask_strength(update, mask, form=form))
        assert abs(strength_slope(update, mask, lr=lr, form=form)) <= 1e-9 * alpha / lr
    assert float(mask_strength(3.0 * update, mask)) == pytest.approx(float(mask_strength(update, mask)))


def test_the_squared_form_has_a_pole_and_the_root_restores_the_length() -> None:
    mask = torch.tensor([0.0, 1.0])
    for small in (1e-2, 1e-5, 1e-8):
        update = torch.tensor([1.0, small], dtype=torch.float64)
        assert compensated_length(update, mask) == pytest.approx(1.0 / small, rel=1e-3)
        assert compensated_length(update, mask, form="root") == pytest.approx(1.0)
        assert compensated_length(update, mask, alpha_max=2.0) == pytest.approx(2.0 * small, rel=1e-3)
    assert compensated_length(torch.ones(2), torch.zeros(2)) == 0.0
    with pytest.raises(ArgumentError, match="length 0"):
        compensated_length(torch.zeros(2), mask)


def test_the_band_weighs_and_counts() -> None:
    alphas = np.array([[1.0, 1.2, 1.4, 5.0]])
    found = strength_band(alphas, level=0.5)
    assert (found.low, found.median, found.high) == (1.0, 1.2, 1.4)
    assert found.above_cap == 0.25
    assert found.count == 4
    assert found.inside()
    weighted = strength_band(alphas, np.array([1.0, 1.0, 1.0, 97.0]), level=0.5)
    assert (weighted.low, weighted.high) == (5.0, 5.0)
    assert weighted.above_cap == pytest.approx(0.97)
    assert not weighted.inside()


def test_what_is_refused() -> None:
    with pytest.raises(ArgumentError, match="finite values with weights above zero"):
        strength_band(np.array([1.0, math.inf]))
    with pytest.raises(ArgumentError, match="number of values of alpha=0"):
        strength_band(np.array([]))
    with pytest.raises(ArgumentError, match="failure=1"):
        orthogonality_bound(1.0)
    with pytest.raises(ArgumentError, match="cosine=0"):
        orthogonality_dimension(0.0)


@pytest.mark.parametrize("cap", [-1.0, math.nan])
def test_a_cap_below_nothing_is_refused(cap: float) -> None:
    with pytest.raises(ArgumentError, match="cannot use cap="):
        alphaadam.strength_band(np.ones(3), cap=cap)
