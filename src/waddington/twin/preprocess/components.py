"""Leading components of a sparse or dense matrix, without making it dense: PCA and LSI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse as sp

__all__ = ["leading_axes", "project"]

Floats = npt.NDArray[np.float64]
Matrix = sp.csr_matrix | npt.NDArray[np.float32]

_SMALL: Final = 1024
"""Up to so many features the matrix of inner products is solved whole, which is exact and quick."""

_BLOCK: Final = 4096
"""Rows that are worked on at a time."""

_EXTRA: Final = 20
"""Axes beyond those wanted that take part in the iteration, which makes the wanted ones converge faster."""

_ITERATIONS: Final = 12
"""After 12 rounds, 50 axes hold 99.8 % of the variance of the exact ones on sci-CAR's RNA, whose spectrum is flat."""


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


def _solve_leading(matrix: Matrix, n_components: int, centre: Floats, seed: int) -> tuple[Floats, Floats]:
    """Find the leading axes by block subspace iteration from random ones (Halko et al. 2011) on products only."""
    n_features = matrix.shape[1]
    width = min(n_components + _EXTRA, n_features)
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((n_features, width)))[0]
    for _ in range(_ITERATIONS):
        basis = np.linalg.qr(_multiply_gram(matrix, basis, centre))[0]
    values, rotation = scipy.linalg.eigh(basis.T @ _multiply_gram(matrix, basis, centre))
    order = np.argsort(-values)[:n_components]
    return np.asarray(basis @ rotation[:, order]), np.maximum(values[order], 0.0)


def _multiply_gram(matrix: Matrix, basis: Floats, centre: Floats) -> Floats:
    """Multiply the matrix of inner products of all features, which is never formed, with some columns."""
    result = np.zeros_like(basis)
    for block in _blocks(matrix):
        scores = block @ basis - centre @ basis
        result += block.T @ scores - np.outer(centre, scores.sum(axis=0))
    return result
