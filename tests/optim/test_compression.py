"""Compressed updates: unbiased or owed, few bits, the same everywhere."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from optim.training import make_gradients, make_params, run
from waddington.errors import ArgumentError, UnsupportedError
from waddington.optim import AMGT, Compressed
from waddington.optim.compression import levels_of, quantize, quantized_bits, top_k_bits

property_settings = settings(deadline=None, max_examples=50)
vectors = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20).map(lambda x: torch.tensor(x, dtype=torch.float64))


@property_settings
@given(vectors, st.integers(1, 200), st.floats(0.0, 1.0, exclude_max=True))
@example(torch.tensor([0.0, 2.2e-309], dtype=torch.float64), 1, 0.0)
@example(torch.tensor([0.0, 1e-39, -3e-40]), 127, 0.5)
def test_levels_are_the_neighbours_of_the_value(x, levels, noise):
    norm = x.abs().max()
    found = levels_of(x, norm, levels, torch.full_like(x, noise))
    assert torch.equal(found, found.round())
    assert (found.abs() <= levels).all()
    if norm > 0:
        assert ((found - x / norm * levels).abs() < 1.0 + 1e-9).all()
    else:
        assert not found.any()


@property_settings
@given(vectors, st.integers(1, 20))
def test_the_expectation_of_the_quantized_is_the_value(x, levels):
    """Over evenly spread noise the mean is exact but for the last part of the grid."""
    grid = (torch.arange(4096, dtype=torch.float64) + 0.5) / 4096
    norm = x.norm()
    mean = torch.stack([quantize(x, norm, levels, torch.full_like(x, u)) for u in grid[::8]]).mean(0)
    torch.testing.assert_close(mean, x, rtol=0.0, atol=float(norm) / levels / 400 + 1e-12)


def test_bits_are_counted():
    assert quantized_bits(100, 1) == 32 + 100 * 2
    assert quantized_bits(100, 127) == 32 + 100 * 8
    assert top_k_bits(1024, 10) == 10 * (32 + 10)


def applied(optimizer, params, grads):
    before = [param.detach().clone() for param in params]
    run(optimizer, params, [grads])
    return [(a - b).detach() for a, b in zip(before, params, strict=True)]


def test_top_k_sends_the_largest_and_owes_the_rest():
    param = torch.zeros(10, dtype=torch.float64, requires_grad=True)
    optimizer = Compressed(torch.optim.SGD([param], lr=1.0), fraction=0.2)
    grad = torch.tensor([0.0, 1.0, -9.0, 2.0, 3.0, -4.0, 5.0, 0.5, 8.0, 6.0], dtype=torch.float64)
    (first,) = applied(optimizer, [param], [grad])
    assert first.nonzero().flatten().tolist() == [2, 8]
    (second,) = applied(optimizer, [param], [torch.zeros(10)])
    assert second.nonzero().flatten().tolist() == [6, 9]
    for _ in range(4):
        run(optimizer, [param], [[torch.zeros(10)]])
    torch.testing.assert_close(-param.detach(), grad)
    assert not optimizer.state[param]["compression_error"].any()


@pytest.mark.parametrize("method", ["top_k", "quantize"])
def test_what_was_applied_and_what_is_owed_is_the_wrapped_optimizers_update(method):
    params, twins = make_params(), make_params()
    optimizer = Compressed(torch.optim.SGD(params, lr=0.1), method=method, fraction=0.3, levels=3)
    plain = torch.optim.SGD(twins, lr=0.1)
    for grads in make_gradients(25):
        run(optimizer, params, [grads])
        run(plain, twins, [grads])
    for param, twin in zip(params, twins, strict=True):
        owed = optimizer.state[param]["compression_error"]
        torch.testing.assert_close(param.detach() - owed, twin.detach(), rtol=1e-10, atol=1e-12)


def test_without_feedback_quantization_is_unbiased_in_training():
    """The mean update over many steps of a constant gradient is that gradient."""
    param = torch.zeros(40, dtype=torch.float64, requires_grad=True)
    grad = torch.linspace(-1.0, 2.0, 40, dtype=torch.float64)
    optimizer = Compressed(torch.optim.SGD([param], lr=1.0), method="quantize", levels=2, error_feedback=False)
    steps = 3000
    run(optimizer, [param], [[grad]] * steps)
    spread = (grad.abs() * 1.0 / steps).sqrt()  # of two levels of at most 1 each
    assert ((-param.detach() / steps - grad).abs() <= 5 * spread + 1e-9).all()


def test_noise_depends_on_the_step_and_the_coordinate():
    param = torch.zeros(1000, dtype=torch.float64, requires_grad=True)
    optimizer = Compressed(
        torch.optim.SGD([param], lr=1.0), method="quantize", levels=1, norm="l2", error_feedback=False
    )
    (first,) = applied(optimizer, [param], [torch.ones(1000)])
    (second,) = applied(optimizer, [param], [torch.ones(1000)])
    assert 10 < (first != 0).sum() < 60  # each with probability 1/√1000
    assert not torch.equal(first, second)


def test_decay_of_the_parameters_themselves_is_not_compressed():
    param = torch.arange(1.0, 9.0, dtype=torch.float64).requires_grad_()
    optimizer = Compressed(torch.optim.AdamW([param], lr=0.1, weight_decay=0.5), fraction=0.125)
    before = param.detach().clone()
    run(optimizer, [param], [[torch.ones(8)]])
    decayed = before * (1 - 0.1 * 0.5)
    assert (param.detach() != decayed).sum() >= 1
    assert torch.isclose(param.detach(), decayed, rtol=1e-12).sum() <= 8
    assert ((param.detach() - decayed).abs() < 0.1 + 1e-6).all()


def test_figures_tell_bits_and_error():
    params = make_params()
    optimizer = Compressed(AMGT(params), method="quantize", levels=127)
    optimizer.record()
    run(optimizer, params, make_gradients(3))
    figures = optimizer.diagnostics()
    assert figures["bits_per_coordinate"] == pytest.approx(sum(quantized_bits(p.numel(), 127) for p in params) / 30)
    assert 0.0 < figures["compression_error"] < 1e-3
    assert {"momentum_factor", "threshold_hit_rate", "rate_factor"} <= set(figures)
    coarse = Compressed(AMGT(make_params()), fraction=0.1)
    coarse.record()
    coarse_params = coarse.param_groups[0]["params"]
    run(coarse, coarse_params, make_gradients(3))
    assert coarse.diagnostics()["compression_error"] > 0.1


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"method": "zip"}, "'quantize', 'top_k'"),
        ({"fraction": 0.0}, r"cannot use fraction=0.0: fraction must be a number in \(0, 1\]"),
        ({"levels": 0}, "cannot use levels=0"),
        ({"levels": 2.5}, "levels must be a whole number"),
        ({"norm": "l1"}, "'l2', 'max'"),
        ({"error_feedback": 1.5}, "cannot use error_feedback=1.5"),
    ],
)
def test_argument_errors(kwargs, message):
    with pytest.raises(ArgumentError, match=message):
        Compressed(torch.optim.SGD(make_params()), **kwargs)


def test_compressing_twice_is_refused():
    with pytest.raises(UnsupportedError, match="has the setting 'method' itself"):
        Compressed(Compressed(torch.optim.SGD(make_params())))
