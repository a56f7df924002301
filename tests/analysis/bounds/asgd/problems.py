"""Small problems for the theorems: a noisy bowl, logistic regression on zeros and ones, a tiny network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from waddington.analysis.bounds.asgd import MeasuredRun, measure_run
from waddington.optim import ASGDAdam, ASGDAMSGrad

Step = Callable[[nn.Module, int], torch.Tensor]
Problem = tuple[nn.Module, Callable[[nn.Module], torch.Tensor], Step]


class Point(nn.Module):
    """A point of a space, as a model."""

    def __init__(self, *start: float) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.tensor(start, dtype=torch.float64))


def bowl(seed: int, noise: float = 1.0) -> Problem:
    """½ Σ h_i (x_i - noise ε_i)², L = 1, in four dimensions; the full loss is of no noise."""
    curvature = torch.logspace(-2.0, 0.0, 4, dtype=torch.float64)
    draw = torch.Generator().manual_seed(seed)

    def at(model: nn.Module, shift: torch.Tensor) -> torch.Tensor:
        return 0.5 * (curvature * (model.get_parameter("x") - shift).square()).sum()

    zero = torch.zeros(4, dtype=torch.float64)
    return (
        Point(1.0, 1.0, 1.0, 1.0),
        lambda model: at(model, zero),
        lambda model, step: at(model, noise * torch.randn(4, generator=draw, dtype=torch.float64)),
    )


def _supervised(model: nn.Module, x: torch.Tensor, y: torch.Tensor, loss: Callable, seed: int) -> Problem:
    draw = torch.Generator().manual_seed(seed)

    def batch_loss(model: nn.Module, step: int) -> torch.Tensor:
        rows = torch.randint(len(x), (8,), generator=draw)
        return loss(model(x[rows]).squeeze(1), y[rows])

    return model.double(), lambda model: loss(model(x).squeeze(1), y), batch_loss


def logistic(seed: int) -> Problem:
    """As a9a: features of 0 or 1, from zero weights."""
    draw = torch.Generator().manual_seed(0)
    x = (torch.rand(60, 10, generator=draw) < 0.2).double()
    y = (x[:, :3].sum(1) > 0).double()
    model = nn.Linear(10, 1)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    return _supervised(model, x, y, nn.functional.binary_cross_entropy_with_logits, seed)


def network(seed: int) -> Problem:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(60, 4, generator=draw).double()
    y = (x[:, 0] * x[:, 1]).tanh()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1))
    return _supervised(model, x, y, nn.functional.mse_loss, seed)


PROBLEMS = {"bowl": bowl, "logistic": logistic, "network": network}


def measured(
    problem: Problem,
    steps: int,
    kind: type[ASGDAdam] = ASGDAMSGrad,
    lr: float = 1e-2,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> MeasuredRun:
    """Run Algorithm 1 or 2 to the letter."""
    model, loss, batch_loss = problem
    options = {"alpha_min": lr / 1000, "switch": "mean", "bias_correction": False}
    return measure_run(model, loss, batch_loss, kind(model.parameters(), lr=lr, betas=betas, eps=eps, **options), steps)
