"""Nearest neighbours of cells, exact when few and approximate when many.

A row that holds a NaN stands for a cell that was not measured there: it gets no neighbours and is nobody's neighbour.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from waddington._checks import check_choice, check_count
from waddington.errors import DataError

__all__ = ["EXACT_UP_TO", "knn_graph", "neighbor_table", "present_rows", "unit_rows"]

FloatArray = npt.NDArray[np.floating]

EXACT_UP_TO = 64_000
"""References of at most this many cells are searched exactly, larger ones by nearest-neighbour descent. Each process
compiles that for half a minute; in a trial the two took the same time here (docs/log.md, 2026-11-30)."""

_CARE = 0.2  # pynndescent's epsilon; with its own 0.1 more neighbours of new cells are missed


def knn_graph(
    x: FloatArray,
    *,
    n_neighbors: int = 15,
    metric: str = "cosine",
    query: FloatArray | None = None,
    seed: int = 0,
) -> sparse.csr_matrix:
    """Find the nearest neighbours of each cell.

    Exact up to `EXACT_UP_TO` reference cells, nearest-neighbour descent (pynndescent) above, where the cost per cell
    no longer grows with their number.

    Parameters
    ----------
    x
        Reference coordinates, (cells, dimensions).
    n_neighbors
        Neighbours per cell; fewer where the reference is smaller.
    metric
        ``"cosine"`` (1 - cosine) or ``"euclidean"``.
    query
        Coordinates of the cells whose neighbours are wanted, (query cells, dimensions). Without it the reference is
        its own query and no cell is its own neighbour.
    seed
        Seed of the approximate search; the exact one needs none.

    Returns
    -------
    Distances (query cells, cells) in CSR form, each row sorted from near to far. Zero distances are stored, not
    dropped.

    Raises
    ------
    ArgumentError
        For an unknown metric or fewer than one neighbour.
    DataError
        When the two sets of coordinates differ in width, or no reference cell was measured.
    """
    check_choice("metric", metric, ("cosine", "euclidean"))
    check_count("n_neighbors", n_neighbors, 1)
    itself = query is None
    asked = x if query is None else query
    if asked.ndim != 2 or x.ndim != 2 or asked.shape[1] != x.shape[1]:
        raise DataError(
            f"cannot search neighbours: found shapes {asked.shape} and {x.shape}; accepted are two tables of one width"
        )
    reference_rows, query_rows = np.flatnonzero(present_rows(x)), np.flatnonzero(present_rows(asked))
    if reference_rows.size == 0:
        raise DataError("cannot search neighbours: found no reference cell without NaN; accepted is at least one")
    prepared = unit_rows if metric == "cosine" else np.ascontiguousarray
    reference = prepared(x[reference_rows])
    wanted = reference if itself else prepared(asked[query_rows])
    k = min(n_neighbors, reference_rows.size - int(itself))
    if k < 1 or query_rows.size == 0:
        return sparse.csr_matrix((asked.shape[0], x.shape[0]), dtype=np.float32)
    if reference_rows.size <= EXACT_UP_TO:
        search = NearestNeighbors(n_neighbors=k, algorithm="brute", metric="euclidean").fit(reference)
        distances, indices = search.kneighbors(None if itself else wanted)
    else:
        distances, indices = _descend(reference, None if itself else wanted, k=k, seed=seed)
    if metric == "cosine":  # between unit vectors, 1 - cosine is half the squared distance
        distances = 0.5 * distances**2
    counts = np.zeros(asked.shape[0], dtype=np.int64)
    counts[query_rows] = k
    indptr = np.concatenate([[0], np.cumsum(counts)])
    columns = reference_rows[indices.ravel()].astype(np.int32)
    return sparse.csr_matrix(
        (distances.ravel().astype(np.float32), columns, indptr), shape=(asked.shape[0], x.shape[0])
    )


def neighbor_table(
    graph: sparse.csr_matrix, width: int | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Lay the rows of a sparse graph out as a table of fixed width.

    Parameters
    ----------
    graph
        CSR, (rows, columns); the order within a row is kept.
    width
        Columns of the table; the longest row by default, longer rows are cut.

    Returns
    -------
    indices
        (rows, width) column indices, -1 beyond a row's end.
    values
        (rows, width) stored values, 0 beyond a row's end.
    """
    lengths = np.diff(graph.indptr)
    size = int(lengths.max(initial=0)) if width is None else width
    kept = np.minimum(lengths, size)
    inside = np.arange(size) < kept[:, None]
    position = np.where(inside, graph.indptr[:-1, None] + np.arange(size), 0)
    if graph.nnz == 0:
        return np.full((graph.shape[0], size), -1, dtype=np.int64), np.zeros((graph.shape[0], size))
    indices = np.where(inside, graph.indices[position], -1).astype(np.int64)
    return indices, np.where(inside, graph.data[position], 0.0).astype(np.float64)


def present_rows(x: FloatArray) -> npt.NDArray[np.bool_]:
    """Tell which cells were measured.

    Parameters
    ----------
    x
        Coordinates, (cells, dimensions); NaN marks a cell without this modality.

    Returns
    -------
    Boolean (cells,): true where every coordinate is finite.
    """
    return np.asarray(np.isfinite(x).all(axis=1))


def unit_rows(x: FloatArray) -> npt.NDArray[np.float32]:
    """Scale each row to length one; a zero row stays zero, a NaN row stays NaN."""
    table = np.ascontiguousarray(x, dtype=np.float32)
    return np.asarray(table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12))


def _descend(
    reference: npt.NDArray[np.float32], query: npt.NDArray[np.float32] | None, *, k: int, seed: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Approximate search; the import is here because it compiles for seconds and small data never need it."""
    from pynndescent import NNDescent

    index = NNDescent(reference, metric="euclidean", n_neighbors=max(k + 1, 15), random_state=seed)
    if query is not None:
        indices, distances = index.query(query, k=k, epsilon=_CARE)
        return np.asarray(distances, dtype=np.float64), np.asarray(indices, dtype=np.int64)
    indices, distances = index.neighbor_graph
    # The cell itself comes first except among duplicates: push it to the end of its row, then cut the row.
    order = np.argsort(
        np.where(indices == np.arange(len(reference))[:, None], np.inf, distances), axis=1, kind="stable"
    )
    order = order[:, :k]
    return np.take_along_axis(distances, order, axis=1), np.take_along_axis(indices, order, axis=1)
