"""What a tuning budget buys: the expected best of k trials, and the attempts to a success."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from waddington._checks import check_count, check_in_range
from waddington.bench.statistics._libraries import scipy_stats
from waddington.bench.statistics.intervals import FEWEST_RESAMPLES, Interval
from waddington.bench.statistics.values import Better, FloatArray, checked_values
from waddington.errors import ArgumentError

__all__ = ["Attempts", "BestOf", "attempts_to_success", "expected_best"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BestOf:
    """The best of k trials, for k = 1, 2, ..., K.

    Attributes
    ----------
    k
        Numbers of trials, shape (K,).
    expected
        Expected best value; infinite as long as k trials may all have diverged.
    median
        Median of the best value; finite where the expected one often is not.
    low, high
        Bootstrap interval of ``median`` over trials.
    """

    k: NDArray[np.int64]
    expected: FloatArray
    median: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempts:
    """How many random trials it takes until one succeeds.

    Attributes
    ----------
    successes, trials
        What was counted.
    expected
        Expected number of attempts, trials / successes; infinite without a success.
    interval
        From the exact (Clopper-Pearson) interval of the chance of success.
    """

    successes: int
    trials: int
    expected: float
    interval: Interval


def expected_best(
    values: ArrayLike,
    *,
    most: int | None = None,
    better: Better = "lower",
    level: float = 0.05,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> BestOf:
    """Say how good the best of k trials is, as if k of the n trials had been drawn.

    Parameters
    ----------
    values
        The value each trial came to, shape (n_trials,); a diverged trial is infinite on the bad side.
    most
        The largest k, at most n; default n.
    better
        Direction of the metric.
    level
        Chance that an interval misses.
    n_resamples, seed
        Of the bootstrap.

    Raises
    ------
    ArgumentError
        NaN, no values, or ``most`` beyond the number of trials.

    Notes
    -----
    Drawn without replacement, the i-th best of n is the best of k with chance C(n - i, k - 1) / C(n, k): the unbiased
    form (Tang et al., ACL 2020) of the expected validation performance of Dodge et al. (arXiv 1909.03004).
    """
    array = checked_values("values", values, ndim=1, better=better)
    check_in_range("level", level, 0, 1, open_low=True, open_high=True)
    check_count("n_resamples", n_resamples, FEWEST_RESAMPLES)
    n = len(array)
    last = n if most is None else most
    check_count("most", last, 1, n)
    sign = 1.0 if better == "lower" else -1.0
    ordered = np.sort(sign * array)
    weights = np.array(
        [[math.comb(n - i, k - 1) / math.comb(n, k) for i in range(1, n + 1)] for k in range(1, last + 1)]
    )
    # The first order statistic at which the chance of having met it reaches one half; rounding may not shift it.
    middle = (np.cumsum(weights, axis=1) >= 0.5 - 1e-12).argmax(axis=1)
    rng = np.random.default_rng(seed)
    drawn = np.sort(ordered[rng.integers(n, size=(n_resamples, n))], axis=1)[:, middle]
    ends = np.quantile(drawn, (level / 2, 1 - level / 2), axis=0, method="inverted_cdf")
    low, high = np.sort(sign * ends, axis=0)
    finite = np.where(np.isinf(ordered), 0.0, ordered)
    may_diverge = weights @ np.isinf(ordered) > 0
    return BestOf(
        k=np.arange(1, last + 1),
        expected=sign * np.where(may_diverge, np.inf, weights @ finite),
        median=sign * ordered[middle],
        low=low,
        high=high,
    )


def attempts_to_success(values: ArrayLike, target: float, *, better: Better = "lower", level: float = 0.05) -> Attempts:
    """Count the random trials that it takes until one reaches a target.

    Parameters
    ----------
    values
        The value each trial came to, shape (n_trials,).
    target
        A trial succeeds when it is at least as good.
    better
        Direction of the metric.
    level
        Chance that the interval misses.

    Raises
    ------
    ArgumentError
        NaN, no values, or a target that is not finite.
    """
    array = checked_values("values", values, ndim=1, better=better)
    if not math.isfinite(target):
        raise ArgumentError(f"cannot use target={target!r}: target must be finite")
    check_in_range("level", level, 0, 1, open_low=True, open_high=True)
    successes = int((array <= target).sum() if better == "lower" else (array >= target).sum())
    chance = scipy_stats().binomtest(successes, len(array)).proportion_ci(1 - level, method="exact")
    return Attempts(
        successes=successes,
        trials=len(array),
        expected=len(array) / successes if successes else math.inf,
        interval=Interval(1 / float(chance.high), 1 / float(chance.low) if chance.low > 0 else math.inf),
    )
