"""Predicted cells against observed ones: a predicted cell is an unperturbed one, moved as the model says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from waddington.twin.evaluate.distance import e_distance
from waddington.twin.evaluate.protocol.screen import Screen

__all__ = ["MOST_CELLS", "Distances"]

_COMPONENTS = 20
MOST_CELLS = 200
"""Most cells of a condition that are compared."""
_FITTED_ON = 5_000


class Distances:
    """Energy distances among the principal components of each modality.

    Parameters
    ----------
    screen
        The cells; components are those of all of them, of at most 5,000 drawn.
    seed
        Of the draw.
    """

    def __init__(self, screen: Screen, *, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._components: dict[str, PCA] = {}
        self._scores: dict[str, npt.NDArray[np.float64]] = {}
        for modality, x in screen.values.items():
            drawn = rng.permutation(len(x))[:_FITTED_ON]
            n = min(_COMPONENTS, *x[drawn].shape)
            fitted = PCA(n, svd_solver="randomized", random_state=seed).fit(x[drawn])
            self._components[modality] = fitted
            self._scores[modality] = np.asarray(fitted.transform(x), np.float64)

    def between(self, modality: str, predicted: npt.NDArray[np.floating], observed: npt.NDArray[np.intp]) -> float:
        """Measure how far predicted profiles, (cells, features), lie from some of all cells; 200 of each at most."""
        moved = np.asarray(self._components[modality].transform(predicted), np.float64)
        return e_distance(moved, self._scores[modality][observed], max_cells=MOST_CELLS)
