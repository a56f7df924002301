"""The centre and the unit of embeddings: what makes those of different encoders comparable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["EmbeddingScale"]

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
