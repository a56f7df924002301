"""The hierarchical additive model behind the interface of response models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.respond.base import Effect, ResponseModel, Training
from waddington.twin.respond.doses import Term, doses_by_drug
from waddington.twin.respond.hierarchical.design import cut
from waddington.twin.respond.hierarchical.fitting import Course, fit_strengths, outweighing
from waddington.twin.respond.hierarchical.guessing import common_response
from waddington.twin.respond.hierarchical.likelihood import Posterior, Strengths, posterior_of
from waddington.twin.respond.hierarchical.prediction import predicted_effect, predicted_mean, predicted_variance
from waddington.twin.respond.hierarchical.translation import Translation
from waddington.twin.respond.interpolation import curvature_of
from waddington.twin.respond.known import Known
from waddington.twin.respond.measured import Measured, Table

__all__ = ["HierarchicalAdditive"]

Array = npt.NDArray[np.float64]

_LEAST_VARIANCE = 1e-8
"""Variance within conditions up to which a feature is left out: its change is 0."""
_MARGIN = 0.05
"""Share of a feature's measured range by which predictions may leave it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Modality:
    """What was learned of one modality."""

    varies: npt.NDArray[np.bool_]
    """Features that vary within conditions, (features,)."""
    sd: Array
    """Standard deviation within conditions, of the features that vary."""
    posterior: Posterior
    translation: Translation
    """What is given back of measured effects that were shrunk too far."""
    common: Array
    """Guessed effect of a perturbation that was never measured, of the features that vary, in units of `sd`."""
    control: Array
    """Mean profile of the training controls, (features,)."""
    low: Array
    high: Array
    """Range of the training conditions' means, with its margin, (features,)."""
    curvature: float
    """Of effects over doses (:mod:`~waddington.twin.respond.interpolation`)."""
    outweighing: npt.NDArray[np.bool_]
    """The feature that responds more than all others together, if there is one, (features,)."""

    @classmethod
    def fit(cls, measured: Measured, modality: str, strengths: Strengths | None, course: Course) -> _Modality:
        """Learn from one table; with `strengths`, only the posterior is computed anew."""
        variance, mean = measured.pooled_variance(modality), measured.tables[modality].mean
        varies = variance > _LEAST_VARIANCE
        if not varies.any():
            raise DataError(
                f"cannot fit the response model {HierarchicalAdditive.name!r}: none of "
                f"{counted(len(varies), 'feature')} of {modality!r} varies among the cells of one condition; accepted: "
                "at least one that does, and at least one condition of 2 training cells"
            )
        sd = np.sqrt(variance[varies])
        y = mean[:, varies] / sd
        shared = _shared_by_doses(measured)
        design = cut(measured.perturbations, measured.parts, shared=shared)
        if strengths is None:
            design, strengths = fit_strengths(design, measured.n, y, course)
        elif strengths.kappa:
            design = cut(measured.perturbations, measured.parts, pairs_together=True, shared=shared)
        low, high = mean.min(axis=0), mean.max(axis=0)
        margin = _MARGIN * (high - low)
        alone = np.zeros(len(varies), dtype=np.bool_)
        alone[varies] = outweighing(measured.n, y)
        posterior = posterior_of(design, measured.n, y, strengths)
        return cls(
            varies=varies,
            sd=sd,
            posterior=posterior,
            translation=Translation.of(posterior, measured.n, course.translation),
            common=common_response(posterior, measured.n, y),
            control=mean[0],
            low=low - margin,
            high=high + margin,
            curvature=curvature_of(measured, modality),
            outweighing=alone,
        )

    def effect(self, terms: Sequence[Term]) -> Array:
        """Predict within the measured ranges, (features,)."""
        change = np.zeros(len(self.varies))
        unknown = sum(not term.known for term in terms)
        found = predicted_mean(self.posterior, [term.weights for term in terms])
        found += unknown * self._scale(terms) * self.common + self.translation.mean(self._behind(terms))
        change[self.varies] = self.sd * found
        return np.clip(self.control + change, self.low, self.high) - self.control

    def deviation(self, terms: Sequence[Term]) -> Array:
        """Give the posterior's standard deviation, with what is in doubt between doses, (features,)."""
        variance = predicted_variance(self.posterior, [term.weights for term in terms])
        for term in terms:
            if term.doubt:
                mean, own = predicted_effect(self.posterior, [term.doubt])
                variance += self._scale(terms) ** 2 * term.doubted(self.curvature) * (mean**2 + own)
        found = np.zeros(len(self.varies))
        variance += self.translation.variance(self._behind(terms))
        found[self.varies] = self.sd * np.sqrt(variance)
        return found

    def _scale(self, terms: Sequence[Term]) -> float:
        return self.posterior.strengths.c if len(terms) > 1 else 1.0

    def _behind(self, terms: Sequence[Term]) -> dict[int, float]:
        """Give the condition that was measured, or those of its parts that were, and the weight of each in the sum."""
        design = self.posterior.design
        whole = frozenset(term.part for term in terms)
        if len(whole) > 1 and whole in design.combinations:
            return {design.combinations[whole]: 1.0}
        return {
            design.alone[name]: self._scale(terms) * weight
            for term in terms
            for name, weight in term.weights.items()
            if name in design.alone
        }

    @property
    def profile(self) -> Array:
        """The unperturbed profile, sharpened by all conditions, (features,)."""
        found = self.control.copy()
        found[self.varies] = self.sd * self.posterior.mu
        return found


