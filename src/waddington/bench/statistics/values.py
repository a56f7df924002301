"""Values that are compared: which direction is better, and what is refused before any arithmetic."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from waddington._checks import check_choice
from waddington.errors import ArgumentError

__all__ = ["Better", "FloatArray", "checked_values", "differences", "ratio_of", "worst"]

Better: TypeAlias = Literal["lower", "higher"]
"""Which direction of a metric is the better one."""

FloatArray: TypeAlias = NDArray[np.float64]


def worst(better: Better) -> float:
    """Give the value of a diverged run: infinity, or minus infinity where higher is better."""
    check_choice("better", better, ("lower", "higher"))
    return math.inf if better == "lower" else -math.inf


def ratio_of(log_ratio: float) -> float:
    """Give the ratio of a log ratio; infinity where it is beyond the largest float."""
    try:
        return math.exp(log_ratio)
    except OverflowError:
        return math.inf


def checked_values(name: str, values: ArrayLike, *, ndim: int, better: Better = "lower") -> FloatArray:
    """Turn values into a float array, and refuse what no run can have come to.

    Parameters
    ----------
    name
        What the values are, for the error.
    values
        Numbers; the first axis is seeds. A diverged run is infinite on the bad side.
    ndim
        Number of axes.
    better
        Direction of the metric.

    Raises
    ------
    ArgumentError
        Another number of axes, no values, NaN, or infinity on the good side.
    """
    array = np.asarray(values, dtype=np.float64)
    bad = worst(better)
    if array.ndim != ndim or array.size == 0:
        axes = "axis" if ndim == 1 else "axes"
        raise ArgumentError(
            f"cannot use {name} of shape {array.shape}: {name} must have {ndim} {axes} and no empty one"
        )
    if np.isnan(array).any():
        raise ArgumentError(f"cannot use {name}: found NaN; write {bad:g} for a run that diverged")
    if (array == -bad).any():
        raise ArgumentError(f"cannot use {name}: found {-bad:g}, though {better} is better; a diverged run is {bad:g}")
    return array


def differences(first: FloatArray, second: FloatArray) -> FloatArray:
    """Subtract second from first; where both diverged they are equal, and the difference is 0.

    Raises
    ------
    ArgumentError
        The shapes differ: pairs need the same seeds.
    """
    if first.shape != second.shape:
        raise ArgumentError(f"cannot pair shapes {first.shape} and {second.shape}: both arms need the same seeds")
    equal = first == second
    return np.where(equal, 0.0, np.subtract(first, second, where=~equal, out=np.zeros_like(first)))
