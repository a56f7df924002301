"""How wide an interval has to be: a conformal factor from conditions that were left out, and the coverage it reaches.

A model says how far an effect may lie from its prediction, one standard deviation for each feature. Whether that is
true is asked of the training conditions themselves: some are left out in folds, predicted from the others, and their
observed means compared::

    score = |observed - predicted| / sqrt(variance + s² / n)

with s² the variance of the feature among cells of one condition and n the cells behind the observed mean. The factor of
a level, such as .9, is that quantile of the scores; were all as the model says, it would be the normal distribution's,
1.645. The interval of an effect is ± factor · sqrt(variance), that of an observed mean of n cells
± factor · sqrt(variance + s² / n) (split conformal prediction, Vovk et al. 2005).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.stats import norm

from waddington._checks import check_in_range
from waddington._text import counted
from waddington.errors import DataError, UnsupportedError
from waddington.twin.data.conditions import parse_label
from waddington.twin.respond.base import Effect, ResponseModel, Training, Values
from waddington.twin.respond.known import Known
from waddington.twin.respond.measured import Measured

__all__ = [
    "FOLDS",
    "LEVEL",
    "MOST_FEATURES",
    "Calibration",
    "calibrate",
    "coverage",
    "deviation",
    "expressed_features",
    "left_out_scores",
]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Fold = tuple[tuple[str, ...], tuple[str, ...]]
"""Conditions that are left out together, and those of them that the others can predict."""

LEVEL: Final = 0.9
"""Share of truths that an interval is to hold, where nobody says another."""
FOLDS: Final = 5
"""Parts that conditions are left out in, and the fewest conditions that a factor is taken from."""
MOST_FEATURES: Final = 1000
"""Features of a modality that are asked, at most; a quantile needs no more, and folds are quicker to fit."""
_EXPRESSED: Final = 0.05
"""Share of training cells in which an expressed feature is detected, at least."""
_CHANGED: Final = 3.0
"""Standard errors by which the observed effect on a changed feature differs from none."""
_GRID: Final = np.linspace(0.0, 1.0, 1001)
_LEAST_VARIANCE: Final = 1e-8


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """Factors that make a model's standard deviations into intervals."""

    quantiles: Mapping[str, Array] = field(repr=False)
    """Quantiles of the scores at the levels 0, .001, …, 1, by modality; a modality without is not calibrated."""
    why: str
    """What was done, or why nothing could be."""

    def factor(self, modality: str, level: float = LEVEL) -> float:
        """Give what a standard deviation is multiplied with; the normal distribution's where nothing was calibrated.

        Raises
        ------
        ArgumentError
            For a level outside (0, 1).
        """
        check_in_range("level", level, 0.0, 1.0, open_low=True, open_high=True)
        if modality not in self.quantiles:
            return float(norm.ppf(0.5 * (1.0 + level)))
        return float(np.interp(level, _GRID, self.quantiles[modality]))

    def half_width(self, modality: str, sd: Array, noise: Array | float = 0.0, level: float = LEVEL) -> Array:
        """Give how far an interval reaches to either side, (features,).

        Parameters
        ----------
        modality
            Whose factor is taken.
        sd
            Standard deviation of the effect, (features,).
        noise
            Variance of the observed mean, s² / n; by default the interval is that of the effect itself.
        level
            Share of truths that it is to hold.
        """
        return np.asarray(self.factor(modality, level) * np.sqrt(np.square(sd) + noise))

    def state_dict(self) -> dict[str, Any]:
        """Give everything as tensors and strings."""
        kept = {modality: torch.from_numpy(found.copy()) for modality, found in self.quantiles.items()}
        return {"quantiles": kept, "why": self.why}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Calibration:
        """Make it from what :meth:`state_dict` gave."""
        return cls(
            quantiles={modality: found.numpy().copy() for modality, found in state["quantiles"].items()},
            why=state["why"],
        )


def deviation(model: ResponseModel, label: str, *, guess: bool = False) -> Effect | None:
    """Give a model's standard deviation of an effect, or the sampling error where it is silent about itself."""
    found = model.standard_deviation(label, guess=guess)
    return model.standard_error(label) if found is None else found


def expressed_features(values: Values, cells: Mask) -> dict[str, Mask]:
    """Mark the features that more than 5 % of some cells show; all where values may be below 0, (features,)."""
    return {
        modality: np.asarray((x[cells] > 0).mean(axis=0) > _EXPRESSED)
        if float(x.min(initial=0.0)) >= 0.0
        else np.ones(x.shape[1], dtype=bool)
        for modality, x in values.items()
    }


