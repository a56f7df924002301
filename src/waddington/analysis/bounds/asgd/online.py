"""Regret on convex losses in a box, beside Theorem 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from waddington._checks import check_in_range
from waddington.analysis.batches import over_batches
from waddington.analysis.bounds.asgd.runs import EffectiveRates
from waddington.analysis.bounds.asgd.setting import Form, Setting
from waddington.analysis.bounds.asgd.theorems import regret
from waddington.analysis.bounds.bound import Judgement, judge
from waddington.analysis.bounds.constants import ConstantsRecorder, RunConstants
from waddington.analysis.objective import Objective, evaluating
from waddington.analysis.records import Arrays
from waddington.errors import ArgumentError
from waddington.optim import Projected
from waddington.optim.projection import Box

__all__ = ["MeasuredRegret", "judge_regret", "measure_regret"]


@dataclass(frozen=True, kw_only=True)
class MeasuredRegret:
    """The regret of a run on convex losses.

    Attributes
    ----------
    constants
        What the run met.
    steps
        Numbers of steps T at which the rest was measured, of shape (n,).
    regret
        R_T at most, of shape (n,): what the run lost, less a lower bound of what the best point of the box loses.
    slack
        By how much that lower bound may be too low, of shape (n,).
    denominators, columns
        Σ_l h_{T,l}^½ (with ε) and Σ_l ‖z_{1:T,l}‖₂, of shape (n,).
    rates
        α/√t of all steps, of shape (T,).
    widened
        How often a coordinate's effective rate rose.
    diameter
        Width of the box.
    rate, betas
        α, and the optimizer's betas at the first step.
    momentum_decay
        λ; None if the momentum did not decay.
    """

    constants: RunConstants
    steps: Arrays
    regret: Arrays
    slack: Arrays
    denominators: Arrays
    columns: Arrays
    rates: Arrays
    widened: int
    diameter: float
    rate: float
    betas: tuple[float, float]
    momentum_decay: float | None


def measure_regret(
    model: nn.Module,
    loss: Callable[[nn.Module, Any], torch.Tensor],
    batches: Sequence[Any],
    optimizer: torch.optim.Optimizer,
    *,
    low: float,
    high: float,
    at: Sequence[int] | None = None,
    momentum_decay: float | None = None,
    tolerance: float = 1e-4,
    max_products: int = 2000,
) -> MeasuredRegret:
    """Take a projected step on each loss, as Theorem 1 has it, and measure the regret.

    Rates fall like α/√t from the optimizer's own; each step is projected onto the box; and β1 decays if asked.

    Parameters
    ----------
    model
        Trained in place; double precision is best. Its parameters must be in the box.
    loss
        ``loss(model, batch)``, convex in the parameters.
    batches
        One for each step, at least one.
    optimizer
        Of this model, with betas and a second moment, not yet projected.
    low, high
        Of the box, the same for every coordinate.
    at
        Numbers of steps after which the regret is measured; None is the last alone. Each needs a convex problem
        solved.
    momentum_decay
        λ of β_{1,t} = β1 λ^(t-1), in (0, 1); None keeps β1, as Algorithms 1 and 2 do.
    tolerance
        Slack at which the best point of the box is good enough, as a share of the largest regret d Z D T that there
        can be.
    max_products
        Gradients after which it is left at what slack it has.

    Raises
    ------
    ArgumentError
        A parameter is outside the box, there is no batch, a number of steps is not among the batches, or another
        argument is out of range.
    UnsupportedError
        The optimizer keeps no second moment, or projects already.
    """
    check_in_range("low", low, -math.inf, math.inf, open_low=True, open_high=True)
    check_in_range("high", high, low, math.inf, open_low=True, open_high=True)
    check_in_range("tolerance", tolerance, 0.0, open_low=True, open_high=True)
    if momentum_decay is not None:
        check_in_range("momentum_decay", momentum_decay, 0.0, 1.0, open_low=True, open_high=True)
    wanted = sorted({len(batches)} if at is None else {int(step) for step in at})
    if not wanted or wanted[0] < 1 or wanted[-1] > len(batches):
        raise ArgumentError(f"cannot measure regret at {wanted} of {len(batches)} batches; accepted: from 1 to that")
    params = [param for param in model.parameters() if param.requires_grad]
    if any(bool(((param < low) | (param > high)).any()) for param in params):
        raise ArgumentError(f"cannot start outside the box [{low:g}, {high:g}]; accepted: every parameter inside")
    group = optimizer.param_groups[0]
    if "betas" not in group:
        raise ArgumentError(f"cannot measure {type(optimizer).__name__}: it has no betas; accepted: Adam's kind")
    first = [(float(each["lr"]), tuple(each["betas"])) for each in optimizer.param_groups]
    projected = Projected(optimizer, Box(low, high))
    recorder, watched = ConstantsRecorder(model), EffectiveRates(optimizer, params)
    lost, losses, sums, columns = 0.0, [], [], []
    for step, batch in enumerate(batches[: wanted[-1]], start=1):
        for each, (rate, (beta1, beta2)) in zip(optimizer.param_groups, first, strict=True):
            each["lr"] = rate / math.sqrt(step)
            each["betas"] = (beta1 * (momentum_decay or 1.0) ** (step - 1), beta2)
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()  # type: ignore[no-untyped-call]
        recorder.record(value)
        lost += float(value.detach())
        projected.step()
        watched.record()
        if step in wanted:
            losses.append(lost)
            sums.append(watched.denominator_sum())
            columns.append(recorder.constants().column_norm_sum)
    found = recorder.constants()
    scale = found.dimension * found.gradient_bound * (high - low)
    least, slack = [], []
    for steps in wanted:
        with evaluating(model, over_batches(loss, list(batches[:steps])), order=1) as objective:
            lowest, gap = _least_in_box(objective, low, high, tolerance * scale, max_products)
        least.append(steps * (lowest - gap))
        slack.append(steps * gap)
    return MeasuredRegret(
        constants=found,
        steps=np.array(wanted),
        regret=np.array(losses) - np.array(least),
        slack=np.array(slack),
        denominators=np.array(sums),
        columns=np.array(columns),
        rates=np.array(watched.rates),
        widened=watched.widened,
        diameter=high - low,
        rate=first[0][0],
        betas=(float(first[0][1][0]), float(first[0][1][1])),
        momentum_decay=momentum_decay,
    )


def judge_regret(found: MeasuredRegret, *, form: Form = "printed") -> Judgement:
    """Put a measured regret beside Theorem 1, with the denominators and norms that the run had.

    Parameters
    ----------
    found
        What :func:`measure_regret` gave.
    form
        As for :func:`regret`.
    """
    d, z = found.constants.dimension, found.constants.gradient_bound
    setting = Setting(
        dimension=d,
        gradient_bound=z,
        smoothness=0.0,
        gap=0.0,
        rate=found.rate,
        beta1=found.betas[0],
        beta2=found.betas[1],
    )
    bound = regret(
        setting,
        diameter=found.diameter,
        momentum_decay=found.momentum_decay or 0.5,
        form=form,
        denominators=_known(found.steps, found.denominators, lambda t: np.full_like(t, d * z)),
        columns=_known(found.steps, found.columns, lambda t: d * z * np.sqrt(t)),
        measured=found.constants,
        rates=found.rates,
        widened=found.widened,
        projected=True,
        decays=found.momentum_decay is not None,
    )
    note = f"{bound.note}; Σ h^½ and Σ ‖z‖ are the run's at its own T, and the most that they can be elsewhere"
    return judge(replace(bound, note=note), found.steps, found.regret / found.steps)


def _known(steps: Arrays, values: Arrays, most: Callable[[Arrays], Arrays]) -> Callable[[Arrays], Arrays]:
    """Give a function that looks values up where they are known."""

    def at(t: Arrays) -> Arrays:
        place = np.minimum(np.searchsorted(steps, t), steps.size - 1)
        return np.where(steps[place] == t, values[place], most(t))

    return at


def _least_in_box(
    objective: Objective, low: float, high: float, tolerance: float, max_products: int
) -> tuple[float, float]:
    """Minimize a convex loss over a box; give its value at a point, and by how much that may be above the least.

    Accelerated projected gradients with backtracking (Beck and Teboulle 2009). The loss is above its tangent, so no
    point of the box is lower than the tangent's least value there: that is the gap.
    """
    x = objective.flat(objective.params).clamp(low, high)
    y, momentum, slope = x, 1.0, 1.0
    best, lower = math.inf, -math.inf
    for _ in range(max_products):
        objective.place(y)
        value, gradient = objective.value(), objective.gradient()
        tangent = value + float(torch.minimum(gradient * (low - y), gradient * (high - y)).sum())
        while True:
            new = (y - gradient / slope).clamp(low, high)
            objective.place(new)
            there = objective.value()
            moved = new - y
            if there <= value + float(gradient @ moved) + 0.5 * slope * float(moved @ moved) + 1e-12 * abs(value):
                break
            slope *= 2.0
        best, lower = min(best, there), max(lower, tangent)
        if best - lower <= tolerance:
            break
        following = 0.5 * (1.0 + math.sqrt(1.0 + 4.0 * momentum**2))
        push = (momentum - 1.0) / following
        if float((y - new) @ (new - x)) > 0.0:  # it goes back on itself: start the momentum anew
            following, push = 1.0, 0.0
        y = (new + push * (new - x)).clamp(low, high)
        x, momentum, slope = new, following, 0.8 * slope
    return best, max(0.0, best - lower)
