"""From groups that were perturbed to a group that was not: those that are alike at rest count more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from waddington.errors import UnsupportedError
from waddington.twin.respond.base import Effect, MeasuredModel, Training
from waddington.twin.respond.denoising import denoised
from waddington.twin.respond.grouped import matched
from waddington.twin.respond.measured import Measured

__all__ = ["SimilarityWeighted"]

Array = npt.NDArray[np.float64]

_SHARPNESS = (2.0, 4.0, 8.0)
_FEWEST_GROUPS = 4
"""With which sharpness can be chosen."""

MIN_CELLS = 10
"""Fewest cells of a condition, and of its controls, with which a group counts."""


class SimilarityWeighted(MeasuredModel):
    """A condition does what it does in other groups, each freed of noise and weighted by its likeness at rest.

    The weight of group i is ``exp(-k D_i / median D)``, where D is the squared distance between mean control profiles.
    The sharpness k, one of 2, 4 and 8, is the one with which the groups foretell each other best, each in turn from
    the others; 2 with fewer than 4 groups. Without a profile to start from all groups count alike.
    """

    name = "similarity-weighted"

    def __init__(self, by_group: Mapping[str, Measured]) -> None:
        if not by_group:
            raise UnsupportedError(
                "cannot fit the response model 'similarity-weighted' without groups: accepted is a column of donors,"
                " cell types, lines or batches (group_key)"
            )
        super().__init__(matched(by_group))
        self._by_group = dict(by_group)
        self._control: dict[str, list[Array]] = {}
        self._effects: dict[str, list[dict[str, Array]]] = {}
        self.sharpness: dict[str, float] = {}
        """Of each modality."""
        for modality in next(iter(by_group.values())).tables:
            self._control[modality], self._effects[modality] = [], []
            for one in by_group.values():
                found = denoised(one, modality)
                self._control[modality].append(one.tables[modality].mean[0])
                self._effects[modality].append({
                    label: found[row]
                    for label, row in one.row.items()
                    if row and min(one.n[row], one.n[0]) >= MIN_CELLS
                })  # fmt: skip
            self.sharpness[modality] = _sharpness(list(by_group.values()), modality, self._effects[modality])

    @classmethod
    def fit(cls, data: Training) -> Self:
        """Measure every condition in every group.

        Raises
        ------
        UnsupportedError
            Without groups.
        """
        return cls(data.by_group)

    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
        """Weigh the effects that the groups show.

        Raises
        ------
        UnsupportedError
            When no group shows the condition in 10 cells or more; names it.
        DataError
            When a bare name was measured in several modes; names them.
        """
        label = self.known.canonical(label)
        if label == self.known.control:
            return {modality: np.zeros_like(found[0]) for modality, found in self._control.items()}
        terms = () if label in self.known.n_cells else self.known.terms(label, alone=True)
        if len(terms) == 1 and terms[0].interpolated:
            doses = [(weight, self.predict(part, start=start)) for part, weight in terms[0].weights.items()]
            return {
                modality: np.sum([weight * one[modality] for weight, one in doses], axis=0)
                for modality in self._control
            }
        found: Effect = {}
        for modality, groups in self._effects.items():
            holders = [i for i, one in enumerate(groups) if label in one]
            if not holders:
                self.known.terms(label, alone=True)
                raise UnsupportedError(
                    f"cannot predict the change of {label}: no group shows it in {MIN_CELLS} cells"
                    " with as many controls"
                )
            effects = np.stack([groups[i][label] for i in holders])
            weights = np.ones(len(holders))
            if start is not None:
                controls = np.stack([self._control[modality][i] for i in holders])
                weights = _weights(controls, start[modality], self.sharpness[modality])
            found[modality] = np.asarray(weights @ effects / weights.sum())
        return found

    def state_dict(self) -> dict[str, Any]:
        """Give what each group shows as tensors, numbers and strings."""
        return {"class": self.name, "by_group": {name: one.state_dict() for name, one in self._by_group.items()}}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Make the model anew from what each group shows."""
        return cls({name: Measured.from_state_dict(one) for name, one in state["by_group"].items()})


def _weights(controls: Array, start: Array, sharpness: float) -> Array:
    """Weigh groups by the likeness of their controls, (groups, features), to a profile."""
    distance = np.square(controls - start).sum(axis=1)
    middle = float(np.median(distance))
    return np.exp(-sharpness * distance / middle) if middle > 0 else np.ones(len(controls))


def _sharpness(groups: Sequence[Measured], modality: str, effects: Sequence[Mapping[str, Array]]) -> float:
    """Choose the sharpness with which groups foretell what each of them showed, before it was freed of noise."""
    errors = dict.fromkeys(_SHARPNESS, 0.0)
    for label in sorted({label for one in effects for label in one}):
        holders = [i for i, one in enumerate(effects) if label in one]
        if len(holders) < _FEWEST_GROUPS:
            continue
        controls = np.stack([groups[i].tables[modality].mean[0] for i in holders])
        shown = np.stack([groups[i].effects(modality)[groups[i].row[label]] for i in holders])
        freed = np.stack([effects[i][label] for i in holders])
        for out in range(len(holders)):
            kept = np.arange(len(holders)) != out
            for sharpness in _SHARPNESS:
                weights = _weights(controls[kept], controls[out], sharpness)
                errors[sharpness] += float(np.square(weights @ freed[kept] / weights.sum() - shown[out]).sum())
    return min(errors, key=lambda one: errors[one])
