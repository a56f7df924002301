"""Sums of powers Σ t^-p for any number of terms, 1e300 of them and fractions included."""

from __future__ import annotations

import numpy as np

from waddington._checks import check_in_range
from waddington.analysis.records import Arrays

__all__ = ["power_sum", "zeta"]

_EXACT = 16
"""Terms that are added one by one; from there on the formula of Euler and Maclaurin errs by less than 1e-12."""
_WEIGHTS = (1.0 / 12.0, -1.0 / 720.0, 1.0 / 30240.0)


def power_sum(count: Arrays | float, power: float) -> Arrays:
    """Give Σ t^-power over t from 1 to `count`, continued to fractions of it so that S(T) - S(T-1) = T^-power.

    Parameters
    ----------
    count
        T, from 1, of any shape.
    power
        From 0.
    """
    check_in_range("power", power, 0.0, open_high=True)
    at = np.asarray(count, dtype=np.float64)
    beyond = at + _EXACT
    start = np.asarray(float(_EXACT))
    integral = (
        np.log(beyond / start) if power == 1.0 else (beyond ** (1.0 - power) - start ** (1.0 - power)) / (1.0 - power)
    )
    head = np.arange(1.0, _EXACT + 1.0)
    past = (at[..., None] + head) ** -power
    found = (head**-power).sum() + integral + _ends(beyond, power) - _ends(start, power) - past.sum(-1)
    return np.asarray(found)


def zeta(power: float) -> float:
    """Give Σ t^-power over all t from 1, for a power above 1."""
    check_in_range("power", power, 1.0, open_low=True, open_high=True)
    start = np.asarray(float(_EXACT))
    head = np.arange(1.0, _EXACT + 1.0) ** -power
    return float(head.sum() + start ** (1.0 - power) / (power - 1.0) - _ends(start, power))


def _ends(at: Arrays, power: float) -> Arrays:
    """Give half the last term and the odd derivatives of t^-power there, with Bernoulli's weights."""
    total = 0.5 * at**-power
    factor = power
    for order, weight in zip((1, 3, 5), _WEIGHTS, strict=True):
        total = total - weight * factor * at ** (-power - order)
        factor *= (power + order) * (power + order + 1)
    return np.asarray(total)
