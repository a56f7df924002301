"""What a response model is: it answers what a condition does to the mean profile of cells, from training cells only.

A model gives one answer, :meth:`ResponseModel.predict`: the effect of a condition, which is the mean of its cells less
the mean of the control cells, for every feature of every modality. What it cannot know it refuses by name; only models
that say the same of every condition answer for one that was never measured.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from waddington._text import counted
from waddington.errors import UnsupportedError
from waddington.twin.data.conditions import condition_label, nearest, parse_label, resolve_condition
from waddington.twin.data.splits import Split

__all__ = [
    "Effect",
    "ResponseModel",
    "Values",
    "canonical_label",
    "mean_effect",
    "measured_parts",
    "spread_within",
    "train_effects",
]

Effect = dict[str, npt.NDArray[np.float64]]
"""Effect on the mean of each feature, (features,), by modality."""

Values = Mapping[str, npt.NDArray[np.float32]]
"""Normalized profiles, (cells, features), by modality."""


class ResponseModel(ABC):
    """Predicts the effect of a condition. A new one is a file of this folder and a row of the registry."""

    name: ClassVar[str]
    """As the registry and tables of a run spell it."""
    baseline: ClassVar[bool] = False
    """Whether it is there to be beaten."""
    uses_representation: ClassVar[bool] = False
    """Whether it learns in a representation of cells, such as an embedding, or in the features alone."""

    @classmethod
    @abstractmethod
    def fit(cls, values: Values, split: Split, *, representation: npt.NDArray[np.float32] | None = None) -> Self:
        """Learn from the training cells.

        Parameters
        ----------
        values
            Normalized profiles of all cells, by modality.
        split
            Labels and training mask of the same cells.
        representation
            Shape (cells, dimensions); given where, and only where, the model uses one.
        """

    @abstractmethod
    def predict(self, label: str) -> Effect:
        """Give the effect of a condition, by modality.

        Raises
        ------
        UnsupportedError
            Where the model has nothing to say; names what it lacks.
        DataError
            When a bare name was measured in several modes; names them.
        """

    def supports(self, label: str) -> bool:
        """Say whether the model has an answer for a condition."""
        try:
            self.predict(label)
        except UnsupportedError:
            return False
        return True


def mean_effect(values: Values, target: npt.NDArray[np.intp], control: npt.NDArray[np.intp]) -> Effect:
    """Subtract the mean profile of one set of cells from that of another, in float64."""
    return {
        modality: x[target].mean(axis=0, dtype=np.float64) - x[control].mean(axis=0, dtype=np.float64)
        for modality, x in values.items()
    }


def train_effects(values: Values, split: Split) -> dict[str, Effect]:
    """Give the effect that the training cells show, of every training condition."""
    control = split.cells(split.control, train=True)
    return {label: mean_effect(values, split.cells(label, train=True), control) for label in split.seen}


def canonical_label(label: str, split: Split, measured: Mapping[str, object]) -> str:
    """Write a condition by its canonical label; a bare name stands for its one measured mode."""
    if split.kind != "perturbation" or label in measured:
        return label
    return condition_label(resolve_condition(label, measured))


def measured_parts(label: str, split: Split, measured: Mapping[str, object]) -> list[str]:
    """Name the single perturbations of a condition, each of which was measured.

    Raises
    ------
    UnsupportedError
        When one of them was not.
    """
    parts = (
        [condition_label((perturbation,)) for perturbation in parse_label(label)]
        if split.kind == "perturbation"
        else [label]
    )
    missing = [part for part in parts if part not in measured]
    if missing:
        seen = [name for name in measured if name != split.control]
        known = ", ".join(seen[:8]) + (", …" if len(seen) > 8 else "")
        alone, hint = "", ""
        if split.kind == "perturbation":
            alone, hint = " alone", nearest(missing[0], [one for one in seen if len(parse_label(one)) == 1])
        raise UnsupportedError(
            f"cannot predict the change of {label}: found no training cells with {' or '.join(missing)}{alone}{hint}; "
            f"accepted: {'combinations of ' if alone else ''}the {counted(len(seen), 'measured condition')} ({known})"
        )
    return parts


def spread_within(values: Values, split: Split) -> Effect:
    """Give the standard deviation of each feature among training cells of one condition, pooled over conditions.

    Returns
    -------
    dict
        By modality, (features,); zeros where every condition has a single cell.
    """
    labels, group = np.unique(split.labels[split.train], return_inverse=True)
    size = np.bincount(group)
    found = {}
    for modality, x in values.items():
        cells = x[split.train].astype(np.float64)
        means = np.stack([cells[group == one].mean(axis=0) for one in range(len(labels))])
        cells -= means[group]
        found[modality] = np.sqrt(np.square(cells).sum(axis=0) / max(int(size.sum()) - len(labels), 1))
    return found
