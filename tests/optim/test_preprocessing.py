"""Clipping, normalizing, filtering and measuring gradients, alone and ahead of optimizers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

from optim.hosts.processes import WORLD, on_two_ranks
from waddington.errors import ArgumentError, UnsupportedError
from waddington.optim import ASGDAdam, Padam
from waddington.optim.preprocessing import (
    clip_factor,
    filter_outliers,
    filter_outliers_,
    global_norm,
    gradient_variance,
    noise_scale,
    normalize,
    normalize_gradients_,
)

EXAMPLES = settings(max_examples=100, deadline=None)
SIZES = st.floats(1e-30, 1e30)
VALUES = st.floats(-1e30, 1e30, allow_subnormal=False)


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


def params_with(*grads):
    params = [torch.zeros_like(grad).requires_grad_() for grad in grads]
    for param, grad in zip(params, grads, strict=True):
        param.grad = grad.clone()
    return params


def draws(*shapes, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]


@EXAMPLES
@given(norm=SIZES, max_norm=SIZES)
def test_what_is_clipped_has_the_largest_norm_and_clipping_again_changes_nothing(norm, max_norm):
    factor = clip_factor(torch.tensor(norm, dtype=torch.float64), max_norm)
    assert 0 < factor <= 1
    clipped = norm * factor
    assert clipped <= max_norm * (1 + 1e-15)
    assert clip_factor(clipped, max_norm) == pytest.approx(1.0, abs=1e-15)
    if norm > max_norm:
        assert clipped == pytest.approx(max_norm, rel=1e-15)
    else:
        assert factor == 1


@pytest.mark.parametrize(("norm", "factor"), [(0.0, 1.0), (2.0, 1.0), (8.0, 0.25), (math.inf, 0.0), (math.nan, 1.0)])
def test_clip_factor_at_its_edges(norm, factor):
    found = clip_factor(torch.tensor(norm), 2.0)
    assert found.shape == ()
    assert found == factor


def test_no_limit_clips_nothing():
    assert torch.equal(clip_factor(f64(0.0, 1e300, math.inf), math.inf), f64(1.0, 1.0, 1.0))


@pytest.mark.parametrize("max_norm", [0.0, -1.0, math.nan])
def test_clip_factor_refuses_a_limit_that_is_none(max_norm):
    with pytest.raises(ArgumentError, match=rf"^cannot use max_norm={max_norm}: max_norm must be a number in \(0, inf"):
        clip_factor(torch.tensor(1.0), max_norm)


@EXAMPLES
@given(st.lists(st.floats(-1e100, 1e100).filter(lambda x: abs(x) > 1e-100), min_size=1, max_size=6))
def test_normalized_gradients_have_norm_one_and_their_direction(values):
    grad = f64(*values)
    norm = torch.linalg.vector_norm(grad)
    unit = normalize(grad, norm)
    assert torch.linalg.vector_norm(unit) == pytest.approx(1.0, rel=1e-14)
    torch.testing.assert_close(unit * norm, grad, rtol=1e-14, atol=0.0)


def test_normalizing_leaves_zero_at_zero():
    grad = torch.zeros(3)
    assert torch.equal(normalize(grad, grad.norm()), grad)


@EXAMPLES
@given(st.data(), st.floats(0.1, 100.0))
def test_inliers_stay_to_the_bit_and_outliers_come_to_the_bound(data, threshold):
    size = data.draw(st.integers(1, 6))
    column = st.lists(VALUES, min_size=size, max_size=size)
    grad, mean = f64(*data.draw(column)), f64(*data.draw(column))
    deviation = f64(*data.draw(st.lists(SIZES, min_size=size, max_size=size)))
    variance = deviation.square()
    found = filter_outliers(grad, mean, variance, threshold)
    width = threshold * variance.sqrt()
    lower, upper = mean - width, mean + width
    inside = (grad >= lower) & (grad <= upper)
    assert torch.equal(found[inside], grad[inside])
    assert torch.equal(found[~inside], torch.where(grad < lower, lower, upper)[~inside])
    assert torch.equal(filter_outliers(found, mean, variance, threshold), found)


def test_a_coordinate_without_variance_is_left_alone():
    grad, mean = f64(1e9, 1e9, 1e9, -7.0), f64(0.0, math.nan, math.inf, 0.0)
    assert torch.equal(filter_outliers(grad, mean, f64(0.0, 0.0, 0.0, math.nan), 3.0), grad)


def test_infinite_gradients_are_outliers_and_nan_stays_nan():
    found = filter_outliers(f64(math.inf, -math.inf, math.nan), f64(1.0, 1.0, 1.0), f64(4.0, 4.0, 4.0), 3.0)
    assert found[:2].tolist() == [7.0, -5.0]
    assert found[2].isnan()


def test_filter_outliers_refuses_a_threshold_that_is_none():
    with pytest.raises(ArgumentError, match=r"^cannot use threshold=0.0: threshold must be a number in \(0, inf\]"):
        filter_outliers(f64(1.0), f64(0.0), f64(1.0), 0.0)


@EXAMPLES
@given(st.integers(0, 10_000), st.integers(1, 64), st.integers(2, 16))
def test_noise_scale_is_exact_where_the_norms_are_as_expected(seed, micro_size, times):
    signal, noise = torch.rand(2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.01
    full_size = micro_size * times
    micro = (signal + noise / micro_size).expand(3)
    found = noise_scale(micro, signal + noise / full_size, micro_size, full_size)
    assert found == pytest.approx(float(noise / signal), rel=1e-9)


def test_noise_scale_recovers_that_of_synthetic_gradients():
    generator = torch.Generator().manual_seed(0)
    steps, micros, micro_size, size = 400, 8, 4, 50
    mean = torch.randn(size, generator=generator, dtype=torch.float64)
    spread = torch.rand(size, generator=generator, dtype=torch.float64) * 4
    # A micro-batch is the mean of its examples, so its noise has the examples' variance over their number.
    micro = mean + torch.randn(steps, micros, size, generator=generator, dtype=torch.float64) * spread / micro_size**0.5
    found = noise_scale(
        micro.square().sum(-1), micro.mean(1).square().sum(-1), micro_size=micro_size, full_size=micros * micro_size
    )
    assert found == pytest.approx(float(spread.square().sum() / mean.square().sum()), rel=0.03)


def test_noise_scale_at_its_edges():
    one = f64(1.0)
    assert noise_scale(one, one, 1, 4) == 0.0  # every micro-batch gave the same gradient
    assert noise_scale(one, one / 8, 1, 4) == math.inf  # the full gradient is smaller than noise alone would leave it
    assert noise_scale(one * 0, one * 0, 1, 4) == 0.0
    assert noise_scale(one * math.nan, one, 1, 4).isnan()


@pytest.mark.parametrize(("micro", "full"), [(4, 4), (8, 4), (0, 4)])
def test_noise_scale_needs_two_sizes(micro, full):
    with pytest.raises(ArgumentError, match=rf"^cannot use micro_size={micro} with full_size={full}: micro_size must"):
        noise_scale(f64(1.0), f64(1.0), micro, full)


@EXAMPLES
@given(st.lists(st.floats(-1e50, 1e50), min_size=1, max_size=8))
def test_gradient_variance_is_that_of_the_values_and_never_negative(values):
    x = f64(*values)
    found = gradient_variance(x.mean(), x.square().mean())
    assert found >= 0
    # Squares of the smallest values are subnormal, and lose digits.
    tolerance = max(1e-14 * float(x.square().max()), 1e-300)
    assert found == pytest.approx(float(x.var(correction=0)), abs=tolerance)


def test_global_norm_is_that_of_all_gradients_together():
    grads = draws((4, 3), (5,), (), (0, 2))
    params = [*params_with(*grads), torch.zeros(3, requires_grad=True)]
    norm = global_norm(iter(params))
    assert norm.shape == ()
    assert norm == pytest.approx(float(torch.cat([grad.flatten() for grad in grads]).norm()), rel=1e-14)
    assert global_norm(params[0]) == pytest.approx(float(grads[0].norm()), rel=1e-14)


def test_global_norm_without_gradients_is_zero():
    assert global_norm([torch.zeros(3, requires_grad=True)]) == 0.0
    assert global_norm([]) == 0.0


def test_global_norm_of_half_precision_is_summed_in_single():
    for dtype in (torch.bfloat16, torch.float16):
        grads = draws((300,), (40,), dtype=dtype)
        norm = global_norm(params_with(*grads, *draws((5,), dtype=torch.float32)))
        expected = torch.cat([*[grad.double() for grad in grads], *draws((5,))]).norm()
        assert norm.dtype == torch.float32
        assert norm == pytest.approx(float(expected), rel=1e-6)


def test_global_norm_counts_both_parts_of_complex_gradients():
    assert global_norm(params_with(torch.tensor([3.0 + 4.0j, 12.0j]))) == pytest.approx(13.0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.complex64])
def test_normalize_gradients_works_in_place_and_gives_the_norm_that_was(dtype):
    grads = draws((4, 3), (5,), dtype=dtype)
    params = params_with(*grads)
    handles = [param.grad for param in params]
    norm = normalize_gradients_(param for param in params)
    tolerance = {torch.float64: 1e-14, torch.float32: 1e-6, torch.complex64: 1e-6, torch.bfloat16: 5e-3}[dtype]
    assert norm == pytest.approx(float(global_norm(params_with(*grads))), rel=1e-6)
    assert global_norm(params) == pytest.approx(1.0, rel=tolerance)
    assert all(param.grad is handle for param, handle in zip(params, handles, strict=True))
    torch.testing.assert_close(params[0].grad, (grads[0] / norm).to(dtype))


def test_normalizing_zero_gradients_in_place_leaves_them():
    params = params_with(torch.zeros(3))
    assert normalize_gradients_(params) == 0.0
    assert torch.equal(params[0].grad, torch.zeros(3))


def test_normalized_gradients_make_an_optimizer_blind_to_the_scale_of_the_loss():
    def train(scale):
        (param,) = params_with(f64(1.0, -2.0))
        param.data.copy_(f64(3.0, 1.0))
        optimizer = torch.optim.SGD([param], lr=0.1, momentum=0.9)
        for _ in range(10):
            optimizer.zero_grad()
            (scale * param.square().sum()).backward()
            normalize_gradients_([param])
            optimizer.step()
        return param.detach()

    torch.testing.assert_close(train(1e6), train(1.0), rtol=1e-12, atol=1e-12)


def test_sparse_gradients_are_refused():
    embedding = torch.nn.Embedding(4, 2, sparse=True)
    embedding(torch.tensor([1, 3])).sum().backward()
    with pytest.raises(UnsupportedError, match=r"gradient of layout torch.sparse_coo; accepted are dense"):
        normalize_gradients_(embedding.parameters())


def test_no_value_is_read_on_the_host():
    x, norm = torch.ones(3, device="meta"), torch.ones((), device="meta")  # which have no values
    params = params_with(x, x.bfloat16())
    for found, shape in (
        (clip_factor(norm, 1.0), ()),
        (normalize(x, norm), (3,)),
        (filter_outliers(x, x, x, 3.0), (3,)),
        (noise_scale(x, norm, 1, 4), ()),
        (gradient_variance(x, x), (3,)),
        (global_norm(params), ()),
        (normalize_gradients_(params), ()),
    ):
        assert found.shape == shape


OPTIMIZERS = [
    lambda params, **kwargs: torch.optim.Adam(params, lr=0.0, **kwargs),
    lambda params, **kwargs: torch.optim.AdamW(params, lr=0.0, **kwargs),
    lambda params, **kwargs: Padam(params, lr=1e-9, bias_correction=True, **kwargs),
    lambda params, **kwargs: ASGDAdam(params, lr=1e-9, alpha_min=0.0, **kwargs),
]


def warmed_up(make, steps=200, dtype=torch.float32, **kwargs):
    """An optimizer that has seen gradients of mean 1 and deviation 0.5, and its parameter."""
    param = torch.zeros(6, dtype=dtype, requires_grad=True)
    optimizer = make([param], **kwargs)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        param.grad = (1.0 + 0.5 * torch.randn(6, generator=generator)).to(dtype)
        optimizer.step()
    return param, optimizer


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("make", OPTIMIZERS)
def test_an_optimizers_own_moments_tell_outliers(make, maximize):
    param, optimizer = warmed_up(make, maximize=maximize)
    before = torch.tensor([1.2, 0.7, 100.0, -100.0, 1.0, 1.9])
    param.grad = before.clone()
    filter_outliers_(optimizer, 6.0)
    assert torch.equal(param.grad[[0, 1, 4, 5]], before[[0, 1, 4, 5]])
    assert 2.5 < param.grad[2] < 6.0
    assert -4.0 < param.grad[3] < -0.5


def test_half_precision_is_filtered_too():
    param, optimizer = warmed_up(OPTIMIZERS[2], dtype=torch.bfloat16)
    param.grad = torch.tensor([1.2, 100.0, 1.0, 1.0, 1.0, 1.0], dtype=torch.bfloat16)
    before = param.grad.clone()
    filter_outliers_(optimizer, 6.0)
    assert torch.equal(param.grad[[0, 2]], before[[0, 2]])
    assert 2.5 < param.grad[1] < 6.0


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_nothing_is_filtered_before_there_is_a_history(make):
    param, optimizer = warmed_up(make, steps=9)
    before = torch.full((6,), 100.0)
    param.grad = before.clone()
    filter_outliers_(optimizer, 3.0)
    assert torch.equal(param.grad, before)
    filter_outliers_(optimizer, 3.0, history=9)
    assert bool((param.grad < 10.0).all())


def test_filtering_passes_over_what_it_cannot_judge():
    fresh, silent, plain = params_with(f64(9.0), f64(9.0), f64(9.0))
    silent.grad = None
    optimizer = ASGDAdam([fresh, silent])
    optimizer.init_state()  # moments exist, and no step was taken
    filter_outliers_(optimizer, 1.0)
    filter_outliers_(torch.optim.SGD([plain], lr=0.1), 1.0)
    assert fresh.grad.item() == plain.grad.item() == 9.0
    assert silent.grad is None


@pytest.mark.parametrize(
    ("kwargs", "message"), [({"threshold": -1.0}, "threshold=-1.0"), ({"history": 1}, "history=1")]
)
def test_filtering_refuses_arguments_outside_their_range(kwargs, message):
    with pytest.raises(ArgumentError, match=rf"^cannot use {message}"):
        filter_outliers_(ASGDAdam(params_with(f64(1.0))), **{"threshold": 3.0, **kwargs})


def _shard(rank):
    mesh = init_device_mesh("cpu", (WORLD,))
    found = []
    for dtype in (torch.float64, torch.bfloat16):
        layouts = [Shard(0), Replicate(), Shard(1), None]
        params = []
        for grad, layout in zip(draws((5, 3), (4,), (2, 3), (3,), dtype=dtype), layouts, strict=True):
            whole = grad if layout is None else distribute_tensor(grad, mesh, [layout])
            (param,) = params_with(whole)
            params.append(param)
        norms = [global_norm(params[:1]), global_norm(params), normalize_gradients_(params), global_norm(params)]
        assert all(type(norm) is torch.Tensor for norm in norms)
        found.append((torch.stack(norms), [p.grad.full_tensor() for p in params[:-1]] + [params[-1].grad]))
    sharded = params[0]
    optimizer = ASGDAdam([sharded], lr=1e-9, alpha_min=0.0)
    for step in range(20):
        sharded.grad = distribute_tensor(draws((5, 3), seed=step, dtype=torch.bfloat16)[0], mesh, [Shard(0)])
        optimizer.step()
    sharded.grad.mul_(100)
    filter_outliers_(optimizer, 3.0)
    filtered = sharded.grad.full_tensor()
    return found, filtered


@pytest.mark.slow
def test_sharded_gradients_give_what_whole_ones_do(tmp_path):
    found, filtered = on_two_ranks(_shard, tmp_path)[0]
    for (norms, grads), dtype in zip(found, (torch.float64, torch.bfloat16), strict=True):
        params = params_with(*draws((5, 3), (4,), (2, 3), (3,), dtype=dtype))
        alone = global_norm(params[:1])
        expected = torch.stack([alone, global_norm(params), normalize_gradients_(params), global_norm(params)])
        torch.testing.assert_close(norms, expected, rtol=1e-12 if dtype == torch.float64 else 1e-6, atol=0.0)
        for grad, param in zip(grads, params, strict=True):
            torch.testing.assert_close(grad, param.grad)
    param = torch.zeros(5, 3, dtype=torch.bfloat16, requires_grad=True)
    optimizer = ASGDAdam([param], lr=1e-9, alpha_min=0.0)
    for step in range(20):
        param.grad = draws((5, 3), seed=step, dtype=torch.bfloat16)[0]
        optimizer.step()
    param.grad.mul_(100)
    filter_outliers_(optimizer, 3.0)
    torch.testing.assert_close(filtered, param.grad)
