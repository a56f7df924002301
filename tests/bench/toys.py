"""Tasks and optimizers that tests of the bench train."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import nn

from waddington import bench


def line(seed: int, *, slope: float = 2.0, batch_size: int = 4, dropout: float = 0.0) -> bench.Problem:
    """Fit a line to noisy points."""
    x = torch.linspace(-1, 1, 40)[:, None]
    y = slope * x + 0.1 * torch.randn(40, 1, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Linear(1, 4), nn.Dropout(dropout), nn.Linear(4, 1))
    return bench.supervised(
        model,
        nn.functional.mse_loss,
        train=(x[::2], y[::2]),
        validation=(x[1::4], y[1::4]),
        test=(x[3::4], y[3::4]),
        batch_size=batch_size,
    )


LINE = bench.Task(name="line", make=line, steps=12, evaluations=4, tiny={"steps": 4})


def bowl(seed: int, *, start: float = 1.0, explode_above: float = math.inf, fail_above: float = math.inf) -> Any:
    """A parabola whose gradient is exact; it blows up or raises where the point is too far out."""
    model = nn.Module()
    model.register_parameter("x", nn.Parameter(torch.tensor([start + 0.1 * seed])))

    def loss(model: nn.Module, batch: None) -> torch.Tensor:
        x = model.get_parameter("x")
        if float(x.detach().abs()) > fail_above:
            raise RuntimeError("the task raises")
        return (x**2).sum() if float(x.detach().abs()) < explode_above else (x * torch.inf).sum()

    return {
        "model": model,
        "batch": lambda generator, step: None,
        "loss": loss,
        "evaluate": lambda model, split: {"loss": float(loss(model, None).detach())},
    }


BOWL = bench.Task(name="bowl", make=bowl, steps=10, evaluations=5)


def slow_bowl(seed: int, *, seconds: float = 0.002) -> Any:
    """A parabola whose steps take their time."""
    problem = bowl(seed)
    inner = problem["loss"]

    def loss(model: nn.Module, batch: None) -> torch.Tensor:
        time.sleep(seconds)
        found: torch.Tensor = inner(model, batch)
        return found

    return {**problem, "loss": loss}


SLOW = bench.Task(name="slow", make=slow_bowl, steps=5, evaluations=2)
