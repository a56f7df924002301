"""Effects of perturbations that were never measured, from those of genes that a graph calls alike.

The effects of single perturbations, freed of noise, are one draw per feature of a Gaussian process with covariance
``α + γ S + I``: a part that all have in common, a part that goes with the similarity S of the graph, and each one's
own. Beside that a perturbation may push the targets that the graph gives it, each by β standard deviations. α and γ,
and whether targets help, are those of the smallest squared error with one perturbation left out at a time; γ = 0 and
no targets, the shrunken mean of all responses, are among them, so the graph is used only where it seems to help.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

__all__ = ["Fit", "fit", "left_out_predictions"]

Array = npt.NDArray[np.float64]

_COMMON = (0.0, 0.1, 0.3, 1.0, 3.0)
"""Grid of α."""
_ALIKE = (0.0, 0.3, 1.0, 3.0)
"""Grid of γ."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """What was chosen, and what predictions are made of."""

    alpha: float
    gamma: float
    beta: float
    """Standard deviations that a target moves; 0 where targets are not used."""
    weights: Array
    """Inverse covariance times effects less those of targets, (perturbations, features)."""

    def predict(self, similarity: Array, target: Array) -> Array:
        """Predict one perturbation.

        Parameters
        ----------
        similarity
            To those measured, (perturbations,).
        target
            Its targets' signs in standard deviations, (features,).
        """
        return np.asarray((self.alpha + self.gamma * similarity) @ self.weights + self.beta * target)


def fit(effects: Array, similarity: Array, targets: Array) -> Fit:
    """Choose what leaves the smallest squared error.

    Parameters
    ----------
    effects
        Of single perturbations, freed of noise, (perturbations, features).
    similarity
        Of their genes, (perturbations, perturbations).
    targets
        Signs in standard deviations, the direction of the perturbation included, (perturbations, features).
    """
    (alpha, gamma, use), _ = _chosen(effects, similarity, targets)
    beta = float(np.sum(targets * effects) / max(float(np.square(targets).sum()), 1e-12)) if use else 0.0
    weights = np.asarray(np.linalg.solve(_covariance(similarity, alpha, gamma), effects - beta * targets))
    return Fit(alpha=alpha, gamma=gamma, beta=beta, weights=weights)


def left_out_predictions(effects: Array, similarity: Array, targets: Array) -> Array:
    """Predict each perturbation from the others; parameters as of :func:`fit`, shape that of `effects`."""
    return _chosen(effects, similarity, targets)[1]


def _chosen(effects: Array, similarity: Array, targets: Array) -> tuple[tuple[float, float, bool], Array]:
    """Choose α, γ and whether targets are used; give what is predicted so of each perturbation from the others."""
    found = [
        ((alpha, gamma, use), predicted)
        for alpha, gamma in product(_COMMON, _ALIKE)
        for use, predicted in enumerate(_left_out(effects, similarity, targets, alpha, gamma))
    ]
    (alpha, gamma, use), predicted = min(found, key=lambda one: float(np.square(effects - one[1]).sum()))
    return (alpha, gamma, bool(use)), predicted


def _left_out(effects: Array, similarity: Array, targets: Array, alpha: float, gamma: float) -> list[Array]:
    """Leave one out at a time, without targets, and with them if there are any.

    In closed form (Rasmussen and Williams 2006, equation 5.12).
    """
    inverse = np.linalg.inv(_covariance(similarity, alpha, gamma))

    def smooth(y: Array) -> Array:
        return np.asarray(y - (inverse @ y) / np.diag(inverse)[:, None])

    without = smooth(effects)
    if not targets.any():
        return [without]
    along, size = np.sum(targets * effects, axis=1), np.square(targets).sum(axis=1)
    beta = (along.sum() - along) / np.maximum(size.sum() - size, 1e-12)  # each without its own effect
    return [without, without + beta[:, None] * (targets - smooth(targets))]


def _covariance(similarity: Array, alpha: float, gamma: float) -> Array:
    return np.asarray(alpha + gamma * similarity + np.eye(len(similarity)))
