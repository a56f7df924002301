"""What any prediction has to beat, in the features themselves: no effect, the mean effect, the additive model."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from waddington.twin._moved import names_moved_from
from waddington.twin.data.splits import Split
from waddington.twin.respond.base import (
    Effect,
    ResponseModel,
    Values,
    canonical_label,
    measured_parts,
    train_effects,
)

__all__ = ["Additive", "MeanEffect", "NoEffect"]

__getattr__ = names_moved_from(__name__)


class NoEffect(ResponseModel):
    """Nothing ever changes."""

    name = "no change"
    baseline = True

    def __init__(self, values: Values) -> None:
        self._zero = {modality: np.zeros(x.shape[1]) for modality, x in values.items()}

    @classmethod
    def fit(cls, values: Values, split: Split, *, representation: npt.NDArray[np.float32] | None = None) -> Self:
        """Learn the number of features."""
        return cls(values)

    def predict(self, label: str) -> Effect:
        """Give zeros."""
        return self._zero


class MeanEffect(ResponseModel):
    """Every condition does what the training conditions do on average."""

    name = "mean"
    baseline = True

    def __init__(self, values: Values, split: Split) -> None:
        effects = list(train_effects(values, split).values())
        self._mean = {modality: np.mean([effect[modality] for effect in effects], axis=0) for modality in values}

    @classmethod
    def fit(cls, values: Values, split: Split, *, representation: npt.NDArray[np.float32] | None = None) -> Self:
        """Average over the training conditions."""
        return cls(values, split)

    def predict(self, label: str) -> Effect:
        """Give the mean over the training conditions, one fixed vector for all labels."""
        return self._mean


class Additive(ResponseModel):
    """A combination does the sum of what its parts do; a part is what its training cells showed."""

    name = "additive"
    baseline = True

    def __init__(self, values: Values, split: Split) -> None:
        self._split = split
        self._measured = {split.control: NoEffect(values).predict(split.control), **train_effects(values, split)}

    @classmethod
    def fit(cls, values: Values, split: Split, *, representation: npt.NDArray[np.float32] | None = None) -> Self:
        """Measure every training condition."""
        return cls(values, split)

    def predict(self, label: str) -> Effect:
        """Sum the measured effects of the single perturbations.

        Raises
        ------
        UnsupportedError
            When the condition or one of its parts was never measured; names it.
        DataError
            When a bare name was measured in several modes; names them.
        """
        label = canonical_label(label, self._split, self._measured)
        if label in self._measured:
            return self._measured[label]
        parts = [self._measured[part] for part in measured_parts(label, self._split, self._measured)]
        return {modality: np.sum([part[modality] for part in parts], axis=0) for modality in parts[0]}
