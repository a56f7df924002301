"""What a metric is: a number for a pair of predicted and observed effects, and which way it gets better."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Metric", "Pair", "Sample"]

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """What is known of an observed effect beside its values, because it was measured on cells.

    Attributes
    ----------
    noise
        Expected squared length of its sampling error: squared standard errors, summed over features.
    changed
        Features that changed beyond chance, (features,).
    sd
        Standard deviation of cells of one condition, (features,): a change is ranked in its units.
    candidates
        Effects of all conditions that the prediction could be of, (conditions, features), this one's among them.
    own
        Its row there.
    distance
        Energy distance between predicted and observed cells; NaN where no cells were predicted.
    """

    noise: float
    changed: npt.NDArray[np.bool_]
    sd: Vector
    candidates: Vector
    own: int
    distance: float = math.nan


class Pair:
    """A predicted effect beside the observed one, over features, and what several metrics compute from them.

    Parameters
    ----------
    predicted, observed
        Effect on each feature, shape (features,), finite.
    score
        What a ranking ranks features by, shape (features,).
    sample
        What is known of the observed effect, where it was measured on cells.
    """

    def __init__(self, predicted: Vector, observed: Vector, score: Vector, sample: Sample | None = None) -> None:
        self.predicted, self.observed, self.score, self.sample = predicted, observed, score, sample

    @cached_property
    def error(self) -> Vector:
        """Predicted less observed."""
        return self.predicted - self.observed

    @cached_property
    def rises(self) -> npt.NDArray[np.bool_]:
        """The label of each feature: whether it is observed to rise."""
        return self.observed > 0

    @cached_property
    def called(self) -> npt.NDArray[np.bool_]:
        """The call for each feature: whether it is predicted to rise."""
        return self.predicted > 0

    @cached_property
    def weighted(self) -> tuple[float, float, float]:
        """Precision, recall and F1, weighted over the two classes by size; a class that is not called counts 0."""
        true = np.array([np.sum(self.rises), np.sum(~self.rises)])
        called = np.array([np.sum(self.called), np.sum(~self.called)])
        right = np.array([np.sum(self.rises & self.called), np.sum(~self.rises & ~self.called)])
        precision, recall = right / np.maximum(called, 1), right / np.maximum(true, 1)
        f1 = 2.0 * right / np.maximum(true + called, 1)
        n = len(self.rises)
        return float(true @ precision) / n, float(true @ recall) / n, float(true @ f1) / n


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One row of the registry.

    Attributes
    ----------
    name
        As tables of a run spell it.
    label
        As an axis or a heading shows it.
    better
        Which way the better value lies.
    best
        The value of a perfect prediction.
    low, high
        Ends of the range.
    unit
        ``""`` for a pure number; else in terms of the unit of the features.
    value
        Gives the metric of a pair; NaN where it is not defined.
    """

    name: str
    label: str
    better: Literal["higher", "lower"]
    best: float
    low: float
    high: float
    unit: str = ""
    value: Callable[[Pair], float]
    parts: Callable[[Pair], tuple[float, float]] | None = None
    """Numerator and denominator, where the metric of several conditions is the quotient of their sums."""

    @property
    def is_error(self) -> bool:
        """Whether it is a distance from the truth, without an upper end: two values compare by their ratio."""
        return self.better == "lower" and self.best == self.low == 0.0 and self.high == math.inf

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if self.better == "higher" else -1
