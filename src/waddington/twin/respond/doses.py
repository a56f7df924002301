"""A dose of a drug is a level of one perturbation: what was measured on both sides of it says what it does.

Between two measured doses an effect is interpolated on the logarithm of the dose. A condition is then a row of weights
over measured perturbations, in which the two doses share a weight of 1, and every model that adds the effects of
perturbations answers by that row. Outside the measured doses nothing is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from waddington.twin.data.conditions import Perturbation, is_canonical, parse_label

__all__ = ["DoseRange", "Term", "doses_by_drug", "inner_doses", "range_of", "term_of", "weights_of"]

Drug = tuple[str, str]
"""Name and mode."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Term:
    """One perturbation of a condition as measured ones tell of it."""

    part: str
    """Its canonical label."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Measured perturbations and their weights, which sum to 1; empty where none tells of it."""

    @property
    def known(self) -> bool:
        """Whether anything that was measured tells of it."""
        return bool(self.weights)

    @property
    def interpolated(self) -> bool:
        """Whether it is a dose between two measured ones."""
        return len(self.weights) > 1

    @property
    def held(self) -> bool:
        """Whether it is a dose outside the measured ones, answered by the nearest."""
        return self.known and not self.interpolated and self.part not in self.weights

    @property
    def nearest(self) -> str:
        """The measured perturbation that tells most of it; of two doses that lie alike the lower."""
        return max(self.weights, key=lambda one: self.weights[one])

    @property
    def doubt(self) -> dict[str, float]:
        """Weights of the effect that the answer may be off by: the difference of the two doses, or the held one."""
        if not self.interpolated:
            return dict(self.weights) if self.held else {}
        low, high = self.weights
        return {low: -1.0, high: 1.0}

    def doubted(self, curvature: float) -> float:
        """Give the share of the squared :attr:`doubt` that is the variance of the answer.

        Parameters
        ----------
        curvature
            That share in the middle between two doses. It falls to 0 towards either of them as ``4 w (1 - w)``. An
            answer that was held is taken to be as far off as the effect itself.
        """
        if self.held:
            return 1.0
        low = next(iter(self.weights.values())) if self.interpolated else 1.0
        return 4.0 * curvature * low * (1.0 - low)


@dataclass(frozen=True, kw_only=True, slots=True)
class DoseRange:
    """The measured doses of one drug."""

    drug: str
    """Its label without a dose."""
    parts: Mapping[float, str]
    """Labels by dose, the lowest first."""

    def around(self, dose: float) -> dict[str, float]:
        """Give the weights of the two doses that lie around another; empty outside the measured ones."""
        below = max((one for one in self.parts if one <= dose), default=None)
        above = min((one for one in self.parts if one >= dose), default=None)
        if below is None or above is None:
            return {}
        if below == above:
            return {self.parts[below]: 1.0}
        share = math.log(dose / below) / math.log(above / below)
        return {self.parts[below]: 1.0 - share, self.parts[above]: share}

    def nearest(self, dose: float) -> str:
        """Name the measured dose that lies nearest to a dose outside them."""
        return self.parts[min(self.parts) if dose < min(self.parts) else max(self.parts)]

    def __str__(self) -> str:
        shown = [f"{dose:g}" for dose in self.parts]
        if len(shown) == 1:
            return f"the only measured dose of {self.drug} is {shown[0]}"
        return f"the measured doses of {self.drug} are {', '.join(shown[:-1])} and {shown[-1]}"


def doses_by_drug(parts: Iterable[str]) -> dict[Drug, DoseRange]:
    """Collect the doses of each drug among single perturbations.

    Parameters
    ----------
    parts
        Canonical labels of perturbations; those without a dose are passed over.
    """
    found: dict[Drug, dict[float, str]] = {}
    for part in parts:
        one = _dosed(part)
        if one is not None and one.dose is not None:
            found.setdefault((one.gene, one.mode), {})[one.dose] = part
    return {
        drug: DoseRange(drug=str(Perturbation(*drug)), parts=dict(sorted(doses.items())))
        for drug, doses in found.items()
    }


def inner_doses(parts: Iterable[str]) -> tuple[str, ...]:
    """Name the doses that have a measured one on either side."""
    return tuple(part for doses in doses_by_drug(parts).values() for part in list(doses.parts.values())[1:-1])


def _dosed(part: str) -> Perturbation | None:
    """Read a single perturbation that bears a dose; None for anything else."""
    if "@" not in part or not is_canonical(part):
        return None
    condition = parse_label(part)
    return condition[0] if len(condition) == 1 and condition[0].dose is not None else None


def range_of(part: str, drugs: Mapping[Drug, DoseRange]) -> DoseRange | None:
    """Find the measured doses of the drug of a perturbation; None where it bears no dose or none was measured."""
    one = _dosed(part)
    return None if one is None else drugs.get((one.gene, one.mode))


def term_of(part: str, measured: Mapping[str, object], drugs: Mapping[Drug, DoseRange], *, hold: bool = False) -> Term:
    """Say by which measured perturbations one is told.

    Parameters
    ----------
    part
        Canonical label.
    measured
        All that were measured, by label.
    drugs
        Their doses.
    hold
        Answer a dose outside the measured ones by the nearest.
    """
    if part in measured:
        return Term(part=part, weights={part: 1.0})
    one, doses = _dosed(part), range_of(part, drugs)
    if one is None or one.dose is None or doses is None:
        return Term(part=part)
    around = doses.around(one.dose)
    return Term(part=part, weights=around or ({doses.nearest(one.dose): 1.0} if hold else {}))


def weights_of(terms: Sequence[Term]) -> dict[str, float]:
    """Give the row of weights of a whole condition."""
    return {part: weight for term in terms for part, weight in term.weights.items()}
