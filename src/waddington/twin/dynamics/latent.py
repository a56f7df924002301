"""How a cell moves: perturbations that unfold, drift along differentiation, residual noise and disturbances.

Everything is array code over n cells at once, float32, with no loop over cells. One step of a cell at ``z`` is::

    z ← clip(z + [D(t+1) - D(t)] + drift_rate · v(z) + noise_sd · ε + disturbance)

``D = s · Σ_k progress_k · δ_k`` is what the cell's perturbations have delivered so far: each unfolds linearly over
`duration` steps, and ``s`` falls from 1 to `scale` as a second one unfolds, so that a finished combination arrives
exactly where :meth:`waddington.twin.respond.latent.LatentResponse.predict` says. A perturbation is permanent (a gene
cannot be knocked out twice), so `max_perturbations` bounds those that a cell carries at once. ``v`` is the flow learned
by :func:`~waddington.twin.dynamics.flow.fit_flow`, in latent units per unit of pseudotime. A disturbance, with
probability `disturbance_prob` a step, is a fraction of a random perturbation's effect with a random sign.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from waddington._checks import check_in_range
from waddington.errors import ArgumentError
from waddington.twin._moved import renamed
from waddington.twin.data.conditions import is_canonical, parse_label
from waddington.twin.dynamics.flow import flow_at
from waddington.twin.respond.latent import LatentResponse

__all__ = ["CellState", "Dynamics", "build_dynamics"]

Float = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]
CellState = dict[str, npt.NDArray[Any]]
"""Arrays with one row a cell; :class:`Dynamics` keeps ``z`` (n, d), ``delivered`` (n, d) and ``progress`` (n, K)."""


@renamed(shifts="effects", edits="perturbations", n_edits="n_perturbations", begin="reset", give="apply")
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dynamics:
    """The frozen world that agents act in.

    Attributes
    ----------
    effects
        Latent effect of each perturbation, shape (K, d).
    perturbations
        Canonical label of each, K of them.
    scale
        Factor on the sum of effects once two or more perturbations have unfolded.
    landmarks, drift, bandwidth
        Flow of differentiation, see :func:`~waddington.twin.dynamics.flow.fit_flow`; no landmarks, no drift.
    drift_rate
        Pseudotime that passes in one step.
    noise_sd
        Standard deviation of the noise of one step, shape (d,); zero when empty.
    disturbance_prob, disturbance_scale
        Chance of a disturbance in a step (0.1 in the paper), and the fraction of a perturbation's effect in it.
    max_perturbations
        Most perturbations that a cell can carry.
    duration
        Steps over which a perturbation delivers its effect.
    clip
        Coordinates stay within ``[-clip, clip]`` (5 in the paper).

    Raises
    ------
    ArgumentError
        When a number lies outside its range or array shapes disagree.
    """

    effects: Float = field(repr=False)
    perturbations: tuple[str, ...]
    scale: float = 1.0
    landmarks: Float = field(default_factory=lambda: np.empty((0, 0), np.float32), repr=False)
    drift: Float = field(default_factory=lambda: np.empty((0, 0), np.float32), repr=False)
    bandwidth: float = 1.0
    drift_rate: float = 0.005
    noise_sd: Float = field(default_factory=lambda: np.empty(0, np.float32), repr=False)
    disturbance_prob: float = 0.1
    disturbance_scale: float = 0.25
    max_perturbations: int = 2
    duration: int = 3
    clip: float = 5.0

    def __post_init__(self) -> None:
        for name in ("effects", "landmarks", "drift", "noise_sd"):
            # A private read-only copy: a task must not change under an agent that is being trained in it.
            array = np.array(getattr(self, name), dtype=np.float32)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        d = self.effects.shape[-1]
        shapes = {
            "effects": (self.effects.shape, [(len(self.perturbations), d)]),
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

    def state_dict(self) -> dict[str, Any]:
        """Give every field as a tensor, a number or a list of strings."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            name: torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value
            for name, value in {**fields, "perturbations": list(self.perturbations)}.items()
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Dynamics:
        """Make dynamics from what :meth:`state_dict` gave."""
        values: dict[str, Any] = {
            key: value.numpy() if isinstance(value, torch.Tensor) else value for key, value in state.items()
        }
        return cls(**{**values, "perturbations": tuple(state["perturbations"])})

    @property
    def n_features(self) -> int:
        """Dimensions of the latent space."""
        return int(self.effects.shape[1])

    @property
    def n_perturbations(self) -> int:
        """Number of perturbations to choose from."""
        return len(self.perturbations)

    def reset(self, z: Float) -> CellState:
        """Give the state of unperturbed cells at z, shape (n, d)."""
        start = np.clip(z, -self.clip, self.clip).astype(np.float32, copy=False)
        return {
            "z": start,
            "delivered": np.zeros_like(start),
            "progress": np.zeros((len(start), self.n_perturbations), np.float32),
        }

    def flow(self, z: Float) -> Float:
        """Give the velocity of differentiation at z: a kernel-weighted mean over landmarks, shape (n, d)."""
        return flow_at(z, self.landmarks, self.drift, self.bandwidth)

    def apply(self, state: CellState, perturbations: Index) -> npt.NDArray[np.bool_]:
        """Start perturbations in place where the cell can take them; perturbation K (or beyond) means none.

        Returns
        -------
        ndarray
            Whether each cell took one, shape (n,). A cell that carries the perturbation already, another mode of its
            gene or dose of its drug, or `max_perturbations` others, takes none.
        """
        progress = state["progress"]
        wanted = np.flatnonzero(perturbations < self.n_perturbations)
        chosen = perturbations[wanted]
        free = np.count_nonzero(progress[wanted], axis=1) < self.max_perturbations
        free &= ~((progress[wanted] > 0) & _same_name(self.perturbations)[chosen]).any(axis=1)
        # The smallest positive float marks a perturbation as begun before its first share is delivered.
        progress[wanted[free], chosen[free]] = np.finfo(np.float32).tiny
        taken = np.zeros(len(perturbations), np.bool_)
        taken[wanted[free]] = True
        return taken

    def step(self, state: CellState, rng: np.random.Generator, *, push: Float | None = None) -> None:
        """Move every cell one step, in place.

        Parameters
        ----------
        state
            As :meth:`reset` gives it.
        rng
            Source of noise and disturbances.
        push
            A further displacement, shape (n, d), such as the paper's continuous action.
        """
        z = state["z"]
        move = self.drift_rate * self.flow(z) if len(self.landmarks) and self.drift_rate else np.zeros_like(z)
        if self.n_perturbations:
            self._unfold(state, move)
        if push is not None:
            move += push
        if len(self.noise_sd):
            noise = rng.standard_normal(z.shape, dtype=np.float32)
            noise *= self.noise_sd
            move += noise
        if self.disturbance_prob and self.n_perturbations:
            self._disturb(move, rng)
        move += z
        np.clip(move, -self.clip, self.clip, out=move)
        state["z"] = move

    def _unfold(self, state: CellState, move: Float) -> None:
        """Advance the perturbations that were begun, and add what they deliver in this step."""
        progress = state["progress"]
        running = np.flatnonzero(((progress > 0) & (progress < 1)).any(axis=1))
        if not len(running):
            return
        share = progress[running]
        # Whole steps are counted, so that rounding never leaves a perturbation a hair short of its end.
        share = np.rint(share * self.duration + (share > 0)) / np.float32(self.duration)
        np.minimum(share, 1.0, out=share)
        progress[running] = share
        total = share @ self.effects
        if self.scale != 1.0 and self.max_perturbations > 1:
            second = np.clip(share.sum(axis=1) - share.max(axis=1), 0.0, 1.0)
            total *= (1.0 - (1.0 - self.scale) * second).astype(np.float32)[:, None]
        move[running] += total - state["delivered"][running]
        state["delivered"][running] = total

    def _disturb(self, move: Float, rng: np.random.Generator) -> None:
        n = len(move)
        # Three draws a cell whatever happens, so that the stream does not depend on the outcome.
        hit, perturbation, sign = rng.random(n), rng.integers(self.n_perturbations, size=n), rng.integers(2, size=n)
        rows = np.flatnonzero(hit < self.disturbance_prob)
        kick = np.float32(self.disturbance_scale) * (2 * sign[rows] - 1).astype(np.float32)
        move[rows] += kick[:, None] * self.effects[perturbation[rows]]


@functools.lru_cache(maxsize=16)
def _same_name(perturbations: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Mark the perturbations of one gene or drug, which no cell carries together, (K, K); each is its own."""
    names = [parse_label(label)[0].gene if is_canonical(label) else label for label in perturbations]
    _, name = np.unique(np.array(names, dtype=np.str_), return_inverse=True)
    return np.asarray(name[:, None] == name[None, :])


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
    """Build the world from a fitted response and, if given, a fitted flow.

    Parameters
    ----------
    response
        Perturbations, effects, interaction scale and residual spread.
    flow
        As :func:`~waddington.twin.dynamics.flow.fit_flow` gives it. Default: no drift.
    noise_fraction
        Noise of one step, as a fraction of the spread of cells within a condition.
    max_perturbations, drift_rate, disturbance_prob, duration, clip
        See :class:`Dynamics`.
    """
    check_in_range("noise_fraction", noise_fraction, 0.0)
    landmarks, drift, bandwidth = flow if flow is not None else (np.empty((0, 0)), np.empty((0, 0)), 1.0)
    return Dynamics(
        effects=response.effects.astype(np.float32),
        perturbations=tuple(response.perturbations),
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
