"""The scale of a joint embedding in which responses and dynamics live: standard deviations of the training cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["Standardization"]

Float = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Standardization:
    """Centre and scale of each dimension."""

    center: Float
    """Mean over training cells, (dimensions,)."""
    scale: Float
    """Standard deviation over training cells, (dimensions,)."""

    @classmethod
    def fit(cls, embedding: Float, train: npt.NDArray[np.bool_]) -> Standardization:
        """Measure both on training cells; `embedding` is (cells, dimensions), `train` a mask."""
        return cls(center=embedding[train].mean(axis=0), scale=embedding[train].std(axis=0) + np.float32(1e-6))

    def apply(self, embedding: Float) -> Float:
        """Standardize any cells, (cells, dimensions)."""
        return np.asarray((embedding - self.center) / self.scale, dtype=np.float32)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Give both as tensors."""
        return {"center": torch.from_numpy(self.center.copy()), "scale": torch.from_numpy(self.scale.copy())}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, torch.Tensor]) -> Standardization:
        """Make one from what :meth:`state_dict` gave."""
        return cls(center=state["center"].numpy().copy(), scale=state["scale"].numpy().copy())
