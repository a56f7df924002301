"""Performance profiles: over how many tasks an arm is within a factor of the fastest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from waddington._checks import check_count, check_in_range
from waddington.bench.statistics.intervals import FEWEST_RESAMPLES
from waddington.bench.statistics.values import FloatArray, checked_values
from waddington.errors import ArgumentError

__all__ = ["Profiles", "profiles"]

_CHUNK = 250
"""Resamples that are worked on at a time, so that memory stays small."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Profiles:
    """Performance profiles.

    Attributes
    ----------
    taus
        Factors from 1 on, shape (n_taus,).
    ratios
        Time over the fastest arm's time, shape (n_tasks, n_arms); infinite where the target was missed.
    shares
        Share of tasks with a ratio of at most tau, shape (n_arms, n_taus).
    low, high
        Interval of the shares over seeds, same shape.
    scores
        Area under each profile over tau, divided by the width of its range, shape (n_arms,); in [0, 1].
    score_low, score_high
        Interval of the scores, shape (n_arms,).
    """

    taus: FloatArray
    ratios: FloatArray
    shares: FloatArray
    low: FloatArray
    high: FloatArray
    scores: FloatArray
    score_low: FloatArray
    score_high: FloatArray


def profiles(
    times: ArrayLike,
    *,
    taus: ArrayLike | None = None,
    level: float = 0.05,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> Profiles:
    """Draw performance profiles of steps, seconds or bytes to a target.

    Parameters
    ----------
    times
        Shape (n_seeds, n_tasks, n_arms), at least 0; infinite where a run missed the target. A task's time is the
        median over seeds.
    taus
        Factors, increasing from 1; default 61 of them up to 4.
    level
        Chance that an interval misses.
    n_resamples, seed
        Of the bootstrap, which draws seeds within each task. The fastest arm's time is held: drawn anew it would be the
        least of several noisy times, and every arm would look slower than it is.

    Raises
    ------
    ArgumentError
        NaN, a negative time, or taus that do not increase from 1.

    Notes
    -----
    Dolan and Moré, "Benchmarking optimization software with performance profiles", Math. Program. 91 (2002); the range
    of tau and the score are AlgoPerf's (arXiv 2306.07179). A task that no arm solves counts against all.
    """
    array = checked_values("times", times, ndim=3)
    if (array < 0).any():
        raise ArgumentError(f"cannot use times: found {float(array.min()):g}; times must be at least 0")
    grid = np.linspace(1.0, 4.0, 61) if taus is None else np.asarray(taus, dtype=np.float64)
    if grid.ndim != 1 or len(grid) < 2 or grid[0] != 1 or not (np.diff(grid) > 0).all() or not np.isfinite(grid).all():
        raise ArgumentError("cannot use taus: they must be two or more finite factors that increase from 1")
    check_in_range("level", level, 0, 1, open_low=True, open_high=True)
    check_count("n_resamples", n_resamples, FEWEST_RESAMPLES)
    medians = np.median(array, axis=0)
    best = medians.min(axis=-1, keepdims=True)
    ratios = _ratios(medians, best)
    n_seeds, n_tasks, _ = array.shape
    rng = np.random.default_rng(seed)
    shares, scores = [], []
    for start in range(0, n_resamples, _CHUNK):
        drawn = rng.integers(n_seeds, size=(n_seeds, min(_CHUNK, n_resamples - start), n_tasks))
        resampled = _ratios(np.median(array[drawn, np.arange(n_tasks)], axis=0), best)
        shares.append(_shares(resampled, grid))
        scores.append(_scores(resampled, float(grid[-1])))
    ends = (level / 2, 1 - level / 2)
    low, high = np.quantile(np.concatenate(shares), ends, axis=0)
    score_low, score_high = np.quantile(np.concatenate(scores), ends, axis=0)
    return Profiles(
        taus=grid,
        ratios=ratios,
        shares=_shares(ratios, grid),
        low=low,
        high=high,
        scores=_scores(ratios, float(grid[-1])),
        score_low=score_low,
        score_high=score_high,
    )


def _ratios(times: FloatArray, best: FloatArray) -> FloatArray:
    """Divide times by the best, giving at least 1; a missed target stays infinite, and 0 over 0 is 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.maximum(times / best, 1.0)
    return np.where(np.isinf(times), np.inf, np.where(times <= best, 1.0, found))


def _shares(ratios: FloatArray, taus: FloatArray) -> FloatArray:
    """Give the share of tasks within each factor: shape (..., n_tasks, n_arms) to (..., n_arms, n_taus)."""
    within = ratios[..., None] <= taus
    found: FloatArray = within.mean(axis=-3)
    return found


def _scores(ratios: FloatArray, last: float) -> FloatArray:
    """Integrate the profile over tau from 1 to its last value, exactly, divided by the width."""
    found: FloatArray = (np.clip(last - ratios, 0.0, None) / (last - 1)).mean(axis=-2)
    return found
