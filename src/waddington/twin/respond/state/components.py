"""The states of cells: principal components of all modalities together, each of which counts alike.

They are linear, so that a mean profile has a state as a cell has one, and a change of state is a change of profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils.extmath import randomized_svd

from waddington.twin.respond.measured import Values

__all__ = ["Components", "joined"]

Array = npt.NDArray[np.float64]

_MOST_CELLS = 5000
"""Cells that components are computed from; of more, as many are drawn."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Components:
    """An orthonormal basis of the profiles of all modalities, one after another."""

    sizes: Mapping[str, int]
    """Features of each modality, in the order in which profiles are joined."""
    scale: Array
    """What each feature is divided by, one number a modality, (features,)."""
    center: Array
    """Mean profile, (features,)."""
    basis: Array
    """(features, components)."""

    @classmethod
    def of(cls, values: Values, cells: npt.NDArray[np.intp], n_components: int) -> Self:
        """Compute components of some cells; fewer than asked for where cells or features are fewer."""
        if len(cells) > _MOST_CELLS:
            cells = np.sort(np.random.default_rng(0).choice(cells, _MOST_CELLS, replace=False))
        sizes = {modality: x.shape[1] for modality, x in values.items()}
        x = joined(values, cells)
        center = x.mean(axis=0)
        x -= center
        scale = np.ones(x.shape[1])
        start = 0
        for size in sizes.values():
            part = slice(start, start + size)
            scale[part] = np.sqrt(np.square(x[:, part]).sum() / len(x)) or 1.0
            start += size
        x /= scale
        n_components = min(n_components, *x.shape)
        _, values_of, basis = randomized_svd(x, n_components, random_state=0)
        kept = values_of > 1e-6 * max(float(values_of.max()), 1e-12)
        return cls(sizes=sizes, scale=scale, center=center, basis=np.ascontiguousarray(basis[kept].T))

    def first(self, n: int) -> Components:
        """Keep the first components alone."""
        return replace(self, basis=self.basis[:, :n])

    def states(self, x: Array) -> Array:
        """Give the states of joined profiles, (cells, features) to (cells, components)."""
        return np.asarray(((x - self.center) / self.scale) @ self.basis)

    def states_of(self, values: Values, cells: npt.NDArray[np.intp], *, at_once: int = 2048) -> Array:
        """Give the states of some of all cells, a few at once, (cells, components)."""
        blocks = [cells[start : start + at_once] for start in range(0, len(cells), at_once)]
        return np.concatenate([np.zeros((0, self.basis.shape[1])), *(self.states(joined(values, b)) for b in blocks)])

    def change(self, of_state: Array) -> Array:
        """Give the change of joined profiles that a change of state is, (cells, components) to (cells, features)."""
        return np.asarray((of_state @ self.basis.T) * self.scale)

    def by_modality(self, x: Array) -> dict[str, Array]:
        """Cut joined profiles, (…, features), into modalities."""
        ends = np.cumsum(list(self.sizes.values()))
        return dict(zip(self.sizes, np.split(x, ends[:-1], axis=-1), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Give everything as tensors and numbers."""
        arrays = {name: torch.from_numpy(getattr(self, name).copy()) for name in ("scale", "center", "basis")}
        return {"sizes": dict(self.sizes), **arrays}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Make it from what :meth:`state_dict` gave."""
        return cls(sizes=state["sizes"], **{name: state[name].numpy().copy() for name in ("scale", "center", "basis")})


def joined(values: Mapping[str, npt.NDArray[np.floating]], cells: npt.NDArray[np.intp] | None = None) -> Array:
    """Put the profiles of all modalities one after another, (cells, features), in float64."""
    picked = [x if cells is None else x[cells] for x in values.values()]
    return np.concatenate(picked, axis=-1, dtype=np.float64)