def calibrate(kind: type[ResponseModel], data: Training, *, seed: int = 0) -> Calibration:
    """Find the factors of a model on conditions that are left out in 5 folds.

    Combinations are left out where there are 5 or more, else all conditions. Those that the others cannot predict
    without guessing tell nothing of the model and are passed over; where fewer than 5 remain, nothing is calibrated.
    Features that hardly any cell shows, and those that a condition edits itself, are not scored; of more than 1,000
    features a random 1,000, and those that are edited, are taken.

    Parameters
    ----------
    kind
        The model's class, fitted anew for each fold.
    data
        The training cells.
    seed
        Of the folds and the features.
    """
    asked, folds = _folds(data.measured, seed)
    n = sum(len(told) for _, told in folds)
    if n < FOLDS:
        few = counted(n, "condition")
        return Calibration(
            quantiles={},
            why=f"not calibrated: {few} of {asked} can be predicted from the others; at least {FOLDS} are needed",
        )
    scores = left_out_scores(kind, _thinned(data, seed), folds)
    if not scores:
        return Calibration(quantiles={}, why=f"not calibrated: {kind.name!r} says no deviation of what is left out")
    return Calibration(
        quantiles={modality: np.quantile(found, _GRID) for modality, found in scores.items()},
        why=f"calibrated on {counted(n, 'condition')}, left out in {len(folds)} folds",
    )


def left_out_scores(kind: type[ResponseModel], data: Training, folds: Collection[Fold]) -> dict[str, Array]:
    """Give the scores of conditions that are left out.

    Parameters
    ----------
    kind
        The model's class.
    data
        The training cells.
    folds
        What is left out, and predicted, at once.

    Returns
    -------
    dict
        By modality, one number for each scored feature and condition; a modality without any is left out.
    """
    expressed = expressed_features(data.values, data.split.train)
    found: dict[str, list[Array]] = {modality: [] for modality in data.values}
    for left_out, told in folds:
        rest = data.without(left_out)
        try:
            model = (kind.judged_as or kind).fit(rest)
        except (DataError, UnsupportedError):  # too little is left of what this model learns from
            continue
        known = rest.measured
        control = {modality: table.mean[0] for modality, table in known.tables.items()}
        spread = {modality: np.sqrt(known.pooled_variance(modality)) for modality in known.tables}
        for one in _compared(model, data.measured, told, control=control, spread=spread):
            scored = expressed[one.modality] & one.varies & ~one.edited & np.isfinite(one.sd)
            found[one.modality].append(one.score[scored])
    joined = {modality: np.concatenate(parts) for modality, parts in found.items() if parts}
    return {modality: scores for modality, scores in joined.items() if len(scores)}


def coverage(
    model: ResponseModel,
    observed: Measured,
    *,
    control: Effect,
    spread: Effect,
    calibration: Calibration,
    scored: Mapping[str, Mask],
    level: float = LEVEL,
) -> pd.DataFrame:
    """Count how many observed means lie in their intervals.

    Parameters
    ----------
    model
        Fitted; asked to guess where perturbations were never measured.
    observed
        Means of cells that the model did not see. Their own sampling noise is part of the interval.
    control
        Mean profile of the training controls.
    spread
        Standard deviation of cells of one condition.
    calibration
        Of the model.
    scored
        Features that count, by modality, such as :func:`expressed_features` gives; what a condition edits itself does
        not.
    level
        Share that the intervals are to hold.

    Returns
    -------
    pandas.DataFrame
        One row for each modality, support (:data:`~waddington.twin.respond.SUPPORT`) and kind of features,
        ``"expressed"`` or ``"changed"``: those of which the observed effect lies more than 3 standard errors from none.
        Columns ``modality``, ``support``, ``flagged``, ``features``, ``level``, ``coverage``, ``n`` (features times
        conditions), ``n_conditions``, and ``half_width`` (the mean, in units of the profiles).
    """
    rows = []
    for one in _compared(model, observed, observed.labels[1:], control=control, spread=spread, guess=True):
        known = scored[one.modality] & one.varies & ~one.edited & np.isfinite(one.sd)
        change = one.observed - observed.tables[one.modality].mean[0]
        error = np.sqrt(one.noise * (1.0 + observed.n[observed.row[one.label]] / observed.n[0]))
        half = calibration.half_width(one.modality, one.sd, one.noise, level)
        support = model.support(one.label)
        for name, counts in (("expressed", known), ("changed", known & (np.abs(change) > _CHANGED * error))):
            rows.append({
                "modality": one.modality, "support": support.how, "flagged": support.flagged, "features": name,
                "level": level, "inside": float((np.abs(one.observed - one.predicted) <= half)[counts].sum()),
                "n": int(counts.sum()), "n_conditions": int(counts.any()), "half_width": float(half[counts].sum()),
            })  # fmt: skip
    keys = ["modality", "support", "flagged", "features", "level"]
    table = pd.DataFrame(rows, columns=[*keys, "inside", "n", "n_conditions", "half_width"])
    table = table.groupby(keys, sort=False)[["inside", "n", "n_conditions", "half_width"]].sum().reset_index()
    table = table[table["n"] > 0].reset_index(drop=True)
    table.insert(5, "coverage", table.pop("inside") / table["n"])
    return table.assign(half_width=table["half_width"] / table["n"])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Comparison:
    """An observed mean beside its prediction, one condition and modality; arrays are (features,)."""

    label: str
    modality: str
    observed: Array
    predicted: Array
    sd: Array
    """Of the prediction."""
    noise: Array
    """Sampling variance of the observed mean."""
    edited: Mask
    varies: Mask

    @property
    def score(self) -> Array:
        """Distance of the two in standard deviations; meaningless where nothing varies."""
        return np.asarray(
            np.abs(self.observed - self.predicted)
            / np.sqrt(np.maximum(np.square(self.sd) + self.noise, np.finfo(np.float64).tiny))
        )


