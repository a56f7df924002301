"""Leading components of a sparse or dense matrix, without making it dense: PCA and LSI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse as sp
from sklearn.decomposition import PCA, TruncatedSVD

from waddington.twin.preprocess.transforms import column_moments

__all__ = ["leading_axes", "project"]

Floats = npt.NDArray[np.float64]
Matrix = sp.csr_matrix | npt.NDArray[np.float32]

_SMALL: Final = 1024
"""Up to so many features the matrix of inner products is solved whole: exact, and quicker than scikit-learn's solvers;
beyond, ARPACK is (``benchmarks/libraries.py``)."""

_BLOCK: Final = 4096
"""Rows that are worked on at a time."""


def leading_axes(matrix: Matrix, n_components: int, *, centred: bool, seed: int = 0) -> Floats:
    """Find the directions along which cells differ most.

    Parameters
    ----------
    matrix
        Cells x features.
    n_components
        How many; fewer are given where the matrix has a lower rank.
    centred
        Whether the mean is subtracted from every row, without being stored: true for PCA, false for LSI.
    seed
        Starts the iteration for wide matrices; the axes do not depend on it but for rounding.

    Returns
    -------
    numpy.ndarray
        Features x components, orthonormal, by falling variance; the largest loading of each is positive.
    """
    n_cells, n_features = matrix.shape
    n_components = max(1, min(n_components, n_features, n_cells - 1))
    if n_features <= _SMALL or n_components >= min(n_cells, n_features) - 1:
        centre = column_moments(matrix)[0] if centred else np.zeros(n_features)
        axes, strength = _solve_whole(matrix, n_components, centre)
    else:
        axes, strength = _solve_leading(matrix, n_components, centred, seed)
    # Directions without variance are arbitrary: they would differ from one library to the next.
    axes = axes[:, strength > max(strength[0], 1e-30) * 1e-6] if strength[0] > 0 else axes[:, :1]
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return np.asarray(axes * np.where(signs == 0, 1.0, signs), dtype=np.float64)


def project(matrix: Matrix, axes: npt.NDArray[np.float32], centre: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Give the coordinates of cells on fitted axes.

    Parameters
    ----------
    matrix
        Cells x features.
    axes
        Features x components.
    centre
        What the axes were fitted around.

    Returns
    -------
    numpy.ndarray
        float32, cells x components.
    """
    return np.asarray(matrix @ axes - centre @ axes, dtype=np.float32)


def _blocks(matrix: Matrix) -> Iterator[Any]:
    """Give some rows at a time in float64, so that no second copy of a large matrix is made."""
    for start in range(0, matrix.shape[0], _BLOCK):
        yield matrix[start : start + _BLOCK].astype(np.float64)


def _solve_whole(matrix: Matrix, n_components: int, centre: Floats) -> tuple[Floats, Floats]:
    """Solve the matrix of inner products of all features."""
    gram = np.zeros((matrix.shape[1], matrix.shape[1]))
    for block in _blocks(matrix):
        # A block made dense goes through BLAS: ten times as fast as a product of sparse matrices of usual density.
        dense = (block if isinstance(block, np.ndarray) else block.toarray()) - centre
        gram += dense.T @ dense
    last = gram.shape[0] - 1
    values, vectors = scipy.linalg.eigh(gram, subset_by_index=(last - n_components + 1, last))
    return vectors[:, ::-1], np.maximum(values[::-1], 0.0)


def _solve_leading(matrix: Matrix, n_components: int, centred: bool, seed: int) -> tuple[Floats, Floats]:
    """Find the leading axes of a wide matrix by ARPACK, which sees products only."""
    mean, variance = column_moments(matrix)
    spread = variance if centred else variance + mean**2
    if spread.max() <= 1e-24 * (mean**2).max():  # nothing but rounding, and ARPACK refuses what has no direction
        return np.eye(matrix.shape[1], 1), np.zeros(1)
    if centred:
        solver = PCA(n_components, svd_solver="arpack", random_state=seed)
    else:
        solver = TruncatedSVD(n_components, algorithm="arpack", random_state=seed)
    with np.errstate(divide="ignore", invalid="ignore"):  # explained shares of cells that are all alike
        solver.fit(matrix.astype(np.float64))
    return solver.components_.T, solver.singular_values_**2
