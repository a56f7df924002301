"""Accelerate wraps our optimizers, accumulates gradients, skips and schedules, and saves and loads their state."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("accelerate")

import accelerate
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer

from optim.hosts.hosted import Hosted, assert_close, assert_equal, each_hosted, loss_of, net, weights

ACCUMULATED = 2
STEPS = 12


@pytest.fixture(autouse=True)
def fresh_state():
    """Accelerate keeps its set-up in a singleton; the next test brings its own."""
    yield
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    accelerate.state.GradientState._reset_state()


def prepare(hosted: Hosted, seed: int = 0) -> tuple[Accelerator, torch.nn.Module, Any, Any]:
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=ACCUMULATED)
    model = net(seed)
    optimizer = hosted.build(model.parameters())
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 1 / (1 + t))
    return accelerator, *accelerator.prepare(model, optimizer, scheduler)


def advance(accelerator: Accelerator, model: Any, optimizer: Any, scheduler: Any, steps: range) -> None:
    for step in steps:
        with accelerator.accumulate(model):
            accelerator.backward(loss_of(model, step))
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()


@each_hosted
def test_accumulates_and_schedules_as_a_loop_by_hand(hosted: Hosted):
    accelerator, model, optimizer, scheduler = prepare(hosted)
    advance(accelerator, model, optimizer, scheduler, range(STEPS))
    assert isinstance(optimizer, AcceleratedOptimizer)
    assert not optimizer.step_was_skipped
    other = net()
    plain = hosted.build(other.parameters())
    plain_scheduler = torch.optim.lr_scheduler.LambdaLR(plain, lambda t: 1 / (1 + t))
    for first in range(0, STEPS, ACCUMULATED):
        plain.zero_grad()
        for step in range(first, first + ACCUMULATED):
            (loss_of(other, step) / ACCUMULATED).backward()
        torch.nn.utils.clip_grad_norm_(other.parameters(), 0.5)
        plain.step()
        plain_scheduler.step()
    assert optimizer.param_groups[0]["lr"] == plain.param_groups[0]["lr"] == pytest.approx(hosted.lr / 7)
    assert_close(weights(accelerator.unwrap_model(model)), weights(other), rtol=1e-9)
    assert optimizer.optimizer.diagnostics() == pytest.approx(plain.diagnostics(), rel=1e-9)


@each_hosted
def test_a_saved_state_resumes_bit_for_bit(hosted: Hosted, tmp_path):
    accelerator, model, optimizer, scheduler = prepare(hosted)
    advance(accelerator, model, optimizer, scheduler, range(6))
    accelerator.save_state(tmp_path)
    advance(accelerator, model, optimizer, scheduler, range(6, STEPS))
    whole, figures = weights(model), optimizer.optimizer.diagnostics()
    again, resumed, loaded, turned = prepare(hosted, seed=1)
    again.load_state(tmp_path)
    advance(again, resumed, loaded, turned, range(6, STEPS))
    assert_equal(weights(resumed), whole)
    assert loaded.optimizer.diagnostics() == figures
    assert loaded.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
