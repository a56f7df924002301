"""Bootstrap intervals of one sample."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from waddington._checks import check_count, check_in_range
from waddington.bench.statistics._libraries import scipy_stats
from waddington.bench.statistics.values import FloatArray

__all__ = ["FEWEST_RESAMPLES", "Interval", "bca_interval"]

FEWEST_RESAMPLES = 100
"""Resamples below which an interval's ends are chance."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The ends of a confidence interval.

    Attributes
    ----------
    low, high
        Its ends, in the units of the estimate.
    """

    low: float
    high: float

    def excludes_zero(self) -> bool:
        """Say whether zero lies outside."""
        return self.low > 0 or self.high < 0

    def scaled(self, factor: float) -> Interval:
        """Multiply both ends by a factor above zero."""
        return Interval(self.low * factor, self.high * factor)


def bca_interval(
    values: FloatArray,
    statistic: Callable[..., Any],
    *,
    level: float = 0.05,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> Interval | None:
    """Bootstrap the statistic of one sample: bias corrected and accelerated (BCa).

    Parameters
    ----------
    values
        The sample, shape (n,), finite.
    statistic
        A numpy reduction that knows ``axis``, such as ``numpy.mean``.
    level
        Chance that the interval misses; 0.05 gives 95 %.
    n_resamples
        Number of resamples, at least 100.
    seed
        Seed of the resampling.

    Returns
    -------
    The interval. None where BCa has no answer: fewer than two values, or a statistic that no left-out value moves.

    Notes
    -----
    Efron, "Better bootstrap confidence intervals", JASA 82 (1987); computed by ``scipy.stats.bootstrap``.
    """
    check_in_range("level", level, 0, 1, open_low=True, open_high=True)
    check_count("n_resamples", n_resamples, FEWEST_RESAMPLES)
    if len(values) < 2:
        return None
    left_out = [float(statistic(np.delete(values, index))) for index in range(len(values))]
    if np.ptp(left_out) <= 1e-12 * np.max(np.abs(values)):
        return None
    bootstrap = scipy_stats().bootstrap
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of the NaN that is looked for below
        low, high = bootstrap(
            (values,),
            statistic,
            confidence_level=1 - level,
            n_resamples=n_resamples,
            method="BCa",
            rng=np.random.default_rng(seed),
        ).confidence_interval
    return Interval(float(low), float(high)) if np.isfinite([low, high]).all() else None
