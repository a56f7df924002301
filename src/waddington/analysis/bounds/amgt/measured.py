"""The exponent that gradient descent and AMGT have with the rate 1/(μk), measured on a quadratic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from waddington._checks import check_choice, check_count, check_in_range
from waddington.analysis.bounds.amgt._exact import Number, rational
from waddington.analysis.bounds.amgt.quadratic import Quadratic
from waddington.analysis.bounds.amgt.strongly_convex import claimed_exponent
from waddington.analysis.bounds.powers import PowerFit, fit_power
from waddington.analysis.records import Arrays
from waddington.errors import ArgumentError
from waddington.optim import AMGT

__all__ = ["Decay", "measure_decay"]


@dataclass(frozen=True)
class Decay:
    """A run with the rate 1/(μk) on a quadratic, and the power of k that fits it.

    Attributes
    ----------
    rule
        ``"descent"`` or ``"amgt"``.
    mu
        μ of the rate.
    steps
        k of the iterates x_k from the start x_1, of shape (T + 1,).
    distances
        ``‖x_k‖``, of shape (T + 1,).
    gradients
        Full gradients at x_1, …, x_T, of shape (T, n).
    fit
        The power of k through the distances.
    claimed
        The exponent μ/2 of Eq. 22.
    """

    rule: str
    mu: float
    steps: Arrays
    distances: Arrays
    gradients: Arrays
    fit: PowerFit
    claimed: float

    @property
    def is_slower_than_claimed(self) -> bool:
        """Whether the distance falls with a smaller power of k, on the fitted range, than Eq. 22 says."""
        return self.fit.slope > -self.claimed


def measure_decay(
    function: Quadratic,
    mu: float,
    *,
    rule: Literal["descent", "amgt"] = "descent",
    start: Sequence[Number] | None = None,
    steps: int = 1000,
    first: float = 100.0,
    noise: float = 0.0,
    seed: int = 0,
    **settings: Any,
) -> Decay:
    """Run gradient descent or AMGT with the rate 1/(μk), and fit a power of k to the distance.

    Parameters
    ----------
    function
        The quadratic. Descent kills a component whose l/μ is whole; only others have a power.
    mu
        μ of the rate, above 0.
    rule
        ``"descent"``: x - g/(μk), to which the proof of Eqs. 14 to 22 belongs. ``"amgt"``: the optimizer itself, with
        ``lr=1`` and ``schedule="strongly_convex"``.
    start
        x_1; None is 1 in the first coordinate and 1/2, 1/3, … in the others.
    steps
        How many.
    first
        k from which on is fitted.
    noise
        Standard deviation of a normal error of each coordinate of the gradient.
    seed
        Of that noise.
    **settings
        Of AMGT.

    Raises
    ------
    ArgumentError
        An argument outside its range, settings without AMGT, or a run with fewer than three positive distances.
    """
    check_choice("rule", rule, ("descent", "amgt"))
    check_in_range("mu", mu, 0.0, open_low=True, open_high=True)
    check_count("steps", steps, 2)
    check_in_range("noise", noise, 0.0, open_high=True)
    if settings and rule == "descent":
        raise ArgumentError(f"cannot use {', '.join(settings)} with rule='descent'; accepted: rule='amgt'")
    begin = [1.0 / (1 + at) for at in range(function.dimension)] if start is None else start
    first_point = [float(rational("start", entry)) for entry in begin]
    if len(first_point) != function.dimension:
        raise ArgumentError(f"cannot use a start of {len(first_point)} numbers: accepted are {function.dimension}")
    hessian = torch.tensor([[float(entry) for entry in row] for row in function.hessian], dtype=torch.float64)
    point = torch.nn.Parameter(torch.tensor(first_point, dtype=torch.float64))
    settings = {"compile": False, **settings}  # a kernel is not worth its making for a few numbers
    optimizer = AMGT([point], lr=1.0, schedule="strongly_convex", mu=mu, **settings) if rule == "amgt" else None
    draw = torch.Generator().manual_seed(seed)
    distances, gradients = np.empty(steps + 1), np.empty((steps, function.dimension))
    distances[0] = float(point.detach().norm())
    for k in range(1, steps + 1):
        slope = hessian @ point.detach()
        gradients[k - 1] = slope.numpy()
        if noise:
            slope = slope + noise * torch.randn(slope.shape, dtype=torch.float64, generator=draw)
        if optimizer is None:
            point.data.sub_(slope, alpha=1.0 / (mu * k))
        else:
            point.grad = slope
            optimizer.step()
        distances[k] = float(point.detach().norm())
    at = np.arange(1.0, steps + 2.0)
    return Decay(rule, mu, at, distances, gradients, fit_power(at, distances, first=first), claimed_exponent(mu))
