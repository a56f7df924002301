"""Steps one by one, for experiments that look at a run between its gradients and its steps.

What is compared by how far it gets is trained by :func:`waddington.bench.train`; here are the runs that are looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import nn

from waddington.bench.problem import Problem

__all__ = ["largest_move", "log_spaced", "walk"]

Loss = Callable[[nn.Module], torch.Tensor]


def walk(
    problem: Problem,
    optimizer: torch.optim.Optimizer,
    *,
    steps: int,
    seed: int,
    factor: Callable[[int], float] | None = None,
) -> Iterator[tuple[int, Loss]]:
    """Train, and stop at each step between the gradient and the step.

    Parameters
    ----------
    problem
        Its model is changed.
    optimizer
        Over the model's parameters.
    steps
        How many.
    seed
        Of the order of the data.
    factor
        Of the step from 1: what its rate is multiplied by; None is 1.

    Yields
    ------
    int
        The step, from 1. The parameters have the gradients of its batch.
    Callable
        ``loss(model)`` of that batch.
    """
    draw = torch.Generator().manual_seed(seed)
    rates = [group["lr"] for group in optimizer.param_groups]
    for step in range(1, steps + 1):
        batch = problem.batch(draw, step - 1)

        def loss(model: nn.Module, batch: object = batch) -> torch.Tensor:
            return problem.loss(model, batch)

        if factor is not None:
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor(step)
        optimizer.zero_grad()
        torch.autograd.backward(loss(problem.model))
        if problem.clip is not None:
            nn.utils.clip_grad_norm_(problem.model.parameters(), problem.clip)
        yield step, loss
        optimizer.step()


def log_spaced(steps: int, each: int) -> list[int]:
    """Give whole numbers from 1 to `steps`, the last one with them, `each` of them a decade where there is room."""
    points = {round(10.0 ** (at / each)) for at in range(int(each * math.log10(steps)) + 1)}
    return sorted({*points, steps})


def largest_move(before: torch.Tensor, after: torch.Tensor) -> float:
    """Give the longest step of a coordinate."""
    return float((after - before).abs().max())
