"""Neighbour graphs of cells: one per modality, and one over all of them.

Free functions over arrays: nearest neighbours (`knn_graph`, at home in `neighbors`), fuzzy connectivities
(`connectivities`), and weighted nearest neighbours over several modalities (`joint_graph`). A row that holds a NaN
stands for a cell that was not measured there: it gets no edges and is nobody's neighbour.

References
----------
Hao et al., *Integrated analysis of multimodal single-cell data*, Cell 184 (2021): the weighted nearest neighbours.
McInnes, Healy and Melville, *UMAP*, arXiv:1802.03426, algorithm 3: the smooth kernel of the connectivities.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import sparse

from waddington._checks import check_count
from waddington.errors import DataError
from waddington.twin._moved import renamed_arguments
from waddington.twin.preprocess.neighbors import knn_graph, neighbor_table, present_rows, unit_rows

__all__ = ["Near", "connectivities", "joint_graph", "joint_neighbors", "knn_graph", "modality_neighbors"]

FloatArray = npt.NDArray[np.floating]
Near = Mapping[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]
"""By modality: indices of the nearest cells, -1 beyond the last, and their distances."""

_CANDIDATES = 3  # candidates from each modality, as a multiple of the joint neighbours wanted

_CHUNK = 1024
_MAX_SCORE = 200.0  # Seurat's cap on the ratio of affinities, which keeps one lucky cell from deciding alone


def connectivities(distances: sparse.csr_matrix) -> sparse.csr_matrix:
    """Turn distances to neighbours into symmetric weights in (0, 1].

    The kernel is UMAP's: exp(-(d - ρ) / σ) with ρ the distance to the nearest neighbour and σ such that the weights of
    a row sum to log2(k + 1); the two directions a and b of an edge are united as a + b - ab.

    Parameters
    ----------
    distances
        Square CSR of distances from `knn_graph`, (cells, cells).

    Returns
    -------
    Symmetric CSR float32, (cells, cells), empty diagonal.

    Raises
    ------
    DataError
        When the matrix is not square.
    """
    if distances.shape[0] != distances.shape[1]:
        raise DataError(f"cannot symmetrize a graph: found shape {distances.shape}; accepted is a square one")
    table, d = neighbor_table(distances)
    missing = table < 0
    d = np.where(missing, np.inf, d.astype(np.float64))
    degree = (~missing).sum(axis=1)
    excess = d - np.where(degree > 0, d.min(axis=1, initial=np.inf), 0.0)[:, None]
    wanted = np.log2(degree + 1.0)
    # Bisection on log σ, all cells at once: the row sum grows with σ from the number of ties to the degree.
    scale = np.where(missing, 0.0, excess).sum(axis=1) / np.maximum(degree, 1)
    low, high = np.log(np.maximum(scale, 1e-12)) - 12.0, np.log(np.maximum(scale, 1e-12)) + 12.0
    for _ in range(48):
        middle = 0.5 * (low + high)
        above = np.exp(-excess * np.exp(-middle)[:, None]).sum(axis=1) > wanted
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    weights = np.exp(-excess * np.exp(-0.5 * (low + high))[:, None])
    return _united(table, weights, shape=distances.shape)


@renamed_arguments(spaces="representations")
def joint_graph(
    representations: Mapping[str, FloatArray], *, n_neighbors: int = 15, seed: int = 0
) -> tuple[sparse.csr_matrix, npt.NDArray[np.float32]]:
    """Weighted nearest neighbours over several modalities.

    Parameters
    ----------
    representations
        By modality, each (cells, dimensions of that modality), NaN rows where a cell lacks it.
    n_neighbors
        Neighbours per cell.
    seed
        Seed of the approximate search.

    Returns
    -------
    connectivities
        Symmetric CSR float32, (cells, cells).
    weights
        What each modality counts for each cell, (cells, modalities) in the order of `representations`; rows sum to 1
        (to 0 where a cell was measured nowhere).
    """
    table, affinity, weights = joint_neighbors(representations, n_neighbors=n_neighbors, seed=seed)
    n = table.shape[0]
    return _united(table, np.where(table >= 0, affinity, 0.0), shape=(n, n)), weights


def modality_neighbors(
    representations: Mapping[str, FloatArray],
    *,
    n_neighbors: int = 15,
    query: Mapping[str, FloatArray] | None = None,
    seed: int = 0,
) -> dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
    """Find in each modality the candidates that `joint_neighbors` chooses from.

    A cell's `n_neighbors` nearest in a modality are the first `n_neighbors` columns, so one search serves both.

    Parameters
    ----------
    representations, n_neighbors, query, seed
        As in `joint_neighbors`.

    Returns
    -------
    By modality that both have: indices of reference cells, (query cells, at most 3 x `n_neighbors`), near to far, -1
    where there is none; and their distances between unit vectors, 0 where there is none.

    Raises
    ------
    DataError
        When the modalities hold different numbers of cells, or none is shared.
    """
    check_count("n_neighbors", n_neighbors, 1)
    asked = representations if query is None else query
    names = [name for name in representations if name in asked]
    sizes = {asked[name].shape[0] for name in names}
    if len(sizes) != 1 or len({representations[name].shape[0] for name in names}) != 1:
        raise DataError(
            f"cannot join modalities {list(asked)}: found {sorted(sizes)} cells; accepted is one number for all"
        )
    return {
        name: neighbor_table(
            knn_graph(
                unit_rows(representations[name]),
                n_neighbors=_CANDIDATES * n_neighbors,
                metric="euclidean",
                query=None if query is None else unit_rows(query[name]),
                seed=seed,
            )
        )
        for name in names
    }


@renamed_arguments(spaces="representations")
def joint_neighbors(
    representations: Mapping[str, FloatArray],
    *,
    n_neighbors: int = 15,
    query: Mapping[str, FloatArray] | None = None,
    seed: int = 0,
    found: Near | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Find joint neighbours in a reference, as Hao et al. do, and the weight of each modality in the choice.

    A modality weighs more for a cell whose profile there is better predicted by its neighbours in that modality than
    by its neighbours in the others. Candidates are the union of each modality's 3 x `n_neighbors` nearest cells. Two
    things differ from the paper: the bandwidth is the distance to the last of the modality's own `n_neighbors` (theirs
    looks at cells with the lowest Jaccard overlap), and with more than two modalities the cross-prediction is the mean
    over the others.

    Parameters
    ----------
    representations
        Of the reference cells by modality, (cells, dimensions), NaN rows where missing.
    n_neighbors
        Neighbours per cell.
    query
        Coordinates of other cells by modality, or None when the reference asks for itself. A modality may be left out.
    seed
        Seed of the approximate search.
    found
        What `modality_neighbors` found for the same arguments, where it was called before; sought when None.

    Returns
    -------
    table
        Indices of reference cells, (query cells, at most `n_neighbors`), best first, -1 where there is none.
    affinity
        Joint affinity in [0, 1], same shape.
    weights
        (query cells, modalities of the reference), rows sum to 1.

    Raises
    ------
    DataError
        When the modalities hold different numbers of cells, or none is shared.
    """
    if found is None:
        found = modality_neighbors(representations, n_neighbors=n_neighbors, query=query, seed=seed)
    unit = {name: unit_rows(representations[name]) for name in found}
    unit_query = unit if query is None else {name: unit_rows(query[name]) for name in found}
    near: dict[str, npt.NDArray[np.int64]] = {}
    first: dict[str, npt.NDArray[np.float64]] = {}
    width: dict[str, npt.NDArray[np.float64]] = {}
    for name, (table, d) in found.items():
        near[name] = table
        last = np.minimum((table >= 0).sum(axis=1), n_neighbors) - 1
        first[name] = np.where(last >= 0, d[:, 0], np.nan) if d.shape[1] else np.full(d.shape[0], np.nan)
        reach = np.take_along_axis(d, np.maximum(last, 0)[:, None], axis=1)[:, 0] if d.shape[1] else first[name]
        width[name] = np.maximum(reach - first[name], 1e-6)
    inner = _modality_weights(unit, unit_query, near, first, width, n_neighbors)
    table, affinity = _best_candidates(unit, unit_query, near, first, width, inner, n_neighbors)
    weights = np.zeros((inner.shape[0], len(representations)), dtype=np.float32)
    weights[:, [list(representations).index(name) for name in found]] = inner
    return table, affinity, weights


