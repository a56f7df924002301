"""Runs of an optimizer beside Theorems 2 and 3: full gradients, rates, and how often an effective rate rose."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from waddington._checks import check_count
from waddington.analysis.batches import BatchLoss, Loss
from waddington.analysis.bounds.asgd.setting import EpsPlace, Form, GammaReading, Setting
from waddington.analysis.bounds.asgd.theorems import ergodic, nonergodic
from waddington.analysis.bounds.bound import Judgement, judge
from waddington.analysis.bounds.constants import ConstantsRecorder, RunConstants
from waddington.analysis.diagnostics import figures_of
from waddington.analysis.objective import evaluating
from waddington.analysis.preconditioner import denominators
from waddington.analysis.records import Arrays
from waddington.errors import ArgumentError

__all__ = ["EffectiveRates", "MeasuredRun", "base_rate", "judge_runs", "measure_run"]


@dataclass(frozen=True, kw_only=True)
class MeasuredRun:
    """A run, as Theorems 2 and 3 look at it.

    Attributes
    ----------
    constants
        What it met.
    squares
        ‖∇g(W_t)‖² of the full gradient before each step, of shape (T,).
    rates
        The base rate of each step, of shape (T,).
    widened
        How often a coordinate's effective rate rose from one step to the next.
    betas, eps
        Of the optimizer.
    """

    constants: RunConstants
    squares: Arrays
    rates: Arrays
    widened: int
    betas: tuple[float, float]
    eps: float


class EffectiveRates:
    """Count how often the rate over the denominator of a coordinate rises from one step to the next.

    Parameters
    ----------
    optimizer
        One with a second moment.
    params
        The parameters to watch.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, params: Sequence[nn.Parameter]) -> None:
        self._optimizer, self._params = optimizer, list(params)
        self._before: torch.Tensor | None = None
        self.rates: list[float] = []
        self.widened = 0

    def record(self) -> None:
        """Look at a step that has been taken."""
        self.rates.append(base_rate(self._optimizer))
        parts = [part.detach().reshape(-1).double() for part in denominators(self._optimizer, self._params)]
        now = self.rates[-1] / torch.cat(parts)
        if self._before is not None:
            self.widened += int((now > self._before * (1.0 + 1e-6)).sum())
        self._before = now

    def denominator_sum(self) -> float:
        """Give the sum of the denominators over coordinates."""
        return float(sum(part.detach().double().sum() for part in denominators(self._optimizer, self._params)))


def base_rate(optimizer: torch.optim.Optimizer) -> float:
    """Give the base rate of the last step: what the switch chose, or else the rate of the first group."""
    return figures_of(optimizer).get("base_rate", float(optimizer.param_groups[0]["lr"]))


