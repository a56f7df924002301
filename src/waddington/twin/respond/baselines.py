"""What any prediction has to beat, in the features themselves: no effect, the mean effect, sums of measured effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from waddington.twin._moved import names_moved_from
from waddington.twin.respond.base import Effect, MeasuredModel
from waddington.twin.respond.denoising import denoised
from waddington.twin.respond.doses import Term, doses_by_drug, range_of
from waddington.twin.respond.latent import fit_scale
from waddington.twin.respond.measured import Measured

__all__ = [
    "Additive",
    "DenoisedAdditive",
    "DenoisedMean",
    "MatchingMean",
    "MeanEffect",
    "MeanOverDoses",
    "NoEffect",
    "ScaledAdditive",
    "StrongestSingle",
    "scale_of",
]

__getattr__ = names_moved_from(__name__)

Array = npt.NDArray[np.float64]


class NoEffect(MeasuredModel):
    """Nothing ever changes."""

    name = "no change"
    baseline = True

    def __init__(self, measured: Measured) -> None:
        super().__init__(measured)
        self._zero = {modality: np.zeros(table.mean.shape[1]) for modality, table in measured.tables.items()}

    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
        """Give zeros."""
        return self._zero


class MeanEffect(MeasuredModel):
    """Every condition does what the training conditions do on average."""

    name = "mean"
    baseline = True

    def __init__(self, measured: Measured) -> None:
        super().__init__(measured)
        self._mean = {modality: measured.effects(modality)[1:].mean(axis=0) for modality in measured.tables}

    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
        """Give the mean over the training conditions, one fixed vector for all labels."""
        return self._mean


class DenoisedMean(MeanEffect):
    """Every condition does what the training conditions do on average, each freed of noise (:mod:`.denoising`)."""

    name = "denoised mean"

    def __init__(self, measured: Measured) -> None:
        super().__init__(measured)
        self._mean = {modality: denoised(measured, modality)[1:].mean(axis=0) for modality in measured.tables}


class Additive(MeasuredModel):
    """A combination does the sum of what its parts do; a part is what its training cells showed.

    A dose between two measured ones is interpolated (:mod:`~waddington.twin.respond.doses`).
    """

    name = "additive"
    baseline = True

    def __init__(self, measured: Measured) -> None:
        super().__init__(measured)
        self._row = measured.row
        self._effects = {modality: self._shown(measured, modality) for modality in measured.tables}

    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
        """Sum the measured effects of the single perturbations.

        Raises
        ------
        UnsupportedError
            When the condition or one of its parts was never measured; names it.
        DataError
            When a bare name was measured in several modes; names them.
        """
        label = self.known.canonical(label)
        if label in self._row:
            return {modality: found[self._row[label]] for modality, found in self._effects.items()}
        return self._answered(self.known.terms(label, alone=True))

    def _answered(self, terms: Sequence[Term]) -> Effect:
        """Join what the parts of a combination do; of one part that is itself."""
        rows = [[(self._row[part], weight) for part, weight in self._weights(term).items()] for term in terms]
        found: Effect = {}
        for modality, effects in self._effects.items():
            parts = np.stack([np.sum([weight * effects[row] for row, weight in one], axis=0) for one in rows])
            found[modality] = parts[0] if len(parts) == 1 else self._joined(modality, parts)
        return found

    def _weights(self, term: Term) -> Mapping[str, float]:
        """Say by which measured perturbations one is told."""
        return term.weights

    def _shown(self, measured: Measured, modality: str) -> Array:
        """Give the effect of each training condition, (conditions, features)."""
        return measured.effects(modality)

    def _joined(self, modality: str, parts: Array) -> Array:
        """Make the effect of a combination from those of its parts, (parts, features)."""
        return np.asarray(parts.sum(axis=0))


class ScaledAdditive(Additive):
    """A combination does a fixed share of the sum: one scale, fitted by least squares on measured combinations."""

    name = "scaled additive"

    def __init__(self, measured: Measured) -> None:
        super().__init__(measured)
        self.scale = {modality: scale_of(measured, found) for modality, found in self._effects.items()}
        """Of each modality; 1 where no combination was measured."""

    def _joined(self, modality: str, parts: Array) -> Array:
        return np.asarray(self.scale[modality] * parts.sum(axis=0))


class DenoisedAdditive(ScaledAdditive):
    """The scaled sum of effects that were freed of noise before, each by its own mixture (:mod:`.denoising`)."""

    name = "empirical-Bayes additive"

    def _shown(self, measured: Measured, modality: str) -> Array:
        return denoised(measured, modality)


class MatchingMean(Additive):
    """A combination does what its parts do on average."""

    name = "matching mean"

    def _joined(self, modality: str, parts: Array) -> Array:
        return np.asarray(parts.mean(axis=0))


class StrongestSingle(Additive):
    """A combination does what its strongest part does alone, by the length of its effect."""

    name = "strongest single"

    def _joined(self, modality: str, parts: Array) -> Array:
        return np.asarray(parts[np.linalg.norm(parts, axis=1).argmax()])

    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
        """Give the effect of the strongest part that was measured alone.

        Raises
        ------
        UnsupportedError
            When none was, or, unless `guess`, when any was not; names it.
        DataError
            When a bare name was measured in several modes; names them.
        """
        if not guess:
            return super().predict(label)
        label = self.known.canonical(label)
        terms = self.known.terms(label, alone=True, guess=True)
        if label in self._row or not any(term.known for term in terms):
            return super().predict(label)
        return self._answered([term for term in terms if term.known])


class MeanOverDoses(Additive):
    """A dose of a drug does what its measured doses do on average; all else adds."""

    name = "mean over doses"
    baseline = True
    uses_doses = True

    def __init__(self, measured: Measured) -> None:
        super().__init__(measured)
        self._drugs = doses_by_drug(self.known.alone) if measured.kind == "perturbation" else {}

    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
        """Give the mean over the measured doses, whichever is asked for; errors as :class:`Additive`."""
        label = self.known.canonical(label)
        return self._answered(terms) if len(terms := self._dosed(label)) == 1 else super().predict(label)

    def _dosed(self, label: str) -> tuple[Term, ...]:
        """Give the one part of a single drug; nothing of anything else."""
        parts = self.known.parts(label)
        return self.known.terms(label, alone=True) if len(parts) == 1 and range_of(parts[0], self._drugs) else ()

    def _weights(self, term: Term) -> Mapping[str, float]:
        doses = range_of(term.part, self._drugs)
        return term.weights if doses is None else dict.fromkeys(doses.parts.values(), 1.0 / len(doses.parts))


def scale_of(measured: Measured, effects: Array) -> float:
    """Fit the scale of combinations whose parts were all measured alone, weighted by their cells."""
    pairs = [
        (row, [measured.row[part] for part in parts])
        for row, parts in enumerate(measured.parts)
        if len(parts) > 1 and all(part in measured.row for part in parts)
    ]
    found = [effects[row] for row, _ in pairs]
    sums = [effects[parts].sum(axis=0) for _, parts in pairs]
    return fit_scale(found, sums, weights=[measured.n[row] for row, _ in pairs])
