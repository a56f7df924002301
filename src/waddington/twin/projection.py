"""Two dimensions for the eye: a projection in which differentiation looks like differentiation.

The default follows the idea of PHATE (Moon et al. 2019, Nature Biotechnology 37, 1482): cells become the distributions
of a random walk that starts in them, distances between those distributions are kept by multidimensional scaling, so
that branches stay connected and noise is walked away. Written from the paper's equations, on landmarks, in NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.spatial.distance import pdist, squareform
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from waddington._checks import check_choice, check_in_range, require_extra
from waddington._errors import DataError

__all__ = ["orient", "project_2d"]

_Array = npt.NDArray[np.float64]
_METHODS = ("walk", "umap", "pca")


def project_2d(
    x: npt.ArrayLike,
    *,
    method: str = "walk",
    n_neighbors: int = 10,
    n_landmarks: int = 500,
    max_cells: int = 20_000,
    seed: int = 0,
) -> npt.NDArray[np.float32]:
    """Project cells to two dimensions for a picture; distances in it are for the eye, never for a statistic.

    Parameters
    ----------
    x
        Cells by coordinates (an embedding, principal components, …).
    method
        ``"walk"`` (random-walk potential distances, after PHATE), ``"umap"`` or ``"pca"``.
    n_neighbors
        Neighbours of a cell in the graph.
    n_landmarks
        Groups of cells between which walks are compared (``"walk"``).
    max_cells
        Above this number the layout is made from a random subset and every other cell joins its nearest neighbours,
        so that the cost per cell stays constant.
    seed
        Same seed, same bits.

    Returns
    -------
    Cells by 2, float32, centred, of unit largest spread.

    Raises
    ------
    DataError
        Fewer than 3 cells, not two-dimensional, or values that are not finite.
    """
    check_choice("method", method, _METHODS)
    check_in_range("n_neighbors", n_neighbors, 2)
    data = np.asarray(x, dtype=np.float64)
    if data.ndim != 2 or data.shape[0] < 3 or data.shape[1] < 1:
        raise DataError(f"cannot project x of shape {data.shape}: at least 3 cells by 1 coordinate are accepted")
    if not np.isfinite(data).all():
        bad = int((~np.isfinite(data)).any(axis=1).sum())
        raise DataError(
            f"cannot project x: {bad} of {len(data)} cells hold NaN or infinity; finite values are accepted"
        )
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(len(data), max_cells, replace=False)) if len(data) > max_cells else np.arange(len(data))
    layout = _layout(data[chosen], method, n_neighbors, n_landmarks, seed)
    if len(chosen) < len(data):
        finder = NearestNeighbors(n_neighbors=min(n_neighbors, len(chosen))).fit(data[chosen])
        distances, neighbors = finder.kneighbors(data)
        weights = 1.0 / (distances + 1e-9)
        layout = np.einsum("nk,nkd->nd", weights / weights.sum(axis=1, keepdims=True), layout[neighbors])
    layout = layout - layout.mean(axis=0)
    return (layout / max(float(layout.std(axis=0).max()), 1e-12)).astype(np.float32)


def orient(embedding: npt.ArrayLike, pseudotime: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Turn a 2-D embedding in its plane so that pseudotime runs downwards, from large to small second coordinate.

    A rotation changes no distance; a projection's own orientation carries no meaning.

    Parameters
    ----------
    embedding
        Cells by 2.
    pseudotime
        One value a cell; cells without a finite one are left out of the choice of the angle.
    """
    points = np.asarray(embedding, dtype=np.float64)
    times = np.asarray(pseudotime, dtype=np.float64)
    known = np.isfinite(times)
    centred = points - points.mean(axis=0)
    if known.sum() < 3 or np.ptp(times[known]) == 0:
        return centred.astype(np.float32)
    early, late = np.quantile(times[known], [0.15, 0.85])
    direction = points[known & (times >= late)].mean(axis=0) - points[known & (times <= early)].mean(axis=0)
    length = float(np.hypot(*direction))
    if length == 0:
        return centred.astype(np.float32)
    sine, cosine = direction[0] / length, -direction[1] / length
    rotation = np.array([[cosine, sine], [-sine, cosine]])
    return np.asarray(centred @ rotation.T, dtype=np.float32)


def _layout(data: _Array, method: str, n_neighbors: int, n_landmarks: int, seed: int) -> _Array:
    """Lay out every cell given; the caller has made sure that they are few enough."""
    if method == "umap" and len(data) > n_neighbors + 1:
        umap = require_extra("umap", "twin")
        return np.asarray(
            umap.UMAP(n_neighbors=n_neighbors, min_dist=0.3, random_state=seed, n_jobs=1).fit_transform(data),
            dtype=np.float64,
        )
    if method == "walk" and len(data) > 3 * n_neighbors:
        return _walk_layout(data, n_neighbors, n_landmarks, seed)
    return _principal(data)


def _principal(data: _Array) -> _Array:
    """Return two principal components (the second one zero where there is only one)."""
    n_components = min(2, *data.shape)
    scores = np.asarray(PCA(n_components, svd_solver="full").fit_transform(data), dtype=np.float64)
    return np.pad(scores, ((0, 0), (0, 2 - n_components)))


def _walk_layout(data: _Array, n_neighbors: int, n_landmarks: int, seed: int) -> _Array:
    """Compare the random walks of landmarks, scale the distances to a plane, and bring every cell along."""
    kernel = _adaptive_kernel(data, n_neighbors)
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


def _adaptive_kernel(data: _Array, n_neighbors: int) -> Any:
    """Return a symmetric kernel whose width at a cell is the distance to its last neighbour."""
    reach = min(3 * n_neighbors, len(data) - 1)
    distances, neighbors = NearestNeighbors(n_neighbors=reach + 1).fit(data).kneighbors(data)
    width = np.maximum(distances[:, min(n_neighbors, reach)], 1e-12)
    weights = np.exp(-((distances / width[:, None]) ** 4))
    rows = np.repeat(np.arange(len(data)), reach + 1)
    kernel = sparse.csr_matrix((weights.ravel(), (rows, neighbors.ravel())), shape=(len(data), len(data)))
    return (kernel + kernel.T) * 0.5


def _row_normalized(matrix: Any) -> Any:
    """Scale every row of a sparse matrix to sum to one."""
    totals = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1e-12)
    return sparse.diags(1.0 / totals) @ matrix


def _walk_length(walk: _Array, longest: int = 100) -> int:
    """Return the number of steps at the knee of the walk's von Neumann entropy, where noise has gone and shape stays."""
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
        points = update @ points / n
    return points
