"""The flow of differentiation: learnt at landmarks from pseudotime, and interpolated between them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from waddington._text import counted
from waddington.errors import ArgumentError

__all__ = ["fit_flow", "flow_at"]

Float = npt.NDArray[np.float32]


def fit_flow(
    z: npt.ArrayLike,
    pseudotime: npt.ArrayLike,
    *,
    n_landmarks: int = 64,
    n_neighbors: int | None = None,
    seed: int = 0,
) -> tuple[Float, Float, float]:
    """Learn the flow of differentiation: the local slope of the embedding along pseudotime.

    Landmarks are cells drawn one from each of `n_landmarks` equal slices of pseudotime. At each, the slope of z on
    pseudotime is fitted over its nearest cells with Gaussian weights; a ridge, 1e-5 of the overall variance of
    pseudotime, keeps it finite where the neighbours are all of one age.

    Parameters
    ----------
    z
        Embedding, shape (n, d).
    pseudotime
        Shape (n,), any unit; NaN (cells that could not be ordered) is left out.
    n_landmarks
        Number of landmarks; fewer where there are fewer cells.
    n_neighbors
        Cells that a slope is fitted to. Default: one in 30, and at least 50.
    seed
        Of the choice of landmarks.

    Returns
    -------
    landmarks : ndarray
        Shape (L, d), float32.
    drift : ndarray
        Velocity at each landmark, latent units per unit of pseudotime, shape (L, d), float32.
    bandwidth : float
        Width of the kernel that interpolates between landmarks: the median distance of a cell to its nearest one.

    Raises
    ------
    ArgumentError
        When shapes disagree or fewer than two cells have a pseudotime.
    """
    cells, time = np.asarray(z, np.float64), np.asarray(pseudotime, np.float64)
    if cells.ndim != 2 or time.shape != (len(cells),):
        raise ArgumentError(
            f"cannot fit a flow to z of shape {cells.shape} and pseudotime of shape {time.shape}: "
            "accepted (n, d) and (n,)"
        )
    ordered = np.isfinite(time)
    cells, time = cells[ordered], time[ordered]
    if len(cells) < 2:
        raise ArgumentError(
            f"cannot fit a flow: found {counted(len(cells), 'cell')} with a pseudotime; accepted: at least 2"
        )
    rng = np.random.default_rng(seed)
    slices = np.array_split(np.argsort(time, kind="stable"), min(n_landmarks, len(cells)))
    landmarks = cells[[rng.choice(part) for part in slices]]
    k = min(n_neighbors or max(50, len(cells) // 30), len(cells) - 1)
    ridge = 1e-5 * time.var() + 1e-12
    drift = np.empty_like(landmarks)
    nearest = np.full(len(cells), np.inf)
    for row, landmark in enumerate(landmarks):
        squared = np.einsum("nd,nd->n", cells - landmark, cells - landmark)
        np.minimum(nearest, squared, out=nearest)
        near = np.argpartition(squared, k)[: k + 1]
        weight = np.exp(-2.0 * squared[near] / max(squared[near].max(), 1e-12))
        weight /= weight.sum()
        dt = time[near] - weight @ time[near]
        drift[row] = (weight * dt) @ cells[near] / (weight @ dt**2 + ridge)
    return landmarks.astype(np.float32), drift.astype(np.float32), float(max(np.sqrt(np.median(nearest)), 1e-3))


def flow_at(z: Float, landmarks: Float, drift: Float, bandwidth: float) -> Float:
    """Give the velocity at z, (n, d): a mean over landmarks, weighted by a Gaussian kernel; no landmarks, no flow."""
    if not len(landmarks):
        return np.zeros_like(z)
    # The squared norm of z is the same for all landmarks of a row and cancels in the normalization.
    logit = z @ landmarks.T
    logit -= 0.5 * np.einsum("ld,ld->l", landmarks, landmarks)
    logit /= np.float32(bandwidth**2)
    logit -= logit.max(axis=1, keepdims=True)
    np.exp(logit, out=logit)
    logit /= logit.sum(axis=1, keepdims=True)
    return np.asarray(logit @ drift, dtype=np.float32)
