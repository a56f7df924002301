"""AMVT with α/√t where the optimum is known: logistic regression, and the sequence on which its regret is linear."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from waddington._checks import check_choice, check_count, check_in_range, require_extra
from waddington.analysis._numbers import as_numbers
from waddington.analysis.bounds.constants import ConstantsRecorder, RunConstants
from waddington.analysis.bounds.powers import PowerFit, fit_power
from waddington.analysis.records import Arrays
from waddington.errors import ArgumentError, DataError
from waddington.optim import AMVT

__all__ = ["LogisticRun", "Optimum", "Regret", "logistic_optimum", "measure_logistic", "measure_regret"]


@dataclass(frozen=True)
class Optimum:
    """The least logistic loss.

    Attributes
    ----------
    weights
        θ*, of shape (d,); of several, where columns depend on each other, the one nearest to zero.
    loss
        f*, at most `error` above the true one.
    error
        ``‖∇f‖² / (2 λmin)`` there.
    smoothness
        L, largest eigenvalue of XᵀX/(4n), and the penalty.
    gradient_norm_bound
        G, the largest norm of a row: no gradient of any batch is longer anywhere, but for the penalty's.
    curvature
        λmin, the smallest eigenvalue of the Hessian at θ*, among directions in which the loss is not flat everywhere.
    """

    weights: Arrays
    loss: float
    error: float
    smoothness: float
    gradient_norm_bound: float
    curvature: float


@dataclass(frozen=True)
class LogisticRun:
    """A run on logistic regression with the rate α/√t.

    Attributes
    ----------
    steps
        T, of shape (n,).
    last, averaged
        f - f* after T steps at the last iterate, and at the mean of all T, of shape (n,).
    last_fit, averaged_fit
        Powers of T through them.
    distance
        D = ‖θ_0 - θ*‖, from θ_0 = 0.
    optimum
        What f* was taken from.
    constants
        What the run met.
    """

    steps: Arrays
    last: Arrays
    averaged: Arrays
    last_fit: PowerFit
    averaged_fit: PowerFit
    distance: float
    optimum: Optimum
    constants: RunConstants


@dataclass(frozen=True)
class Regret:
    """A run of online learning on [-1, 1].

    Attributes
    ----------
    points
        x_t at which f_t is paid, of shape (T,).
    regret
        ``Σ f_s(x_s) - min_x Σ f_s(x)`` over s up to t, of shape (T,).
    """

    points: Arrays
    regret: Arrays

    @property
    def mean(self) -> float:
        """Regret over T at the end."""
        return float(self.regret[-1] / len(self.regret))


def logistic_optimum(inputs: Arrays, labels: Arrays, *, penalty: float = 0.0, tolerance: float = 1e-12) -> Optimum:
    """Find the least mean logistic loss ``log(1 + exp(xθ)) - y xθ``, plus ``penalty/2 ‖θ‖²``.

    Parameters
    ----------
    inputs
        Rows x, of shape (n, d); a column of ones is an intercept.
    labels
        0 or 1, of shape (n,).
    penalty
        At least 0. Without one there is no minimum where a column is seen with one label alone, as in a9a.
    tolerance
        By how much f* may be too large.

    Raises
    ------
    ArgumentError
        Shapes do not fit, or a label is neither 0 nor 1.
    DataError
        There is no minimum, or none that is this exact: the classes can be separated.
    """
    x, y = as_numbers("inputs", inputs), as_numbers("labels", labels)
    if x.ndim != 2 or y.shape != x.shape[:1] or not x.size or not np.isin(y, (0.0, 1.0)).all():
        raise ArgumentError(
            f"cannot use inputs of shape {x.shape} with labels of shape {y.shape}; accepted: (n, d) and (n,) of 0 and 1"
        )
    check_in_range("penalty", penalty, 0.0, open_high=True)
    check_in_range("tolerance", tolerance, 0.0, open_low=True)

    _, sizes, directions = np.linalg.svd(x, full_matrices=False)
    span = directions[sizes > 1e-10 * sizes[0]].T  # elsewhere the loss is flat: θ* is the shortest of all
    z = x @ span

    def chance(point: Arrays) -> Arrays:
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(z @ point, -700.0, 700.0))))

    def loss(point: Arrays) -> float:
        return float((np.logaddexp(0.0, z @ point) - y * (z @ point)).mean() + 0.5 * penalty * point @ point)

    def gradient(point: Arrays) -> Arrays:
        return np.asarray(z.T @ (chance(point) - y) / len(z) + penalty * point)

    def hessian(point: Arrays) -> Arrays:
        p = chance(point)
        return np.asarray((z * (p * (1.0 - p))[:, None]).T @ z / len(z) + penalty * np.eye(len(point)))

    found = require_extra("scipy.optimize", "bench").minimize(
        loss, np.zeros(span.shape[1]), jac=gradient, hess=hessian, method="trust-exact", options={"gtol": 1e-10}
    )
    point = np.asarray(found.x)
    curvature = float(np.linalg.eigvalsh(hessian(point))[0])
    slope = gradient(point)
    error = float(slope @ slope) / (2.0 * curvature) if curvature > 1e-12 else math.inf
    if not error <= tolerance:
        raise DataError(
            f"cannot find the least logistic loss to {tolerance:g}: the smallest curvature is {curvature:.3g} at"
            f" ‖θ‖ = {np.linalg.norm(point):.3g}; accepted: classes that overlap, or a penalty"
        )
    return Optimum(
        weights=span @ point,
        loss=loss(point),
        error=error,
        smoothness=float(sizes[0]) ** 2 / (4.0 * len(x)) + penalty,
        gradient_norm_bound=float(np.linalg.norm(x, axis=1).max()),
        curvature=curvature,
    )


def measure_logistic(
    inputs: Arrays,
    labels: Arrays,
    *,
    alpha: float,
    penalty: float = 0.0,
    steps: int = 1000,
    batch_size: int | None = None,
    rule: Literal["amvt", "sgd"] = "amvt",
    first: float = 10.0,
    points: int = 40,
    seed: int = 0,
    **settings: Any,
) -> LogisticRun:
    """Train logistic regression from zero weights with the rate α/√t, and fit powers of T to f - f*.

    Parameters
    ----------
    inputs, labels, penalty
        As for :func:`logistic_optimum`.
    alpha
        α.
    steps
        T at the end.
    batch_size
        Rows of a step, drawn with replacement; None takes all, without noise.
    rule
        ``"amvt"``, or ``"sgd"`` without momentum, to which the proofs belong.
    first
        T from which on is fitted.
    points
        How many T between 1 and `steps`, evenly in log T.
    seed
        Of the batches.
    **settings
        Of AMVT.
    """
    check_choice("rule", rule, ("amvt", "sgd"))
    check_in_range("alpha", alpha, 0.0, open_low=True, open_high=True)
    check_count("steps", steps, 3)
    if batch_size is not None:
        check_count("batch_size", batch_size, 1)
    check_count("points", points, 3)
    if settings and rule == "sgd":
        raise ArgumentError(f"cannot use {', '.join(settings)} with rule='sgd'; accepted: rule='amvt'")
    optimum = logistic_optimum(inputs, labels, penalty=penalty)
    x = torch.as_tensor(as_numbers("inputs", inputs))
    y = torch.as_tensor(as_numbers("labels", labels))
    model = nn.Linear(x.shape[1], 1, bias=False, dtype=torch.float64)
    nn.init.zeros_(model.weight)
    params = [model.weight]
    optimizer = AMVT(params, lr=alpha, **_eager(settings)) if rule == "amvt" else torch.optim.SGD(params, lr=alpha)
    recorder = ConstantsRecorder(
        model, lambda model: _loss(model.get_parameter("weight"), x, y, penalty), every=max(steps // 4, 1)
    )
    draw = torch.Generator().manual_seed(seed)
    at = np.unique(np.geomspace(1, steps, points).round()).astype(np.int64)
    wanted = set(at.tolist())
    mean = torch.zeros_like(model.weight)
    last, averaged = [], []
    for t in range(1, steps + 1):
        rows = slice(None) if batch_size is None else torch.randint(len(x), (batch_size,), generator=draw)
        optimizer.param_groups[0]["lr"] = alpha / math.sqrt(t)
        optimizer.zero_grad()
        value = _loss(model.weight, x[rows], y[rows], penalty)
        value.backward()  # type: ignore[no-untyped-call]
        recorder.record(value)
        optimizer.step()
        mean += (model.weight.detach() - mean) / t
        if t in wanted:
            with torch.no_grad():
                last.append(float(_loss(model.weight, x, y, penalty)) - optimum.loss)
                averaged.append(float(_loss(mean, x, y, penalty)) - optimum.loss)
    return LogisticRun(
        steps=at.astype(np.float64),
        last=np.array(last),
        averaged=np.array(averaged),
        last_fit=fit_power(at, last, first=first),
        averaged_fit=fit_power(at, averaged, first=first),
        distance=float(np.linalg.norm(optimum.weights)),
        optimum=optimum,
        constants=recorder.constants(),
    )


def measure_regret(
    steps: int,
    *,
    size: float = 3.0,
    alpha: float = 0.1,
    betas: tuple[float, float, float] | None = None,
    **settings: Any,
) -> Regret:
    """Run AMVT with α/√t on a convex sequence on which Adam does not converge (Reddi, Kale and Kumar 2018, Theorem 1).

    ``f_t(x) = Cx`` at every third t from the first, and ``-x`` else, for x in [-1, 1]; -1 is best. With β1 = 0 the
    moment is the gradient, so s is zero and AMVT is Adam: the large gradient is divided by its own size and the two
    small ones after it push further to 1, where the mean regret is (C - 2) 2/3.

    Parameters
    ----------
    steps
        T.
    size
        C, above 2.
    alpha
        α.
    betas
        β1, β2 and β3; None is the theorem's: 0 and 1/(1 + C²), with 0.99.
    **settings
        Of AMVT.
    """
    check_count("steps", steps, 1)
    check_in_range("size", size, 2.0, open_low=True, open_high=True)
    check_in_range("alpha", alpha, 0.0, open_low=True, open_high=True)
    x = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = AMVT([x], lr=alpha, betas=betas or (0.0, 1.0 / (1.0 + size**2), 0.99), **_eager(settings))
    points, slopes = np.empty(steps), np.where(np.arange(steps) % 3 == 0, size, -1.0)
    for at, slope in enumerate(slopes.tolist()):
        points[at] = float(x.detach())
        x.grad = torch.full_like(x, slope)
        optimizer.param_groups[0]["lr"] = alpha / math.sqrt(at + 1)
        optimizer.step()
        x.data.clamp_(-1.0, 1.0)
    return Regret(points, np.cumsum(slopes * points) + np.abs(np.cumsum(slopes)))


def _eager(settings: dict[str, Any]) -> dict[str, Any]:
    return {"compile": False, **settings}  # a kernel is not worth its making for a few numbers


def _loss(weight: torch.Tensor, inputs: torch.Tensor, labels: torch.Tensor, penalty: float) -> torch.Tensor:
    scores = (inputs @ weight.T).reshape(-1)
    return F.binary_cross_entropy_with_logits(scores, labels) + 0.5 * penalty * weight.square().sum()
