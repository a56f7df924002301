"""MicroAdam: its reference, its four bits, what it owes, what it weighs, and the contract of every optimizer."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch

from optim.training import assert_same, make_gradients, make_model, make_params, run, train, values
from reference.microadam import ROUND as ROUNDING
from reference.microadam import microadam, through_four_bits
from waddington.errors import ArgumentError
from waddington.optim import registry
from waddington.optim.microadam import MicroAdam, dequantize_error, largest_places, quantize_error

SHAPES = [(4, 3), (5,), (), (2, 3, 2), (0, 4), (23,)]
SMALL = {"lr": 1e-2, "density": 0.3, "window": 4, "block_size": 5, "bucket_size": 4}
VARIANTS = {
    "defaults": {"lr": 1e-2},
    "small": SMALL,
    "float32": {**SMALL, "value_dtype": "float32", "bucket_size": 7},
    "decay": {**SMALL, "weight_decay": 0.1},
    "dense": {**SMALL, "density": 1.0},
    "one": {**SMALL, "window": 1},
    "betas": {**SMALL, "betas": (0.0, 0.9)},
}
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


def problem(steps=30, dtype=torch.float64):
    return make_params(dtype, shapes=SHAPES), make_gradients(steps, shapes=SHAPES)


def sample(size, seed=0):
    return torch.randn(size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def owed(optimizer, param):
    state, group = optimizer.state[param], optimizer.param_groups[0]
    ranges = state["error_low"], state["error_high"]
    return dequantize_error(state["error"], *ranges, group["bucket_size"], param.numel(), torch.float64)


def bytes_of(optimizer, param):
    state = optimizer.state[param]
    return sum(value.numel() * value.element_size() for name, value in state.items() if name != "skipped_steps")


# -- mathematics --


@pytest.mark.parametrize("kwargs", VARIANTS.values(), ids=VARIANTS)
def test_equals_its_float64_reference(kwargs):
    params, gradients = problem(45)
    trajectory, rates = microadam([param.detach().numpy().copy() for param in params], gradients, **kwargs)
    optimizer = MicroAdam(params, **kwargs)
    for t, grads in enumerate(gradients):
        run(optimizer, params, [grads])
        assert optimizer.diagnostics()["base_rate"] == rates[t]
        for param, expected in zip(params, trajectory[t], strict=True):
            np.testing.assert_allclose(param.detach().numpy(), expected, rtol=1e-12, atol=1e-14)


def test_all_coordinates_and_a_long_window_are_adam():
    params, plain, gradients = *(make_params(shapes=SHAPES) for _ in range(2)), make_gradients(30, shapes=SHAPES)
    gradients = [[np.float32(g) for g in grads] for grads in gradients]  # nothing is lost in float32 values
    run(MicroAdam(params, lr=1e-2, density=1.0, window=30, value_dtype="float32"), params, gradients)
    run(torch.optim.Adam(plain, lr=1e-2), plain, gradients)
    for a, b in zip(params, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_steps_grow_as_the_window_forgets_what_its_correction_does_not():
    param = torch.zeros(8, dtype=torch.float64, requires_grad=True)
    optimizer = MicroAdam([param], lr=1.0, density=1.0, window=4, betas=(0.9, 0.99))
    lengths = []
    for _ in range(500):
        before = param.detach().clone()
        run(optimizer, [param], [[np.ones(8)]])
        lengths.append((before - param.detach())[0].item())
    assert lengths[:4] == pytest.approx([1.0] * 4)  # Adam's
    held = 1 - 0.9**4, 1 - 0.99**4
    assert lengths[-1] == pytest.approx(held[0] / math.sqrt(held[1] / (1 - 0.99**500)), rel=1e-6)
    assert lengths[-1] > 1.7


def test_a_step_moves_no_more_than_the_window_holds():
    param = torch.zeros(1000, requires_grad=True)
    optimizer = MicroAdam([param], lr=1e-2, window=3)
    for step in range(1, 6):
        before = param.detach().clone()
        run(optimizer, [param], [[sample(1000, step).numpy()]])
        moved = (param.detach() != before).sum().item()
        assert 10 * min(step, 3) - 3 <= moved <= 10 * min(step, 3)


def test_the_largest_of_each_block_are_kept():
    x = torch.tensor([1.0, -5.0, 2.0, 3.0, 0.5, -0.1, 7.0])
    assert sorted(largest_places(x[:3], 3, 0.5).tolist()) == [1, 2]
    assert largest_places(x, 3, 0.1).tolist() == [1, 0, 0]
    assert sorted(largest_places(x, 7, 0.4).tolist()) == [1, 3, 6]
    assert largest_places(x[:0], 3, 0.5).tolist() == []


# -- four bits --


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize(("size", "bucket"), [(1, 4), (4, 4), (7, 4), (8, 3), (9, 100), (0, 4)])
def test_four_bits_round_as_the_reference_does(size, bucket, dtype):
    x = sample(size)
    packed, low, high = quantize_error(x, bucket, DTYPES[dtype])
    assert packed.dtype == torch.uint8
    assert packed.shape == (math.ceil(size / 2),)
    assert low.shape == high.shape == (math.ceil(size / bucket),)
    found = dequantize_error(packed, low, high, bucket, size, torch.float64)
    assert np.array_equal(found.numpy(), through_four_bits(x.numpy(), bucket, ROUNDING[dtype]))


def test_four_bits_round_to_the_nearest_of_sixteen_levels():
    x = sample(5000)
    packed, low, high = quantize_error(x, 1000, torch.float32)
    found = dequantize_error(packed, low, high, 1000, 5000, torch.float64).view(5, 1000)
    unit = (high - low).double() / 15
    # Ranges in float32 are off by less than a millionth of a level.
    assert ((found - x.view(5, 1000)).abs() <= unit[:, None] * (0.5 + 1e-5)).all()
    assert all(len(row.unique()) == 16 for row in found)


def test_halves_are_rounded_up_and_the_first_of_a_pair_is_the_upper_half():
    packed, low, high = quantize_error(torch.tensor([0.0, 15.0, 2.5, 3.5, 9.0]), 8, torch.float32)
    assert (low.item(), high.item()) == (0.0, 15.0)
    assert packed.tolist() == [0x0F, 0x34, 0x90]


def test_a_bucket_of_one_value_is_kept_as_it_is():
    packed, low, high = quantize_error(torch.full((6,), -0.75), 4, torch.bfloat16)
    assert packed.tolist() == [0, 0, 0]
    assert dequantize_error(packed, low, high, 4, 6, torch.float32).tolist() == [-0.75] * 6


@pytest.mark.parametrize("ends", [(1.0, 1.0115), (1.0045, 1.03)], ids=["too low a maximum", "too high a minimum"])
def test_a_rounded_range_wraps_no_code(ends):
    x = torch.linspace(*ends, 64, dtype=torch.float64)
    packed, low, high = quantize_error(x, 64, torch.bfloat16)
    assert low.item() > ends[0] or high.item() < ends[1]
    found = dequantize_error(packed, low, high, 64, 64, torch.float64)
    assert (found - x).abs().max() < 2**-8  # what rounding to bfloat16 may do to a number from 1 to 2


def test_a_range_that_rounding_closes_has_one_level():
    packed, low, high = quantize_error(torch.linspace(1.0, 1.001, 8), 8, torch.bfloat16)
    assert low.item() == high.item() == 1.0
    assert packed.tolist() == [0, 0, 0, 0]


# -- error feedback --


@pytest.mark.parametrize("shape", [(40,), (6, 7), ()])
def test_what_is_not_sent_is_owed(shape):
    param = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    optimizer = MicroAdam([param], **{**SMALL, "value_dtype": "float32"})
    given, sent, slack = (torch.zeros(param.numel(), dtype=torch.float64) for _ in range(3))
    state, size = optimizer.state[param], param.numel()
    for step in range(50):
        grad = sample(size, step).float().double()
        given += grad
        run(optimizer, [param], [[grad.numpy()]])
        row, blocks = step % 4, -(-size // 5)
        starts = torch.arange(blocks).mul(5).repeat_interleave(2)[: state["window_places"].shape[1]]
        index = starts + state["window_places"][row]
        assert len(index.unique()) == len(index)
        sent[index] += state["window_values"][row].double()
        unit = (state["error_high"] - state["error_low"]).double() / 15
        slack += unit.repeat_interleave(4)[:size] / 2
        # Every step may lose half a level by quantization, and a rounding of float32; nothing else is ever lost.
        assert ((sent + owed(optimizer, param) - given).abs() <= slack + 1e-6 * (step + 1)).all()
    assert size == 1 or owed(optimizer, param).abs().max() > 0.1


def test_small_gradients_have_their_turn():
    """Ten coordinates, one of which is sent at a time, and all of which have to go the same way."""
    param = torch.zeros(10, requires_grad=True)
    optimizer = MicroAdam([param], lr=1e-2, density=0.1)
    run(optimizer, [param], [[np.linspace(0.1, 1.0, 10)] for _ in range(200)])
    assert (param < 0).all()


def test_no_gradient_is_no_step():
    params, _ = problem()
    before = values(params)
    run(MicroAdam(params, **SMALL), params, [[np.zeros(shape) for shape in SHAPES]] * 5)
    assert_same(params, before)


# -- diagnostics --


@pytest.mark.parametrize("shape", [(40,), (6, 7)])
def test_figures_are_those_of_the_last_step(shape):
    param = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    optimizer = MicroAdam([param], **SMALL)
    optimizer.record()
    for step in range(7):
        before, grad = param.detach().clone(), sample(param.numel(), step)
        run(optimizer, [param], [[grad.numpy()]])
        kept = optimizer.state[param]["window_values"][step % 4].double().square().sum().item()
        debt = owed(optimizer, param).square().sum().item()
        moved = (param.detach() != before).double().mean().item()
        figures = optimizer.diagnostics()
        assert figures["kept_energy"] == pytest.approx(kept / (kept + debt))
        assert figures["debt_energy"] == pytest.approx(debt / grad.square().sum().item())
        assert figures["moved_share"] == pytest.approx(moved)
    assert 0.3 < figures["kept_energy"] < 1.0


def test_who_keeps_everything_owes_nothing():
    params, gradients = problem()
    optimizer = MicroAdam(params, **{**SMALL, "density": 1.0})
    optimizer.record()
    run(optimizer, params, gradients)
    figures = optimizer.diagnostics()
    assert (figures["kept_energy"], figures["debt_energy"], figures["moved_share"]) == (1.0, 0.0, 1.0)


# -- memory --


def test_state_is_nine_tenths_of_a_byte_where_adam_has_eight():
    size = 1_000_000
    param, plain = (torch.zeros(1000, 1000, requires_grad=True) for _ in range(2))
    param.grad = plain.grad = sample(size).float().view(1000, 1000)
    optimizer, adam = MicroAdam([param]), torch.optim.Adam([plain])
    optimizer.step()
    adam.step()
    kept = 30 * math.ceil(0.01 * 32_768) + math.ceil(0.01 * (size - 30 * 32_768))
    step = 4
    assert bytes_of(optimizer, param) == size / 2 + 4 * 10 * kept + 4 * 10 + step
    assert bytes_of(optimizer, param) / size == pytest.approx(0.9, rel=1e-3)
    assert bytes_of(adam, plain) / size == pytest.approx(8.0, rel=1e-3)


def test_state_has_the_dtypes_that_make_it_small():
    params, gradients = problem(2, torch.float32)
    optimizer = MicroAdam(params)
    run(optimizer, params, gradients)
    dtypes = {name: value.dtype for name, value in optimizer.state[params[1]].items()}
    assert dtypes == {
        "step": torch.float32,
        "error": torch.uint8,
        "error_low": torch.bfloat16,
        "error_high": torch.bfloat16,
        "window_places": torch.int16,
        "window_values": torch.bfloat16,
    }


def test_places_reach_the_end_of_the_largest_block():
    param = torch.zeros(2**16, requires_grad=True)
    grad = np.zeros(2**16)
    grad[[2**15 - 1, 2**16 - 1]] = 1.0
    optimizer = MicroAdam([param], lr=1e-2)
    run(optimizer, [param], [[grad]])
    assert param.detach().nonzero().flatten().tolist() == [2**15 - 1, 2**16 - 1]


# -- the contract --


def through_a_file(optimizer, fresh):
    stream = io.BytesIO()
    torch.save(optimizer.state_dict(), stream)
    stream.seek(0)
    fresh.load_state_dict(torch.load(stream, weights_only=True))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("value_dtype", ["bfloat16", "float32"])
def test_a_loaded_state_resumes_bit_for_bit(dtype, value_dtype):
    kwargs = {**SMALL, "value_dtype": value_dtype}
    params, gradients = problem(40, dtype)
    optimizer = MicroAdam(params, **kwargs)
    run(optimizer, params, gradients[:17])
    resumed = [param.detach().clone().requires_grad_() for param in params]
    fresh = MicroAdam(resumed, **kwargs)
    through_a_file(optimizer, fresh)
    for param, other in zip(params, resumed, strict=True):
        for name, value in optimizer.state[param].items():
            assert fresh.state[other][name].dtype == value.dtype
            assert torch.equal(fresh.state[other][name], value)
    run(optimizer, params, gradients[17:])
    run(fresh, resumed, gradients[17:])
    assert_same(params, resumed)


@pytest.mark.parametrize("shape", [(4, 3), (7,), ()])
def test_complex_is_a_pair_of_reals(shape):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(shape, dtype=torch.complex128, generator=generator)
    left, right = start.clone().requires_grad_(), torch.view_as_real(start).clone().requires_grad_()
    a, b = MicroAdam([left], **SMALL), MicroAdam([right], **SMALL)
    for _ in range(15):
        grad = torch.randn(shape, dtype=torch.complex128, generator=generator)
        left.grad, right.grad = grad, torch.view_as_real(grad).clone()
        a.step()
        b.step()
    assert torch.equal(torch.view_as_real(left.detach()), right.detach())


def test_groups_may_differ_in_what_they_keep():
    params, gradients = problem()
    optimizer = MicroAdam([{"params": params[:2]}, {"params": params[2:], "window": 2, "density": 1.0}], **SMALL)
    run(optimizer, params, gradients)
    assert optimizer.state[params[0]]["window_places"].shape == (4, 2 * 2 + 1)
    assert optimizer.state[params[3]]["window_places"].shape == (2, 12)


@pytest.mark.slow  # that each step is the reference's is asked at once
def test_fits_a_network():
    results = []
    for cls, kwargs in ((MicroAdam, {"density": 0.1}), (torch.optim.Adam, {})):
        model, x, y = make_model()
        optimizer = cls(model.parameters(), lr=5e-3, **kwargs)
        scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, 300)
        for step in range(300):
            train(model, optimizer, x, y, 1, seed=step)
            scheduler.step()
        results.append(torch.nn.functional.mse_loss(model(x), y).item())
    start = torch.nn.functional.mse_loss(make_model()[0](x), y).item()
    assert results[0] < 0.05 * start
    assert results[0] < 3 * results[1]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"eps": 0.0}, r"cannot use eps=0.0: eps must be a number in \(0, inf\)"),
        ({"density": 0.0}, r"cannot use density=0.0: density must be a number in \(0, 1\]"),
        ({"density": 1.5}, r"cannot use density=1.5"),
        ({"window": 0}, r"cannot use window=0: window must be a whole number from 1"),
        ({"window": 2.0}, r"cannot use window=2.0: window must be a whole number"),
        ({"block_size": 32_769}, r"cannot use block_size=32769: block_size must be a whole number in \[1, 32768\]"),
        ({"bucket_size": -1}, r"cannot use bucket_size=-1"),
        ({"value_dtype": "int8"}, r"cannot use value_dtype='int8': value_dtype must be one of 'bfloat16', 'float32'"),
        ({"betas": (0.9, 1.0)}, r"cannot use betas\[1\]=1.0"),
        ({"lr": -1.0}, r"cannot use lr=-1.0"),
    ],
)
def test_argument_errors_name_argument_value_and_range(kwargs, message):
    with pytest.raises(ArgumentError, match=message):
        MicroAdam(problem()[0], **kwargs)


def test_is_known_by_name():
    param = torch.zeros(4, requires_grad=True)
    assert type(registry.build("microadam", [param])) is MicroAdam
    assert registry.build("MicroAdam", [param], density=0.5).param_groups[0]["density"] == 0.5


def test_moments_of_adam_are_no_window():
    param = torch.ones(30, requires_grad=True)
    adam, optimizer = torch.optim.Adam([param]), MicroAdam([param])
    param.grad = torch.ones(30)
    adam.step()
    with pytest.raises(
        ArgumentError, match=r"cannot load a state of step, exp_avg, exp_avg_sq: it lacks .*of MicroAdam"
    ):
        optimizer.load_state_dict(adam.state_dict())
    assert not optimizer.state


def test_bfloat16_parameters_are_rounded_at_random_and_buffers_of_another_form_are_not():
    param = torch.nn.Parameter(torch.ones(64, 80, dtype=torch.bfloat16))
    optimizer = MicroAdam([param], lr=1e-4, stochastic_rounding=True)
    for _ in range(30):
        param.grad = torch.full_like(param, 0.5)
        optimizer.step()
    assert len(param.unique()) > 1  # a step is a fortieth of a unit in the last place
