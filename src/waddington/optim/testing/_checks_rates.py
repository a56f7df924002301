"""The learning rate, and who turns it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import lr_scheduler

from waddington.optim.testing._catalog import check, may_refuse, require
from waddington.optim.testing._problems import (
    copies,
    identical,
    make_gradients,
    make_params,
    rate_of,
    require_close,
    require_same,
    run,
    set_rate,
    values,
)
from waddington.optim.testing._subject import Subject

__all__: list[str] = []


@check("lambda_lr", "LambdaLR drives the rate", group="rates")
def _lambda_lr(subject: Subject) -> None:
    found = _drive(subject, lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5**epoch))
    expected = [rate_of(subject) * 0.5**epoch for epoch in range(len(found))]
    wrong = [f"{a:g} instead of {b:g}" for a, b in zip(found, expected, strict=True) if abs(a - b) > 1e-6 * b]
    require(not wrong, f"the rate was {', '.join(wrong[:2])}")


@check("one_cycle_lr", "OneCycleLR drives the rate, and the momentum where there is one", group="rates")
def _one_cycle_lr(subject: Subject) -> None:
    has_momentum = bool({"betas", "momentum"} & set(subject.settings))
    found = _drive(
        subject,
        lambda optimizer: lr_scheduler.OneCycleLR(
            optimizer, max_lr=10 * rate_of(subject), total_steps=20, cycle_momentum=has_momentum
        ),
    )
    require(max(found) > 2 * min(found), f"the rate stayed between {min(found):g} and {max(found):g}")


@check("plateau_lr", "ReduceLROnPlateau drives the rate", group="rates")
def _plateau_lr(subject: Subject) -> None:
    found = _drive(
        subject,
        lambda optimizer: lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=2, eps=0.0),
        metric=1.0,
    )
    require(found[-1] < 0.2 * found[0], f"the rate went from {found[0]:g} to {found[-1]:g}")


def _drive(subject: Subject, make_scheduler: Callable[[Any], Any], metric: float | None = None) -> list[float]:
    """Train under a scheduler; fail unless that equals the same settings made by hand, and differs from one rate.

    Returns
    -------
    list of float
        The rate of each step.
    """
    rate_of(subject)
    driven, gradients = make_params(torch.float64), make_gradients(12)
    by_hand, constant = copies(driven), copies(driven)
    optimizer, reference, unmoved = (subject.build(params) for params in (driven, by_hand, constant))
    scheduler = make_scheduler(optimizer)
    rates = []
    for row in gradients:
        group = optimizer.param_groups[0]
        rates.append(float(group["lr"]))
        for name in {"betas", "momentum"} & set(group):
            reference.param_groups[0][name] = unmoved.param_groups[0][name] = group[name]
        set_rate(reference, rates[-1])
        run(optimizer, driven, [row])
        run(reference, by_hand, [row])
        run(unmoved, constant, [row])
        scheduler.step(*([] if metric is None else [metric]))
    require_close(driven, by_hand, "training under the scheduler against the same rates set by hand", 1e-9)
    require(
        not all(map(identical, driven, constant)), "training is the same without the scheduler: the rate is not used"
    )
    return rates


@check(
    "tensor_lr", "a rate given as a tensor acts as a number does, also under a scheduler, or is refused", group="rates"
)
def _tensor_lr(subject: Subject) -> None:
    rate = rate_of(subject)
    plain, gradients = make_params(torch.float64), make_gradients(12)
    other = copies(plain)
    with may_refuse("tensor"):
        optimizer = subject.build(other, lr=torch.tensor(rate, dtype=torch.float64))
        reference = subject.build(plain, lr=rate)
        schedulers = [lr_scheduler.ExponentialLR(each, 0.8) for each in (optimizer, reference)]
        for row in gradients:
            run(optimizer, other, [row])
            run(reference, plain, [row])
            for scheduler in schedulers:
                scheduler.step()
    require_close(other, plain, "a tensor as the rate against a number")
    left, right = (float(each.param_groups[0]["lr"]) for each in (optimizer, reference))
    require(abs(left - right) < 1e-6 * right, f"a scheduler brought the tensor to {left:g} and the number to {right:g}")


@check("zero_lr", "at a rate of 0 parameters stay as they are", group="rates")
def _zero_lr(subject: Subject) -> None:
    rate_of(subject)
    params, gradients = make_params(), make_gradients(12)
    optimizer = subject.build(params)
    run(optimizer, params, gradients[:4])
    before = values(params)
    set_rate(optimizer, 0.0)
    run(optimizer, params, gradients[4:])
    require_same(params, before, "eight steps at a rate of 0")
