"""Functions without data: quadratics and Rosenbrock's valley. Their loss is known exactly, so it is also their test."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from waddington._checks import check_count, check_in_range
from waddington.bench._task import task
from waddington.bench.problem import Problem

__all__ = ["paper_quadratic", "quadratic", "rosenbrock"]


class _Point(nn.Module):
    """A point of a space, as a model."""

    def __init__(self, start: torch.Tensor) -> None:
        super().__init__()
        self.x = nn.Parameter(start)


def _problem(
    start: torch.Tensor,
    objective: Callable[[torch.Tensor], torch.Tensor],
    noisy: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
) -> Problem:
    """Make a problem of a function of a point; noise of each step comes from the run's generator."""
    size = start.shape[0]

    def loss(model: nn.Module, noise: torch.Tensor | None) -> torch.Tensor:
        x = model.get_parameter("x")
        return objective(x) if noisy is None or noise is None else noisy(x, noise)

    return Problem(
        model=_Point(start),
        batch=lambda generator, step: None if noisy is None else torch.randn(size, generator=generator),
        loss=loss,
        evaluate=lambda model, split: {"loss": float(objective(model.get_parameter("x")))},
    )


@task(steps=2000, tiny={"steps": 20, "dimensions": 4})
def quadratic(seed: int, *, dimensions: int = 50, condition: float = 1e4, noise: float = 1.0) -> Problem:
    """An ill-conditioned quadratic ``½ Σ h_i x_i²`` whose minimum every step sees elsewhere.

    Parameters
    ----------
    seed
        Of the start, standard normal.
    dimensions
        Coordinates.
    condition
        Ratio of the largest to the smallest h_i, which lie evenly in the logarithm and end at 1.
    noise
        Standard deviation of the minimum that a step sees: the gradient is ``h_i (x_i - noise ε_i)``.
    """
    check_count("dimensions", dimensions, 2)
    check_in_range("condition", condition, 1.0, open_high=True)
    check_in_range("noise", noise, 0.0, open_high=True)
    curvature = torch.logspace(-math.log10(condition), 0.0, dimensions)

    def objective(x: torch.Tensor) -> torch.Tensor:
        return 0.5 * (curvature * x * x).sum()

    return _problem(torch.randn(dimensions), objective, lambda x, e: objective(x - noise * e))


@task(steps=500, tiny={"steps": 20})
def paper_quadratic(seed: int, *, dimensions: int = 2, strong: float = 1.0, smooth: float = 10.0) -> Problem:
    """The strongly convex quadratic of the AMGT paper's applications: curvatures from μ to L, no noise.

    Parameters
    ----------
    seed
        Of the start, standard normal.
    dimensions
        Coordinates.
    strong, smooth
        μ and L, the smallest and the largest curvature.
    """
    check_count("dimensions", dimensions, 2)
    curvature = torch.linspace(strong, smooth, dimensions)
    return _problem(torch.randn(dimensions), lambda x: 0.5 * (curvature * x * x).sum())


@task(steps=1000, tiny={"steps": 20})
def rosenbrock(seed: int, *, dimensions: int = 2, noise: float = 0.0) -> Problem:
    """Rosenbrock's valley ``Σ 100 (x_{i+1} - x_i²)² + (1 - x_i)²``, from its usual start, shaken.

    Parameters
    ----------
    seed
        Of the start: (-1.2, 1, -1.2, …) plus a tenth of a standard normal.
    dimensions
        Coordinates.
    noise
        Standard deviation of what is added to every coordinate of the gradient.
    """
    check_count("dimensions", dimensions, 2)
    start = torch.tensor([-1.2, 1.0]).repeat((dimensions + 1) // 2)[:dimensions] + 0.1 * torch.randn(dimensions)

    def objective(x: torch.Tensor) -> torch.Tensor:
        return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()

    return _problem(start, objective, (lambda x, e: objective(x) + noise * (e @ x)) if noise else None)
