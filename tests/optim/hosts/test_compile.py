"""A training step under torch.compile is the training step, and no new rate makes the compiler start again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from optim.hosts.hosted import (
    HOSTED,
    SWITCHED,
    Hosted,
    assert_close,
    assert_same_figures,
    batch,
    each_hosted,
    net,
    weights,
)

STEPS = 8
WARM_UP = 3

Step = Callable[[torch.Tensor, torch.Tensor], None]


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def training_step(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Step:
    def step(x: torch.Tensor, y: torch.Tensor) -> None:
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()

    return step


def everything(model: torch.nn.Module, optimizer: torch.optim.Optimizer, backend: str) -> Step:
    return torch.compile(training_step(model, optimizer), backend=backend)


def the_model(model: torch.nn.Module, optimizer: torch.optim.Optimizer, backend: str) -> Step:
    return training_step(torch.compile(model, backend=backend), optimizer)


def the_optimizer(model: torch.nn.Module, optimizer: torch.optim.Optimizer, backend: str) -> Step:
    compiled = torch.compile(optimizer.step, backend=backend)

    def step(x: torch.Tensor, y: torch.Tensor) -> None:
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(x), y).backward()
        compiled()

    return step


each_way = pytest.mark.parametrize("compiled", [everything, the_model, the_optimizer])


def build(hosted: Hosted, tensor: bool = False, dtype: torch.dtype = torch.float64) -> tuple[torch.nn.Module, Any, Any]:
    """Give a model, its optimizer and a schedule with another rate at every step."""
    model = net(dtype=dtype)
    lr = torch.tensor(hosted.lr, dtype=torch.float64) if tensor else hosted.lr
    optimizer = hosted.build([{"params": model.parameters(), "lr": lr}])
    return model, optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 1 / (1 + t))


def advance(step: Step, scheduler: Any, steps: range, dtype: torch.dtype = torch.float64) -> None:
    for index in steps:
        step(*batch(index, dtype=dtype))
        scheduler.step()


@pytest.mark.parametrize(
    ("hosted", "compiled"),
    [
        pytest.param(
            hosted,
            compiled,
            marks=[] if compiled is everything or hosted is SWITCHED else pytest.mark.slow,
            id=f"{hosted.name}-{compiled.__name__}",
        )
        for hosted in HOSTED
        for compiled in (everything, the_model, the_optimizer)
    ],
)
def test_equals_eager_and_is_compiled_once(hosted: Hosted, compiled):
    check_against_eager(hosted, compiled, tensor=False)


@each_way
def test_a_tensor_rate_is_no_reason_to_compile_again(compiled):
    check_against_eager(SWITCHED, compiled, tensor=True)


def check_against_eager(hosted: Hosted, compiled: Any, tensor: bool) -> None:
    model, optimizer, scheduler = build(hosted, tensor)
    step = compiled(model, optimizer, "eager")
    advance(step, scheduler, range(WARM_UP))
    graphs, breaks = counters["stats"]["unique_graphs"], counters["graph_break"].total()
    with torch._dynamo.config.patch(error_on_recompile=True):
        advance(step, scheduler, range(WARM_UP, STEPS))
    assert counters["stats"]["unique_graphs"] == graphs
    assert counters["graph_break"].total() == breaks
    other, plain, plain_scheduler = build(hosted, tensor)
    advance(training_step(other, plain), plain_scheduler, range(STEPS))
    assert_close(weights(model), weights(other), rtol=1e-9)
    assert_same_figures(optimizer.diagnostics(), plain.diagnostics(), rtol=1e-9)


@pytest.mark.parametrize(
    ("backend", "rtol"),
    [
        ("aot_eager", 1e-6),
        pytest.param(
            "inductor",
            1e-4,
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler"),
            ],
        ),
    ],
)
def test_equals_eager_through_other_backends(backend, rtol):
    model, optimizer, scheduler = build(SWITCHED, dtype=torch.float32)
    advance(everything(model, optimizer, backend), scheduler, range(STEPS), dtype=torch.float32)
    other, plain, plain_scheduler = build(SWITCHED, dtype=torch.float32)
    advance(training_step(other, plain), plain_scheduler, range(STEPS), dtype=torch.float32)
    assert_close(weights(model), weights(other), rtol=rtol)
    assert_same_figures(optimizer.diagnostics(), plain.diagnostics(), rtol=1e-3)


@each_hosted
def test_tensors_of_one_shape_are_not_mixed_up(hosted: Hosted):
    """What a tracer may take for the same input."""
    params = [torch.full((3, 3), float(i + 1), dtype=torch.float64, requires_grad=True) for i in range(3)]
    twins = [param.detach().clone().requires_grad_() for param in params]
    optimizer, plain = hosted.build(params), hosted.build(twins)
    step = torch.compile(optimizer.step, backend="eager")
    for index in range(4):
        for i, (param, twin) in enumerate(zip(params, twins, strict=True)):
            param.grad = torch.full_like(param, (-1.0) ** index * (i + 1))
            twin.grad = param.grad.clone()
        step()
        plain.step()
    assert all(torch.equal(a, b) for a, b in zip(params, twins, strict=True))


@each_hosted
def test_a_broken_step_is_left_out_here_too(hosted: Hosted):
    model, optimizer, scheduler = build(hosted)
    step = everything(model, optimizer, "eager")
    advance(step, scheduler, range(WARM_UP))
    before = weights(model)
    x, y = batch(WARM_UP)
    step(x * torch.inf, y)
    assert_close(weights(model), before, rtol=0.0)
    assert optimizer.diagnostics()["skipped_steps"] == 1
