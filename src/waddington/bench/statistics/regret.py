"""Regret: by which part an arm is worse than the best arm of each task, on average and on its worst task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from waddington._checks import check_count, check_in_range
from waddington.bench.statistics.intervals import FEWEST_RESAMPLES, Interval
from waddington.bench.statistics.values import FloatArray, checked_values
from waddington.errors import ArgumentError

__all__ = ["Regret", "regrets"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Regret:
    """What it costs to have chosen an arm before the task was known.

    Attributes
    ----------
    arm
        The arm.
    by_task
        Value over the best arm's, less 1, of each task: 0 is the best arm, 0.02 two percent more loss. Infinite where a
        run diverged. Shape (n_tasks,).
    mean, worst
        Mean and largest of them.
    worst_task
        Index of the task of the largest.
    mean_interval, worst_interval
        Bootstrap intervals over seeds; None where a run diverged, and of a single seed, which has no spread.
    """

    arm: str
    by_task: FloatArray
    mean: float
    worst: float
    worst_task: int
    mean_interval: Interval | None
    worst_interval: Interval | None


def regrets(
    values: ArrayLike, arms: Sequence[str], *, level: float = 0.05, n_resamples: int = 10_000, seed: int = 0
) -> list[Regret]:
    """Give the regret of each arm.

    Parameters
    ----------
    values
        Losses above zero, shape (n_seeds, n_tasks, n_arms); infinite where a run diverged. An arm's value on a task is
        its mean over seeds.
    arms
        Their names.
    level
        Chance that an interval misses.
    n_resamples, seed
        Of the bootstrap. It draws the seeds of each task, the same for all arms; which arm is the best one stays as
        measured, for the least of several noisy means would look better than it is.

    Raises
    ------
    ArgumentError
        A value that is NaN or not above zero, or another number of names.
    """
    array = checked_values("losses", values, ndim=3)
    if (array <= 0).any():
        raise ArgumentError(
            f"cannot give regrets of {float(array.min()):g}: they are ratios; accepted: losses above zero"
        )
    if len(arms) != array.shape[2]:
        raise ArgumentError(
            f"cannot give regrets of {array.shape[2]} arms by {len(arms)} names; accepted: one for each"
        )
    check_in_range("level", level, 0, 1, open_low=True, open_high=True)
    check_count("n_resamples", n_resamples, FEWEST_RESAMPLES)
    n_seeds, n_tasks, _ = array.shape
    means = array.mean(axis=0)
    best = means.argmin(axis=1)
    found = _over_best(means, best)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(n_seeds, size=(n_resamples, n_seeds, n_tasks))
    resampled = np.stack([_over_best(array[one, np.arange(n_tasks)].mean(axis=0), best) for one in drawn])
    ends = (level / 2, 1 - level / 2)
    rows = []
    for at, arm in enumerate(arms):
        mine, again = found[:, at], resampled[:, :, at]
        has_spread = n_seeds > 1 and bool(np.isfinite(again).all())
        rows.append(
            Regret(
                arm=arm,
                by_task=mine,
                mean=float(mine.mean()),
                worst=float(mine.max()),
                worst_task=int(mine.argmax()),
                mean_interval=Interval(*map(float, np.quantile(again.mean(axis=1), ends))) if has_spread else None,
                worst_interval=Interval(*map(float, np.quantile(again.max(axis=1), ends))) if has_spread else None,
            )
        )
    return rows


def _over_best(means: FloatArray, best: np.ndarray) -> FloatArray:
    """Divide means of shape (n_tasks, n_arms) by those of the best arm, less 1; where no arm came through, infinite."""
    least = means[np.arange(len(means)), best][:, None]
    with np.errstate(invalid="ignore"):
        ratio = np.where(np.isinf(means), np.inf, means / least)
    return np.asarray(ratio - 1.0)
