"""Energy distances between populations of cells, in blocks: what tests, scores and choices of models compute."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["energy_between", "energy_of_splits"]

Array = npt.NDArray[np.float64]

_ELEMENTS = 1 << 22
"""Distances that are held at once: 32 MiB."""


def energy_between(x: Array, y: Array, *, squared: bool = False, unbiased: bool = True) -> float:
    """Give 2 E|x - y| - E|x - x'| - E|y - y'| of two populations, (cells, features) each."""
    inside = np.zeros((len(x) + len(y), 1))
    inside[: len(x)] = 1.0
    return float(energy_of_splits(np.concatenate([x, y]), inside, squared=squared, unbiased=unbiased)[0])


def energy_of_splits(cells: Array, inside: Array, *, squared: bool, unbiased: bool) -> Array:
    """Give the energy distance of every split of the cells in two.

    Parameters
    ----------
    cells
        (cells, features).
    inside
        A column for each split, (cells, splits): 1 for cells of the first population. All columns have equal sums.
    squared
        Compare by squared Euclidean distances instead of plain ones.
    unbiased
        Leave each cell's distance to itself out of the means.

    Returns
    -------
    ndarray
        (splits,).
    """
    n_x = float(inside[:, 0].sum())
    n_y = len(cells) - n_x
    within_x, from_x, total = np.zeros(inside.shape[1]), np.zeros(inside.shape[1]), 0.0
    cells = cells - cells.mean(axis=0)  # squares of distances are differences of large numbers otherwise
    length = np.square(cells).sum(axis=1)
    rows = max(1, _ELEMENTS // len(cells))
    for start in range(0, len(cells), rows):
        block = slice(start, min(start + rows, len(cells)))
        distance = np.maximum(length[block, None] + length - 2.0 * (cells[block] @ cells.T), 0.0)
        if not squared:
            np.sqrt(distance, out=distance)
        distance[np.arange(len(distance)), np.arange(start, block.stop)] = 0.0
        within_x += np.einsum("bs,bs->s", inside[block], distance @ inside)
        every = distance.sum(axis=1)
        from_x += every @ inside[block]
        total += float(every.sum())
    between = from_x - within_x
    within_y = total - 2.0 * from_x + within_x
    less = 1.0 if unbiased else 0.0
    return np.asarray(
        2.0 * between / (n_x * n_y)
        - within_x / max(n_x * (n_x - less), 1.0)
        - within_y / max(n_y * (n_y - less), 1.0)
    )  # fmt: skip
