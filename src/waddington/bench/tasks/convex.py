"""Logistic regression: convex, so that its optimum is known to as many digits as one likes."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from waddington._checks import check_choice, check_count, check_in_range
from waddington.bench._task import task
from waddington.bench.datasets.tables import read_a9a
from waddington.bench.problem import Pair, Problem, supervised
from waddington.bench.tasks._vision import Data

__all__ = ["a9a", "heavy_tailed_logistic"]


def _is_right(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return ((output > 0) == (target > 0.5)).float().mean()


def _logistic(train: Pair, validation: Pair, test: Pair, batch_size: int, l2: float) -> Problem:
    """Regress; the penalty ``l2/2 |w|²`` is part of the loss that is trained, not of the one that is evaluated."""
    check_in_range("l2", l2, 0.0, open_high=True)
    linear = nn.Linear(train[0].shape[1], 1)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    problem = supervised(
        nn.Sequential(linear, nn.Flatten(0)),
        F.binary_cross_entropy_with_logits,
        train=train,
        validation=validation,
        test=test,
        batch_size=batch_size,
        metrics={"accuracy": _is_right},
    )
    if l2:
        plain = problem.loss

        def loss(model: nn.Module, pair: Pair) -> torch.Tensor:
            penalty = torch.stack([(p * p).sum() for p in model.parameters()]).sum()
            return plain(model, pair) + 0.5 * l2 * penalty

        problem.loss = loss
    return problem


@task(steps=2000, needs=("a9a",), tiny={"steps": 20, "data": "stand-in", "batch_size": 16})
def a9a(seed: int, *, batch_size: int = 64, l2: float = 0.0, data: Data = "disk") -> Problem:
    """Logistic regression on a9a, the Adult census: 123 features of 0 or 1, from zero weights.

    Parameters
    ----------
    seed
        Of the data order; the weights begin at zero for every seed.
    batch_size
        People in a batch.
    l2
        Weight of the penalty ``l2/2 |w|²``, which makes the optimum unique.
    data
        ``"disk"``, or ``"stand-in"`` for generated ones.
    """
    check_choice("data", data, ("disk", "stand-in"))
    if data == "disk":
        train, test = read_a9a()
    else:
        draw = torch.Generator().manual_seed(0)
        x = (torch.rand(300, 123, generator=draw) < 0.1).float()
        y = (x[:, :10].sum(1) > 1).float()
        train, test = (x[:200], y[:200]), (x[200:], y[200:])
    cut = int(0.9 * len(train[0]))
    first, held_out = (train[0][:cut], train[1][:cut]), (train[0][cut:], train[1][cut:])
    return _logistic(first, held_out, test, batch_size, l2)


@task(steps=2000, tiny={"steps": 20, "features": 5, "cases": 90, "batch_size": 8})
def heavy_tailed_logistic(
    seed: int,
    *,
    features: int = 100,
    cases: int = 6_000,
    batch_size: int = 32,
    degrees: int = 2,
    spread: float = 3.0,
    label_noise: float = 0.1,
    l2: float = 0.0,
) -> Problem:
    """Logistic regression on generated features with heavy tails and scales over decades: gradients have outliers.

    Parameters
    ----------
    seed
        Of the data order; the data are the same for every seed.
    features, cases
        Columns, and rows in all: two thirds train, a sixth is chosen by, a sixth is tested on.
    batch_size
        Rows in a batch.
    degrees
        Degrees of freedom of Student's t, from which features come; at 2 and below their variance is infinite.
    spread
        Decades over which the features' scales lie.
    label_noise
        Share of labels that are turned around.
    l2
        As for `a9a`.
    """
    check_count("features", features, 1)
    check_count("cases", cases, 12)
    check_count("degrees", degrees, 1)
    check_in_range("label_noise", label_noise, 0.0, 0.5, open_high=True)
    draw = torch.Generator().manual_seed(0)
    normal = torch.randn(cases, features, generator=draw)
    mean_square = torch.randn(degrees, cases, features, generator=draw).square().mean(0)
    x = normal / mean_square.sqrt() * torch.logspace(-spread / 2, spread / 2, features)
    weights = torch.randn(features, generator=draw) / torch.logspace(-spread / 2, spread / 2, features)
    y = (x @ weights > 0).float()
    y = torch.where(torch.rand(cases, generator=draw) < label_noise, 1 - y, y)
    first, second = 2 * cases // 3, 5 * cases // 6
    splits = [(x[a:b], y[a:b]) for a, b in ((0, first), (first, second), (second, cases))]
    train, validation, test = splits
    return _logistic(train, validation, test, batch_size, l2)
