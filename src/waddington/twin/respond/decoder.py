"""From a representation back to profiles: one linear map for each modality, whatever the representation is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import RidgeCV

from waddington.twin.respond.base import Effect, Values

__all__ = ["LinearDecoder"]


class LinearDecoder:
    """Read an effect on a representation out as an effect on every feature.

    A ridge regression from representation to normalized profiles, fitted on training cells, its penalty chosen by
    generalized cross-validation. Trained and untrained encoders, PCA and random projections are judged with this same
    decoder, so that only the representation differs.

    Parameters
    ----------
    representation
        Of all cells, shape (cells, dimensions).
    values
        Normalized profiles by modality, same cells.
    train
        The training cells, shape (cells,).
    """

    def __init__(self, representation: npt.NDArray[np.float32], values: Values, train: npt.NDArray[np.bool_]) -> None:
        scale = representation[train].std(axis=0) + 1e-8
        scaled = representation[train] / scale
        self.weights: dict[str, npt.NDArray[np.float64]] = {}
        """Effect on each feature of one unit of each dimension, (features, dimensions), by modality."""
        for modality, x in values.items():
            ridge = RidgeCV(alphas=np.logspace(-2, 4, 13)).fit(scaled, x[train])
            self.weights[modality] = np.asarray(ridge.coef_, dtype=np.float64).reshape(x.shape[1], -1) / scale

    def decode(self, effect: npt.NDArray[np.floating]) -> Effect:
        """Give the effect on every feature of an effect on the representation, (dimensions,)."""
        return {modality: weights @ np.asarray(effect, np.float64) for modality, weights in self.weights.items()}

    def decode_error(self, error: npt.NDArray[np.floating]) -> Effect:
        """Give the standard error of every decoded feature from that of independent dimensions, (dimensions,)."""
        squared = np.square(np.asarray(error, np.float64))
        return {modality: np.sqrt(np.square(weights) @ squared) for modality, weights in self.weights.items()}

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Give the weights as tensors, by modality."""
        return {modality: torch.from_numpy(weights.copy()) for modality, weights in self.weights.items()}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, torch.Tensor]) -> Self:
        """Make a decoder from what :meth:`state_dict` gave."""
        made = cls.__new__(cls)
        made.weights = {modality: weights.numpy().copy() for modality, weights in state.items()}
        return made
