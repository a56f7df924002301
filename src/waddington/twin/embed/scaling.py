"""The centre and the unit of embeddings: what makes those of different encoders comparable, and dimensions alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["EmbeddingScale", "Standardization"]

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EmbeddingScale:
    """Centres embeddings and scales them to unit mean square over some cells, one factor for all dimensions."""

    center: Mapping[str, FloatArray]
    """Mean by modality and under ``"joint"``, (dimensions,)."""
    spread: Mapping[str, float]
    """Root of the mean square about it."""

    @classmethod
    def of(cls, embeddings: Mapping[str, FloatArray], present: Mapping[str, npt.NDArray[np.bool_]]) -> EmbeddingScale:
        """Measure both over the cells that have the modality (``"joint"``: any).

        Parameters
        ----------
        embeddings
            By modality and under ``"joint"``, (cells, dimensions).
        present
            By modality, (cells,).
        """
        center, spread = {}, {}
        for name, value in embeddings.items():
            here = value[present[name] if name in present else np.any([*present.values()], axis=0)]
            middle = here.mean(axis=0, dtype=np.float64)
            center[name] = middle.astype(np.float32)
            spread[name] = max(float(np.sqrt(np.mean((here - middle) ** 2))), 1e-6)
        return cls(center, spread)

    def apply(self, embeddings: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """Give embeddings as a user sees them."""
        return {name: (value - self.center[name]) / self.spread[name] for name, value in embeddings.items()}

    def undo(self, embedding: FloatArray, name: str) -> FloatArray:
        """Give an embedding as the networks have it."""
        return np.asarray(embedding * self.spread[name] + self.center[name], dtype=np.float32)

    def state_dict(self) -> dict[str, Any]:
        """Give both as plain tensors and numbers."""
        return {
            "center": {name: torch.from_numpy(value) for name, value in self.center.items()},
            "spread": dict(self.spread),
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> EmbeddingScale:
        """Inverse of `state_dict`."""
        return cls({name: value.cpu().numpy() for name, value in state["center"].items()}, dict(state["spread"]))


@dataclass(frozen=True, kw_only=True, eq=False)
class Standardization:
    """Centre and scale of each dimension of a joint embedding: the space in which responses and dynamics live."""

    center: FloatArray
    """Mean over training cells, (dimensions,)."""
    scale: FloatArray
    """Standard deviation over training cells, (dimensions,)."""

    @classmethod
    def fit(cls, embedding: FloatArray, train: npt.NDArray[np.bool_]) -> Standardization:
        """Measure both on training cells; `embedding` is (cells, dimensions), `train` a mask."""
        return cls(center=embedding[train].mean(axis=0), scale=embedding[train].std(axis=0) + np.float32(1e-6))

    def apply(self, embedding: FloatArray) -> FloatArray:
        """Standardize any cells, (cells, dimensions)."""
        return np.asarray((embedding - self.center) / self.scale, dtype=np.float32)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Give both as tensors."""
        return {"center": torch.from_numpy(self.center.copy()), "scale": torch.from_numpy(self.scale.copy())}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, torch.Tensor]) -> Standardization:
        """Make one from what :meth:`state_dict` gave."""
        return cls(center=state["center"].numpy().copy(), scale=state["scale"].numpy().copy())
