"""AMVT: what its mathematics promises."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optim.training import make_gradients, make_params, run
from waddington.errors import ArgumentError
from waddington.optim import AMVT
from waddington.optim.adaptation import adaptive_rate, variance_penalty
from waddington.optim.amvt import HISTORY

property_settings = settings(deadline=None, max_examples=50)
positive = st.floats(0.0, 1e6)


@property_settings
@given(positive, positive, st.floats(1e-12, 1e-2))
def test_the_penalty_is_above_zero_and_at_most_one_and_one_root_does_for_two(variance, second, eps):
    s, v = (torch.tensor(x, dtype=torch.float64) for x in (variance, second))
    penalty = variance_penalty(s, v, eps)
    assert 0.0 < penalty <= 1.0
    expected = 1.0 / (v + s + eps).sqrt()
    torch.testing.assert_close(adaptive_rate(s, v, eps), expected, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("variance", ["tracked", "moments"])
def test_noise_lowers_the_penalty_and_the_signal_to_noise_ratio(variance):
    def figures(noise):
        params = [torch.zeros(200, dtype=torch.float64, requires_grad=True)]
        optimizer = AMVT(params, variance=variance)
        optimizer.record()
        generator = torch.Generator().manual_seed(0)
        for _ in range(300):
            run(optimizer, params, [[1.0 + noise * torch.randn(200, dtype=torch.float64, generator=generator)]])
        return optimizer.diagnostics()

    quiet, loud = figures(0.01), figures(10.0)
    assert 0.99 < quiet["penalty"] <= 1.0
    assert 0.65 < loud["penalty"] < 0.8
    assert quiet["signal_to_noise"] > 100
    assert loud["signal_to_noise"] < 0.2


def test_variance_from_the_moments_needs_no_third_buffer():
    tracked, derived = make_params(), make_params()
    a, b = AMVT(tracked), AMVT(derived, variance="moments")
    run(a, tracked, make_gradients(2))
    run(b, derived, make_gradients(2))
    assert {"exp_avg", "exp_avg_sq", "exp_avg_var", "step"} <= set(a.state[tracked[1]])
    assert set(b.state[derived[1]]) == {"exp_avg", "exp_avg_sq", "step"}


def test_clipping_is_that_of_the_whole_model():
    left, right, gradients = make_params(), make_params(), make_gradients(20)
    a, b = AMVT(left, lr=1e-2, clip_grad_norm=0.7), AMVT(right, lr=1e-2)
    for grads in gradients:
        run(a, left, [grads])
        for param, grad in zip(right, grads, strict=True):
            param.grad = torch.as_tensor(grad, dtype=torch.float64).reshape(param.shape)
        torch.nn.utils.clip_grad_norm_(right, 0.7)
        b.step()
    for x, y in zip(left, right, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-8)  # torch adds 1e-6 to the norm


def test_normalized_gradients_make_the_scale_of_the_loss_irrelevant():
    left, right, gradients = make_params(), make_params(), make_gradients(20)
    run(AMVT(left, normalize_grad=True), left, gradients)
    run(AMVT(right, normalize_grad=True), right, [[64.0 * g for g in grads] for grads in gradients])
    for x, y in zip(left, right, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-12, atol=1e-14)


def test_an_outlier_moves_a_filtered_moment_less_and_history_comes_first():
    def moments(threshold, outlier_at):
        params = [torch.zeros(3, dtype=torch.float64, requires_grad=True)]
        optimizer = AMVT(params, outlier_threshold=threshold)
        generator = torch.Generator().manual_seed(1)
        for t in range(1, 30):
            grad = torch.randn(3, dtype=torch.float64, generator=generator)
            grad[0] += 1e3 * (t == outlier_at)
            run(optimizer, params, [[grad]])
        return optimizer.state[params[0]]["exp_avg_sq"]

    plain, filtered = moments(None, 25), moments(4.0, 25)
    assert filtered[0] < plain[0] / 1000
    assert torch.equal(moments(4.0, HISTORY - 1)[0], moments(None, HISTORY - 1)[0])


def test_a_clipped_direction_stays_within_its_bound():
    params = make_params()
    optimizer = AMVT(params, lr=1e-2, clip_update=0.3)
    for grads in make_gradients(20):
        before = [param.detach().clone() for param in params]
        run(optimizer, params, [grads])
        assert all(((a - b).abs() <= 1e-2 * 0.3 * (1 + 1e-9)).all() for a, b in zip(before, params, strict=True))


def test_literal_decay_does_not_depend_on_the_rate():
    params = make_params()
    before = [param.detach().clone() for param in params]
    optimizer = AMVT(params, lr=0.0, weight_decay=0.25, decoupled="literal")
    optimizer.init_state()
    run(optimizer, params, make_gradients(1))
    for a, b in zip(before, params, strict=True):
        assert torch.equal(0.75 * a, b)


@pytest.mark.parametrize("betas", [0.9, None, "abc", (0.9,), (0.9, 0.99, 0.9, 0.9)])
def test_betas_that_are_no_two_or_three_are_refused(betas):
    with pytest.raises(ArgumentError, match="betas must be two or three numbers"):
        AMVT([torch.nn.Parameter(torch.zeros(2))], betas=betas)


def test_betas_are_a_pair_in_the_groups_so_that_momentum_schedulers_fit():
    params = make_params()
    optimizer = AMVT(params, lr=1e-3, betas=(0.8, 0.9, 0.7))
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)
    assert optimizer.param_groups[0]["beta3"] == 0.7
    assert AMVT(params, betas=(0.8, 0.9)).param_groups[0]["beta3"] == 0.99
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=10)
    run(optimizer, params, make_gradients(1))
    scheduler.step()
    assert len(optimizer.param_groups[0]["betas"]) == 2


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_a_state_of_adam_brings_its_variance(dtype):
    """Without, the penalty would begin at none and take a hundred steps to get to where it belongs."""
    generator = torch.Generator().manual_seed(0)
    params = [torch.zeros(400, dtype=dtype, requires_grad=True)]
    adam, optimizer = torch.optim.Adam(params), AMVT(params)
    for step in range(300):
        params[0].grad = torch.randn(400, dtype=dtype, generator=generator)
        if step == 299:
            optimizer.load_state_dict(adam.state_dict())
            optimizer.record()
            optimizer.step()
        else:
            adam.step()
    assert optimizer.diagnostics()["penalty"] == pytest.approx(0.5**0.5, abs=0.03)


def momentum_after(curvature, noise, steps=400, lr=0.05, **kwargs):
    """Give β1 after some steps on a bowl of one curvature, whose gradients are of unit size at the start."""
    generator = torch.Generator().manual_seed(0)
    params = [torch.ones(400, dtype=torch.float64, requires_grad=True)]
    optimizer = AMVT(params, lr=lr, momentum="curvature", **kwargs)
    for _ in range(steps):
        scatter = noise * torch.randn(400, dtype=torch.float64, generator=generator)
        run(optimizer, params, [[curvature * params[0].detach() + scatter]])
    return optimizer.state[params[0]]["momentum"].item()


def test_a_curved_bowl_wants_less_momentum_than_a_flat_one():
    """Along a line, with steps of one length, rate times curvature is lr * curvature / root of the second moment."""
    steep, flat = (momentum_after(1.0, 0.0, steps=12, lr=lr) for lr in (0.1, 1e-4))
    assert steep < 0.75
    assert flat > 0.98


def test_in_noise_the_momentum_stays_where_it_was_given():
    assert momentum_after(0.0, 1.0) == pytest.approx(0.9, abs=0.03)
    assert momentum_after(1.0, 0.0, steps=1) == 0.9


def test_momentum_keeps_to_its_limits_and_costs_one_buffer():
    assert 0.5 * 0.9 <= momentum_after(1.0, 0.0, steps=20, lr=0.3, momentum_limits=(0.5, 0.6)) <= 0.9
    params = make_params()
    optimizer = AMVT(params, momentum="curvature", variance="moments")
    run(optimizer, params, make_gradients(2))
    names = {name for name, value in optimizer.state[params[1]].items() if value.dim()}
    assert names == {"exp_avg", "exp_avg_sq", "previous_grad"}


def test_a_state_of_adam_has_no_last_gradient_and_its_first_difference_counts_for_nothing():
    params = make_params()
    adam = torch.optim.Adam(params, lr=1e-2)
    run(adam, params, make_gradients(30))
    optimizer = AMVT(params, lr=1e-2, momentum="curvature")
    optimizer.load_state_dict(adam.state_dict())
    state = optimizer.state[params[1]]
    run(optimizer, params, make_gradients(1))
    assert (state["curvature_up"].item(), state["curvature_down"].item(), state["momentum"].item()) == (0.0, 0.0, 0.9)
    run(optimizer, params, make_gradients(1, seed=2))
    assert state["curvature_down"].item() > 0.0


def test_the_warm_up_is_algorithm_2s():
    """The direction does not depend on the rate, so steps on given gradients are shortened and nothing else."""
    warm, plain, gradients = make_params(), make_params(), make_gradients(6)
    optimizer, other = AMVT(warm, lr=1e-2, warmup_steps=4), AMVT(plain, lr=1e-2)
    for step, grads in enumerate(gradients, start=1):
        before = [(a.detach().clone(), b.detach().clone()) for a, b in zip(warm, plain, strict=True)]
        run(optimizer, warm, [grads])
        run(other, plain, [grads])
        for (a, b), new, full in zip(before, warm, plain, strict=True):
            torch.testing.assert_close(
                new.detach() - a, min(1.0, step / 4) * (full.detach() - b), rtol=1e-9, atol=1e-15
            )


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"momentum": "guessed"}, "'constant', 'curvature'"),
        ({"momentum_limits": (0.5, 1.0)}, r"cannot use momentum_limits\[1\]=1.0"),
        ({"momentum_limits": (0.9, 0.5)}, r"cannot use momentum_limits\[0\]=0.9"),
        ({"warmup_steps": -1}, "cannot use warmup_steps=-1"),
        ({"betas": (0.9, 0.99, 1.0)}, r"cannot use betas\[2\]=1.0"),
        ({"decoupled": "none"}, "'lr', 'literal'"),
        ({"variance": "guessed"}, "'tracked', 'moments'"),
        ({"clip_grad_norm": 0.0}, "cannot use clip_grad_norm=0.0"),
        ({"outlier_threshold": -1.0}, "cannot use outlier_threshold=-1.0"),
        ({"clip_update": 0.0}, "cannot use clip_update=0.0"),
    ],
)
def test_argument_errors(kwargs, message):
    with pytest.raises(ArgumentError, match=message):
        AMVT(make_params(), **kwargs)


def test_the_norm_is_the_models_so_clipping_must_agree():
    a, b = make_params()[:2]
    with pytest.raises(ArgumentError, match=r"clip_grad_norm=2\.0 in one group and 1\.0 in another"):
        AMVT([{"params": [a]}, {"params": [b], "clip_grad_norm": 2.0}], clip_grad_norm=1.0)
