"""Two dimensions for the eye: a projection in which differentiation looks like differentiation.

The default keeps branches connected first (random walks, :mod:`waddington.twin.trajectory.layout`) and then gives cells
room (attraction along the neighbour graph, repulsion elsewhere), so that fates become places and not threads.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from waddington._checks import check_choice, check_in_range, require_extra
from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.trajectory.layout import adaptive_kernel, spread_layout, walk_layout

__all__ = ["orient", "project_2d"]

_Array = npt.NDArray[np.float64]
_METHODS = ("forces", "walk", "umap", "pca")


def project_2d(
    x: npt.ArrayLike,
    *,
    method: str = "forces",
    n_neighbors: int = 10,
    n_landmarks: int = 500,
    max_cells: int = 5_000,
    seed: int = 0,
) -> npt.NDArray[np.float32]:
    """Project cells to two dimensions for a picture; distances in it are for the eye, never for a statistic.

    Parameters
    ----------
    x
        Cells by coordinates (an embedding, principal components, …).
    method
        ``"forces"`` (random walks, then forces along the neighbour graph), ``"walk"`` (random walks only),
        ``"umap"`` or ``"pca"``.
    n_neighbors
        Neighbours of a cell in the graph.
    n_landmarks
        Groups of cells between which walks are compared (``"forces"``, ``"walk"``).
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
            f"cannot project x: found NaN or infinity in {bad} of {counted(len(data), 'cell')}; finite values are "
            "accepted"
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
    return np.asarray(layout / max(float(layout.std(axis=0).max()), 1e-12), dtype=np.float32)


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
        return np.asarray(centred, dtype=np.float32)
    early, late = np.quantile(times[known], [0.15, 0.85])
    direction = points[known & (times >= late)].mean(axis=0) - points[known & (times <= early)].mean(axis=0)
    length = float(np.hypot(*direction))
    if length == 0:
        return np.asarray(centred, dtype=np.float32)
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
    if method in ("forces", "walk") and len(data) > 3 * n_neighbors:
        kernel = adaptive_kernel(data, n_neighbors=n_neighbors)
        layout = walk_layout(data, kernel, n_landmarks=n_landmarks, seed=seed)
        return spread_layout(layout, kernel, seed=seed) if method == "forces" else layout
    return _principal(data)


def _principal(data: _Array) -> _Array:
    """Return two principal components (the second one zero where there is only one)."""
    n_components = min(2, *data.shape)
    scores = np.asarray(PCA(n_components, svd_solver="full").fit_transform(data), dtype=np.float64)
    return np.pad(scores, ((0, 0), (0, 2 - n_components)))
