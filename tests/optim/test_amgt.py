"""AMGT: what its mathematics promises."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optim.training import make_gradients, make_params, run
from waddington.errors import ArgumentError
from waddington.optim import AMGT
from waddington.optim.amgt import momentum_factor, threshold_moment
from waddington.optim.schedules import BetaScheduler

property_settings = settings(deadline=None, max_examples=50)
finite = st.floats(-1e3, 1e3)
moments = st.lists(finite, min_size=1, max_size=20).map(lambda x: torch.tensor(x, dtype=torch.float64))


@property_settings
@given(moments, st.floats(0.0, 100.0), st.integers(1, 10_000), st.sampled_from(["hard", "soft"]))
def test_thresholding_is_wrong_by_no_more_than_the_threshold(moment, threshold, k, mode):
    """Eq. 27: ‖m̂_k - ∇f‖ ≤ δ_k = τ0/k."""
    bound = torch.tensor(threshold / k, dtype=torch.float64)
    kept = threshold_moment(moment, bound, mode)
    assert ((kept - moment).abs() <= bound * (1 + 1e-12) + 1e-12).all()


@property_settings
@given(moments, st.floats(1e-6, 100.0))
def test_each_mode_does_what_it_says(moment, threshold):
    bound = torch.tensor(threshold, dtype=torch.float64)
    hard, soft, clip = (threshold_moment(moment, bound, mode) for mode in ("hard", "soft", "clip"))
    assert ((hard == moment) | (hard == 0)).all()
    assert ((hard != 0) == ((moment.abs() >= threshold) & (moment != 0))).all()
    torch.testing.assert_close(soft.abs(), (moment.abs() - threshold).clamp_min(0.0), rtol=0, atol=1e-12)
    assert (clip.abs() <= threshold).all()
    torch.testing.assert_close(soft + clip, moment, rtol=0, atol=1e-12)


@property_settings
@given(st.floats(0.0, 1e12), st.floats(0.0, 1e6))
def test_the_momentum_factor_is_above_zero_and_at_most_one(variance, gamma):
    factor = momentum_factor(torch.tensor(variance, dtype=torch.float64), gamma)
    assert 0.0 < factor <= 1.0


@pytest.mark.parametrize("variance", ["tensor", "coordinate"])
def test_noise_shortens_the_memory_and_its_absence_leaves_adams(variance):
    def factor(noise):
        rng = np.random.default_rng(0)
        param = torch.zeros(50, dtype=torch.float64, requires_grad=True)
        optimizer = AMGT([param], variance=variance, gamma=1.0)
        optimizer.record()
        seen = []
        for _ in range(100):
            run(optimizer, [param], [[1.0 + noise * rng.standard_normal(50)]])
            seen.append(optimizer.diagnostics()["momentum_factor"])
        assert seen[0] == 1.0
        assert all(0.0 < value <= 1.0 for value in seen)
        return seen[-1]

    assert factor(0.0) == pytest.approx(1.0, abs=1e-9)
    assert 0.4 < factor(1.0) < 0.8
    # Of a coordinate, a short memory takes a large gradient for the mean and sees no variance.
    assert factor(10.0) < (0.1 if variance == "tensor" else 0.4)


def test_the_thresholded_step_stays_within_its_bound_in_training():
    params, gradients = make_params(), make_gradients(60)
    plain_params = make_params()
    thresholded, plain = AMGT(params, threshold=2.0, eps=1e-3), AMGT(plain_params, eps=1e-3)
    for k, grads in enumerate(gradients, start=1):
        run(thresholded, params, [grads])
        run(plain, plain_params, [grads])
        for param, twin in zip(params, plain_params, strict=True):
            moments = plain.state[twin]["exp_avg"] / plain.state[twin]["exp_avg_weight"]
            kept = threshold_moment(moments, torch.tensor(2.0 / k, dtype=torch.float64), "hard")
            assert ((kept - moments).abs() <= 2.0 / k).all()
            assert torch.equal(thresholded.state[param]["exp_avg"], plain.state[twin]["exp_avg"])


def test_the_hit_rate_is_the_share_of_zeroed_coordinates():
    param = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimizer = AMGT([param], lr=1.0, threshold=1.0)
    optimizer.record()
    run(optimizer, [param], [[[0.5, -0.9, 1.1, -3.0]]])
    assert optimizer.diagnostics()["threshold_hit_rate"] == 0.5
    assert (param == 0).tolist() == [True, True, False, False]
    run(optimizer, [param], [[[0.5, -0.9, 1.1, -3.0]]])  # the threshold has halved, the moments have not
    assert optimizer.diagnostics()["threshold_hit_rate"] == 0.0


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({}, lambda k: 1.0),
        ({"schedule": "inverse_time", "decay": 0.5}, lambda k: 1 / (1 + 0.5 * k)),
        ({"schedule": "strongly_convex", "mu": 4.0}, lambda k: 1 / (4 * k)),
    ],
)
def test_schedules_multiply_the_rate(kwargs, expected):
    params = make_params()
    optimizer = AMGT(params, **kwargs)
    optimizer.record()
    for k, grads in enumerate(make_gradients(5), start=1):
        run(optimizer, params, [grads])
        assert optimizer.diagnostics()["rate_factor"] == pytest.approx(expected(k), rel=1e-12)


def test_turning_beta_keeps_the_moments_free_of_bias():
    """Eq. 3: of constant gradients the corrected moments are those gradients, however β1 and β2 are turned."""
    param = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = AMGT([param], gamma=0.0)
    scheduler = BetaScheduler(optimizer, beta1=lambda t: 0.9 / t, beta2=lambda t: 1 - 1 / (t + 1))
    for _ in range(20):
        run(optimizer, [param], [[[1.0, -2.0, 3.0]]])
        scheduler.step()
        state = optimizer.state[param]
        torch.testing.assert_close(
            state["exp_avg"] / state["exp_avg_weight"], torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
        )
        torch.testing.assert_close(
            state["exp_avg_sq"] / state["exp_avg_sq_weight"], torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64)
        )


@pytest.mark.parametrize("variance", ["tensor", "coordinate"])
def test_a_state_of_adam_goes_on_as_adams_own(variance):
    """The weights that Adam's state lacks are those of its steps."""
    params, gradients = make_params(), make_gradients(40)
    adam = torch.optim.Adam(params, lr=1e-2)
    run(adam, params, gradients[:20])
    moved = [param.detach().clone().requires_grad_() for param in params]
    optimizer = AMGT(moved, lr=1e-2, gamma=0.0, variance=variance)
    optimizer.load_state_dict(copy.deepcopy(adam.state_dict()))
    run(adam, params, gradients[20:])
    run(optimizer, moved, gradients[20:])
    for a, b in zip(params, moved, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"gamma": -1.0}, r"cannot use gamma=-1.0: gamma must be a number in \[0, inf\)"),
        ({"variance": "window"}, r"'tensor', 'coordinate'"),
        ({"schedule": "cosine"}, r"'constant', 'inverse_time', 'strongly_convex'"),
        ({"decay": -0.1}, "cannot use decay=-0.1"),
        ({"mu": 0.0}, "cannot use mu=0.0"),
        ({"threshold": -1.0}, "cannot use threshold=-1.0"),
        ({"threshold_mode": "firm"}, "'hard', 'soft', 'clip'"),
        ({"correction": float("inf")}, "cannot use correction=inf"),
    ],
)
def test_argument_errors(kwargs, message):
    with pytest.raises(ArgumentError, match=message):
        AMGT(make_params(), **kwargs)


@pytest.mark.parametrize("variance", ["tensor", "coordinate"])
def test_a_window_forgets_what_lies_before_it_and_keeps_as_many_gradients(variance):
    params = make_params()
    optimizer = AMGT(params, variance_window=3, variance=variance)
    steady, wild = make_gradients(1)[0], make_gradients(8, seed=3)
    run(optimizer, params, [*wild, steady, steady, steady])
    state = optimizer.state[params[0]]
    assert sorted(name for name in state if name.startswith("grad_") and state[name].dim()) == [
        "grad_0",
        "grad_1",
        "grad_2",
    ]
    assert all(torch.equal(state[f"grad_{age}"], torch.as_tensor(steady[0])) for age in range(3))
    if variance == "tensor":
        assert state["grad_variance"].item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("window", [1, 2.0, True])
def test_a_window_holds_two_gradients_or_more(window):
    with pytest.raises(ArgumentError, match="variance_window must be a whole number from 2"):
        AMGT(make_params(), variance_window=window)
