"""Two arms over several tasks: the tasks are the blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from waddington._checks import check_choice, check_count, check_in_range
from waddington.bench.statistics.intervals import FEWEST_RESAMPLES, Interval
from waddington.bench.statistics.pairs import Paired, lost_runs, paired
from waddington.bench.statistics.values import Better, FloatArray, checked_values, differences, ratio_of
from waddington.errors import ArgumentError

__all__ = ["Pooled", "Scale", "hierarchical_interval", "pooled"]

Scale: TypeAlias = Literal["log ratio", "standardized", "net wins"]
"""The unit in which effects of different tasks are put together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pooled:
    """What two arms' differences say over tasks.

    Attributes
    ----------
    scale
        "log ratio": mean of log(first / second). "standardized": Cohen's d_z. "net wins": share of seeds in which the
        first is higher minus the share in which it is lower, where runs diverged or raised, or the scale asked for has
        no value.
    effects
        One effect a task, shape (n_tasks,); below zero the first arm is lower.
    mean
        Mean effect over tasks.
    interval
        Its hierarchical bootstrap interval: tasks are drawn, then seeds within tasks.
    over_tasks
        Tests over task means: each task is one pair, compared with zero. None of its numbers knows seeds.
    n_seeds
        Seeds of each task.
    n_diverged, n_raised
        Runs of the first and of the second arm, of all tasks, that diverged, and that raised an error.
    reason
        Why the scale is not the one asked for, else "".
    """

    scale: Scale
    effects: FloatArray
    mean: float
    interval: Interval
    over_tasks: Paired
    n_seeds: int
    n_diverged: tuple[int, int]
    n_raised: tuple[int, int]
    reason: str

    @property
    def n_tasks(self) -> int:
        """Number of tasks."""
        return len(self.effects)

    @property
    def test(self) -> str:
        """The name of the test over tasks that ``p`` is of."""
        return "Wilcoxon signed-rank" if self.scale == "net wins" else "paired t"

    @property
    def p(self) -> float | None:
        """The p-value that the verdict goes by: the t test's over task means, or Wilcoxon's over net wins."""
        return self.over_tasks.p_wilcoxon if self.scale == "net wins" else self.over_tasks.p_t

    @property
    def ratio(self) -> float | None:
        """The geometric mean ratio first / second, infinity beyond the largest float; None on another scale."""
        return ratio_of(self.mean) if self.scale == "log ratio" else None


def pooled(
    first: ArrayLike,
    second: ArrayLike,
    *,
    scale: Literal["log ratio", "standardized"] = "log ratio",
    floor: float = 0.0,
    better: Better = "lower",
    level: float = 0.05,
    n_contrasts: int = 1,
    n_raised: tuple[int, int] = (0, 0),
    power: float = 0.8,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> Pooled:
    """Pool the paired differences of two arms over tasks.

    Parameters
    ----------
    first, second
        Values of the arms, shape (n_seeds, n_tasks); a diverged run is infinite on the bad side.
    scale
        "log ratio" for losses above zero, "standardized" for any metric.
    floor
        Values below it count as it before a logarithm is taken: what differs below it does not matter.
    better
        Direction of the values. Where metrics of both directions are pooled, those of one are negated before.
    level
        Significance, and chance that the interval misses.
    n_contrasts
        Number of contrasts of the family.
    n_raised
        How many of each arm's infinite values are those of runs that raised an error; the others diverged.
    power
        Chance at which the minimum detectable effect is found.
    n_resamples, seed
        Of the bootstrap.

    Raises
    ------
    ArgumentError
        Values that are NaN, infinitely good or not paired, a logarithm of what is not above zero, or more runs that
        raised than there are infinite values.

    Notes
    -----
    With few tasks the test over task means has little power, whatever the number of seeds: that is what it costs to
    speak of tasks that were not run. The interval counts the spread within tasks twice (in the draw of tasks and in
    that of seeds), so it is a little too wide.
    """
    check_choice("scale", scale, ("log ratio", "standardized"))
    check_in_range("floor", floor, 0.0, open_high=True)
    check_in_range("level", level, 0, 1, open_low=True, open_high=True)
    a = checked_values("first", first, ndim=2, better=better)
    b = checked_values("second", second, ndim=2, better=better)
    raw = differences(a, b)
    infinite = int(np.isinf(a).sum()), int(np.isinf(b).sum())
    for raised, most in zip(n_raised, infinite, strict=True):
        check_count("n_raised", raised, 0, most)
    diverged = infinite[0] - n_raised[0], infinite[1] - n_raised[1]
    reason = ""
    if any(infinite):
        lost = lost_runs(diverged, n_raised, ("the first", "the second"))
        reason = f"{lost}: effects are shares of seeds won"
    elif scale == "standardized":
        spread = raw.std(axis=0, ddof=1) if len(raw) > 1 else np.zeros(raw.shape[1])
        flat = (spread <= 1e-14 * np.maximum(np.abs(a), np.abs(b)).max(axis=0)) & (raw != 0).any(axis=0)
        if flat.any():
            reason = f"differences of task {int(np.flatnonzero(flat)[0])} do not vary: effects are shares of seeds won"
    used: Scale = "net wins" if reason else scale
    if used == "net wins":
        unit = np.sign(raw)
    elif used == "standardized":
        unit = raw / np.where(spread > 0, spread, 1.0)
    else:
        unit = differences(_log("first", a, floor), _log("second", b, floor))
    effects: FloatArray = unit.mean(axis=0)
    return Pooled(
        scale=used,
        effects=effects,
        mean=float(effects.mean()),
        interval=hierarchical_interval(unit, level=level, n_resamples=n_resamples, seed=seed),
        over_tasks=paired(
            effects,
            np.zeros_like(effects),
            better=better,
            level=level,
            n_contrasts=n_contrasts,
            power=power,
            n_resamples=n_resamples,
            seed=seed,
        ),
        n_seeds=len(raw),
        n_diverged=diverged,
        n_raised=n_raised,
        reason=reason,
    )


def hierarchical_interval(
    values: FloatArray, *, level: float = 0.05, n_resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Bootstrap the mean over tasks of means over seeds: tasks are drawn, then seeds within each drawn task.

    Parameters
    ----------
    values
        Shape (n_seeds, n_tasks), finite.
    level
        Chance that the interval misses.
    n_resamples, seed
        Of the bootstrap.

    Returns
    -------
    The percentile interval.
    """
    check_count("n_resamples", n_resamples, FEWEST_RESAMPLES)
    n_seeds, n_tasks = values.shape
    rng = np.random.default_rng(seed)
    tasks = rng.integers(n_tasks, size=(n_resamples, n_tasks, 1))
    seeds = rng.integers(n_seeds, size=(n_resamples, n_tasks, n_seeds))
    means = values[seeds, tasks].mean(axis=(1, 2))
    low, high = np.quantile(means, (level / 2, 1 - level / 2))
    return Interval(float(low), float(high))


def _log(name: str, values: FloatArray, floor: float) -> FloatArray:
    """Take logarithms of values, raised to the floor."""
    raised = np.maximum(values, floor)
    if (raised <= 0).any():
        raise ArgumentError(
            f"cannot take log ratios of {name}: found {float(values.min()):g}; "
            "accepted: values above 0, a floor above 0, or scale='standardized'"
        )
    found: FloatArray = np.log(raised)
    return found
