"""Kernels as GPUs get them, made by torch's compiler; here for the processor, whose code is another."""

from __future__ import annotations

import pytest
import torch

from optim.parity import assert_same_course, assert_same_state, gradients_for, steps_of, unlike_params
from waddington.errors import UnsupportedError
from waddington.optim import AMGT, AMVT, AlphaAdam, ASGDAdam
from waddington.optim.kernels import cache, gpu

pytestmark = pytest.mark.usefixtures("compiled_by_torch")
slow = pytest.mark.slow


@pytest.fixture
def compiled_by_torch(monkeypatch):
    """Have torch's compiler make the processor's kernels, too."""
    monkeypatch.setitem(cache.BACKENDS, "cpu", gpu)
    cache.forget()
    yield
    cache.forget()


@pytest.mark.parametrize(
    ("make", "settings", "dtype"),
    [
        (AMGT, {}, torch.float32),
        (ASGDAdam, {}, torch.float32),
        (AlphaAdam, {}, torch.float32),
        (AlphaAdam, {"state_dtype": "bfloat16"}, torch.float32),
        (AMVT, {"stochastic_rounding": True}, torch.bfloat16),
        (AMVT, {}, torch.float64),
    ],
)
@slow  # the kernel of the next test is held against the eager step before it is used
def test_equals_eager_to_rounding(make, settings, dtype):
    left, right = ([p for p in unlike_params(dtype) if not p.is_complex()] for _ in range(2))
    compiled, eager = (make(p, weight_decay=0.1, compile=c, **settings) for p, c in ((left, True), (right, False)))
    gradients = gradients_for(left, 6)
    gradients[1][6][::2, 3] = torch.nan
    assert_same_course(steps_of(compiled, left, gradients), steps_of(eager, right, gradients))
    if "state_dtype" not in settings:
        assert_same_state(compiled, eager, rtol=1e-12 if dtype == torch.float64 else 3e-5)
    assert {record.path for record in compiled.execution()} == {"compiled", "eager"}


def step_one(make):
    param = torch.linspace(-1.0, 1.0, 50).requires_grad_()
    param.grad = torch.linspace(1.0, 2.0, 50)
    optimizer = make([param], weight_decay=0.1, compile=True)
    optimizer.step()
    return optimizer


def test_a_kernel_that_does_something_else_is_not_used(monkeypatch):
    monkeypatch.setattr(gpu.GpuKernel, "on", lambda self, device: lambda tensors: None)
    monkeypatch.setattr(gpu, "make", lambda recipe, source, path: path.write_text("another, no better"))
    with pytest.raises(UnsupportedError, match=r"other results.*accepted is"):
        step_one(AMGT)


def test_what_a_gpus_kernels_cannot_number_is_stepped_eagerly(monkeypatch):
    """On a device that has shapes and no memory."""
    monkeypatch.setitem(cache.BACKENDS, "meta", gpu)
    sizes = (1 << 31, (1 << 31) - 1, 3)
    params = [torch.empty(size, device="meta", requires_grad=True) for size in sizes]
    found = {record.coordinates: record for record in AMVT(params, compile=True).execution()}
    assert found[1 << 31].path == "eager"
    assert "2,147,483,648 coordinates or more" in found[1 << 31].reason
    assert found[(1 << 31) + 2].path == "compiled"
    together = {record.path: record.coordinates for record in AMVT(params[1:], compile="auto").execution()}
    assert together == {"compiled": (1 << 31) - 1, "together": 3}
