"""Scores of all pairs of a feature and a gene: correlation over neighbourhoods of cells, and an encoder's read-out.

One cell's counts are too few for a correlation, so both sides are averaged over the same neighbours first; and every
pair correlates with how deeply a cell was sequenced, so depth is taken out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from waddington.twin.preprocess.neighbors import knn_graph, neighbor_table

__all__ = ["averaging", "implied_correlation", "smoothed_correlation"]

Floats = npt.NDArray[np.floating]


def averaging(representation: Floats, *, n_neighbors: int, seed: int = 0) -> sparse.csr_matrix:
    """Give the matrix that averages each cell with its neighbours.

    Parameters
    ----------
    representation
        Where neighbours are sought, (cells, dimensions); a row of NaN is averaged with nobody.
    n_neighbors
        Neighbours of a cell.
    seed
        Of the search, where it is approximate.

    Returns
    -------
    scipy.sparse.csr_matrix
        (cells, cells); rows sum to 1.
    """
    table, _ = neighbor_table(knn_graph(representation, n_neighbors=n_neighbors, seed=seed))
    n = len(table)
    rows = np.repeat(np.arange(n), table.shape[1])[(table >= 0).ravel()]
    near = sparse.csr_matrix((np.ones(len(rows)), (rows, table[table >= 0])), shape=(n, n)) + sparse.eye(n)
    return sparse.csr_matrix(sparse.diags(1.0 / np.asarray(near.sum(axis=1)).ravel()) @ near)


def smoothed_correlation(
    features: Floats, genes: Floats, *, averages: Any | None = None, covariates: Floats | None = None
) -> npt.NDArray[np.float64]:
    """Correlate features with genes over averages of neighbouring cells, covariates taken out.

    Parameters
    ----------
    features, genes
        Normalized values of the same cells, (cells, features) and (cells, genes).
    averages
        Weights of cells in each average, (averages, cells), as of :func:`averaging`; the cells themselves by default.
    covariates
        What is regressed out of both, (cells, covariates), such as the logarithm of each modality's depth.

    Returns
    -------
    numpy.ndarray
        Pearson's r, (features, genes); 0 where either does not vary.
    """
    columns = np.ones((len(genes), 1)) if covariates is None else np.column_stack([np.ones(len(genes)), covariates])
    columns, x, y = (part if averages is None else np.asarray(averages @ part) for part in (columns, features, genes))
    basis = np.linalg.qr(columns.astype(np.float64))[0]
    return np.asarray(_unit(_without(x, basis)).T @ _unit(_without(y, basis)))


def implied_correlation(features: Floats, genes: Floats, embedding: Floats) -> npt.NDArray[np.float64]:
    """Correlate what linear decoders make of an embedding.

    Parameters
    ----------
    features, genes
        Loadings of the decoders, (features, dimensions) and (genes, dimensions).
    embedding
        (cells, dimensions).

    Returns
    -------
    numpy.ndarray
        Pearson's r over cells of the decoded values, (features, genes).
    """
    centred = embedding - embedding.mean(axis=0)
    root = np.linalg.qr(centred.astype(np.float64), mode="r")
    return np.asarray(_unit(root @ features.T).T @ _unit(root @ genes.T))


def _without(values: Floats, basis: Floats) -> npt.NDArray[np.float64]:
    wide = np.asarray(values, dtype=np.float64)
    return np.asarray(wide - basis @ (basis.T @ wide))


def _unit(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Scale columns to length 1; what does not vary but by rounding becomes 0."""
    length = np.linalg.norm(values, axis=0)
    varies = length > 1e-6 * max(float(length.max(initial=0.0)), 1e-12)
    return np.asarray(np.where(varies, values / np.where(varies, length, 1.0), 0.0))
