"""Every scheduler of torch turns our rates and momenta as it turns AdamW's, and goes on after a restart."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler
from torch.optim.swa_utils import SWALR, AveragedModel

from optim.hosts.hosted import (
    SWITCHED,
    Hosted,
    assert_equal,
    each_hosted,
    each_hosted_some_slow,
    loss_of,
    net,
    train,
    weights,
)

STEPS = 24


def _sequential(optimizer):
    parts = [lr_scheduler.LinearLR(optimizer, 0.1, total_iters=5), lr_scheduler.CosineAnnealingLR(optimizer, 15)]
    return lr_scheduler.SequentialLR(optimizer, parts, milestones=[5])


def _chained(optimizer):
    parts = [lr_scheduler.ConstantLR(optimizer, 0.5, total_iters=4), lr_scheduler.ExponentialLR(optimizer, 0.9)]
    return lr_scheduler.ChainedScheduler(parts, optimizer)


def _peaks(optimizer):
    return [2 * float(group["lr"]) for group in optimizer.param_groups]


def _one_cycle(optimizer):
    momenta = {} if "betas" in optimizer.defaults or "momentum" in optimizer.defaults else {"cycle_momentum": False}
    return lr_scheduler.OneCycleLR(optimizer, _peaks(optimizer), total_steps=STEPS, **momenta)


def _cyclic(optimizer):
    lows = [0.5 * peak for peak in _peaks(optimizer)]
    momenta = {"cycle_momentum": "betas" in optimizer.defaults or "momentum" in optimizer.defaults}
    return lr_scheduler.CyclicLR(optimizer, lows, _peaks(optimizer), step_size_up=4, **momenta)


SCHEDULERS: dict[str, Callable[[torch.optim.Optimizer], Any]] = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, [lambda t: min(1.0, t / 6), lambda t: 1 / (1 + t)]),  # from rate 0
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda t: 0.95),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 5, 0.3),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [4, 9], 0.3),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.25, total_iters=7),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.01, total_iters=9),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, total_iters=20, power=2.0),  # to rate 0
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 10),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4, 2),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=1),
    "CyclicLR": _cyclic,
    "OneCycleLR": _one_cycle,
    "SequentialLR": _sequential,
    "ChainedScheduler": _chained,
    "SWALR": lambda o: SWALR(o, swa_lr=7e-4, anneal_epochs=6),
}

each_scheduler = pytest.mark.parametrize("make", SCHEDULERS.values(), ids=SCHEDULERS)


def groups(model: torch.nn.Sequential, lr: Any) -> list[dict[str, Any]]:
    return [{"params": model[:3].parameters(), "lr": lr}, {"params": model[3:].parameters(), "lr": 2 * lr}]


def turn(scheduler: Any, step: int) -> None:
    # A measure that rises from the eighth step on, so that ReduceLROnPlateau has something to act on.
    is_plateau = isinstance(scheduler, lr_scheduler.ReduceLROnPlateau)
    scheduler.step(*((float(abs(step - 8)),) if is_plateau else ()))


def rates(optimizer: torch.optim.Optimizer) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


def momenta(optimizer: torch.optim.Optimizer) -> list[float | None]:
    return [group["betas"][0] if "betas" in group else group.get("momentum") for group in optimizer.param_groups]


def test_no_scheduler_of_torch_is_left_out():
    assert {*lr_scheduler.__all__, "SWALR"} - {"LRScheduler"} == SCHEDULERS.keys()


@each_scheduler
def test_turns_as_on_adamw_and_resumes(make):
    check_against_adamw(SWITCHED, make)


# What a scheduler finds to turn depends on the optimizer, how it turns it does not; OneCycleLR turns rates and momenta.
@each_hosted_some_slow
def test_each_is_turned_as_adamw_and_resumes(hosted: Hosted):
    check_against_adamw(hosted, _one_cycle)


def check_against_adamw(hosted: Hosted, make: Callable[[torch.optim.Optimizer], Any]) -> None:
    model, resumed, bystander = net(), net(), net()
    optimizer = hosted.build(groups(model, hosted.lr))
    betas = optimizer.param_groups[0].get("betas", (0.9, 0.999))
    adamw = torch.optim.AdamW(groups(bystander, hosted.lr), betas=betas)
    scheduler, theirs = make(optimizer), make(adamw)
    other = hosted.build(groups(resumed, hosted.lr))
    other_scheduler = make(other)
    followed = []
    for step in range(STEPS):
        if step == 11:
            resumed.load_state_dict(model.state_dict())
            other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
            other_scheduler.load_state_dict(copy.deepcopy(scheduler.state_dict()))
            assert rates(other) == rates(optimizer)
        train(model, optimizer, [step])
        train(bystander, adamw, [step])
        turn(scheduler, step)
        turn(theirs, step)
        assert rates(optimizer) == rates(adamw)
        if "betas" in optimizer.defaults:
            assert momenta(optimizer) == momenta(adamw)
            assert optimizer.param_groups[0]["betas"][1:] == betas[1:]
        if step >= 11:
            train(resumed, other, [step])
            turn(other_scheduler, step)
        followed.append(rates(optimizer)[0])
    assert len(set(followed)) > 1
    assert all(param.isfinite().all() for param in model.parameters())
    assert_equal(weights(resumed), weights(model))
    assert other.diagnostics() == optimizer.diagnostics()


@each_scheduler
def test_a_tensor_rate_is_turned_alike(make):
    model, plain = net(), net()
    lr = SWITCHED.lr
    optimizer = SWITCHED.build(groups(model, torch.tensor(lr, dtype=torch.float64)))
    number = SWITCHED.build(groups(plain, lr))
    scheduler, theirs = make(optimizer), make(number)
    for step in range(STEPS):
        train(model, optimizer, [step])
        train(plain, number, [step])
        turn(scheduler, step)
        turn(theirs, step)
        assert rates(optimizer) == pytest.approx(rates(number), rel=1e-12)
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@each_hosted
def test_a_rate_is_a_rate_whoever_sets_it(hosted: Hosted):
    """A scheduler's constant factor is the same as building everything at the smaller rate."""
    scheduled, built = net(), net()
    optimizer = hosted.build(scheduled.parameters())
    lr_scheduler.LambdaLR(optimizer, lambda t: 0.5)
    group = hosted.build(net().parameters()).param_groups[0]
    small = {name: 0.5 * group[name] for name in ("lr", "alpha_min") if name in group}
    other = hosted.build([{"params": built.parameters(), **small}])
    train(scheduled, optimizer, range(15))
    train(built, other, range(15))
    for a, b in zip(scheduled.parameters(), built.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@each_hosted
def test_weights_can_be_averaged(hosted: Hosted):
    model = net()
    optimizer = hosted.build(model.parameters())
    averaged, seen = AveragedModel(model), []
    for step in range(6):
        train(model, optimizer, [step])
        averaged.update_parameters(model)
        seen.append(weights(model))
    for name, param in averaged.module.named_parameters():
        expected = torch.stack([copied[name] for copied in seen]).mean(0)
        torch.testing.assert_close(param.detach(), expected, rtol=1e-12, atol=1e-14)
    assert loss_of(averaged, 0).isfinite()
