"""Effects that change with the state: a condition moves each state to its own place, along a linear map.

The change of a cell in state z is ``shared + (A - I)(z - z̄)``, z̄ the mean state of control cells. Cells are destroyed
as they are measured, so nobody knows the state that a perturbed cell came from; A is the map of least motion that turns
the spread of control states into that of the condition's: optimal transport between two normal distributions (Olkin and
Pukelsheim 1982, https://doi.org/10.1016/0024-3795(82)90112-4) ::

    A = C^-½ (C^½ S C^½)^½ C^-½        C, S: covariances of control states and of the condition's

It is symmetric and positive, so states keep their order along every axis of it. S is shrunk towards C, A so towards
the identity, with which the effect is the shared one. Logarithms of maps add in combinations: no combination of
contractions turns states round, and the order of perturbations does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from waddington.twin.respond.state.components import Components

__all__ = ["Slopes", "log_map"]

Array = npt.NDArray[np.float64]

_FLOOR = 1e-3
"""Share of the mean variance of control states that is added to every variance, so that none is 0."""
_LARGEST = 3.0
"""Largest logarithm of a stretch: a factor of 20."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Slopes:
    """A map for each condition."""

    components: Components
    control: Array
    """Mean state of control cells, (dimensions,): the first components, on which effects depend."""
    logs: Mapping[str, Array]
    """Logarithm of the map of each training condition, (dimensions, dimensions)."""
    prior: float
    """Cells of control's spread that each condition is taken to have shown beside its own."""

    @classmethod
    def fit(
        cls, components: Components, states: Array, labels: npt.NDArray[np.str_], control: str, prior: float
    ) -> Self:
        """Fit the maps of all conditions with three cells or more.

        Parameters
        ----------
        components
            What states are.
        states
            Of the training cells, (cells, dimensions): the first components.
        labels
            Their conditions, (cells,).
        control
            The label that effects are measured from.
        prior
            Cells by which spreads are shrunk.
        """
        resting = states[labels == control]
        spread = _covariance(resting)
        logs = {}
        for label in sorted(set(labels.tolist()) - {control}):
            moved = states[labels == label]
            free = len(moved) - 1
            if free >= 2 and len(resting) >= 3:
                shrunk = (free * _covariance(moved) + prior * spread) / (free + prior)
                logs[label] = log_map(spread, shrunk)
        return cls(components=components, control=resting.mean(axis=0), logs=logs, prior=prior)

    def change(self, measured: Mapping[str, float], states: Array, groups: npt.NDArray[np.str_] | None = None) -> Array:
        """Give what the effect on cells in some states has beside the shared one.

        Parameters
        ----------
        measured
            Weight of the condition itself if it was measured, else of the measured ones that it is made of.
        states
            (cells, components).
        groups
            Plays no part.

        Returns
        -------
        ndarray
            Of joined profiles, (cells, features).
        """
        d = len(self.control)
        known = [weight * self.logs[label] for label, weight in measured.items() if label in self.logs]
        total = sum(known, np.zeros((d, d)))
        moved = _function(total, lambda w: np.expm1(np.clip(w, -_LARGEST, _LARGEST)))
        return self.components.first(d).change((states[:, :d] - self.control) @ moved)

    def state_dict(self) -> dict[str, Any]:
        """Give everything but the components as tensors and numbers."""
        return {
            "form": "by state",
            "control": torch.from_numpy(self.control.copy()),
            "logs": {label: torch.from_numpy(log.copy()) for label, log in self.logs.items()},
            "prior": self.prior,
        }

    @classmethod
    def from_state_dict(cls, components: Components, state: Mapping[str, Any]) -> Self:
        """Make it from what :meth:`state_dict` gave."""
        return cls(
            components=components,
            control=state["control"].numpy().copy(),
            logs={label: log.numpy().copy() for label, log in state["logs"].items()},
            prior=state["prior"],
        )


def log_map(control: Array, moved: Array) -> Array:
    """Give the logarithm of the map of least motion between normal distributions of two covariances, (d, d) each."""
    floor = _FLOOR * max(float(np.trace(control)) / len(control), 1e-12) * np.eye(len(control))
    root = _function(control + floor, np.sqrt)
    back = np.linalg.inv(root)
    mapped = back @ _function(root @ (moved + floor) @ root, np.sqrt) @ back
    return _function((mapped + mapped.T) / 2, lambda w: np.clip(np.log(np.maximum(w, 1e-12)), -_LARGEST, _LARGEST))


def _covariance(states: Array) -> Array:
    centred = states - states.mean(axis=0)
    return np.asarray(centred.T @ centred / max(len(states) - 1, 1))


def _function(symmetric: Array, of: Any) -> Array:
    """Apply a function to the eigenvalues of a symmetric matrix."""
    w, v = np.linalg.eigh(symmetric)
    return np.asarray((v * of(w)) @ v.T)
