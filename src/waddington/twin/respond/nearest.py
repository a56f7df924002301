"""The training condition that is most like the one asked for, taken as the answer."""

from __future__ import annotations

import numpy as np

from waddington.errors import UnsupportedError
from waddington.twin.respond.base import Effect, MeasuredModel
from waddington.twin.respond.measured import Measured

__all__ = ["Nearest"]


class Nearest(MeasuredModel):
    """A condition does what the training conditions do that share the largest part of its perturbations with it.

    Likeness is the share of common perturbations among all of the two (Jaccard's index); ties are averaged. A single
    perturbation that was never measured alone is answered by the smallest combinations that hold it. A time is answered
    by the latest measured one before it: the last change is held. A dose between two measured ones counts as the one
    that lies nearer by its logarithm.
    """

    name = "nearest"

    def __init__(self, measured: Measured) -> None:
        super().__init__(measured)
        self._parts = [frozenset(parts) for parts in measured.parts]
        self._row = measured.row
        self._effects = {modality: measured.effects(modality) for modality in measured.tables}

    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
        """Give the mean effect of the nearest training conditions.

        Raises
        ------
        UnsupportedError
            When no training condition shares a perturbation with it, or, unless `guess`, when one of its perturbations
            was never measured; names it.
        DataError
            When a bare name was measured in several modes; names them.
        """
        label = self.known.canonical(label)
        if label in self._row:
            return {modality: found[self._row[label]] for modality, found in self._effects.items()}
        if (held := self.known.time_before(label)) is not None:
            return {modality: found[self._row[held]] for modality, found in self._effects.items()}
        terms = self.known.terms(label, alone=False, guess=guess)
        wanted = frozenset(term.nearest if term.known else term.part for term in terms)
        alike = np.array([len(wanted & one) / max(len(wanted | one), 1) for one in self._parts])
        if alike.max() == 0.0:
            raise UnsupportedError(
                f"cannot predict the change of {label}: no training condition shares a perturbation with it"
            )
        rows = np.flatnonzero(alike == alike.max())
        return {modality: found[rows].mean(axis=0) for modality, found in self._effects.items()}
