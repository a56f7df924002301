"""The quasi-potential of Waddington's picture, computed from cells in a plane and their pseudotime.

Two terms, both smooth functions on a grid::

    U(x) = -log(p(x | τ) / max p + floor)  +  tilt · (1 - τ(x))

The first is the usual U = -log p (Wang et al. 2011, PNAS 108, 8257) with every slice of pseudotime given the same
weight, so that a pile of sampled progenitors is not mistaken for an attractor. The second makes the ground fall with
differentiation. Cells sampled at one moment do not determine it: the tilt is a display choice, and the valleys, ridges
and their relative depth at one pseudotime are what the data say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates

from waddington._checks import check_in_range
from waddington._text import counted
from waddington.errors import DataError

__all__ = ["QuasiPotential", "quasi_potential"]

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class QuasiPotential:
    """A quasi-potential on a rectangular grid.

    Attributes
    ----------
    x, y
        Grid coordinates, ascending, shapes ``(nx,)`` and ``(ny,)``.
    height
        U in units of -log density, shape ``(ny, nx)``; its minimum is 0.
    pseudotime
        Smoothed pseudotime on the grid, shape ``(ny, nx)``.
    support
        Weighted density of cells, relative to its maximum, shape ``(ny, nx)``.
    tilt
        Height that pseudotime 0 stands above pseudotime 1.
    """

    x: _Array
    y: _Array
    height: _Array
    pseudotime: _Array
    support: _Array
    tilt: float

    def at(self, points: npt.ArrayLike) -> _Array:
        """Interpolate U at points of the plane, shape ``(..., 2)`` to ``(...)``; outside, the border's value."""
        return self._interpolate(self.height, points)

    def pseudotime_at(self, points: npt.ArrayLike) -> _Array:
        """Interpolate the smoothed pseudotime at points of the plane, shape ``(..., 2)`` to ``(...)``."""
        return self._interpolate(self.pseudotime, points)

    def _interpolate(self, values: _Array, points: npt.ArrayLike) -> _Array:
        where = np.asarray(points, dtype=np.float64)
        flat = where.reshape(-1, 2)
        columns = (flat[:, 0] - self.x[0]) / (self.x[1] - self.x[0])
        rows = (flat[:, 1] - self.y[0]) / (self.y[1] - self.y[0])
        found = map_coordinates(values, [rows, columns], order=1, mode="nearest")
        return np.asarray(found, dtype=np.float64).reshape(where.shape[:-1])


def quasi_potential(
    embedding: npt.ArrayLike,
    pseudotime: npt.ArrayLike,
    *,
    tilt: float | None = None,
    bandwidth: float = 1.0,
    floor: float = 0.02,
    n_grid: int = 140,
    margin: float = 0.16,
) -> QuasiPotential:
    """Compute the quasi-potential of cells in a plane.

    Parameters
    ----------
    embedding
        Cells by 2.
    pseudotime
        One value a cell in [0, 1]; cells without a finite one are left out.
    tilt
        Height that pseudotime 0 stands above pseudotime 1; by default 1.5 times the height of the walls.
    bandwidth
        Multiplies Scott's bandwidth of the density.
    floor
        Relative density at which the walls level out; their height is ``log(1 + 1 / floor)``.
    n_grid
        Grid points along the longer side.
    margin
        Room around the cells, as a share of their range.

    Raises
    ------
    DataError
        Shapes that don't fit, fewer than 10 cells with finite values, or no extent in the plane.
    """
    check_in_range("bandwidth", bandwidth, 0.0, open_low=True)
    check_in_range("floor", floor, 0.0, 1.0, open_low=True)
    check_in_range("n_grid", n_grid, 16)
    points = np.asarray(embedding, dtype=np.float64)
    times = np.asarray(pseudotime, dtype=np.float64).ravel()
    if points.ndim != 2 or points.shape[1] != 2 or len(points) != len(times):
        raise DataError(
            f"cannot compute a landscape: found an embedding of shape {points.shape} and "
            f"{counted(len(times), 'pseudotime')}; "
            "cells by 2 and one pseudotime a cell are accepted"
        )
    known = np.isfinite(times) & np.isfinite(points).all(axis=1)
    if known.sum() < 10:
        raise DataError(
            f"cannot compute a landscape: found {counted(int(known.sum()), 'cell')} with finite values; 10 are needed"
        )
    points, times = points[known], np.clip(times[known], 0.0, 1.0)
    low, high = points.min(axis=0), points.max(axis=0)
    extent = float((high - low).max())
    if extent <= 0:
        raise DataError("cannot compute a landscape: every cell lies on one point; a spread embedding is accepted")
    low, high = low - margin * extent, high + margin * extent
    step = float((high - low).max()) / (n_grid - 1)
    sizes = np.ceil((high - low) / step).astype(int) + 1
    x, y = low[0] + step * np.arange(sizes[0]), low[1] + step * np.arange(sizes[1])
    # Scott's factor on the typical spread, at least two grid steps so that the surface stays smooth.
    sigma = max(bandwidth * float(points.std(axis=0).mean()) * len(points) ** (-1.0 / 6.0) / step, 2.0)
    weights = _slice_weights(times)
    mass = _deposit(points, weights, low, step, sizes)
    timed = _deposit(points, weights * times, low, step, sizes)
    density = gaussian_filter(mass, sigma, mode="constant")
    support = density / density.max()
    # Wider and wider kernels carry pseudotime smoothly into places without cells.
    scales = [(sigma * factor, share) for factor, share in ((1.5, 1.0), (4.0, 0.02), (12.0, 0.002))]
    top = sum(share * gaussian_filter(timed, scale, mode="constant") for scale, share in scales)
    bottom = sum(share * gaussian_filter(mass, scale, mode="constant") for scale, share in scales)
    smooth_time = np.asarray((top + 1e-12 * times.mean()) / (bottom + 1e-12), dtype=np.float64)
    wall = float(np.log1p(1.0 / floor))
    slope = 1.5 * wall if tilt is None else float(tilt)
    valleys = -np.log(support + floor) + np.log1p(floor)
    height = valleys + slope * (1.0 - smooth_time)
    return QuasiPotential(x=x, y=y, height=height - height.min(), pseudotime=smooth_time, support=support, tilt=slope)


def _slice_weights(times: _Array, n_bins: int = 24, most: float = 5.0) -> _Array:
    """Weigh cells against the density of pseudotime, at most ``most`` times the average."""
    counts, edges = np.histogram(times, bins=n_bins, range=(0.0, 1.0))
    smooth = np.interp(times, 0.5 * (edges[1:] + edges[:-1]), gaussian_filter(counts.astype(np.float64), 1.5))
    weights = 1.0 / np.maximum(smooth, 1e-9)
    weights = np.minimum(weights / weights.mean(), most)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _deposit(points: _Array, weights: _Array, low: _Array, step: float, sizes: npt.NDArray[np.int64]) -> _Array:
    """Spread each cell's weight over the four grid points around it; shape ``(ny, nx)``."""
    position = (points - low) / step
    corner = np.floor(position).astype(int)
    part = position - corner
    grid = np.zeros((int(sizes[1]), int(sizes[0])))
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        share = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
        rows = np.minimum(corner[:, 1] + dy, sizes[1] - 1)
        columns = np.minimum(corner[:, 0] + dx, sizes[0] - 1)
        np.add.at(grid, (rows, columns), weights * share)
    return grid