def _united(
    table: npt.NDArray[np.int64], weights: npt.NDArray[np.floating], *, shape: tuple[int, int]
) -> sparse.csr_matrix:
    """Unite the two directions of each edge: a + b - ab."""
    inside = table >= 0
    rows = np.nonzero(inside)[0]
    directed = sparse.csr_matrix((weights[inside], (rows, table[inside])), shape=shape)
    reverse = directed.T.tocsr()
    united = sparse.csr_matrix(directed + reverse - directed.multiply(reverse))
    united.setdiag(0.0)
    united.eliminate_zeros()
    united.sort_indices()
    return united.astype(np.float32)


def _modality_weights(
    unit: Mapping[str, npt.NDArray[np.float32]],
    unit_query: Mapping[str, npt.NDArray[np.float32]],
    near: Mapping[str, npt.NDArray[np.int64]],
    first: Mapping[str, npt.NDArray[np.float64]],
    width: Mapping[str, npt.NDArray[np.float64]],
    n_neighbors: int,
) -> npt.NDArray[np.float32]:
    """Softmax over modalities of how much better the own neighbours predict a cell than the others' neighbours."""
    names = list(unit)
    n = next(iter(near.values())).shape[0]
    scores = np.full((n, len(names)), -np.inf)
    for column, name in enumerate(names):
        affinity: dict[str, npt.NDArray[np.float64]] = {}
        measured = present_rows(unit[name])
        for other in names:
            predicted = _neighbor_mean(unit[name], measured, near[other][:, :n_neighbors])
            apart = np.linalg.norm(unit_query[name] - predicted, axis=1)
            affinity[other] = np.exp(-np.maximum(apart - first[name], 0.0) / width[name])
        cross = np.stack([affinity[other] for other in names if other != name] or [np.full(n, np.nan)])
        # Only the modalities that the cell has predict it, so that one it lacks is as one that was left out.
        known = np.isfinite(cross)
        mean = np.where(known, cross, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        ratio = affinity[name] / (mean + 1e-4)
        own = np.isfinite(ratio)
        scores[own, column] = np.minimum(ratio[own], _MAX_SCORE)
    top = scores.max(axis=1, keepdims=True)
    raised = np.where(np.isfinite(scores), np.exp(scores - np.where(np.isfinite(top), top, 0.0)), 0.0)
    return np.asarray(raised / np.maximum(raised.sum(axis=1, keepdims=True), 1e-12), dtype=np.float32)


def _neighbor_mean(
    x: npt.NDArray[np.float32], measured: npt.NDArray[np.bool_], table: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Mean profile of each row's neighbours that were measured; NaN where there is none."""
    usable = (table >= 0) & measured[np.maximum(table, 0)]
    rows = np.nonzero(usable)[0]
    chosen = sparse.csr_matrix((np.ones(rows.size, np.float32), (rows, table[usable])), shape=(len(table), len(x)))
    total = chosen @ np.where(measured[:, None], x, 0.0).astype(np.float32)
    degree = usable.sum(axis=1)[:, None]
    return np.where(degree > 0, total / np.maximum(degree, 1), np.nan).astype(np.float32)


def _best_candidates(
    unit: Mapping[str, npt.NDArray[np.float32]],
    unit_query: Mapping[str, npt.NDArray[np.float32]],
    near: Mapping[str, npt.NDArray[np.int64]],
    first: Mapping[str, npt.NDArray[np.float64]],
    width: Mapping[str, npt.NDArray[np.float64]],
    weights: npt.NDArray[np.float32],
    n_neighbors: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Rank the union of all modalities' neighbours by weighted affinity; in chunks, so that memory stays bounded."""
    candidates = np.sort(np.concatenate(list(near.values()), axis=1), axis=1)
    candidates[:, 1:][candidates[:, 1:] == candidates[:, :-1]] = -1
    n, k = candidates.shape[0], min(n_neighbors, candidates.shape[1])
    table, affinity = np.full((n, k), -1, dtype=np.int64), np.zeros((n, k), dtype=np.float32)
    for start in range(0, n, _CHUNK):
        rows = slice(start, start + _CHUNK)
        chunk = candidates[rows]
        score = np.zeros(chunk.shape)
        for column, name in enumerate(unit):
            inner = np.einsum("cjd,cd->cj", unit[name][np.maximum(chunk, 0)], unit_query[name][rows])
            apart = np.sqrt(np.maximum(2.0 - 2.0 * inner, 0.0))
            near_by = np.exp(-np.maximum(apart - first[name][rows, None], 0.0) / width[name][rows, None])
            score += weights[rows, column, None] * np.nan_to_num(near_by)
        score = np.where(chunk >= 0, score, -1.0)
        order = np.argsort(-score, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(score, order, axis=1)
        table[rows] = np.where(best >= 0, np.take_along_axis(chunk, order, axis=1), -1)
        affinity[rows] = np.maximum(best, 0.0)
    return table, affinity
