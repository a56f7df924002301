"""How far a measured effect may be shrunk: a few standard errors, for effects are not as normal as the prior has them.

Most features do not answer a perturbation and a few answer strongly, so a normal prior of one width for all shrinks the
few too much, and says that it is sure of it. The limited-translation rule of Efron & Morris (1971, Journal of the
American Statistical Association 66:807) lets the posterior mean m of a measured mean y with standard error s go no
further from it than t·s, which costs little where the prior is right::

    moved = sign(y - m) · max(0, |y - m| - t s)
    widened = min(moved², t² s²), added to the posterior variance
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from waddington.twin.respond.hierarchical.likelihood import Posterior

__all__ = ["Translation", "residuals"]

Array = npt.NDArray[np.float64]


def residuals(posterior: Posterior, n: Array) -> Array:
    """Give what is observed less μ and the posterior mean effect, of every condition, (conditions, features)."""
    found = np.zeros((len(n), len(posterior.mu)))
    for block, weights in zip(posterior.blocks, posterior.weights, strict=True):
        rows = block.stack.conditions
        found[rows] = (block.basis.transpose(0, 2, 1) @ weights) / n[rows][:, :, None]
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Translation:
    """What is given back of every measured condition's effect; nothing of most features."""

    moved: sparse.csr_array
    """(conditions, features), in units of the features' standard deviations."""
    errors: Array
    """Standard errors of the conditions' means times the limit, (conditions,)."""

    @classmethod
    def of(cls, posterior: Posterior, n: Array, limit: float) -> Translation:
        """Compare posterior means with what was observed.

        Parameters
        ----------
        posterior
            Of the training conditions.
        n
            Cells of each condition, (conditions,).
        limit
            Standard errors that a mean may be shrunk by; infinite for no limit.
        """
        errors, away = limit / np.sqrt(n), residuals(posterior, n)
        moved = np.sign(away) * np.maximum(np.abs(away) - errors[:, None], 0.0)
        return cls(moved=sparse.csr_array(moved), errors=errors)

    def mean(self, weights: Mapping[int, float]) -> Array:
        """Give what is added to the mean of a weighted sum of some conditions' effects, (features,)."""
        found = np.zeros(self.moved.shape[1])
        for row, weight in weights.items():
            found += weight * self._moved(row)
        return found

    def variance(self, weights: Mapping[int, float]) -> Array:
        """Give what is added to its variance, (features,)."""
        found = np.zeros(self.moved.shape[1])
        for row, weight in weights.items():
            found += weight**2 * np.minimum(np.square(self._moved(row)), self.errors[row] ** 2)
        return found

    def _moved(self, row: int) -> Array:
        return np.asarray(self.moved[[row]].toarray()[0], dtype=np.float64)
