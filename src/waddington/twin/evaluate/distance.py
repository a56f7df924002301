"""How far two populations of cells lie apart: E-distance, and the energy test by permutation.

The E-distance of Székely and Rizzo (2013, https://doi.org/10.1016/j.jspi.2013.03.018) is ::

    E(X, Y) = 2 E|x - y| - E|x - x'| - E|y - y'|

with Euclidean distances between cells. It is 0 for equal distributions alone. This is the convention of pertpy since
its pull request 733. The paper of scPerturb (Peidli et al. 2024) took squared distances, with which E is twice the
squared distance between the two means and blind to everything else; ``squared=True`` gives that.

Estimates are unbiased unless told otherwise: a cell is not compared with itself, so two samples of one population have
the mean 0, and single values may be negative. Distances are computed in blocks, and all permutations from one pass over
them, so that memory stays bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from waddington._checks import check_count
from waddington._text import counted
from waddington.errors import ArgumentError, DataError
from waddington.twin._energy import energy_between, energy_of_splits

__all__ = ["MAX_CELLS", "EnergyTest", "e_distance", "energy_test"]

Array = npt.NDArray[np.float64]

MAX_CELLS = 2000
"""Most cells of each population that are compared unless told otherwise; of more, as many are drawn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EnergyTest:
    """What an energy test found."""

    distance: float
    """E-distance."""
    p_value: float
    """Share of relabellings, the given labels among them, that lie at least as far apart."""
    n_x: int
    """Cells of the first population that were compared."""
    n_y: int
    """Cells of the second that were compared."""
    n_left_out: int
    """Cells of both that were not drawn."""
    n_permutations: int


def e_distance(
    x: npt.NDArray[np.floating],
    y: npt.NDArray[np.floating],
    *,
    squared: bool = False,
    unbiased: bool = True,
    max_cells: int = MAX_CELLS,
    seed: int = 0,
) -> float:
    """Measure how far two populations lie apart.

    Parameters
    ----------
    x, y
        Cells in the same space, (cells, features).
    squared
        Compare by squared distances, as scPerturb's paper did.
    unbiased
        Leave each cell's distance to itself out of the means (U-statistic). Otherwise (V-statistic) the result is never
        negative, and 0 for a sample beside itself.
    max_cells
        Most cells of each population that are compared; of more, as many are drawn at random.
    seed
        Of that draw.

    Returns
    -------
    float
        In units of the features, or of their squares with `squared`.

    Raises
    ------
    ArgumentError
        When shapes do not agree, or `max_cells` is below 2.
    DataError
        When a value is not finite, or a population has fewer cells than the estimate needs: 2, or 1 where biased.
    """
    first, second, _ = _prepared(x, y, 2 if unbiased else 1, max_cells, np.random.default_rng(seed))
    return energy_between(first, second, squared=squared, unbiased=unbiased)


def energy_test(
    x: npt.NDArray[np.floating],
    y: npt.NDArray[np.floating],
    *,
    n_permutations: int = 999,
    squared: bool = False,
    max_cells: int = MAX_CELLS,
    seed: int = 0,
) -> EnergyTest:
    """Test whether two populations are one, by drawing the labels of their cells anew.

    Parameters
    ----------
    x, y
        Cells in the same space, (cells, features).
    n_permutations
        Relabellings; the smallest p is one over one more than these.
    squared
        Compare by squared distances, as scPerturb's paper did.
    max_cells
        Most cells of each population that are compared; of more, as many are drawn at random.
    seed
        Of cells and labels.

    Returns
    -------
    EnergyTest
        Its ``n_left_out`` says how many cells were not drawn.

    Raises
    ------
    ArgumentError
        When shapes do not agree, or a number is too small.
    DataError
        When a value is not finite, or a population has fewer than 2 cells.
    """
    check_count("n_permutations", n_permutations, 1)
    rng = np.random.default_rng(seed)
    first, second, left_out = _prepared(x, y, 2, max_cells, rng)
    cells, inside = np.concatenate([first, second]), np.zeros((len(first) + len(second), 1 + n_permutations))
    inside[: len(first), 0] = 1.0
    inside[:, 1:] = rng.permuted(np.repeat(inside[:, :1], n_permutations, axis=1), axis=0)
    found = energy_of_splits(cells, inside, squared=squared, unbiased=True)
    # Equal splits differ in the last digits, because sums run in another order.
    as_far = found[1:] >= found[0] - 1e-12 * np.abs(found).max()
    return EnergyTest(
        distance=float(found[0]),
        p_value=float((1 + as_far.sum()) / (1 + n_permutations)),
        n_x=len(first),
        n_y=len(second),
        n_left_out=left_out,
        n_permutations=n_permutations,
    )


def _prepared(
    x: npt.NDArray[np.floating], y: npt.NDArray[np.floating], least: int, max_cells: int, rng: np.random.Generator
) -> tuple[Array, Array, int]:
    """Check two populations, and draw from the large ones; say how many cells were not drawn."""
    check_count("max_cells", max_cells, 2)
    first, second = np.asarray(x), np.asarray(y)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ArgumentError(
            f"cannot compare cells of shape {first.shape} with cells of shape {second.shape}: accepted is"
            " (cells, features), with the same number of features"
        )
    if min(len(first), len(second)) < least:
        raise DataError(
            f"cannot measure a distance between {counted(len(first), 'cell')} and {counted(len(second), 'cell')}:"
            f" accepted is at least {least} of each"
        )
    drawn = [
        one if len(one) <= max_cells else one[np.sort(rng.choice(len(one), max_cells, replace=False))]
        for one in (first, second)
    ]
    left_out = len(first) + len(second) - len(drawn[0]) - len(drawn[1])
    a, b = (one.astype(np.float64) for one in drawn)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise DataError("cannot measure a distance between cells that are not finite: found NaN or infinity")
    return a, b, left_out
