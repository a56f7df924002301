"""Knock-out from activation and the other way round: a gene's opposite mode does the opposite, up to a factor."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from waddington.twin.data.conditions import Perturbation, condition_label, parse_label
from waddington.twin.respond.base import Effect, MeasuredModel
from waddington.twin.respond.baselines import scale_of
from waddington.twin.respond.measured import Measured

__all__ = ["OppositeMode", "opposites_of"]

Array = npt.NDArray[np.float64]

_LOSS, _GAIN = ("knockout", "knockdown"), ("activation", "overexpression")


def opposites_of(part: str) -> tuple[str, ...]:
    """Name the single perturbations of the same gene in the other direction; none of what is no gene."""
    (perturbation,) = parse_label(part)
    other = _GAIN if perturbation.mode in _LOSS else _LOSS if perturbation.mode in _GAIN else ()
    return tuple(condition_label((Perturbation(perturbation.gene, mode, perturbation.dose),)) for mode in other)


class OppositeMode(MeasuredModel):
    """A single perturbation that was never measured does minus a share of what the gene's opposite mode does.

    The share is fitted by least squares on genes that were measured in both directions, and is 1 where there are none.
    Combinations do the scaled sum of their parts.
    """

    name = "opposite mode"
    _most: ClassVar[float] = 2.0

    def __init__(self, measured: Measured) -> None:
        super().__init__(measured)
        self._row = measured.row
        self._effects = {modality: measured.effects(modality) for modality in measured.tables}
        self._scale = {modality: scale_of(measured, found) for modality, found in self._effects.items()}
        pairs = [
            (self._row[one], self._row[other])
            for one in self._singles(measured)
            for other in opposites_of(one)
            if other in self._row
        ]
        self.n_pairs = len(pairs)
        """Pairs of opposite modes that the share was fitted on, each counted from both sides."""
        self.share = {modality: self._fitted(found, pairs) for modality, found in self._effects.items()}
        """Of each modality."""

    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
        """Add what the parts do, each measured itself or in the opposite mode.

        Raises
        ------
        UnsupportedError
            When a part was measured in neither direction; names it.
        DataError
            When a bare name was measured in several modes; names them.
        """
        label = self.known.canonical(label)
        if label in self._row:
            return {modality: found[self._row[label]] for modality, found in self._effects.items()}
        terms = self.known.terms(label, alone=True, guess=True)
        others = {term.part: self._opposite(term.part) for term in terms if not term.known or term.held}
        if None in others.values():
            self.known.terms(label, alone=True)
        found: Effect = {}
        for modality, effects in self._effects.items():
            total = np.zeros(effects.shape[1])
            for term in terms:
                if (other := others.get(term.part)) is not None:
                    total -= self.share[modality] * effects[other]
                else:
                    total += sum(weight * effects[self._row[part]] for part, weight in term.weights.items())
            found[modality] = total * (self._scale[modality] if len(terms) > 1 else 1.0)
        return found

    def _opposite(self, part: str) -> int | None:
        """Give the row of the opposite mode of the same gene; None where there is none."""
        if self.known.kind != "perturbation":
            return None
        return next((self._row[other] for other in opposites_of(part) if other in self._row), None)

    def _singles(self, measured: Measured) -> list[str]:
        if measured.kind != "perturbation":
            return []
        return [label for label, parts in zip(measured.labels, measured.parts, strict=True) if parts == (label,)]

    def _fitted(self, effects: Array, pairs: list[tuple[int, int]]) -> float:
        energy = sum(float(effects[other] @ effects[other]) for _, other in pairs)
        if energy == 0.0:
            return 1.0
        share = -sum(float(effects[one] @ effects[other]) for one, other in pairs) / energy
        return float(np.clip(share, 0.0, self._most))
