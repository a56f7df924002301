"""Targets, and what it costs to reach them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from waddington.bench.statistics.values import Better, FloatArray, checked_values
from waddington.errors import ArgumentError

__all__ = ["best_configuration", "checked_curve", "cost_at", "first_reach", "target_of"]


def best_configuration(values: ArrayLike, *, better: Better = "lower") -> int:
    """Find the configuration with the best median over seeds; of equals the first.

    Parameters
    ----------
    values
        Shape (n_seeds, n_configurations); a diverged run is infinite on the bad side.
    better
        Direction of the metric.

    Raises
    ------
    ArgumentError
        NaN or no values.
    """
    medians = np.median(checked_values("values", values, ndim=2, better=better), axis=0)
    return int(np.argmin(medians) if better == "lower" else np.argmax(medians))


def target_of(finals: ArrayLike, *, better: Better = "lower") -> float:
    """Set a target: the median of the final values of the best baseline's repeated runs.

    Parameters
    ----------
    finals
        Final values over seeds, shape (n_seeds,), of the configuration that won the tuning.
    better
        Direction of the metric.

    Raises
    ------
    ArgumentError
        NaN, no values, or half of the runs diverged.

    Notes
    -----
    AlgoPerf's rule (arXiv 2306.07179): half of the baseline's own runs reach it.
    """
    median = float(np.median(checked_values("finals", finals, ndim=1, better=better)))
    if not math.isfinite(median):
        raise ArgumentError(
            "cannot set a target: half of the baseline's runs diverged; accepted: a baseline that trains"
        )
    return median


def first_reach(steps: ArrayLike, values: ArrayLike, target: float, *, better: Better = "lower") -> float:
    """Find the step at which a curve first reaches a target.

    The rule: take the first recorded value that is at least as good as the target. If the value recorded before it is
    finite, the step is read off the straight line between the two; else it is the step of the recorded value.

    Parameters
    ----------
    steps
        Recorded steps, increasing, shape (n,).
    values
        Value at each of them, shape (n,); NaN and infinity are a diverged run's.
    target
        The target.
    better
        Direction of the metric.

    Returns
    -------
    The step, a fraction between two recorded ones; infinity if the curve never gets there.

    Raises
    ------
    ArgumentError
        Steps that do not increase, another number of values, or a target that is not finite.
    """
    at, height = checked_curve(steps, values)
    if not math.isfinite(target):
        raise ArgumentError(f"cannot use target={target!r}: target must be finite")
    sign = 1.0 if better == "lower" else -1.0
    above = sign * (height - target)
    reached = np.flatnonzero(above <= 0)
    if len(reached) == 0:
        return math.inf
    here = int(reached[0])
    if here == 0 or not np.isfinite(above[here - 1 : here + 1]).all():
        return float(at[here])
    before, after = above[here - 1], above[here]
    return float(at[here - 1] + (at[here] - at[here - 1]) * before / (before - after))


def cost_at(step: float, steps: ArrayLike, cost: ArrayLike) -> float:
    """Read what was spent up to a step off a curve of seconds or bytes, linear between recorded steps.

    Parameters
    ----------
    step
        From :func:`first_reach`; infinity costs infinity.
    steps
        Recorded steps, increasing, shape (n,).
    cost
        Seconds or bytes spent from the start up to each of them, shape (n,).

    Raises
    ------
    ArgumentError
        Steps that do not increase, or another number of costs.
    """
    at, spent = checked_curve(steps, cost)
    if step == math.inf:
        return math.inf
    return float(np.interp(step, at, spent))


def checked_curve(steps: ArrayLike, values: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Turn a curve into two arrays, and refuse one that runs backwards."""
    at = np.asarray(steps, dtype=np.float64)
    height = np.asarray(values, dtype=np.float64)
    if at.ndim != 1 or at.shape != height.shape or len(at) == 0:
        raise ArgumentError(f"cannot use a curve of {at.shape} steps and {height.shape} values: both must be as many")
    if not np.isfinite(at).all() or not (np.diff(at) > 0).all():
        raise ArgumentError("cannot use a curve whose steps do not increase")
    return at, height
