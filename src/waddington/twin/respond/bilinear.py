"""The bilinear model of Ahlmann-Eltze, Huber and Anders (2025): genes and perturbations in one linear embedding."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from waddington.errors import DataError, UnsupportedError
from waddington.twin.data.conditions import is_canonical, parse_label
from waddington.twin.respond.base import Effect, MeasuredModel, Training
from waddington.twin.respond.measured import Measured

__all__ = ["Bilinear"]

Array = npt.NDArray[np.float64]

_COMPONENTS = 10
_PENALTY = 0.1


class Bilinear(MeasuredModel):
    """``effect = G K p + c``: G and p are rows of principal components of the training profiles' genes.

    ``K = (GᵀG + λI)⁻¹ Gᵀ (Y - c) P (PᵀP + λI)⁻¹``, with Y the training effects (features, perturbations), c their mean
    over perturbations, P the rows of G of the perturbed genes and λ = .1; a combination's p is the sum of its genes'.
    Only genes that are features of the RNA can be predicted, seen or not.
    """

    name = "bilinear"

    def __init__(self, measured: Measured) -> None:
        super().__init__(measured)
        self._mean: dict[str, Array] = {}
        self._map: dict[str, Array] = {}
        self._genes = self._embedding(measured)
        rows, places = [], []
        for row, label in enumerate(measured.labels[1:], start=1):
            place = self._place(label)
            if place is not None:
                rows.append(row)
                places.append(place)
        if len(rows) < 2:
            raise DataError(
                f"cannot fit the response model {self.name!r}: the genes of {len(rows)} of {len(measured.labels) - 1} "
                "training conditions are features of the RNA; accepted: at least 2"
            )
        p = np.stack(places)
        right = p @ np.linalg.inv(p.T @ p + _PENALTY * np.eye(p.shape[1]))
        for modality in measured.tables:
            effects = measured.effects(modality)[rows]
            g = _scores(measured.tables[modality].mean)
            self._mean[modality] = effects.mean(axis=0)
            left = np.linalg.solve(g.T @ g + _PENALTY * np.eye(g.shape[1]), g.T)
            self._map[modality] = g @ (left @ (effects - self._mean[modality]).T @ right)

    @classmethod
    def fit(cls, data: Training) -> Self:
        """Embed genes by the training profiles, and map embeddings of perturbed genes to effects.

        Raises
        ------
        DataError
            When fewer than 2 perturbed genes are features of the RNA.
        UnsupportedError
            When conditions are no perturbations.
        """
        if data.split.kind != "perturbation":
            raise UnsupportedError(f"cannot fit the response model {cls.name!r} to times: accepted are perturbed genes")
        return super().fit(data)

    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
        """Map the embedding of the perturbed genes.

        Raises
        ------
        UnsupportedError
            When a perturbed gene is no feature of the RNA; names it.
        DataError
            When a bare name was measured in several modes; names them.
        """
        label = label if is_canonical(label) else self.known.canonical(label)
        if label == self.known.control:
            return {modality: np.zeros_like(mean) for modality, mean in self._mean.items()}
        place = self._place(label)
        if place is None:
            raise UnsupportedError(
                f"cannot predict the change of {label}: one of its genes is no feature of the RNA, or was given at a "
                f"dose, and the model {self.name!r} knows neither by anything else"
            )
        return {modality: self._map[modality] @ place + mean for modality, mean in self._mean.items()}

    def _embedding(self, measured: Measured) -> dict[str, Array]:
        if "rna" not in measured.tables or "rna" not in measured.names:
            return {}
        scores = _scores(measured.tables["rna"].mean)
        return dict(zip(map(str, measured.names["rna"]), scores, strict=True))

    def _place(self, label: str) -> Array | None:
        """Give the embedding of a condition; None where a gene has none, or a dose would make a difference."""
        condition = parse_label(label)
        if not condition or not all(one.gene in self._genes and one.dose is None for one in condition):
            return None
        return np.asarray(np.sum([self._genes[one.gene] for one in condition], axis=0))


def _scores(means: Array) -> Array:
    """Give each feature's principal components over training conditions, (features, components)."""
    n = min(_COMPONENTS, *means.shape)
    return np.asarray(PCA(n, svd_solver="full").fit_transform(means.T))
