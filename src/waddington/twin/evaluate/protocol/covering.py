"""How many observed changes lie in their intervals: in those of the model as it is, and in calibrated ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington.twin.respond.calibration import LEVEL, Calibration
from waddington.twin.respond.known import How

__all__ = ["COVERAGE", "FEATURES", "INTERVALS", "count_covered", "mean_coverage"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

INTERVALS: Final = ("normal", "conformal")
"""1.645 standard deviations for 90 %, or as many as conditions that were left out of training ask for."""
FEATURES: Final = ("expressed", "changed")
"""Features that are counted: those that cells show, and among them those that changed."""

COVERAGE: Final = (
    "split", "support", "model", "modality", "interval", "features", "level", "coverage", "low", "high", "width",
    "score", "n",
)  # fmt: skip
"""Columns of ``coverage.csv``."""

_NORMAL: Final = Calibration(quantiles={}, why="not calibrated")
_SUMMED: Final = ("coverage", "width", "score")
_RESAMPLES: Final = 2000


def count_covered(
    error: Array,
    sd: Array,
    noise: Array,
    *,
    modality: str,
    how: How,
    unit: Array,
    counts: Sequence[Mask],
    calibration: Calibration | None,
) -> Array:
    """Count the features of one condition that lie inside.

    Parameters
    ----------
    error
        Observed less predicted change, (features,).
    sd
        Standard deviation of the predicted change, as the model says.
    noise
        Sampling variance of the observed change.
    modality, how
        Whose factor is taken, for answers that rest on what.
    unit
        Standard deviation of cells within conditions.
    counts
        Which features count, one mask for each of :data:`FEATURES`.
    calibration
        None where nothing was calibrated.

    Returns
    -------
    ndarray
        (intervals, kinds of features, 3): the share inside, the mean width and the mean interval score, both in
        `unit`. The score is the width and, where the truth lies outside, 2 / (1 - level) times how far (Gneiting &
        Raftery 2007, Journal of the American Statistical Association 102:359): a width that buys nothing makes it
        worse. NaN where no feature counts, or too few conditions tell how wide the interval has to be.
    """
    found = np.full((len(INTERVALS), len(FEATURES), 3), np.nan)
    for row, one in enumerate((_NORMAL, calibration)):
        if one is None or (row and not one.knows(modality, how)):
            continue
        half = one.half_width(modality, sd, noise, LEVEL, how=how)
        outside = np.maximum(np.abs(error) - half, 0.0)
        for column, mask in enumerate(counts):
            if mask.any():
                width, far = (2.0 * half[mask] / unit[mask]), outside[mask] / unit[mask]
                found[row, column] = (far == 0.0).mean(), width.mean(), (width + 2.0 / (1.0 - LEVEL) * far).mean()
    return found


def mean_coverage(
    found: Iterable[tuple[dict[str, str], Sequence[Array]]], *, seed: int = 0, level: float = LEVEL
) -> pd.DataFrame:
    """Average what :func:`count_covered` gave over halvings, then over conditions.

    Parameters
    ----------
    found
        For each condition its ``split``, ``support``, ``model``, ``modality`` and ``unit``, what is drawn anew at once
        (the condition, or its group), and its counts by halving.
    seed
        Of the bootstrap.
    level
        What the intervals are to hold.

    Returns
    -------
    DataFrame
        Columns :data:`COVERAGE`: ``low`` to ``high`` is the 95 % interval of a bootstrap over conditions, or groups,
        and ``n`` their number; ``width`` and ``score`` are in standard deviations of cells within conditions.
    """
    rows: list[dict[str, object]] = []
    for known, halvings in found:
        counted = np.stack(halvings)
        there = np.isfinite(counted).sum(axis=0)
        means = np.divide(np.nansum(counted, axis=0), there, out=np.full(there.shape, np.nan), where=there > 0)
        for i, interval in enumerate(INTERVALS):
            for j, features in enumerate(FEATURES):
                if np.isfinite(means[i, j, 0]):
                    kind = {"interval": interval, "features": features}
                    rows.append({**known, **kind, **dict(zip(_SUMMED, means[i, j], strict=True))})
    keys = list(COVERAGE[:6])
    table, rng = pd.DataFrame(rows, columns=[*keys, "unit", *_SUMMED]), np.random.default_rng(seed)
    summed = [
        {**dict(zip(keys, name, strict=True)), "level": level, **_summed(block, rng)}
        for name, block in table.groupby(keys, sort=False)
    ]
    return pd.DataFrame(summed, columns=list(COVERAGE))


def _summed(block: pd.DataFrame, rng: np.random.Generator) -> dict[str, float]:
    inside = block["coverage"].to_numpy(dtype=np.float64)
    place, units = pd.factorize(block["unit"])
    low = high = math.nan
    if len(units) > 1:
        drawn = rng.multinomial(len(units), np.full(len(units), 1.0 / len(units)), size=_RESAMPLES)[:, place]
        low, high = np.quantile(drawn @ inside / drawn.sum(axis=1), [0.025, 0.975])
    return {
        "coverage": float(inside.mean()), "low": float(low), "high": float(high),
        "width": float(block["width"].mean()), "score": float(block["score"].mean()), "n": len(block),
    }  # fmt: skip
