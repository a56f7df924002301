"""Figures over seeds, as judges need them: means and ratios with intervals, what could be found, and their words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from waddington.bench.statistics import Interval, beside_one, paired

__all__ = ["Estimate", "log_ratio", "mean_of"]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over seeds, or a ratio of two arms paired by seed.

    Attributes
    ----------
    middle
        The mean, or the geometric mean of the ratios; NaN where runs diverged.
    interval
        95 %, BCa from 8 seeds on, Student's below; None where nothing varies or runs diverged.
    p
        Of the paired t test, or of Wilcoxon's where runs diverged; None where there is none.
    detectable
        Smallest effect that had a chance of 80 %: in units of the mean, or as a ratio less 1.
    wins, seeds
        In how many of the seeds the first arm is the better one, and how many there are.
    """

    middle: float
    interval: Interval | None
    p: float | None
    detectable: float | None
    wins: int
    seeds: int

    @property
    def low(self) -> float:
        """The lower end of the interval; where nothing varies, the figure itself; NaN where it is not known."""
        return self.middle if self.interval is None else self.interval.low

    @property
    def high(self) -> float:
        """The upper end, likewise."""
        return self.middle if self.interval is None else self.interval.high

    def words(self, digits: int = 3) -> str:
        """Write the figure with its interval."""
        if math.isnan(self.middle):
            return "not measurable, for runs diverged"
        middle, low, high = beside_one(self.middle, self.low, self.high, digits=digits)
        return middle if self.interval is None else f"{middle} [{low}, {high}]"


def mean_of(values: Sequence[float]) -> Estimate:
    """Give the mean over seeds.

    Parameters
    ----------
    values
        One for each seed, finite.
    """
    found = paired(values, [0.0] * len(values))
    return Estimate(
        middle=math.nan if found.mean is None else found.mean,
        interval=found.interval,
        p=found.p,
        detectable=found.mde,
        wins=found.wins,
        seeds=found.n,
    )


def log_ratio(first: Sequence[float | None], second: Sequence[float | None], *, n_contrasts: int = 1) -> Estimate:
    """Give the ratio of two arms' losses, paired by seed.

    Parameters
    ----------
    first, second
        Losses above zero, lower is better, the same seeds in the same order; None where a run diverged.
    n_contrasts
        Number of contrasts of the family, which the smallest effect minds.
    """
    logs = [np.log([math.inf if one is None else max(one, 1e-300) for one in arm]) for arm in (first, second)]
    found = paired(*logs, n_contrasts=n_contrasts)
    interval = found.interval
    return Estimate(
        middle=math.nan if found.mean is None else math.exp(found.mean),
        interval=None if interval is None else Interval(math.exp(interval.low), math.exp(interval.high)),
        p=found.p,
        detectable=None if found.mde is None else math.expm1(found.mde),
        wins=found.wins,
        seeds=found.n,
    )
