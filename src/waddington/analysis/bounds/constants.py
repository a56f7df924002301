"""The constants of theorems, measured on a problem and along a run of it.

Smoothness, bounds of gradients and the distance of the first loss from the least one are suprema over all points and
all noise. A run visits some points. So every figure here is a **lower bound** of the theorem's constant, but for what
is given in closed form; a theorem that fails with it may hold with the true one, and a bound that is vacuous with it is
vacuous with the true one, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import nn

from waddington._checks import check_count
from waddington.analysis.batches import Loss
from waddington.analysis.curvature import eigenvalues
from waddington.analysis.objective import evaluating
from waddington.analysis.records import Saved
from waddington.errors import ArgumentError

__all__ = ["ConstantsRecorder", "RunConstants"]


@dataclass(frozen=True)
class RunConstants(Saved):
    """What a run met.

    Attributes
    ----------
    steps
        Recorded gradients.
    dimension
        Coordinates d.
    smoothness
        Largest |eigenvalue| of the Hessian at the points where it was measured, the L of a Lipschitz gradient; NaN if
        it was measured nowhere. In units of loss over parameter².
    secant
        Largest ‖g(x) - g(y)‖ / ‖x - y‖ between two points that followed each other, of full gradients; NaN without.
    gradient_bound
        Largest |coordinate| of a gradient, Z_∞ or G_∞.
    gradient_norm_bound
        Largest Euclidean norm of a gradient, G.
    mean_square_norm
        Mean of the squared Euclidean norms.
    column_norm
        Largest ‖g_{1:T,i}‖₂ over coordinates i: the norm of one coordinate's gradients over the whole run.
    column_norm_sum
        Sum of ‖g_{1:T,i}‖₂ over coordinates.
    noise_variance
        Largest squared distance of a stochastic gradient from the full one, σ²; NaN if no full one was given.
    first_loss, least_loss
        Loss at the first record, and the least one met. Their difference is at most Δ = f(x₁) - inf f.
    distance, diameter
        Distance of the last point from the first, and the largest ‖x_t - x_1‖_∞.
    column_growth
        The power of the number of steps with which the largest ‖g_{1:t,i}‖₂ has grown since at most half of them: 1/2
        where gradients stay as large as they were, as those with noise do, towards 0 where they vanish; NaN below two
        steps, or without a gradient.
    """

    steps: int
    dimension: int
    smoothness: float
    secant: float
    gradient_bound: float
    gradient_norm_bound: float
    mean_square_norm: float
    column_norm: float
    column_norm_sum: float
    noise_variance: float
    first_loss: float
    least_loss: float
    distance: float
    diameter: float
    column_growth: float = math.nan

    @property
    def slope(self) -> float:
        """The larger of `smoothness` and `secant`, both lower bounds of L; NaN where neither was measured."""
        known = [value for value in (self.smoothness, self.secant) if not math.isnan(value)]
        return max(known, default=math.nan)

    @classmethod
    def widest(cls, runs: Sequence[Self]) -> Self:
        """Give the constants of several runs of one problem: what none of them exceeds.

        `first_loss` and `mean_square_norm` are means, because theorems ask for expectations.

        Raises
        ------
        ArgumentError
            There is none, or their dimensions differ.
        """
        if not runs or len({run.dimension for run in runs}) > 1:
            dimensions = ", ".join(str(run.dimension) for run in runs) or "none"
            raise ArgumentError(
                f"cannot take constants of runs in dimensions {dimensions} together; accepted: at least one, all alike"
            )
        largest = {name: max(getattr(run, name) for run in runs) for name in _LARGEST}
        known = {
            name: max((v for run in runs if not math.isnan(v := getattr(run, name))), default=math.nan)
            for name in _LARGEST_KNOWN
        }
        means = {name: sum(getattr(run, name) for run in runs) / len(runs) for name in _MEANS}
        values: dict[str, Any] = {**largest, **known, **means}
        return replace(runs[0], **values, least_loss=min(run.least_loss for run in runs))

    @property
    def gap(self) -> float:
        """``first_loss - least_loss``, a lower bound of Δ."""
        return self.first_loss - self.least_loss


_LARGEST = (
    *("steps", "gradient_bound", "gradient_norm_bound", "column_norm", "column_norm_sum", "distance", "diameter"),
)
_LARGEST_KNOWN = ("smoothness", "secant", "noise_variance", "column_growth")
_MEANS = ("first_loss", "mean_square_norm")


class ConstantsRecorder:
    """Record a run's constants: call :meth:`record` after each ``backward()``, before the step.

    Parameters
    ----------
    model
        The model, whose ``.grad`` are read.
    loss
        ``loss(model)`` on fixed data: the function whose smoothness and full gradient are meant. Without it neither is
        measured.
    every
        At how many-th record full gradient and smoothness are measured; the first one always is.
    max_products
        Hessian-vector products of one measurement of smoothness.
    """

    def __init__(self, model: nn.Module, loss: Loss | None = None, *, every: int = 100, max_products: int = 60) -> None:
        check_count("every", every, 1)
        check_count("max_products", max_products, 1)
        self._params = [param for param in model.parameters() if param.requires_grad]
        if not self._params:
            raise ArgumentError("cannot record a model of which no parameter requires grad; accepted: at least one")
        self._model, self._loss, self._every, self._products = model, loss, every, max_products
        self._first = self._point()
        self._last = self._first
        self._squares = torch.zeros_like(self._first, dtype=torch.float64)
        self._steps = 0
        self._largest = self._norm = self._square_sum = 0.0
        self._smoothness = self._secant = self._noise = math.nan
        self._before: tuple[torch.Tensor, torch.Tensor] | None = None
        self._first_loss = self._least_loss = math.nan
        self._diameter = 0.0
        self._columns: list[tuple[int, float]] = []  # at 1, 2, 4, … steps

    def record(self, loss: float | torch.Tensor) -> None:
        """Record the gradients that the parameters have now, and the loss there.

        Raises
        ------
        ArgumentError
            No parameter has a gradient, or the gradient or a parameter is not finite: such a run has no constants.
        """
        if all(param.grad is None for param in self._params):
            raise ArgumentError("cannot record a step: no parameter has a gradient; accepted: after backward()")
        gradient, point = self._gradient(), self._point()
        for what, values in (("the gradient", gradient), ("a parameter", point)):
            if not bool(values.isfinite().all()):
                raise ArgumentError(
                    f"cannot record step {self._steps + 1}: {what} is not finite, so no bound holds of this run;"
                    " accepted are finite ones, and constants() gives those of the steps before"
                )
        value = float(loss.detach()) if isinstance(loss, torch.Tensor) else float(loss)
        if self._steps == 0:
            self._first_loss = self._least_loss = value
        elif value < self._least_loss:
            self._least_loss = value
        self._last = point
        self._diameter = max(self._diameter, float((self._last - self._first).abs().max()))
        square = float(gradient.square().sum())
        self._squares += gradient.square()
        self._largest = max(self._largest, float(gradient.abs().max()))
        self._norm = max(self._norm, math.sqrt(square))
        self._square_sum += square
        if self._loss is not None and self._steps % self._every == 0:
            self._measure(self._loss, gradient)
        self._steps += 1
        if self._steps & (self._steps - 1) == 0:
            self._columns.append((self._steps, float(self._squares.max().sqrt())))

    def constants(self) -> RunConstants:
        """Give what was met so far.

        Raises
        ------
        ArgumentError
            Nothing was recorded.
        """
        if not self._steps:
            raise ArgumentError("cannot give constants of no record; accepted: at least one record()")
        columns = self._squares.sqrt()
        return RunConstants(
            steps=self._steps,
            dimension=self._first.numel(),
            smoothness=self._smoothness,
            secant=self._secant,
            gradient_bound=self._largest,
            gradient_norm_bound=self._norm,
            mean_square_norm=self._square_sum / self._steps,
            column_norm=float(columns.max()),
            column_norm_sum=float(columns.sum()),
            noise_variance=self._noise,
            first_loss=self._first_loss,
            least_loss=self._least_loss,
            distance=float((self._last - self._first).norm()),
            diameter=self._diameter,
            column_growth=self._growth(float(columns.max())),
        )

    def _growth(self, now: float) -> float:
        before = [(steps, norm) for steps, norm in self._columns if 2 * steps <= self._steps and norm > 0.0]
        if not before:
            return math.nan
        steps, norm = before[-1]
        return math.log(now / norm) / math.log(self._steps / steps)

    def _measure(self, loss: Loss, gradient: torch.Tensor) -> None:
        found = eigenvalues(
            self._model, loss, largest=1, smallest=min(1, self._first.numel() - 1), max_products=self._products
        )
        extreme = max(abs(float(value)) for value in (*found.largest, *found.smallest))
        self._smoothness = extreme if math.isnan(self._smoothness) else max(self._smoothness, extreme)
        full = self._full_gradient(loss)
        away = float((gradient - full).square().sum())
        self._noise = away if math.isnan(self._noise) else max(self._noise, away)
        if self._before is not None:
            apart = float((self._last - self._before[0]).norm())
            if apart > 0.0:
                slope = float((full - self._before[1]).norm()) / apart
                self._secant = slope if math.isnan(self._secant) else max(self._secant, slope)
        self._before = self._last, full

    def _full_gradient(self, loss: Loss) -> torch.Tensor:
        with evaluating(self._model, loss) as objective:
            return objective.gradient().double()

    def _point(self) -> torch.Tensor:
        return torch.cat([param.detach().reshape(-1).double() for param in self._params])

    def _gradient(self) -> torch.Tensor:
        return torch.cat(
            [
                (torch.zeros_like(param) if param.grad is None else param.grad.detach().to_dense()).reshape(-1).double()
                for param in self._params
            ]
        )