def measure_run(
    model: nn.Module,
    loss: Loss,
    batch_loss: Callable[[nn.Module, int], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    steps: int,
    *,
    every: int = 100,
) -> MeasuredRun:
    """Take steps on stochastic losses, and measure the full gradient before each of them.

    Parameters
    ----------
    model
        Trained in place.
    loss
        ``loss(model)`` on fixed data, the g of the theorems; see :func:`over_batches` for many batches. It is
        evaluated in the mode that the model is in, which must have no random numbers.
    batch_loss
        ``batch_loss(model, step)``, whose expectation is `loss`, for steps from 0.
    optimizer
        Of this model, with betas and a second moment: Algorithm 1 is ``ASGDAdam(…, switch="mean",
        bias_correction=False)``, Algorithm 2 ASGDAMSGrad likewise.
    steps
        How many, from 2.
    every
        At how many-th step smoothness is measured.

    Returns
    -------
    MeasuredRun
        For :func:`judge_runs`. The loss of its constants is the full one.

    Raises
    ------
    ArgumentError
        The number of steps is too small, the optimizer has no betas, or the loss is not on fixed data.
    UnsupportedError
        The optimizer keeps no second moment.
    """
    check_count("steps", steps, 2)
    check_count("every", every, 1)
    group = optimizer.param_groups[0]
    if "betas" not in group:
        raise ArgumentError(f"cannot measure {type(optimizer).__name__}: it has no betas; accepted: Adam's kind")
    params = [param for param in model.parameters() if param.requires_grad]
    recorder, watched = ConstantsRecorder(model, loss, every=every), EffectiveRates(optimizer, params)
    with evaluating(model, loss, mode="as-is", order=1) as objective:
        first = objective.value()
    squares = np.empty(steps)
    for step in range(steps):
        value, squares[step] = _full(model, loss, params)
        if step == 0 and not math.isclose(value, first, rel_tol=1e-4, abs_tol=1e-7):
            raise ArgumentError(
                f"cannot use a loss that gives {first:.6g} and then {value:.6g} at the same parameters; accepted is a"
                " loss on fixed data of a model without random numbers, as model.eval() has none"
            )
        optimizer.zero_grad()
        batch_loss(model, step).backward()  # type: ignore[no-untyped-call]
        recorder.record(value)
        optimizer.step()
        watched.record()
    return MeasuredRun(
        constants=recorder.constants(),
        squares=squares,
        rates=np.array(watched.rates),
        widened=watched.widened,
        betas=(float(group["betas"][0]), float(group["betas"][1])),
        eps=float(group["eps"]),
    )


def _full(model: nn.Module, loss: Loss, params: Sequence[nn.Parameter]) -> tuple[float, float]:
    """Give the loss and the squared norm of its gradient, batch by batch."""
    pieces = list(loss.pieces()) if isinstance(loss, BatchLoss) else [loss]
    value, total = 0.0, [torch.zeros_like(param) for param in params]
    for piece in pieces:
        one = piece(model)
        value += float(one.detach()) / len(pieces)
        for sum_, grad in zip(total, torch.autograd.grad(one, params, materialize_grads=True), strict=True):
            sum_ += grad / len(pieces)
    return value, sum(float(part.double().square().sum()) for part in total)


def judge_runs(
    runs: Sequence[MeasuredRun],
    *,
    form: Form = "printed",
    growth: float = 0.0,
    decay: float = 0.0,
    reading: GammaReading = "theorem-2",
    eps_place: EpsPlace = "outside",
) -> Mapping[str, Judgement]:
    """Put runs of one problem, of different seeds, beside Theorems 2 and 3 with the constants that they met.

    Means over the runs stand for expectations; the constants are the widest of all runs, and so lower bounds of the
    true ones.

    Parameters
    ----------
    runs
        At least one, of as many steps.
    form, growth, reading
        As for :func:`ergodic`.
    decay
        Power with which the rates fell, for :func:`nonergodic`.
    eps_place
        Where the optimizer has its ε. Algorithms 1 and 2 have it outside the root, the theorems inside.

    Returns
    -------
    mapping
        ``"ergodic"`` and ``"nonergodic"``.

    Raises
    ------
    ArgumentError
        There is no run, or they differ in length, betas or ε.
    """
    kinds = {(run.squares.shape, run.betas, run.eps) for run in runs}
    if len(kinds) != 1:
        raise ArgumentError(
            f"cannot judge {len(runs)} runs of {len(kinds)} kinds together; accepted: at least one, of the same steps,"
            " betas and eps"
        )
    ((_, betas, eps),) = kinds
    measured = RunConstants.widest([run.constants for run in runs])
    rates, widened = np.concatenate([run.rates for run in runs]), max(run.widened for run in runs)
    rising = max(runs, key=lambda run: float((run.rates[1:] / run.rates[:-1]).max())).rates
    common = {"betas": betas, "eps": eps, "eps_place": eps_place}
    mean = Setting.of_run(measured, rate=float(rates.mean()), **common)  # type: ignore[arg-type]
    first = Setting.of_run(measured, rate=float(rates[0]), norm="euclidean", **common)  # type: ignore[arg-type]
    second = ergodic(mean, growth=growth, form=form, reading=reading, measured=measured, rates=rates, widened=widened)
    third = nonergodic(first, decay=decay, form=form, measured=measured, rates=rising, widened=widened)
    squares = np.stack([run.squares for run in runs])
    steps = np.arange(1, squares.shape[1] + 1)
    means = squares.mean(0)
    bounded = means if form == "mended" else np.sqrt(squares).mean(0)
    return {
        "ergodic": judge(second, steps[1:], means[1:].cumsum() / (steps[1:] - 1)),
        "nonergodic": judge(third, steps, np.minimum.accumulate(bounded)),
    }
