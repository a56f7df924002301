"""Whether effects depend on the state: what predicts cells that a fit has not seen better, the choice falls on that.

Training cells are dealt into folds within every condition and group, the controls among them, so that no control cell
is on both sides. Each fold's controls, moved as the other folds tell, are compared with the fold's perturbed cells by
E-distance, within groups where there are any. A state-dependent form is chosen where it lowers the mean distance by
more than four standard errors; else the shared effect stays. The error is that over folds, corrected for the training
cells that folds have in common (Nadeau and Bengio 2003, https://doi.org/10.1023/A:1024068626366).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from waddington._text import counted
from waddington.errors import DataError
from waddington.twin._energy import energy_between
from waddington.twin.respond.base import Training, Values
from waddington.twin.respond.denoising import denoised
from waddington.twin.respond.state.components import Components, joined
from waddington.twin.respond.state.deviations import Deviations
from waddington.twin.respond.state.slopes import Slopes

__all__ = ["DIMENSIONS", "PRIORS", "Choice", "Comparison", "Form", "choose", "fit_form", "measured_range", "used_cells"]

Array = npt.NDArray[np.float64]
Form = Literal["shared", "by group", "by state"]
Part = Slopes | Deviations

DIMENSIONS = 10
"""Components that effects may depend on."""
PRIORS = (0.0, 50.0, 200.0)
"""Cells by which spreads are shrunk: the grid."""

_FOLDS = 5
_STANDARD_ERRORS = 4.0
"""With five folds, chance exceeds that less than once in a hundred times."""
_MOST_CONDITIONS = 40
_MOST_CELLS = 200
_LEAST_CELLS = 4
"""Fewest cells of a fold, of a condition or its controls, that are compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """How a state-dependent form predicts unseen cells, beside the shared effect."""

    form: Form
    prior: float
    """Cells by which spreads are shrunk; 0 where nothing is shrunk so."""
    distance: float
    """Mean E-distance between predicted and unseen cells, in units of their states."""
    gain: float
    """How much less that is than with the shared effect."""
    noise: float
    """Standard error of the gain over folds, corrected for the cells that their fits have in common."""

    @property
    def convinces(self) -> bool:
        """Whether the gain is more than four standard errors."""
        return self.gain > _STANDARD_ERRORS * self.noise


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The form that effects take, and why."""

    form: Form
    prior: float
    compared: tuple[Comparison, ...]
    """All that was tried."""
    shared_distance: float
    """Mean E-distance between predicted and unseen cells with the shared effect; NaN where nothing was compared."""
    n_compared: int
    """Conditions, or conditions in groups, over which the means run."""

    @property
    def reason(self) -> str:
        """The choice in words."""
        if not self.compared:
            return "shared effect: too few cells to compare anything"
        best = max(self.compared, key=lambda one: one.gain)
        gain = (
            f"E-distance to unseen cells {best.distance:.3g} against {self.shared_distance:.3g} with the shared effect"
            f" (gain {best.gain:.3g} ± {best.noise:.2g} over {counted(self.n_compared, 'condition')})"
        )
        if self.form == "shared":
            return f"shared effect: effects {best.form} are no better than noise, {gain}"
        return f"effects {self.form}: {gain}"

    def state_dict(self) -> dict[str, Any]:
        """Give everything as numbers and strings."""
        return {**asdict(self), "compared": [asdict(one) for one in self.compared]}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Choice:
        """Make it from what :meth:`state_dict` gave."""
        return cls(**{**state, "compared": tuple(Comparison(**one) for one in state["compared"])})


def choose(data: Training, components: Components, *, seed: int = 0) -> Choice:
    """Compare all forms that the data allow.

    Parameters
    ----------
    data
        Training cells; groups allow effects by group.
    components
        Of the training cells; cells are compared in all, effects depend on the first :data:`DIMENSIONS`.
    seed
        Of folds, and of the conditions and cells that are compared where there are many.
    """
    rng = np.random.default_rng(seed)
    cells = used_cells(data)
    fold = _folds(data, cells, rng)
    limits = measured_range(data.values, cells)
    forms: list[tuple[Form, float]] = [("by state", prior) for prior in PRIORS]
    if len(data.by_group) > 1:
        forms.append(("by group", 0.0))
    conditions = list(data.measured.labels[1:])
    if len(conditions) > _MOST_CONDITIONS:
        conditions = sorted(rng.choice(conditions, _MOST_CONDITIONS, replace=False).tolist())
    passed_over = set(data.measured.labels[1:]) - set(conditions)
    units = [(label, group) for label in conditions for group in (data.by_group or [""])]
    found = np.full((1 + len(forms), _FOLDS, len(units)), np.nan)
    for k in range(_FOLDS):
        train = np.zeros(len(data.split.train), dtype=bool)
        train[cells[fold != k]] = True
        test = cells[fold == k]
        part = replace(data, split=replace(data.split, train=train)).without(passed_over)
        try:
            shared = _shared(part)
        except DataError:  # a fold's training cells show nothing
            continue
        fitted = [None, *(fit_form(part, components, form, prior, shared) for form, prior in forms)]
        for u, (label, group) in enumerate(units):
            if label in shared:
                found[:, k, u] = _distances(data, components, fitted, shared[label], label, group, test, limits, rng)
    seen = ~np.isnan(found).any(axis=(0, 1))
    if not seen.any():
        return Choice(form="shared", prior=0.0, compared=(), shared_distance=np.nan, n_compared=0)
    found = found[:, :, seen]
    compared = tuple(
        _comparison(form, prior, found[0], one) for (form, prior), one in zip(forms, found[1:], strict=True)
    )
    best = max(compared, key=lambda one: one.gain)
    chosen = best if best.convinces else None
    return Choice(
        form=chosen.form if chosen else "shared",
        prior=chosen.prior if chosen else 0.0,
        compared=compared,
        shared_distance=float(found[0].mean()),
        n_compared=int(seen.sum()),
    )


def fit_form(data: Training, components: Components, form: Form, prior: float, shared: Mapping[str, Array]) -> Part:
    """Fit a state-dependent form.

    Parameters
    ----------
    data
        Training cells.
    components
        What states are.
    form
        ``"by group"`` or ``"by state"``.
    prior
        Cells by which spreads are shrunk.
    shared
        Effect that all states have in common, by condition, (features,).
    """
    if form == "by group":
        return Deviations.fit(components, data.by_group, shared)
    cells = used_cells(data)
    states = components.first(DIMENSIONS).states_of(data.values, cells)
    return Slopes.fit(components, states, data.split.labels[cells], data.split.control, prior)


def used_cells(data: Training) -> npt.NDArray[np.intp]:
    """Find the training cells of all conditions that are learned from."""
    known = np.isin(data.split.labels, data.measured.labels)
    if data.by_group:
        assert data.groups is not None, "they were grouped"
        known &= np.isin(data.groups, list(data.by_group))
    return np.flatnonzero(data.split.train & known)


def measured_range(values: Values, cells: npt.NDArray[np.intp]) -> tuple[Array, Array]:
    """Give the smallest and the largest value of each joined feature among some cells, (features,) each."""
    low, high = ({m: end(x[cells], axis=0) for m, x in values.items()} for end in (np.min, np.max))
    return joined(low), joined(high)


def _shared(data: Training) -> dict[str, Array]:
    """Give the effect of each condition freed of noise, (features,): a noisy one would be easy to beat."""
    measured = data.measured
    effects = joined({modality: denoised(measured, modality) for modality in measured.tables})
    return {label: effects[row] for label, row in measured.row.items() if row}


def _folds(data: Training, cells: npt.NDArray[np.intp], rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Deal cells into folds within every condition and group."""
    groups = data.groups if data.by_group and data.groups is not None else np.zeros(len(data.split.labels), dtype=int)
    _, label = np.unique(data.split.labels[cells], return_inverse=True)
    _, group = np.unique(groups[cells], return_inverse=True)
    order = rng.permutation(len(cells))
    order = order[np.lexsort((group[order], label[order]))]
    fold = np.empty(len(cells), dtype=np.intp)
    fold[order] = np.arange(len(cells)) % _FOLDS
    return fold


