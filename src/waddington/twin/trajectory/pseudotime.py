"""Order cells along their differentiation by diffusion pseudotime.

Pseudotime is the diffusion distance of Haghverdi et al. to a root cell, scaled to [0, 1]: the distance between two
cells over random walks of all lengths on the neighbour graph, which noise in single steps hardly moves.

References
----------
Haghverdi, Büttner, Wolf, Buettner and Theis, *Diffusion pseudotime robustly reconstructs lineage branching*, Nature
Methods 13 (2016).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigsh

from waddington._checks import check_in_range
from waddington._text import counted
from waddington.errors import ArgumentError, DataError
from waddington.twin._arrays import check_arrays
from waddington.twin.preprocess.graph import connectivities
from waddington.twin.preprocess.neighbors import knn_graph

__all__ = [
    "central_cell",
    "diffusion_components",
    "diffusion_pseudotime",
    "earliest_cells",
    "find_tips",
    "guess_root",
    "infer_root",
]

FloatArray = npt.NDArray[np.floating]

_STATIONARY = 0.9994  # eigenvalues above are the stationary state of a component, which tells no cells apart
_AROUND = 10  # cells around a tip whose stemness is averaged


def diffusion_pseudotime(
    cells: sparse.csr_matrix | FloatArray,
    *,
    root: int | None = None,
    times: FloatArray | None = None,
    stemness: FloatArray | None = None,
    candidates: npt.NDArray[np.bool_] | None = None,
    n_components: int = 15,
    n_neighbors: int = 15,
) -> npt.NDArray[np.float64]:
    """Order cells by their diffusion distance to a root.

    Parameters
    ----------
    cells
        Symmetric connectivities (CSR, cells x cells), or coordinates (cells, dimensions) to build them from.
    root
        Index of the root cell; inferred by `infer_root` when None.
    times
        Observed time of each cell, (cells,), NaN where unknown: the root is an earliest cell.
    stemness
        Score that is high in undifferentiated cells, (cells,), such as the number of genes detected.
    candidates
        Cells that may be the root, (cells,): the controls, for example.
    n_components
        Diffusion components in the distance.
    n_neighbors
        Neighbours, when coordinates are given.

    Returns
    -------
    Pseudotime in [0, 1], (cells,): 0 at the root, 1 at the farthest reachable cell. Cells that no path of the graph
    joins to the root: with coordinates their part of the graph is bridged by the shortest edge to the root's part
    first; with connectivities alone there is nothing to bridge by, and they are NaN.

    Raises
    ------
    ArgumentError
        For a root outside the cells or fewer than one component.
    DataError
        For fewer than three cells, NaN coordinates, or labels of another length.
    """
    check_arrays(cells, "order", instead="waddington.twin.tl.pseudotime")
    check_in_range("n_components", n_components, 1)
    n = cells.shape[0]
    if n < 3:
        raise DataError(f"cannot order cells: found {n}; accepted are 3 or more")
    for name, label in (("times", times), ("stemness", stemness), ("candidates", candidates)):
        if label is not None and label.shape != (n,):
            raise DataError(f"cannot use {name}: found shape {label.shape}; accepted is ({n},)")
    if root is not None and not 0 <= root < n:
        raise ArgumentError(f"cannot use root={root}: root must be the index of one of {counted(n, 'cell')}")
    if sparse.issparse(cells):
        graph = sparse.csr_matrix(cells)
    else:
        graph = _bridged(np.asarray(cells, dtype=np.float32), n_neighbors)
    _, part = connected_components(graph, directed=False)
    earliest = None if times is None else earliest_cells(times, candidates)
    pool = _allowed(earliest, candidates, n)
    home = part[root] if root is not None else np.bincount(part[pool]).argmax()
    inside = np.flatnonzero(part == home)
    components = diffusion_components(graph[inside][:, inside], n_components=n_components)
    if root is not None:
        start = int(np.searchsorted(inside, root))
    else:
        start = infer_root(
            components,
            earliest=None if earliest is None else earliest[inside],
            candidates=None if candidates is None else candidates[inside],
            stemness=None if stemness is None else stemness[inside],
        )
    distance = np.linalg.norm(components - components[start], axis=1)
    order = np.full(n, np.nan)
    order[inside] = distance / max(float(distance.max()), 1e-300)
    return order


def diffusion_components(graph: sparse.csr_matrix, *, n_components: int = 15) -> npt.NDArray[np.float64]:
    """Place cells so that Euclidean distance is the diffusion distance over walks of all lengths.

    Parameters
    ----------
    graph
        Symmetric connectivities of one connected part, (cells, cells).
    n_components
        Eigenvectors used.

    Returns
    -------
    ψ λ / (1 - λ) of the density-normalized symmetric transition matrix, (cells, at most `n_components`), the
    stationary state left out. The sign of each component is fixed by its largest entry.
    """
    n = graph.shape[0]
    if n < 3:
        return np.zeros((n, 1))
    density = 1.0 / np.maximum(np.asarray(graph.sum(axis=0), dtype=np.float64).ravel(), 1e-300)
    kernel = sparse.diags(density) @ graph.astype(np.float64) @ sparse.diags(density)
    degree = 1.0 / np.sqrt(np.maximum(np.asarray(kernel.sum(axis=0)).ravel(), 1e-300))
    transition = sparse.diags(degree) @ kernel @ sparse.diags(degree)
    k = min(n_components + 1, n - 1)
    if n <= max(64, 2 * k):  # Lanczos iterations need room that a small graph has not
        values, vectors = np.linalg.eigh(transition.toarray())
        values, vectors = values[-k:], vectors[:, -k:]
    else:
        # A fixed start makes the iteration, and so the result, deterministic.
        values, vectors = eigsh(transition, k=k, which="LA", v0=1.0 / degree)
    order = np.argsort(-values)
    values, vectors = values[order], vectors[:, order]
    # The stationary state comes first in a connected graph; a cut in the graph that is nearly closed comes close to
    # it, and must not drown everything else.
    values, vectors = np.minimum(values[1:], _STATIONARY), vectors[:, 1:]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None], axis=0)
    return np.asarray(vectors * np.where(largest < 0, -1.0, 1.0) * (values / (1.0 - values)))


def infer_root(
    components: FloatArray,
    *,
    earliest: npt.NDArray[np.bool_] | None = None,
    candidates: npt.NDArray[np.bool_] | None = None,
    stemness: FloatArray | None = None,
) -> int:
    """Choose the root of a differentiation.

    With observed times the root is the most central of the earliest cells. Without, it is a tip, an end of one of the
    three longest axes: of the tips the one with the highest stemness around it, or, when nothing is known, the one
    farthest from the centre of all cells, a direction that only the shape of the data supports.

    Parameters
    ----------
    components
        From `diffusion_components`, (cells, components).
    earliest
        The earliest cells, (cells,).
    candidates
        Cells that may be the root, (cells,), when no time is known.
    stemness
        High in undifferentiated cells, (cells,).

    Returns
    -------
    Index of the root.
    """
    if earliest is not None and 0 < earliest.sum() < len(earliest):
        return central_cell(components, earliest)
    return guess_root(components, candidates=candidates, stemness=stemness)


def central_cell(components: FloatArray, cells: npt.NDArray[np.bool_]) -> int:
    """Give the most central of some cells: the one nearest to their median, (cells, components) and (cells,)."""
    chosen = np.flatnonzero(cells)
    away = np.linalg.norm(components[chosen] - np.median(components[chosen], axis=0), axis=1)
    return int(chosen[away.argmin()])


def find_tips(components: FloatArray, *, candidates: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.int64]:
    """Give the ends of the three longest axes, those of the candidates where there are any."""
    allowed = _allowed(None, candidates, components.shape[0])
    ends = components[allowed, :3]
    return np.asarray(allowed[np.unique(np.concatenate([ends.argmin(axis=0), ends.argmax(axis=0)]))])


def guess_root(
    components: FloatArray,
    *,
    candidates: npt.NDArray[np.bool_] | None = None,
    stemness: FloatArray | None = None,
) -> int:
    """Guess the root among the tips: the highest stemness around it, or else the farthest from the centre."""
    tips = find_tips(components, candidates=candidates)
    if stemness is not None:
        near = np.linalg.norm(components[:, None] - components[tips][None], axis=2).argsort(axis=0)[:_AROUND]
        return int(tips[np.asarray(stemness)[near].mean(axis=0).argmax()])
    away = np.linalg.norm(components - components.mean(axis=0), axis=1)
    return int(tips[away[tips].argmax()])


def _allowed(
    first: npt.NDArray[np.bool_] | None, second: npt.NDArray[np.bool_] | None, n: int
) -> npt.NDArray[np.int64]:
    """Indices of the first selection that selects anything, or of all cells."""
    for chosen in (first, second):
        if chosen is not None and chosen.any():
            return np.flatnonzero(chosen)
    return np.arange(n)


def earliest_cells(times: FloatArray, candidates: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.bool_]:
    """Cells at the first time, or the first 2% of them where time is continuous; candidates only, if any is among them.

    Raises
    ------
    DataError
        When no time is known.
    """
    known = np.sort(times[np.isfinite(times)])
    if known.size == 0:
        raise DataError("cannot use times: found only NaN; accepted is at least one number")
    early = np.asarray(np.nan_to_num(times, nan=np.inf) <= known[known.size // 50])
    both = early if candidates is None else early & candidates
    return both if both.any() else early


def _bridged(x: npt.NDArray[np.float32], n_neighbors: int) -> sparse.csr_matrix:
    """Neighbour graph of coordinates, each separate part joined to the largest by its shortest edge.

    Raises
    ------
    DataError
        When a coordinate is NaN.
    """
    if not np.isfinite(x).all():
        raise DataError("cannot order cells: found NaN or infinite coordinates; accepted are finite numbers")
    graph = connectivities(knn_graph(x, n_neighbors=n_neighbors))
    n_parts, part = connected_components(graph, directed=False)
    if n_parts == 1:
        return graph
    main = np.bincount(part).argmax()
    inside = np.flatnonzero(part == main)
    outside = np.flatnonzero(part != main)
    nearest = knn_graph(x[inside], n_neighbors=1, query=x[outside])
    weight = float(np.median(graph.data))
    bridges = sparse.lil_matrix(graph.shape, dtype=np.float32)
    for other in np.unique(part[outside]):
        rows = np.flatnonzero(part[outside] == other)
        shortest = rows[nearest.data[rows].argmin()]
        here, there = outside[shortest], inside[nearest.indices[shortest]]
        bridges[here, there] = bridges[there, here] = weight
    return sparse.csr_matrix(graph + bridges.tocsr())
