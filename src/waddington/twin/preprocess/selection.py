"""Which features a model sees: variable genes, accessible peaks, every protein; learned from training cells."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from waddington.twin.preprocess.transforms import column_moments

__all__ = ["normalized_dispersion", "top_features"]

Floats = npt.NDArray[np.float64]


def normalized_dispersion(lognorm: sp.csr_matrix, *, n_bins: int = 20) -> Floats:
    """Give each gene's dispersion against genes of similar expression (Satija et al. 2015, scanpy's flavour "seurat").

    Parameters
    ----------
    lognorm
        Cells x genes, ``log(1 + x)`` of scaled counts.
    n_bins
        Bins of equal width in mean expression within which dispersions are standardized.

    Returns
    -------
    numpy.ndarray
        One number for each gene; minus infinity where a gene is not expressed.
    """
    linear = lognorm.copy()
    np.expm1(linear.data, out=linear.data)
    mean, variance = column_moments(linear)
    expressed = (mean > 0) & (variance > 0)
    scores = np.full(mean.shape, -np.inf)
    if not expressed.any():
        return scores
    level = np.log1p(mean[expressed])
    dispersion = np.log(variance[expressed] / mean[expressed])
    # The bins span all genes, so that a gene without expression moves the lowest edge to 0, as it does in scanpy.
    edges = np.linspace(np.log1p(mean.min()), level.max(), n_bins + 1)
    bins = np.clip(np.searchsorted(edges, level, side="left") - 1, 0, n_bins - 1)
    size = np.bincount(bins, minlength=n_bins)
    centre = np.bincount(bins, weights=dispersion, minlength=n_bins) / np.maximum(size, 1)
    spread = np.bincount(bins, weights=(dispersion - centre[bins]) ** 2, minlength=n_bins)
    spread = np.sqrt(spread / np.maximum(size - 1, 1))
    # A gene alone in its bin has nothing to be compared with and scores 1, as in Seurat; so do equal ones.
    alone = (size == 1) | (spread == 0)
    scores[expressed] = np.where(alone[bins], 1.0, (dispersion - centre[bins]) / np.where(alone, 1.0, spread)[bins])
    return scores


def top_features(scores: Floats, n_top: int) -> npt.NDArray[np.bool_]:
    """Mark the features with the highest finite scores; ties go to the earlier feature.

    Parameters
    ----------
    scores
        One number for each feature; minus infinity for one that must not be taken.
    n_top
        How many at most.
    """
    order = np.argsort(-scores, kind="stable")[:n_top]
    selected = np.zeros(scores.shape, dtype=np.bool_)
    selected[order] = np.isfinite(scores[order])
    return selected
