"""How well each feature is predicted over conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from waddington.twin.evaluate.protocol.truth import Observed

__all__ = ["GeneSums"]

Array = npt.NDArray[np.float64]

MIN_CONDITIONS = 3
"""Fewest conditions over which a feature's correlation means anything."""

_SUMS = ("n", "error", "predicted", "observed", "predicted2", "observed2", "product", "noise")


@dataclass(kw_only=True)
class GeneSums:
    """Sums over conditions and halvings, (features,) each."""

    n: Array
    error: Array
    """Of squared errors."""
    predicted: Array
    observed: Array
    predicted2: Array
    observed2: Array
    product: Array
    noise: Array
    """Of squared standard errors of the observed effect."""
    conditions: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Conditions that were added, with the features that were passed over; halvings do not count as more of them."""

    @classmethod
    def empty(cls, n_features: int) -> GeneSums:
        """Begin with nothing."""
        return cls.of(np.zeros((len(_SUMS), n_features)), {})

    @classmethod
    def of(cls, table: Array, conditions: Mapping[str, Sequence[int]]) -> GeneSums:
        """Make them from :attr:`table` and :attr:`conditions`."""
        sums: dict[str, Any] = {name: row.copy() for name, row in zip(_SUMS, table, strict=True)}
        return cls(**sums, conditions={label: tuple(passed) for label, passed in conditions.items()})

    @property
    def table(self) -> Array:
        """All sums, (8, features)."""
        return np.stack([getattr(self, name) for name in _SUMS])

    @property
    def n_conditions(self) -> Array:
        """Conditions that each feature was scored in, (features,)."""
        passed = np.array([place for places in self.conditions.values() for place in places], dtype=np.intp)
        return np.asarray(len(self.conditions) - np.bincount(passed, minlength=len(self.n)), dtype=np.float64)

    def merge(self, other: GeneSums) -> None:
        """Add the sums over other conditions or halvings."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.conditions |= other.conditions

    def add(self, label: str, predicted: Array, observed: Observed, keep: npt.NDArray[np.bool_]) -> None:
        """Add one condition of one halving; features that are not scored are passed over."""
        if label not in self.conditions:
            self.conditions[label] = tuple(np.flatnonzero(~keep).tolist())
        p, o = np.where(keep, predicted, 0.0), np.where(keep, observed.effect, 0.0)
        self.n += keep
        self.error += (p - o) ** 2
        self.predicted += p
        self.observed += o
        self.predicted2 += p**2
        self.observed2 += o**2
        self.product += p * o
        self.noise += np.where(keep, observed.noise, 0.0)

    def columns(self) -> dict[str, Array | npt.NDArray[np.bool_]]:
        """Give ``mse``, ``r2``, ``pearson``, ``n`` (conditions) and ``measurable``, (features,) each.

        Over fewer than three conditions ``r2`` and ``pearson`` are NaN. A feature is measurable where, over at least
        three conditions, less than half of the variance of its observed effect is sampling noise.
        """
        n = np.maximum(self.n, 1.0)
        spread = self.observed2 / n - (self.observed / n) ** 2
        own = self.predicted2 / n - (self.predicted / n) ** 2
        joint = self.product / n - self.observed * self.predicted / n**2
        tiny = 1e-12
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = np.where(spread > tiny, 1.0 - self.error / n / spread, np.nan)
            pearson = np.where((spread > tiny) & (own > tiny), joint / np.sqrt(spread * own), np.nan)
            share = np.where(spread > tiny, self.noise / n / spread, np.inf)
        scored = self.n_conditions
        enough = scored >= MIN_CONDITIONS
        return {
            "mse": np.where(self.n > 0, self.error / n, np.nan),
            "r2": np.where(enough, r2, np.nan),
            "pearson": np.where(enough, np.clip(pearson, -1.0, 1.0), np.nan),
            "n": scored,
            "measurable": np.asarray((share < 0.5) & enough),
        }
