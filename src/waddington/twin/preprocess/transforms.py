"""The mathematics of preprocessing: each function takes counts (cells x features) and whatever was fitted, and no more.

Every transformation of a cell depends on that cell's counts and on fitted numbers only, never on the other cells that
happen to be transformed with it. A cell without counts becomes a row of zeros, not of NaN.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

__all__ = [
    "cell_totals",
    "centered_log_ratio",
    "column_moments",
    "inverse_document_frequency",
    "log_normalize",
    "median_depth",
    "tf_idf",
]

Floats = npt.NDArray[np.float64]


def cell_totals(counts: sp.csr_matrix) -> Floats:
    """Give the sum of each cell's counts."""
    return np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()


def median_depth(depth: Floats) -> float:
    """Give the median over the cells that have any depth; 1 where none has.

    Counts scaled to it keep their own size: those of a panel of 500 genes stay those of a panel. Scaled to the 10,000
    of a whole transcriptome, a single molecule of a panel would weigh as much as 80, and ``log(1 + x)`` would see
    little but which genes were missed.
    """
    positive = depth[depth > 0]
    return float(np.median(positive)) if positive.size else 1.0


def log_normalize(counts: sp.csr_matrix, *, target_sum: float, depth: Floats | None = None) -> sp.csr_matrix:
    """Scale each cell to a common depth, then take ``log(1 + x)``.

    Parameters
    ----------
    counts
        Cells x genes.
    target_sum
        Depth of each cell after scaling.
    depth
        Depth of each cell before, such as its total over more genes than these; None takes the total of its counts.

    Returns
    -------
    scipy.sparse.csr_matrix
        float32, with the sparsity of the counts.
    """
    result = _divide_rows(counts, (cell_totals(counts) if depth is None else depth) / target_sum)
    np.log1p(result.data, out=result.data)
    return result


def inverse_document_frequency(counts: sp.csr_matrix) -> Floats:
    """Give each peak's inverse frequency, ``n_cells / total``, of Stuart et al. (2021), Signac's first method.

    A peak that no cell shows gets 0: nothing was learned about it, so it must not weigh.
    """
    totals = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel()
    return np.divide(counts.shape[0], totals, out=np.zeros_like(totals), where=totals > 0)


def tf_idf(counts: sp.csr_matrix, idf: Floats, *, scale: float = 1e4) -> sp.csr_matrix:
    """Weigh accessible peaks: ``log(1 + scale * tf * idf)``, Signac's first method (Stuart et al. 2021).

    Parameters
    ----------
    counts
        Cells x peaks.
    idf
        One number for each peak, from :func:`inverse_document_frequency` of the training cells.
    scale
        Multiplies the term frequency (a cell's share of its counts that falls in the peak).

    Returns
    -------
    scipy.sparse.csr_matrix
        float32, with the sparsity of the counts.
    """
    result = _divide_rows(counts, cell_totals(counts) / scale)
    result.data *= idf.astype(np.float32)[result.indices]
    np.log1p(result.data, out=result.data)
    return result


def centered_log_ratio(counts: sp.csr_matrix, *, log_mean: Floats | None = None) -> npt.NDArray[np.float32]:
    """Give ``log(1 + x / g)`` with a geometric mean ``g``: CLR of Stoeckius et al. (2017) in Seurat's form.

    Parameters
    ----------
    counts
        Cells x proteins.
    log_mean
        Mean of ``log(1 + x)`` over training cells, for each protein. None takes instead the mean over the proteins of
        each cell itself (Seurat's ``margin=2``), which removes how strongly a whole cell was stained.

    Returns
    -------
    numpy.ndarray
        float32, cells x proteins.
    """
    dense = counts.toarray().astype(np.float64)
    centre = np.log1p(dense).mean(axis=1, keepdims=True) if log_mean is None else log_mean[None, :]
    return np.log1p(dense * np.exp(-centre)).astype(np.float32)


def column_moments(matrix: sp.csr_matrix | npt.NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Give the mean and the variance (``n - 1`` in the denominator) of every feature, in float64.

    Returns
    -------
    mean, variance : numpy.ndarray
        One number for each feature.
    """
    n_cells = matrix.shape[0]
    if sp.issparse(matrix):
        wide = matrix.astype(np.float64)
        mean = np.asarray(wide.mean(axis=0)).ravel()
        # Deviations of the stored values, and of the zeros that are not stored: no difference of large squares.
        wide.data -= mean[wide.indices]
        n_stored = np.bincount(wide.indices, minlength=wide.shape[1])
        squares = np.bincount(wide.indices, weights=wide.data**2, minlength=wide.shape[1])
        total = squares + (n_cells - n_stored) * mean**2
        return mean, total / max(n_cells - 1, 1)
    dense = np.asarray(matrix, dtype=np.float64)
    return dense.mean(axis=0), dense.var(axis=0) * n_cells / max(n_cells - 1, 1)


def _divide_rows(counts: sp.csr_matrix, divisors: Floats) -> sp.csr_matrix:
    """Divide each row by its own number; a row without counts has nothing to divide."""
    factors = np.divide(1.0, divisors, out=np.zeros_like(divisors), where=divisors > 0)
    result = sp.csr_matrix(counts, dtype=np.float32, copy=True)
    result.data *= np.repeat(factors, np.diff(result.indptr)).astype(np.float32)
    return result
