"""What a number of seeds could have shown: the minimum detectable effect."""

from __future__ import annotations

import functools

import numpy as np

from waddington._checks import check_count, check_in_range
from waddington.bench.statistics._libraries import scipy_stats, statsmodels_power

__all__ = ["detectable_wins", "minimum_detectable_effect"]

_EFFECTS = np.geomspace(1e-3, 100.0, 4000)
"""Standard deviations among which the effect is looked for; those beyond count as not detectable."""


@functools.cache
def minimum_detectable_effect(n: int, *, level: float = 0.05, power: float = 0.8) -> float | None:
    """Solve for the effect that a two-sided paired t test of n pairs finds with a given chance.

    Parameters
    ----------
    n
        Number of pairs.
    level
        Significance of one test; divide it by the number of contrasts for Bonferroni's.
    power
        Chance to find the effect.

    Returns
    -------
    The effect in standard deviations of the differences (Cohen's d_z). None below three pairs, and where it is beyond
    100: no effect that is met in practice would be found.

    Notes
    -----
    The power is that of ``statsmodels.stats.power.TTestPower``, read from a table of effects: at large effects SciPy's
    noncentral t has holes (NaN) that lead a root finder astray.
    """
    check_count("n", n, 1)
    check_in_range("level", level, 0, 1, open_low=True, open_high=True)
    check_in_range("power", power, level, 1, open_low=True, open_high=True)
    if n < 3:
        return None
    found = np.asarray(statsmodels_power().TTestPower().power(_EFFECTS, n, level))
    known = np.isfinite(found)
    if not (found[known] >= power).any():
        return None
    return float(np.interp(power, np.maximum.accumulate(found[known]), _EFFECTS[known]))


@functools.cache
def detectable_wins(n: int, *, level: float = 0.05) -> int | None:
    """Count how many of n pairs one arm must win for a two-sided sign test to tell.

    Returns
    -------
    The smallest such number; None where even n of n are too few.
    """
    check_count("n", n, 0)
    binomial = scipy_stats().binomtest
    return next((wins for wins in range(n // 2 + 1, n + 1) if binomial(wins, n).pvalue <= level), None)
