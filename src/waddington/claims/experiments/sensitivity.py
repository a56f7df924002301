"""How an arm's accuracy depends on rate, batch size and betas: whole grids, every cell on the same seeds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from waddington import jobs
from waddington.bench.statistics import Interval
from waddington.claims.experiments.arms import Trial, rounded
from waddington.claims.measurement import experiment, results_of

__all__ = ["betas", "decades", "grid", "rates", "resampled", "test_of_best"]

Cells = NDArray[np.float64]
"""Accuracies in percent, shape (seeds, rates) of one batch size."""


@experiment()
def rates(
    seed: int,
    *,
    task: str,
    arm: str,
    lrs: Sequence[float],
    batch_size: int,
    steps: int = 0,
    examples: int = 0,
    schedule: str = "cosine",
    parameters: Mapping[str, Any] | None = None,
    metric: str = "accuracy",
) -> Mapping[str, Any]:
    """Train an arm at each of some rates, with one batch size.

    Parameters
    ----------
    seed
        Of initialization and data order.
    task, parameters, schedule
        Of the bench.
    arm
        Of :data:`~waddington.claims.experiments.arms.ARMS`.
    lrs
        The rates.
    batch_size
        Of all of them.
    steps, examples
        Steps of a run, or training examples that it sees; the other is 0.
    metric
        Of the task.

    Returns
    -------
    dict
        ``arm``, ``batch_size``, ``steps``; by rate ``validation`` and ``test`` values of the metric, None where the run
        diverged, and ``rose``: whether the training loss at the end was above the first one.
    """
    length = steps or max(1, examples // batch_size)
    validation: list[float | None] = []
    test: list[float | None] = []
    rose = []
    for lr in lrs:
        trial = Trial(
            task=task, arm=arm, lr=lr, steps=length, seed=seed, schedule=schedule, evaluations=4,
            parameters={**(parameters or {}), "batch_size": batch_size},
        )  # fmt: skip
        found = trial.train()
        validation.append(None if found.diverged else found.curve[-1][metric])
        test.append(None if found.test is None else found.test[metric])
        rose.append(found.diverged or found.curve[-1]["train_loss"] > found.first_loss)
    return {
        "arm": arm, "seed": seed, "batch_size": batch_size, "steps": length, "lrs": list(lrs),
        "validation": rounded(validation), "test": rounded(test), "rose": rose,
    }  # fmt: skip


@experiment()
def betas(
    seed: int,
    *,
    task: str,
    lr: float,
    steps: int,
    beta1: Sequence[float],
    beta2: Sequence[float],
    beta3: Sequence[float] = (0.99,),
    schedule: str = "cosine",
    parameters: Mapping[str, Any] | None = None,
) -> Mapping[str, Any]:
    """Train AMVT at every combination of decays, at one rate.

    Parameters
    ----------
    seed
        Of initialization and data order.
    task, parameters, steps, schedule
        Of the bench.
    lr
        The rate.
    beta1, beta2, beta3
        Decays.

    Returns
    -------
    dict
        ``cells``, combinations, and their test accuracies ``test``.
    """
    cells = list(itertools.product(beta1, beta2, beta3))
    test: list[float | None] = []
    for cell in cells:
        trial = Trial(
            task=task, arm="AMVT", lr=lr, steps=steps, seed=seed, schedule=schedule, parameters=parameters or {},
            arguments={"betas": cell},
        )  # fmt: skip
        found = trial.train()
        test.append(None if found.test is None else found.test["accuracy"])
    return {"seed": seed, "cells": [list(cell) for cell in cells], "test": rounded(test)}


def grid(records: Sequence[jobs.Record], measure: str = "test") -> dict[str, dict[int, Cells]]:
    """Sort the records of :func:`rates`: percent by arm and batch size, of shape (seeds, rates); 0 where diverged."""
    found: dict[str, dict[int, list[list[float]]]] = {}
    for row in sorted(results_of(records), key=lambda row: int(row["seed"])):
        values = [0.0 if one is None else 100.0 * one for one in row[measure]]
        found.setdefault(row["arm"], {}).setdefault(row["batch_size"], []).append(values)
    return {arm: {size: np.array(rows) for size, rows in sorted(own.items())} for arm, own in found.items()}


def test_of_best(validation: Cells, test: Cells) -> NDArray[np.float64]:
    """Give the test accuracy of each seed at the rate whose validation accuracy is the best, as a mean over seeds."""
    return np.asarray(test[:, int(validation.mean(0).argmax())])


def decades(lrs: Sequence[float], accuracy: NDArray[np.float64], *, within: float = 1.0) -> float:
    """Give how many decades of rates around the best one stay within so many points of it.

    Between two rates of the grid the curve is a straight line over log rate; a stretch that reaches an end of the grid
    ends there.

    Parameters
    ----------
    lrs
        Rising.
    accuracy
        In percent, of shape (rates,).
    within
        Points.
    """
    at, best = np.log10(np.asarray(lrs)), int(accuracy.argmax())
    limit = float(accuracy[best]) - within
    ends = []
    for step in (-1, 1):
        here = best
        while 0 <= here + step < len(at) and accuracy[here + step] >= limit:
            here += step
        place = float(at[here])
        if 0 <= here + step < len(at):
            drop = float(accuracy[here] - accuracy[here + step])
            place += float(at[here + step] - at[here]) * (float(accuracy[here]) - limit) / drop
        ends.append(place)
    return ends[1] - ends[0]


def resampled(
    seeds: int, statistic: Callable[[NDArray[np.int64]], float], *, resamples: int = 1_000
) -> tuple[float, Interval]:
    """Give a statistic of seeds and its percentile bootstrap interval; None is never hidden: NaN stays NaN.

    Parameters
    ----------
    seeds
        How many there are.
    statistic
        Of the numbers of seeds that were drawn.
    resamples
        Draws.
    """
    draw = np.random.default_rng(0)
    found = np.array([statistic(draw.integers(0, seeds, seeds)) for _ in range(resamples)])
    low, high = (
        (float(one) for one in np.quantile(found, (0.025, 0.975))) if np.isfinite(found).all() else (math.nan,) * 2
    )
    return float(statistic(np.arange(seeds))), Interval(low, high)
