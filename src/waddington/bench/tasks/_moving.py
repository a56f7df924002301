"""Tasks that change at times that no optimizer knows: places of pixels, names of classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from waddington.bench.problem import Problem

__all__ = ["moving", "renamed"]


class _Orders:
    """An order of things for every step; it changes after gaps drawn from half to one and a half of `every`."""

    def __init__(self, size: int, every: int, seed: int) -> None:
        self.size, self.every = size, every
        self.generator = torch.Generator().manual_seed(seed + 1)
        self.changes = [0]
        self.orders = [torch.arange(size)]

    def at(self, step: int) -> torch.Tensor:
        """Give the order of a step."""
        while self.changes[-1] <= step:
            low, high = max(1, self.every // 2), self.every + self.every // 2 + 1
            gap = int(torch.randint(low, high, (), generator=self.generator))
            self.changes.append(self.changes[-1] + gap)
            self.orders.append(torch.randperm(self.size, generator=self.generator))
        return next(o for begun, o in zip(self.changes[-2::-1], self.orders[-2::-1], strict=True) if begun <= step)


class _Seen(nn.Module):
    """A model behind what the present order makes of its inputs and outputs."""

    def __init__(self, model: nn.Module, seen: Callable[[nn.Module, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.model, self.seen = model, seen

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.seen(self.model, x)


def moving(problem: Problem, size: int, every: int, seed: int) -> Problem:
    """Let the columns of the inputs change their places; evaluated is what the model does on the present places."""
    orders = _Orders(size, every, seed)
    return _changing(
        problem,
        lambda pair, step: (pair[0][:, orders.at(step)], pair[1]),
        lambda model, x, step: model(x[:, orders.at(step)]),
    )


def renamed(problem: Problem, classes: int, every: int, seed: int) -> Problem:
    """Let the classes change their numbers; evaluated is what the model does by the present numbers."""
    orders = _Orders(classes, every, seed)
    return _changing(
        problem,
        lambda pair, step: (pair[0], orders.at(step).to(pair[1].device)[pair[1]]),
        lambda model, x, step: model(x)[:, orders.at(step)],
    )


def _changing(
    problem: Problem,
    change: Callable[[Any, int], Any],
    seen: Callable[[nn.Module, torch.Tensor, int], torch.Tensor],
) -> Problem:
    inner_batch, inner_evaluate = problem.batch, problem.evaluate
    now = 0

    def batch(draw: torch.Generator, step: int) -> Any:
        nonlocal now
        now = step
        return change(inner_batch(draw, step), step)

    problem.batch = batch
    problem.evaluate = lambda model, split: inner_evaluate(_Seen(model, lambda m, x: seen(m, x, now)), split)
    return problem
