"""Leading components of a sparse or dense matrix, without making it dense: PCA and LSI."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, svds

__all__ = ["leading_axes", "project"]

Floats = npt.NDArray[np.float64]
Matrix = sp.csr_matrix | npt.NDArray[np.float32]

_SMALL: Final = 1024
"""Up to so many features the matrix of inner products is solved whole, which is exact and quick."""

_BLOCK: Final = 4096
"""Rows that are dense at a time."""


def leading_axes(matrix: Matrix, n_components: int, *, centre: Floats, seed: int = 0) -> Floats:
    """Find the directions along which cells differ most.

    Parameters
    ----------
    matrix
        Cells x features.
    n_components
        How many; fewer are given where the matrix has a lower rank.
    centre
        What is subtracted from every row, without being stored: the mean for PCA, zeros for LSI.
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
        axes, strength = _solve_whole(matrix, n_components, centre)
    else:
        axes, strength = _solve_leading(matrix, n_components, centre, seed)
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


def _solve_whole(matrix: Matrix, n_components: int, centre: Floats) -> tuple[Floats, Floats]:
    """Solve the matrix of inner products of all features, in float64."""
    gram = np.zeros((matrix.shape[1], matrix.shape[1]))
    for start in range(0, matrix.shape[0], _BLOCK):
        block = matrix[start : start + _BLOCK]
        # A block made dense goes through BLAS: ten times as fast as a product of sparse matrices of usual density.
        dense = (block.toarray() if sp.issparse(block) else np.asarray(block)).astype(np.float64) - centre
        gram += dense.T @ dense
    last = gram.shape[0] - 1
    values, vectors = scipy.linalg.eigh(gram, subset_by_index=(last - n_components + 1, last))
    return vectors[:, ::-1], np.maximum(values[::-1], 0.0)


def _solve_leading(matrix: Matrix, n_components: int, centre: Floats, seed: int) -> tuple[Floats, Floats]:
    """Find the leading singular vectors by Lanczos iteration with products only."""
    wide = matrix.astype(np.float64)
    operator = LinearOperator(
        wide.shape,
        matvec=lambda v: wide @ v.ravel() - centre @ v.ravel(),
        rmatvec=lambda u: wide.T @ u.ravel() - centre * u.sum(),
        dtype=np.float64,
    )
    start = np.random.default_rng(seed).standard_normal(min(wide.shape))
    _, values, vectors = svds(operator, k=n_components, v0=start, return_singular_vectors=True)
    order = np.argsort(-values)
    return np.asarray(vectors[order].T, dtype=np.float64), np.asarray(values[order] ** 2, dtype=np.float64)
