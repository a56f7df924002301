"""Features along pseudotime: smoothed trends with their standard error, and up/down calls.

A call is the sign of Spearman's rank correlation with pseudotime, made only where its false discovery rate
(Benjamini and Hochberg 1995) over the features of that modality stays below a level, and where the smoothed mean, which
is what pictures show, runs the same way: ranks and means of skewed counts may disagree, and then there is no one trend.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from waddington._checks import check_in_range
from waddington._text import counted
from waddington.errors import DataError
from waddington.twin._moved import names_moved_from

__all__ = ["call_trends", "false_discovery_rates", "smooth_trend"]

__getattr__ = names_moved_from(__name__)

_Array = npt.NDArray[np.float64]


def smooth_trend(
    pseudotime: npt.ArrayLike, values: npt.ArrayLike, *, n_points: int = 60, bandwidth: float = 0.06
) -> tuple[_Array, _Array, _Array]:
    """Average features over cells of like pseudotime with a Gaussian kernel.

    Parameters
    ----------
    pseudotime
        One value a cell, shape ``(n,)``; cells without a finite one are left out.
    values
        Cells by features, dense or sparse, shape ``(n, f)``.
    n_points
        Points of the trend, evenly spaced between the first and last pseudotime.
    bandwidth
        Standard deviation of the kernel as a share of the range of pseudotime. Where fewer than about 10 cells fall
        under it, it widens to the tenth nearest cell.

    Returns
    -------
    Grid of pseudotime ``(n_points,)``, mean ``(n_points, f)`` and its standard error ``(n_points, f)``.

    Raises
    ------
    DataError
        Fewer than 3 cells with a finite pseudotime, or lengths that differ.
    """
    check_in_range("bandwidth", bandwidth, 0.0, open_low=True)
    times, matrix = _checked(pseudotime, values)
    grid = np.linspace(times.min(), times.max(), n_points)
    gaps = np.abs(grid[:, None] - times[None, :])
    tenth = np.partition(gaps, min(10, len(times)) - 1, axis=1)[:, min(10, len(times)) - 1]
    width = np.maximum(max(bandwidth * float(np.ptp(times)), 1e-12), tenth)
    weights = np.exp(-0.5 * (gaps / width[:, None]) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    mean = weights @ matrix
    spread = np.maximum(weights @ matrix**2 - mean**2, 0.0)
    # Kish's effective number of cells under the kernel.
    effective = 1.0 / (weights**2).sum(axis=1)
    return grid, mean, np.sqrt(spread / np.maximum(effective - 1.0, 1.0)[:, None])


def call_trends(
    pseudotime: npt.ArrayLike,
    values: Mapping[str, npt.ArrayLike],
    names: Mapping[str, Sequence[str]],
    *,
    level: float = 0.05,
    min_effect: float = 0.1,
) -> pd.DataFrame:
    """Call every feature of every modality up, down or flat along pseudotime.

    Parameters
    ----------
    pseudotime
        One value a cell; cells without a finite one are left out.
    values
        Modality to cells by features.
    names
        Modality to feature names, aligned with the columns.
    level
        False discovery rate within a modality.
    min_effect
        Smallest absolute rank correlation that is called: with thousands of cells almost anything is significant.

    Returns
    -------
    One row a feature: ``modality``, ``feature``, ``spearman``, ``p_value``, ``q_value``, ``slope`` (of the smoothed
    mean over the range of pseudotime, in the units of the values), ``call`` ("up", "down", "flat"). A constant feature
    has correlation 0 and is flat.

    Raises
    ------
    DataError
        Names that don't align with the columns, or too few cells.
    """
    check_in_range("level", level, 0.0, 1.0)
    tables = []
    for modality, matrix in values.items():
        times, dense = _checked(pseudotime, matrix)
        features = [str(name) for name in names[modality]]
        if len(features) != dense.shape[1]:
            raise DataError(
                f"cannot name the features of {modality!r}: found {counted(len(features), 'name')} for "
                f"{counted(dense.shape[1], 'column')}"
            )
        rho = _rank_correlation(times, dense)
        degrees = max(len(times) - 2, 1)
        with np.errstate(divide="ignore"):
            statistic = np.abs(rho) * np.sqrt(degrees / np.maximum(1.0 - rho**2, 0.0))
        p_values = 2.0 * stats.t.sf(statistic, degrees)
        q_values = stats.false_discovery_control(p_values)
        slope = _slopes(times, dense)
        called = (q_values <= level) & (np.abs(rho) >= min_effect) & (np.sign(slope) == np.sign(rho))
        call = np.where(called, np.where(rho > 0, "up", "down"), "flat")
        tables.append(
            pd.DataFrame(
                {
                    "modality": modality,
                    "feature": features,
                    "spearman": rho,
                    "p_value": p_values,
                    "q_value": q_values,
                    "slope": slope,
                    "call": call,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def false_discovery_rates(p_values: npt.ArrayLike) -> _Array:
    """Call :func:`scipy.stats.false_discovery_control`, with a warning; goes with the next release."""
    text = "waddington.twin.trajectory.trends.false_discovery_rates is now scipy.stats.false_discovery_control"
    warnings.warn(f"{text}; the old name goes with the next release", DeprecationWarning, stacklevel=2)
    return np.asarray(stats.false_discovery_control(np.asarray(p_values, dtype=np.float64)))


def _slopes(times: _Array, dense: _Array) -> _Array:
    """Return the slope of a line through every smoothed trend, over the range of the times."""
    grid, mean, _ = smooth_trend(times, dense)
    centred = grid - grid.mean()
    length = float(np.ptp(grid))
    return np.asarray(length * (centred @ mean) / max(float(centred @ centred), 1e-300))


def _rank_correlation(times: _Array, dense: _Array) -> _Array:
    """Return Spearman's correlation of every column with the times; 0 for a constant."""
    ranks = stats.rankdata(dense, axis=0)
    ranks -= ranks.mean(axis=0)
    order = stats.rankdata(times)
    order -= order.mean()
    norm = np.sqrt((ranks**2).sum(axis=0) * (order**2).sum())
    return np.asarray(np.divide(order @ ranks, norm, out=np.zeros(dense.shape[1]), where=norm > 0))


def _checked(pseudotime: npt.ArrayLike, values: Any) -> tuple[_Array, _Array]:
    """Return the finite pseudotimes and the dense rows that belong to them."""
    times = np.asarray(pseudotime, dtype=np.float64).ravel()
    dense = values.toarray() if hasattr(values, "toarray") else values
    matrix = np.asarray(dense, dtype=np.float64)
    if matrix.ndim != 2 or len(matrix) != len(times):
        raise DataError(
            f"cannot follow features along pseudotime: found values of shape {matrix.shape} and {len(times)} "
            "pseudotimes; cells by features with one pseudotime a cell are accepted"
        )
    known = np.isfinite(times)
    if known.sum() < 3:
        raise DataError(
            f"cannot follow features along pseudotime: found {counted(int(known.sum()), 'cell')} with one; 3 are needed"
        )
    return times[known], matrix[known]
