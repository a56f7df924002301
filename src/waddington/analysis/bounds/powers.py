"""Is a curve a power of the number of steps? A straight line through logarithms, beside an exponential."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from waddington._checks import check_in_range
from waddington.analysis._numbers import as_numbers
from waddington.analysis.records import Arrays
from waddington.errors import ArgumentError

__all__ = ["PowerFit", "fit_power"]


@dataclass(frozen=True)
class PowerFit:
    """A power ``scale * T**slope`` through a curve.

    Attributes
    ----------
    slope
        Of log value against log T: the exponent.
    scale
        The value at T = 1 on that line.
    r2_power, r2_exponential
        Share of the variance of log value that a line in log T explains, and one in T. What falls like a power has the
        first near 1; what falls linearly, as optimization calls a geometric decay, has the second.
    first, last
        The least and the largest T that entered.
    points, dropped
        Values that entered, and those in the range that did not, being zero, negative or not finite.
    """

    slope: float
    scale: float
    r2_power: float
    r2_exponential: float
    first: float
    last: float
    points: int
    dropped: int

    @property
    def is_geometric(self) -> bool:
        """Whether an exponential of T explains the curve better than a power does."""
        return self.r2_exponential > self.r2_power


def fit_power(steps: Sequence[float] | Arrays, values: Sequence[float] | Arrays, *, first: float = 1.0) -> PowerFit:
    """Fit a power of T by least squares in logarithms.

    Parameters
    ----------
    steps
        Numbers of steps T, positive, of shape (n,).
    values
        The curve there, of shape (n,).
    first
        T below which points are left out, as the start of a run often is.

    Raises
    ------
    ArgumentError
        The shapes differ, or fewer than three points with different T are left.
    """
    check_in_range("first", first, 0.0)
    at, curve = as_numbers("steps", steps), as_numbers("values", values)
    if at.ndim != 1 or at.shape != curve.shape:
        raise ArgumentError(
            f"cannot fit a power to steps of shape {at.shape} and values of shape {curve.shape}; accepted: two of the"
            " same shape (n,)"
        )
    inside = (at >= first) & (at > 0)
    usable = inside & np.isfinite(curve) & (curve > 0)
    at, curve = at[usable], curve[usable]
    if len(np.unique(at)) < 3:
        raise ArgumentError(
            f"cannot fit a power to {len(at)} positive values from T = {first:g} on; accepted: three or more"
        )
    logs = np.log(curve)
    slope, offset = np.polyfit(np.log(at), logs, 1)
    return PowerFit(
        slope=float(slope),
        scale=float(np.exp(offset)),
        r2_power=_explained(np.log(at), logs),
        r2_exponential=_explained(at, logs),
        first=float(at.min()),
        last=float(at.max()),
        points=len(at),
        dropped=int(inside.sum()) - len(at),
    )


def _explained(x: Arrays, y: Arrays) -> float:
    total = float(((y - y.mean()) ** 2).sum())
    if total == 0.0:
        return 1.0
    x = (x - x.mean()) / x.std()
    left = y - y.mean() - x * float((x * y).mean())
    return 1.0 - float((left**2).sum()) / total
