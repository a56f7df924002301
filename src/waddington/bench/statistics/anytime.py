"""How good a run was all along: the mean of its log loss."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from waddington._checks import check_in_range
from waddington.bench.statistics.targets import checked_curve
from waddington.errors import ArgumentError

__all__ = ["anytime_loss"]


def anytime_loss(steps: ArrayLike, losses: ArrayLike, *, burn_in: float = 0.0, floor: float = 1e-12) -> float:
    """Average the log loss over a curve: the area under it, divided by its length.

    The rule: log(max(loss, floor)) is taken as straight between recorded steps (trapezoids), from
    ``burn_in * last step`` to the last step. A curve that begins later begins there.

    Parameters
    ----------
    steps
        Recorded steps, increasing, shape (n,).
    losses
        Loss at each of them, shape (n,); NaN and infinity are a diverged run's.
    burn_in
        Share of the last step that is left out at the start, in [0, 1).
    floor
        A loss below it counts as it.

    Returns
    -------
    The mean log loss, in nats; infinity if a loss that counts is not finite.

    Raises
    ------
    ArgumentError
        Steps that do not increase, a negative loss, or a share or floor out of range.
    """
    check_in_range("burn_in", burn_in, 0, 1, open_high=True)
    check_in_range("floor", floor, 0, open_low=True, open_high=True)
    at, height = checked_curve(steps, losses)
    if (height < 0).any():
        raise ArgumentError(f"cannot take the logarithm of a loss of {np.nanmin(height):g}: losses must be at least 0")
    start = max(burn_in * float(at[-1]), float(at[0]))
    here = int(np.searchsorted(at, start, side="right")) - 1  # the last recorded step at or before the start
    at, height = at[here:], height[here:]
    if not np.isfinite(height).all():
        return math.inf
    logs = np.log(np.maximum(height, floor))
    if len(at) == 1:
        return float(logs[0])
    inside = np.concatenate([[start], at[1:]])
    along = np.concatenate([[np.interp(start, at, logs)], logs[1:]])
    return float(np.trapezoid(along, inside) / (inside[-1] - inside[0]))
