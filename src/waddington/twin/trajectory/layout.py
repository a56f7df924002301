"""Layouts of cells in a plane: random walks that keep branches connected, then forces that give cells room.

The first follows the idea of PHATE (Moon et al. 2019, Nature Biotechnology 37, 1482): cells become the distributions of
a random walk that starts in them, and distances between those distributions are kept by multidimensional scaling. The
second follows that of UMAP (McInnes et al. 2018, arXiv:1802.03426), whose cross-entropy is descended with all edges at
once. Both are written from the papers' equations, in NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.spatial.distance import pdist, squareform
from sklearn.cluster import MiniBatchKMeans
from sklearn.neighbors import NearestNeighbors

__all__ = ["adaptive_kernel", "spread_layout", "walk_layout"]

_Array = npt.NDArray[np.float64]


def adaptive_kernel(data: _Array, *, n_neighbors: int = 10) -> Any:
    """Return a symmetric sparse kernel whose width at a cell is the distance to its ``n_neighbors``-th neighbour.

    Parameters
    ----------
    data
        Cells by coordinates.
    n_neighbors
        Neighbours that set the width; twice as many are kept.
    """
    reach = min(2 * n_neighbors, len(data) - 1)
    distances, neighbors = NearestNeighbors(n_neighbors=reach + 1).fit(data).kneighbors(data)
    width = np.maximum(distances[:, min(n_neighbors, reach)], 1e-12)
    weights = np.exp(-((distances / width[:, None]) ** 4))
    rows = np.repeat(np.arange(len(data)), reach + 1)
    kernel = sparse.csr_matrix((weights.ravel(), (rows, neighbors.ravel())), shape=(len(data), len(data)))
    return (kernel + kernel.T) * 0.5


def spread_layout(
    layout: _Array, kernel: Any, *, n_rounds: int = 150, n_others: int = 5, repulsion: float = 5.0, seed: int = 0
) -> _Array:
    """Give cells room: neighbours attract, random others repel, with steps that shrink to nothing.

    With squared distance s, an edge's membership is ``1 / (1 + s)``; attraction is ``2 / (1 + s)`` and repulsion
    ``2 / (s (1 + s))`` along the difference, as in UMAP with a = b = 1.

    Parameters
    ----------
    layout
        Cells by 2, the start; its global shape is kept.
    kernel
        Symmetric sparse similarities of the cells.
    n_rounds
        Rounds, each with every edge once.
    n_others
        Random cells that each cell is repelled by in a round.
    repulsion
        Weight of repulsion against attraction.
    seed
        Same seed, same bits.
    """
    rng = np.random.default_rng(seed)
    places = layout - layout.mean(axis=0)
    places = (10.0 * places / max(float(np.abs(places).max()), 1e-12)).astype(np.float32)
    n = len(places)
    edges = sparse.coo_matrix(kernel)
    apart = edges.row != edges.col
    rows, columns, weights = edges.row[apart], edges.col[apart], edges.data[apart].astype(np.float32)
    degree = np.bincount(rows, weights, minlength=n).astype(np.float32)
    weights = 2.0 * weights / np.maximum(degree, 1e-9)[rows]
    velocity = np.zeros_like(places)
    for step in range(n_rounds):
        rate = np.float32(0.4 * (1.0 - step / n_rounds))
        ends = places[columns] - places[rows]
        pull = weights / (1.0 + np.einsum("ij,ij->i", ends, ends))
        force = np.column_stack([np.bincount(rows, pull * ends[:, axis], minlength=n) for axis in (0, 1)])
        for others in rng.integers(0, n, (n_others, n)):
            gap = places - places[others]
            square = np.einsum("ij,ij->i", gap, gap)
            push = (2.0 / ((0.001 + square) * (1.0 + square)))[:, None] * gap
            force += np.clip(push, -4.0, 4.0) * (repulsion / n_others)
        velocity = 0.6 * velocity + rate * force.astype(np.float32)
        places = places + velocity
    return np.asarray(places, dtype=np.float64)


def walk_layout(data: _Array, kernel: Any, *, n_landmarks: int = 500, seed: int = 0) -> _Array:
    """Compare the random walks of landmarks, scale the distances to a plane, and bring every cell along.

    Parameters
    ----------
    data
        Cells by coordinates, from which landmarks are grouped.
    kernel
        Symmetric sparse similarities of the cells.
    n_landmarks
        Groups of cells between which walks are compared.
    seed
        Same seed, same bits.

    Returns
    -------
    Cells by 2.
    """
    n_groups = min(n_landmarks, max(len(data) // 3, 3))
    if n_groups < len(data) // 3 + 1:
        # Three rounds of small batches are enough: the groups need to tile the cells, not to be optimal.
        groups = MiniBatchKMeans(n_groups, n_init=1, max_iter=20, batch_size=2048, random_state=seed).fit_predict(data)
        groups = np.unique(groups, return_inverse=True)[1]
    else:
        groups = np.arange(len(data))
    member = sparse.csr_matrix((np.ones(len(data)), (np.arange(len(data)), groups)))
    to_group = _row_normalized(kernel @ member)
    from_group = _row_normalized(member.T @ kernel)
    walk = np.asarray((from_group @ to_group).todense(), dtype=np.float64)
    steps = _walk_length(walk)
    spread = np.linalg.matrix_power(walk, steps)
    distances = squareform(pdist(-np.log(spread + 1e-7)))
    landmarks = _metric_scaling(distances)
    return np.asarray(to_group @ landmarks, dtype=np.float64)


def _row_normalized(matrix: Any) -> Any:
    """Scale every row of a sparse matrix to sum to one."""
    totals = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1e-12)
    return sparse.diags(1.0 / totals) @ matrix


def _walk_length(walk: _Array, longest: int = 100) -> int:
    """Return the steps at the knee of the walk's von Neumann entropy, where noise has gone and shape stays."""
    spectrum = np.abs(np.linalg.eigvals(walk))
    powers = spectrum[None, :] ** np.arange(1, longest + 1)[:, None]
    shares = powers / powers.sum(axis=1, keepdims=True)
    entropy = -(shares * np.log(shares + 1e-15)).sum(axis=1)
    line = np.linspace(entropy[0], entropy[-1], longest)
    return int(np.argmax(line - entropy)) + 1


def _metric_scaling(distances: _Array, n_iterations: int = 200, tolerance: float = 1e-5) -> _Array:
    """Place points in a plane so that their distances match (SMACOF from the classical solution)."""
    n = len(distances)
    centring = np.eye(n) - 1.0 / n
    values, vectors = np.linalg.eigh(-0.5 * centring @ (distances**2) @ centring)
    points = vectors[:, [-1, -2]] * np.sqrt(np.maximum(values[[-1, -2]], 0.0))
    # The eigenvectors' signs are free; fixing them makes the layout the same on every machine.
    points = points * np.where(points[np.abs(points).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)
    previous = np.inf
    for _ in range(n_iterations):
        current = squareform(pdist(points))
        stress = float(((current - distances) ** 2).sum())
        if previous - stress < tolerance * stress:
            break
        previous = stress
        ratio = np.divide(distances, current, out=np.zeros_like(distances), where=current > 1e-12)
        update = -ratio
        update[np.diag_indices(n)] = ratio.sum(axis=1)
        points = np.asarray(update @ points / n, dtype=np.float64)
    return np.asarray(points, dtype=np.float64)
