"""Penalty, rate, signal-to-noise ratio and curvature: their formulas, bounds and identities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.errors import ArgumentError
from waddington.optim.adaptation import (
    adaptive_rate,
    curvature_momentum,
    secant_curvature,
    signal_to_noise,
    variance_penalty,
)

EXAMPLES = settings(max_examples=200, deadline=None)
MOMENTS = st.one_of(st.just(0.0), st.floats(1e-60, 1e60))
EPS = st.floats(1e-16, 1.0)


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


@EXAMPLES
@given(variance=MOMENTS, square=MOMENTS, eps=EPS)
def test_the_penalty_is_the_papers_and_in_its_range(variance, square, eps):
    penalty = variance_penalty(f64(variance), f64(square), eps).item()
    assert 0.0 < penalty <= 1.0
    assert penalty == pytest.approx((1 + variance / (square + eps)) ** -0.5, rel=1e-14)


@EXAMPLES
@given(variance=MOMENTS, square=MOMENTS, eps=EPS)
def test_the_rate_is_the_penalty_over_the_root_of_the_second_moment(variance, square, eps):
    found = adaptive_rate(f64(variance), f64(square), eps).item()
    assert found == pytest.approx((1 + variance / (square + eps)) ** -0.5 / math.sqrt(square + eps), rel=1e-13)


def test_without_noise_there_is_no_penalty_and_nothing_but_noise_gives_half_its_square():
    square = f64(1e-3, 1.0, 1e3)
    assert torch.equal(variance_penalty(torch.zeros(3).double(), square), torch.ones(3).double())
    rate = adaptive_rate(torch.zeros(3).double(), square)
    torch.testing.assert_close(rate, torch.rsqrt(square + 1e-8), rtol=1e-15, atol=0.0)
    torch.testing.assert_close(variance_penalty(square, square, 0.0) ** 2, torch.full((3,), 0.5, dtype=torch.float64))


@EXAMPLES
@given(low=st.floats(0.0, 1e6), more=st.floats(0.0, 1e6), square=st.floats(0.0, 1e6))
def test_more_noise_never_lengthens_a_step(low, more, square):
    quiet, loud = f64(low), f64(low + more)
    assert variance_penalty(loud, f64(square)) <= variance_penalty(quiet, f64(square))
    assert adaptive_rate(loud, f64(square)) <= adaptive_rate(quiet, f64(square))


def test_signal_to_noise_is_that_of_the_moments():
    mean, variance = f64(3.0, -3.0, 0.0, 2.0), f64(1.0, 1.0, 1.0, 0.0)
    np.testing.assert_allclose(signal_to_noise(mean, variance, 0.5).numpy(), [6.0, 6.0, 0.0, 8.0])
    assert signal_to_noise(f64(1e-2), f64(0.0)).item() == pytest.approx(1e4)  # ε is 1e-8


def test_shapes_and_dtypes_are_kept():
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        for shape in ((), (3,), (2, 0), (2, 3, 4)):
            x = torch.ones(shape, dtype=dtype)
            for function in (signal_to_noise, variance_penalty, adaptive_rate):
                found = function(x, x)
                assert found.shape == shape
                assert found.dtype == dtype
            assert curvature_momentum(x, 0.1).shape == shape


def test_no_value_is_read_on_the_host():
    x = torch.ones(3, device="meta")  # which has no values
    for function in (signal_to_noise, variance_penalty, adaptive_rate):
        assert function(x, x).shape == (3,)
    assert curvature_momentum(secant_curvature(x, x, x, x), 0.1).shape == ()


def spectral_radius(momentum, lr, curvature):
    """Heavy ball on a quadratic: θ' = θ + μ (θ - θ_before) - lr h θ."""
    matrix = np.array([[1 + momentum - lr * curvature, -momentum], [1.0, 0.0]])
    return max(abs(np.linalg.eigvals(matrix)))


@EXAMPLES
@given(curvature=st.floats(1e-3, 1e3), share=st.floats(0.01, 3.9))
def test_momentum_is_the_smallest_in_the_robust_region_and_no_other_contracts_faster(curvature, share):
    lr = share / curvature
    momentum = curvature_momentum(f64(curvature), lr, 0.0, 0.9999).item()
    assert momentum == pytest.approx((1 - math.sqrt(share)) ** 2, abs=1e-12)
    best = spectral_radius(momentum, lr, curvature)
    # A double eigenvalue, known to the root of the precision only.
    assert best == pytest.approx(math.sqrt(momentum), abs=1e-6)
    for other in np.linspace(0.0, 0.99, 40):
        assert spectral_radius(other, lr, curvature) >= best - 1e-6


def test_more_curvature_means_less_momentum_up_to_where_none_is_needed():
    curvature = torch.linspace(0.0, 10.0, 50, dtype=torch.float64)
    momentum = curvature_momentum(curvature, 0.1)
    assert bool((momentum.diff() <= 0).all())
    assert momentum[0] == 0.99
    assert momentum[-1] == 0.0
    assert curvature_momentum(f64(30.0), 0.1) > 0.0  # and beyond it rises again


def test_momentum_keeps_to_its_limits():
    momentum = curvature_momentum(f64(-1.0, 0.0, 1.0, 1e9, math.inf), 1.0, 0.5, 0.95)
    assert momentum.tolist() == [0.95, 0.95, 0.5, 0.95, 0.95]
    assert curvature_momentum(f64(0.25), torch.tensor(1.0, dtype=torch.float64)).item() == 0.25


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ((-0.1, 0.9), r"low=-0.1: low must be a number in \[0, 1\)"),
        ((0.0, 1.0), r"high=1.0: high must be a number in \[0, 1\)"),
        ((0.9, 0.5), r"low=0.9 with high=0.5: low must be a number in \[0, high\]"),
    ],
)
def test_momentum_refuses_limits_that_are_none(limits, message):
    with pytest.raises(ArgumentError, match=rf"^cannot use {message}"):
        curvature_momentum(f64(1.0), 0.1, *limits)


@EXAMPLES
@given(seed=st.integers(0, 10_000))
def test_secant_curvature_lies_within_the_spectrum_of_a_quadratic(seed):
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    hessian = root + root.T
    here, there = torch.randn(2, 4, generator=generator, dtype=torch.float64)
    found = secant_curvature(hessian @ here, hessian @ there, here, there)
    spectrum = torch.linalg.eigvalsh(hessian).abs()
    assert spectrum.min() * (1 - 1e-9) <= found <= spectrum.max() * (1 + 1e-9)


def test_secant_curvature_along_an_eigenvector_is_the_eigenvalue():
    hessian = torch.diag(f64(1.0, 7.0))
    here, there = f64(2.0, 3.0), f64(2.0, -1.0)
    assert secant_curvature(hessian @ here, hessian @ there, here, there).item() == pytest.approx(7.0)


def test_secant_curvature_is_zero_where_nothing_moved():
    found = secant_curvature(f64(1.0, 2.0), f64(0.0, 0.0), f64(3.0, 3.0), f64(3.0, 3.0))
    assert found.shape == ()
    assert found == 0.0
