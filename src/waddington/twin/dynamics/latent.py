"""How a cell moves: edits that unfold, drift along differentiation, residual noise and disturbances.

Everything is array code over n cells at once, float32, with no loop over cells. One step of a cell at ``z`` is::

    z ← clip(z + [D(t+1) - D(t)] + drift_rate · v(z) + noise_sd · ε + disturbance)

``D = s · Σ_k progress_k · δ_k`` is what the cell's edits have delivered so far: each edit unfolds linearly over
`duration` steps, and ``s`` falls from 1 to `scale` as a second edit unfolds, so that a finished combination arrives
exactly where :meth:`waddington.twin.respond.latent.LatentResponse.predict` says. An edit is permanent (a gene cannot be
knocked out twice), so `max_perturbations` bounds the edits that a cell carries at once. ``v`` is the flow learned by
:func:`fit_flow`, in latent units per unit of pseudotime. A disturbance, with probability `disturbance_prob` a step, is
a fraction of a random edit's shift with a random sign.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from waddington._checks import check_in_range
from waddington._errors import ArgumentError
from waddington._text import counted
from waddington.twin.respond.latent import LatentResponse

__all__ = ["CellState", "Dynamics", "build_dynamics", "fit_flow"]

Float = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]
CellState = dict[str, npt.NDArray[Any]]
"""Arrays with one row a cell; :class:`Dynamics` keeps ``z`` (n, d), ``delivered`` (n, d) and ``progress`` (n, K)."""


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


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dynamics:
    """The frozen world that agents act in.

    Attributes
    ----------
    shifts
        Latent shift of each edit, shape (K, d).
    edits
        Canonical label of each, K of them.
    scale
        Factor on the sum of shifts once two or more edits have unfolded.
    landmarks, drift, bandwidth
        Flow of differentiation, see :func:`fit_flow`; no landmarks, no drift.
    drift_rate
        Pseudotime that passes in one step.
    noise_sd
        Standard deviation of the noise of one step, shape (d,); zero when empty.
    disturbance_prob, disturbance_scale
        Chance of a disturbance in a step (0.1 in the paper), and the fraction of an edit's shift that it delivers.
    max_perturbations
        Most edits that a cell can carry.
    duration
        Steps over which an edit delivers its shift.
    clip
        Coordinates stay within ``[-clip, clip]`` (5 in the paper).

    Raises
    ------
    ArgumentError
        When a number lies outside its range or array shapes disagree.
    """

    shifts: Float
    edits: tuple[str, ...]
    scale: float = 1.0
    landmarks: Float = field(default_factory=lambda: np.empty((0, 0), np.float32))
    drift: Float = field(default_factory=lambda: np.empty((0, 0), np.float32))
    bandwidth: float = 1.0
    drift_rate: float = 0.005
    noise_sd: Float = field(default_factory=lambda: np.empty(0, np.float32))
    disturbance_prob: float = 0.1
    disturbance_scale: float = 0.25
    max_perturbations: int = 2
    duration: int = 3
    clip: float = 5.0

    def __post_init__(self) -> None:
        for name in ("shifts", "landmarks", "drift", "noise_sd"):
            # A private read-only copy: a task must not change under an agent that is being trained in it.
            array = np.array(getattr(self, name), dtype=np.float32)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        d = self.shifts.shape[-1]
        shapes = {
            "shifts": (self.shifts.shape, [(len(self.edits), d)]),
            "drift": (self.drift.shape, [self.landmarks.shape]),
            "landmarks": (self.landmarks.shape, [(0, 0), (len(self.landmarks), d)]),
            "noise_sd": (self.noise_sd.shape, [(0,), (d,)]),
        }
        for name, (found, accepted) in shapes.items():
            if found not in accepted:
                raise ArgumentError(f"cannot use {name} of shape {found}: accepted {' or '.join(map(str, accepted))}")
        check_in_range("scale", self.scale, 0.0)
        check_in_range("bandwidth", self.bandwidth, 0.0, open_low=True)
        check_in_range("drift_rate", self.drift_rate, 0.0)
        check_in_range("disturbance_prob", self.disturbance_prob, 0.0, 1.0)
        check_in_range("disturbance_scale", self.disturbance_scale, 0.0)
        check_in_range("max_perturbations", self.max_perturbations, 1)
        check_in_range("duration", self.duration, 1)
        check_in_range("clip", self.clip, 0.0, open_low=True)

    @property
    def n_features(self) -> int:
        """Dimensions of the latent space."""
        return int(self.shifts.shape[1])

    @property
    def n_edits(self) -> int:
        """Number of edits to choose from."""
        return len(self.edits)

    def begin(self, z: Float) -> CellState:
        """Give the state of unedited cells at z, shape (n, d)."""
        start = np.clip(z, -self.clip, self.clip).astype(np.float32, copy=False)
        return {
            "z": start,
            "delivered": np.zeros_like(start),
            "progress": np.zeros((len(start), self.n_edits), np.float32),
        }

    def flow(self, z: Float) -> Float:
        """Give the velocity of differentiation at z: a kernel-weighted mean over landmarks, shape (n, d)."""
        if not len(self.landmarks):
            return np.zeros_like(z)
        # The squared norm of z is the same for all landmarks of a row and cancels in the normalization.
        logit = z @ self.landmarks.T
        logit -= 0.5 * np.einsum("ld,ld->l", self.landmarks, self.landmarks)
        logit /= np.float32(self.bandwidth**2)
        logit -= logit.max(axis=1, keepdims=True)
        np.exp(logit, out=logit)
        logit /= logit.sum(axis=1, keepdims=True)
        return np.asarray(logit @ self.drift, dtype=np.float32)

    def give(self, state: CellState, edits: Index) -> npt.NDArray[np.bool_]:
        """Start edits in place where the cell can take them; edit K (or beyond) means none.

        Returns
        -------
        ndarray
            Whether each cell took one, shape (n,). A cell that carries the edit already, or `max_perturbations`
            others, takes none.
        """
        progress = state["progress"]
        wanted = np.flatnonzero(edits < self.n_edits)
        chosen = edits[wanted]
        free = np.count_nonzero(progress[wanted], axis=1) < self.max_perturbations
        free &= progress[wanted, chosen] == 0
        # The smallest positive float marks an edit as begun before its first share is delivered.
        progress[wanted[free], chosen[free]] = np.finfo(np.float32).tiny
        taken = np.zeros(len(edits), np.bool_)
        taken[wanted[free]] = True
        return taken

    def step(self, state: CellState, rng: np.random.Generator, *, push: Float | None = None) -> None:
        """Move every cell one step, in place.

        Parameters
        ----------
        state
            As :meth:`begin` gives it.
        rng
            Source of noise and disturbances.
        push
            A further displacement, shape (n, d), such as the paper's continuous action.
        """
        z = state["z"]
        move = self.drift_rate * self.flow(z) if len(self.landmarks) and self.drift_rate else np.zeros_like(z)
        if self.n_edits:
            self._unfold(state, move)
        if push is not None:
            move += push
        if len(self.noise_sd):
            noise = rng.standard_normal(z.shape, dtype=np.float32)
            noise *= self.noise_sd
            move += noise
        if self.disturbance_prob and self.n_edits:
            self._disturb(move, rng)
        move += z
        np.clip(move, -self.clip, self.clip, out=move)
        state["z"] = move

    def _unfold(self, state: CellState, move: Float) -> None:
        """Advance the edits that were begun, and add what they deliver in this step."""
        progress = state["progress"]
        running = np.flatnonzero(((progress > 0) & (progress < 1)).any(axis=1))
        if not len(running):
            return
        share = progress[running]
        # Whole steps are counted, so that rounding never leaves an edit a hair short of its end.
        share = np.rint(share * self.duration + (share > 0)) / np.float32(self.duration)
        np.minimum(share, 1.0, out=share)
        progress[running] = share
        total = share @ self.shifts
        if self.scale != 1.0 and self.max_perturbations > 1:
            second = np.clip(share.sum(axis=1) - share.max(axis=1), 0.0, 1.0)
            total *= (1.0 - (1.0 - self.scale) * second).astype(np.float32)[:, None]
        move[running] += total - state["delivered"][running]
        state["delivered"][running] = total

    def _disturb(self, move: Float, rng: np.random.Generator) -> None:
        n = len(move)
        # Three draws a cell whatever happens, so that the stream does not depend on the outcome.
        hit, edit, sign = rng.random(n), rng.integers(self.n_edits, size=n), rng.integers(2, size=n)
        rows = np.flatnonzero(hit < self.disturbance_prob)
        kick = np.float32(self.disturbance_scale) * (2 * sign[rows] - 1).astype(np.float32)
        move[rows] += kick[:, None] * self.shifts[edit[rows]]


def build_dynamics(
    response: LatentResponse,
    *,
    flow: tuple[Float, Float, float] | None = None,
    noise_fraction: float = 0.05,
    max_perturbations: int = 2,
    drift_rate: float = 0.005,
    disturbance_prob: float = 0.1,
    duration: int = 3,
    clip: float = 5.0,
) -> Dynamics:
    """Build the world from a fitted response and, if given, the flow of :func:`fit_flow`.

    Parameters
    ----------
    response
        Edits, shifts, interaction scale and residual spread.
    flow
        What :func:`fit_flow` returned. Default: no drift.
    noise_fraction
        Noise of one step, as a fraction of the spread of cells within a condition.
    max_perturbations, drift_rate, disturbance_prob, duration, clip
        See :class:`Dynamics`.
    """
    check_in_range("noise_fraction", noise_fraction, 0.0)
    landmarks, drift, bandwidth = flow if flow is not None else (np.empty((0, 0)), np.empty((0, 0)), 1.0)
    return Dynamics(
        shifts=response.shifts.astype(np.float32),
        edits=tuple(response.edits),
        scale=response.scale,
        landmarks=landmarks.astype(np.float32),
        drift=drift.astype(np.float32),
        bandwidth=bandwidth,
        drift_rate=drift_rate,
        noise_sd=(noise_fraction * response.residual_sd).astype(np.float32),
        disturbance_prob=disturbance_prob,
        max_perturbations=max_perturbations,
        duration=duration,
        clip=clip,
    )