def _shared_by_doses(measured: Measured) -> dict[str, str]:
    """Name what the doses of each drug that was given at several have in common, by dose."""
    drugs = doses_by_drug(measured.perturbations) if measured.kind == "perturbation" else {}
    several = [doses for doses in drugs.values() if len(doses.parts) > 1]
    return {part: doses.drug for doses in several for part in doses.parts.values()}


class HierarchicalAdditive(ResponseModel):
    """Effects of perturbations add, shrunk towards nothing by strength and responsiveness, up to a learned factor.

    All condition means, singles and combinations, are explained at once, so each informs the others, and conditions
    without effect sharpen the control. Each modality is learned on its own. A measured effect is shrunk by two standard
    errors at most, and predictions stay within 5 % of the range that training conditions span. The equations stand in
    :mod:`~waddington.twin.respond.hierarchical.likelihood` and
    :mod:`~waddington.twin.respond.hierarchical.translation`.
    """

    name = "hierarchical additive"

    def __init__(self, measured: Measured, *, course: Course | None = None) -> None:
        self.known = Known.of(measured)
        self._measured = measured
        self._course = course or Course()
        self._learned = {
            modality: _Modality.fit(measured, modality, None, self._course) for modality in measured.tables
        }

    @classmethod
    def fit(cls, data: Training) -> Self:
        """Learn from the means of all training conditions.

        Raises
        ------
        DataError
            When no feature of a modality varies among cells of one condition, so that noise cannot be told from effect.
        """
        return cls(data.measured)

    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
        """Give the posterior mean of the effect against the sharpened control.

        A perturbation that no training cell carries is refused, or, with `guess`, answered by what all have in common
        (:mod:`~waddington.twin.respond.hierarchical.guessing`); its standard deviation is that of a perturbation of
        mean strength of which nothing is known. A dose between two measured ones is interpolated
        (:mod:`~waddington.twin.respond.doses`); outside them it is refused, or, with `guess`, the nearest is held. Of a
        time that no training cell has, the last change before it is held.

        Raises
        ------
        UnsupportedError
            When a perturbation was never measured; names it and the closest that was.
        DataError
            When a bare name was measured in several modes; names them.
        """
        terms = self._terms(label, guess=guess)
        if label not in self.known.n_cells and (held := self.known.time_before(label)) is not None:
            terms = self.known.terms(held, alone=False)
        return {modality: learned.effect(terms) for modality, learned in self._learned.items()}

    def standard_deviation(self, label: str, *, guess: bool = False) -> Effect:
        """Give the posterior's standard deviation of the effect; errors as :meth:`predict`.

        Between two doses, what the interpolation may be off is in it (:mod:`~waddington.twin.respond.interpolation`).
        It is wider where a measured effect would have been shrunk too far.
        """
        terms = self._terms(label, guess=guess)
        return {modality: learned.deviation(terms) for modality, learned in self._learned.items()}

    @property
    def unperturbed(self) -> Effect:
        """Mean profile of unperturbed cells as all conditions tell it, by modality."""
        return {modality: learned.profile for modality, learned in self._learned.items()}

    @property
    def notes(self) -> tuple[str, ...]:
        """What looks wrong in the training cells, in words: features that respond more than all others together."""
        return tuple(
            f"feature {self._feature(modality, int(column))} of {modality!r} responds more than all others together, "
            "which wrong counts would explain: the others' strengths are fitted without it"
            for modality, learned in self._learned.items()
            for column in np.flatnonzero(learned.outweighing)
        )

    def _feature(self, modality: str, column: int) -> str:
        names = self._measured.names.get(modality)
        return str(column) if names is None else repr(str(names[column]))

    def strengths(self, modality: str) -> Strengths:
        """Give what was fitted beside the posterior in one modality."""
        return self._learned[modality].posterior.strengths

    def _terms(self, label: str, *, guess: bool) -> tuple[Term, ...]:
        return self.known.terms(self.known.canonical(label), alone=False, guess=guess)

    def state_dict(self) -> dict[str, Any]:
        """Give everything that was learned as tensors, numbers and strings."""

        def tensor(x: npt.NDArray[np.floating]) -> torch.Tensor:
            return torch.from_numpy(x.copy())

        return {
            "class": self.name,
            "translation": self._course.translation,
            "known": self.known.state_dict(),
            "labels": list(self._measured.labels),
            "n": tensor(self._measured.n),
            "tables": {
                name: {"mean": tensor(table.mean), "variance": tensor(table.variance)}
                for name, table in self._measured.tables.items()
            },
            "strengths": {
                name: {
                    key: tensor(value) if isinstance(value, np.ndarray) else value
                    for key, value in asdict(self.strengths(name)).items()
                }
                for name in self._learned
            },
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Make a model from what :meth:`state_dict` gave."""
        made = cls.__new__(cls)
        made.known = Known.from_state_dict(state["known"])
        made._measured = Measured(
            kind=made.known.kind,
            labels=tuple(state["labels"]),
            n=state["n"].numpy().copy(),
            tables={
                name: Table(mean=table["mean"].numpy().copy(), variance=table["variance"].numpy().copy())
                for name, table in state["tables"].items()
            },
            names={},
        )
        strengths: dict[str, Strengths] = {}
        for name, found in state["strengths"].items():
            values: dict[str, Any] = {
                k: v.numpy().copy() if isinstance(v, torch.Tensor) else v for k, v in found.items()
            }
            strengths[name] = Strengths(**values)
        made._course = Course(translation=state["translation"])
        made._learned = {
            name: _Modality.fit(made._measured, name, found, made._course) for name, found in strengths.items()
        }
        return made