def _compared(
    model: ResponseModel,
    observed: Measured,
    labels: Collection[str],
    *,
    control: Effect,
    spread: Effect,
    guess: bool = False,
) -> Iterator[_Comparison]:
    """Predict the observed mean profiles; what the model refuses, or has no deviation of, is passed over."""
    start = model.unperturbed or control
    for label in labels:
        try:
            effect, sd = model.predict(label, guess=guess), deviation(model, label, guess=guess)
        except UnsupportedError:
            continue
        if sd is None:
            continue
        row = observed.row[label]
        genes = [one.gene for one in parse_label(label)] if observed.kind == "perturbation" else []
        for modality, change in effect.items():
            names = observed.names.get(modality)
            yield _Comparison(
                label=label,
                modality=modality,
                observed=observed.tables[modality].mean[row],
                predicted=start[modality] + change,
                sd=sd[modality],
                noise=np.square(spread[modality]) / observed.n[row],
                edited=np.zeros(len(change), dtype=bool) if names is None else np.isin(names, genes),
                varies=np.square(spread[modality]) > _LEAST_VARIANCE,
            )


def _thinned(data: Training, seed: int) -> Training:
    """Leave features out where there are very many; those that conditions edit stay, for some models look them up."""
    perturbed = data.measured.kind == "perturbation"
    edited = {one.gene for label in data.measured.labels for one in (parse_label(label) if perturbed else ())}
    rng = np.random.default_rng(seed)
    kept = {}
    for modality, x in data.values.items():
        if x.shape[1] > MOST_FEATURES:
            chosen = np.zeros(x.shape[1], dtype=bool)
            chosen[rng.choice(x.shape[1], MOST_FEATURES, replace=False)] = True
            chosen |= np.isin(data.names[modality], list(edited)) if modality in data.names else False
            kept[modality] = chosen
    if not kept:
        return data
    return replace(
        data,
        values={name: x[:, kept[name]] if name in kept else x for name, x in data.values.items()},
        names={name: one[kept[name]] if name in kept else one for name, one in data.names.items()},
    )


def _folds(measured: Measured, seed: int) -> tuple[str, list[Fold]]:
    """Divide conditions: what is divided, and for each fold what is left out and what of it can be predicted."""
    combinations = [label for label, parts in zip(measured.labels, measured.parts, strict=True) if len(parts) > 1]
    labels = combinations if len(combinations) >= FOLDS else list(measured.labels[1:])
    asked = counted(len(labels), "combination" if labels is combinations else "condition")
    shuffled = np.random.default_rng(seed).permutation(np.array(labels))
    everything, folds = Known.of(measured), []
    for part in np.array_split(shuffled, FOLDS):
        left_out = tuple(part.tolist())
        hidden = set(left_out)
        if not 0 < len(left_out) < len(measured.labels) - 1:
            continue
        rest = {label: n for label, n in everything.n_cells.items() if label not in hidden}
        known = replace(everything, n_cells=rest)
        told = tuple(label for label in left_out if not known.support(label).flagged)
        if told:
            folds.append((left_out, told))
    return asked, folds