def _distances(
    data: Training,
    components: Components,
    fitted: list[Part | None],
    shared: Array,
    label: str,
    group: str,
    test: npt.NDArray[np.intp],
    limits: tuple[Array, Array],
    rng: np.random.Generator,
) -> Array:
    """Give the distance of predicted from unseen cells with each form, (forms,); NaN where there are too few cells."""
    here = test if not group or data.groups is None else test[data.groups[test] == group]
    labels = data.split.labels[here]
    target, control = here[labels == label], here[labels == data.split.control]
    if min(len(target), len(control)) < _LEAST_CELLS:
        return np.full(len(fitted), np.nan)
    target, control = (
        one if len(one) <= _MOST_CELLS else rng.choice(one, _MOST_CELLS, replace=False) for one in (target, control)
    )
    observed, resting = components.states_of(data.values, target), joined(data.values, control)
    states = components.states(resting)
    names = np.full(len(control), group) if group else None
    distances = []
    for part in fitted:
        own = 0.0 if part is None else part.change({label: 1.0}, states, names)
        moved = np.clip(resting + shared + own, *limits)
        distances.append(energy_between(components.states(moved), observed))
    return np.array(distances)


def _comparison(form: Form, prior: float, shared: Array, other: Array) -> Comparison:
    """Compare distances, (folds, conditions) each."""
    gain = shared - other
    folds = gain.mean(axis=1)  # cells of a fold share controls, so its conditions are not independent
    n = len(folds)
    noise = float(folds.std(ddof=1) * np.sqrt(1.0 / n + 1.0 / (n - 1)))
    return Comparison(form=form, prior=prior, distance=float(other.mean()), gain=float(gain.mean()), noise=noise)
