"""Components run over all tensors at once: by kernels what they are tensor by tensor."""

from __future__ import annotations

import pytest
import torch

from optim.training import run
from waddington.optim import AlphaAdam, ASGDAdam, Averaged, Compressed, Lookahead, Masked, Switched
from waddington.optim.engine.params import ParamSlot
from waddington.optim.kernels import cache, foreach
from waddington.optim.wrappers.columns import Scratch

needs_compiler = pytest.mark.skipif(bool(cache.why_unavailable("cpu")), reason="no C compiler")
SHAPES = [(60, 70), (33,), (8, 3, 4, 4), (0, 2), ()]
STEPS = 6


def some_params(dtype):
    generator = torch.Generator().manual_seed(0)
    params = [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in SHAPES]
    params[2] = params[2].to(memory_format=torch.channels_last)  # beside gradients that are not
    return [param.requires_grad_() for param in params]


def some_gradients(steps=STEPS):
    generator = torch.Generator().manual_seed(1)
    return [[torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES] for _ in range(steps)]


def trained(build, dtype):
    params = some_params(dtype)
    optimizer = build(params)
    optimizer.record()
    run(optimizer, params, some_gradients())
    return params, optimizer.diagnostics()


BUILD = {
    "masked": lambda p: Masked(torch.optim.AdamW(p, lr=1e-2, weight_decay=0.1)),
    "synchronous": lambda p: Masked(torch.optim.AdamW(p, lr=1e-2), mask="synchronous", strict_mask=True),
    "groups": lambda p: Masked(
        torch.optim.AdamW([{"params": p[:1], "alpha_max": 1.5}, {"params": p[1:], "mask": "none"}], weight_decay=0.1)
    ),
    "relative": lambda p: Switched(torch.optim.Adam(p, lr=1e-2), switch_interval=2),
    "coordinate": lambda p: Switched(torch.optim.Adam(p, lr=1e-2), switch="coordinate"),
    "mean": lambda p: Switched(torch.optim.Adam(p, lr=1e-2, weight_decay=0.1), switch="mean"),
    "lookahead": lambda p: Lookahead(torch.optim.AdamW(p, lr=1e-2), k=2, alpha=0.3),
    "aligned": lambda p: Switched(torch.optim.Adam(p, lr=1e-2), switch="alignment", alignment="clock"),
    "averaged": lambda p: Averaged(torch.optim.AdamW(p, lr=1e-2)),
    "top-k": lambda p: Compressed(
        torch.optim.AdamW([{"params": p[:2], "error_feedback": False}, {"params": p[2:]}], lr=1e-2, weight_decay=0.1)
    ),
    "quantized": lambda p: Compressed(
        torch.optim.AdamW([{"params": p[:1], "norm": "l2"}, {"params": p[1:]}], lr=1e-2), method="quantize", levels=15
    ),
    "nested": lambda p: Masked(Switched(torch.optim.AdamW(p, lr=1e-2, weight_decay=0.1), switch_interval=2)),
}


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", BUILD)
def test_by_kernels_or_tensor_by_tensor_it_is_the_same(name, dtype, monkeypatch):
    calls = []
    run_kernel = foreach.ForEach._run
    monkeypatch.setattr(foreach.ForEach, "_run", lambda self, *given: calls.append(1) or run_kernel(self, *given))
    compiled, figures = trained(BUILD[name], dtype)
    assert calls or name == "relative"  # whose one sum over small tensors is torch's own
    monkeypatch.setattr(foreach.ForEach, "_kernel", lambda self, columns: None)
    eager, others = trained(BUILD[name], dtype)
    precision = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 2e-2}[dtype]
    for a, b in zip(compiled, eager, strict=True):
        torch.testing.assert_close(a, b, rtol=precision, atol=precision)
    assert figures == pytest.approx(others, rel=max(precision, 1e-9) * 10)


@needs_compiler
def test_large_tensors_step_as_the_optimizers_with_the_component_built_in():
    shapes = [(200, 200), (7,)]
    grads = [[torch.randn(shape, dtype=torch.float64) for shape in shapes] for _ in range(STEPS)]
    for wrapped, ours in (
        (lambda p: Masked(torch.optim.AdamW(p, lr=1e-2)), lambda p: AlphaAdam(p, lr=1e-2, weight_decay=1e-2)),
        (
            lambda p: Switched(torch.optim.Adam(p), switch_interval=2),
            lambda p: ASGDAdam(p, lr=1e-3, switch="relative", switch_interval=2),
        ),
    ):
        left, right = ([torch.ones(s, dtype=torch.float64).requires_grad_() for s in shapes] for _ in range(2))
        run(wrapped(left), left, grads)
        run(ours(right), right, grads)
        for a, b in zip(left, right, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def test_complex_parameters_are_masked_part_by_part():
    param = torch.randn(50, 50, dtype=torch.complex64, requires_grad=True)
    optimizer = Masked(torch.optim.AdamW([param], lr=1e-2, weight_decay=0.0), compensation="none")
    for _ in range(2):
        param.grad = torch.randn(50, 50, dtype=torch.complex64)
        momentum = optimizer.state[param]["exp_avg"].clone() if optimizer.state else torch.zeros_like(param.grad)
        before = param.detach().clone()
        optimizer.step()
    moved = torch.view_as_real(param.detach() - before) != 0
    agrees = torch.view_as_real(param.grad) * torch.view_as_real(momentum) >= 0
    assert torch.equal(moved, agrees)


def test_memory_of_a_step_is_used_again_and_is_no_part_of_the_state():
    param = torch.ones(70, 70, requires_grad=True)
    optimizer = Masked(torch.optim.AdamW([param]))
    run(optimizer, [param], [[torch.ones(70, 70)]])
    kept = dict(optimizer._scratch._kept)
    run(optimizer, [param], [[torch.ones(70, 70)]])
    assert kept == optimizer._scratch._kept
    assert "_scratch" not in optimizer.__getstate__()
    assert set(optimizer.state[param]) >= {"exp_avg", "exp_avg_sq"}
    assert not any(name.startswith("mask") and name != "masked_skipped_steps" for name in optimizer.state[param])


@pytest.mark.parametrize("change", ["device", "shape", "dtype", "strides"])
def test_memory_of_a_step_has_the_form_of_what_is_stepped_by_now(change):
    scratch, param = Scratch(), torch.zeros(6, 4)
    slot = ParamSlot(param, {}, 0, 0, {})
    assert scratch.like("old", slot, torch.float32) is scratch.like("old", slot, torch.float32)
    if change == "device":
        param = param.to("meta")
    elif change == "shape":
        param = torch.zeros(4, 6)
    elif change == "strides":
        param = torch.zeros(4, 6).T
    dtype = torch.float64 if change == "dtype" else torch.float32
    found = scratch.like("old", ParamSlot(param, {}, 0, 0, {}), dtype)
    assert (found.device, found.shape, found.stride(), found.dtype) == (
        param.device, param.shape, param.stride(), dtype,
    )  # fmt: skip
    assert all(kept is found for kept in scratch._kept.values())  # nothing else is held any more
