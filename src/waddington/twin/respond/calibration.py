"""How wide an interval has to be: a conformal factor from conditions that were left out, and the coverage it reaches.

A model says how far an effect may lie from its prediction, one standard deviation for each feature. Whether that is
true is asked of the training conditions themselves: some are left out in folds, predicted from the others, and their
observed means compared::

    score = |observed - predicted| / sqrt(variance + s² / n)

with s² the variance of the feature among cells of one condition and n the cells behind the observed mean. The factor of
a level, such as .9, is that quantile of the scores; were all as the model says, it would be the normal distribution's,
1.645. The interval of an effect is ± factor · sqrt(variance), that of an observed mean of n cells
± factor · sqrt(variance + s² / n) (split conformal prediction, Vovk et al. 2005).

An answer may rest on more or on less (:data:`~waddington.twin.respond.SUPPORT`), and a model may know better how wrong
it is with the one than with the other. So each kind has a factor of its own (Mondrian conformal prediction, Vovk et al.
2005), from conditions that :mod:`~waddington.twin.respond.left_out` turns into such.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from scipy.stats import norm

from waddington._checks import check_in_range
from waddington._text import counted
from waddington.errors import DataError, UnsupportedError
from waddington.twin.data.conditions import parse_label
from waddington.twin.respond.base import Effect, ResponseModel, Training
from waddington.twin.respond.comparing import Array, Mask, compare, deviation, expressed_features
from waddington.twin.respond.known import SUPPORT, How
from waddington.twin.respond.left_out import FOLDS, HIDDEN_FOR, divided_in_words, leave_out
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
]

LEVEL: Final = 0.9
"""Share of truths that an interval is to hold, where nobody says another."""
MOST_FEATURES: Final = 1000
"""Features of a modality that are asked, at most; a quantile needs no more, and folds are quicker to fit."""
_CHANGED: Final = 3.0
"""Standard errors by which the observed effect on a changed feature differs from none."""
_GENERAL: Final = HIDDEN_FOR["added"]
_GRID: Final = np.linspace(0.0, 1.0, 1001)


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """Factors that make a model's standard deviations into intervals."""

    quantiles: Mapping[str, Array] = field(repr=False)
    """Quantiles of the scores at the levels 0, .001, …, 1, by modality; a modality without is not calibrated."""
    why: str
    """What was done, or why nothing could be."""
    by_support: Mapping[How, Mapping[str, Array]] = field(default_factory=dict)
    """The same of answers that rest on one thing, where enough conditions tell of it."""

    def knows(self, modality: str, how: How) -> bool:
        """Say whether the interval of an answer that rests on something is calibrated."""
        return modality in self.quantiles or modality in self.by_support.get(how, {})

    def factor(self, modality: str, level: float = LEVEL, *, how: How | None = None) -> float:
        """Give what a standard deviation is multiplied with; the normal distribution's where nothing was calibrated.

        Parameters
        ----------
        modality
            Whose factor is taken.
        level
            Share of truths that the interval is to hold.
        how
            What the answer rests on; where too few conditions tell of that, and by default, the factor of what is
            left out in general: combinations, or all conditions.

        Raises
        ------
        ArgumentError
            For a level outside (0, 1).
        """
        check_in_range("level", level, 0.0, 1.0, open_low=True, open_high=True)
        own = self.by_support.get(how, {}) if how is not None else {}
        known = own.get(modality, self.quantiles.get(modality))
        return float(norm.ppf(0.5 * (1.0 + level))) if known is None else float(np.interp(level, _GRID, known))

    def half_width(
        self, modality: str, sd: Array, noise: Array | float = 0.0, level: float = LEVEL, *, how: How | None = None
    ) -> Array:
        """Give how far an interval reaches to either side, (features,).

        Parameters
        ----------
        modality, level, how
            As in :meth:`factor`.
        sd
            Standard deviation of the effect, (features,).
        noise
            Variance of the observed mean, s² / n; by default the interval is that of the effect itself.
        """
        return np.asarray(self.factor(modality, level, how=how) * np.sqrt(np.square(sd) + noise))

    def state_dict(self) -> dict[str, Any]:
        """Give everything as tensors and strings."""

        def tensors(found: Mapping[str, Array]) -> dict[str, torch.Tensor]:
            return {modality: torch.from_numpy(quantiles.copy()) for modality, quantiles in found.items()}

        by_support = {str(how): tensors(found) for how, found in self.by_support.items()}
        return {"quantiles": tensors(self.quantiles), "by_support": by_support, "why": self.why}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Calibration:
        """Make it from what :meth:`state_dict` gave."""

        def arrays(kept: Mapping[str, torch.Tensor]) -> dict[str, Array]:
            return {modality: found.numpy().copy() for modality, found in kept.items()}

        by_support = state.get("by_support", {})
        return cls(
            quantiles=arrays(state["quantiles"]),
            why=state["why"],
            by_support={how: arrays(by_support[how]) for how in SUPPORT if how in by_support},
        )


def calibrate(
    kind: type[ResponseModel], data: Training, *, supports: Collection[How] | None = None, seed: int = 0
) -> Calibration:
    """Find the factors of a model on conditions that are left out in 5 folds.

    In general combinations are left out where there are 5 or more, else all conditions. Those that the others cannot
    predict without guessing tell nothing of the model and are passed over. Beside that, cells and conditions are hidden
    so that answers rest on each other thing in turn (:func:`~waddington.twin.respond.left_out.leave_out`). What fewer
    than 5 conditions tell of is not calibrated. Features that hardly any cell shows, and those that a
    condition edits itself, are not scored; of more than 1,000 features a random 1,000, and those that are edited, are
    taken.

    Parameters
    ----------
    kind
        The model's class, fitted anew for each fold.
    data
        The training cells.
    supports
        What answers rest on that a factor is wanted for; everything by default. Where these have factors of their own,
        nothing is left out in general.
    seed
        Of the folds and the features.
    """
    wanted = [how for how in SUPPORT if supports is None or how in supports]
    thinned, found = _thinned(data, seed), {}
    for hidden in dict.fromkeys(HIDDEN_FOR[how] for how in wanted):
        found[hidden] = _scored(kind, thinned, hidden, seed)
    own = {how: n for how in wanted if (n := len(found[HIDDEN_FOR[how]].labels[how])) >= FOLDS}
    by_support = {how: found[HIDDEN_FOR[how]].quantiles((how,)) for how in own}
    by_support = {how: quantiles for how, quantiles in by_support.items() if quantiles}
    each = ", ".join(f"{how} ({counted(own[how], 'condition')})" for how in by_support)
    if supports is not None and set(wanted) <= set(by_support):
        return Calibration(quantiles={}, why=f"calibrated by what answers rest on: {each}", by_support=by_support)
    general = found.get(_GENERAL) or _scored(kind, thinned, _GENERAL, seed)
    quantiles = general.quantiles(tuple(SUPPORT))
    if general.told < FOLDS:
        why = (
            f"not calibrated: {counted(general.told, 'condition')} of {divided_in_words(data.measured)} can be "
            f"predicted from the others; at least {FOLDS} are needed"
        )
    elif not quantiles:
        why = f"not calibrated: {kind.name!r} says no deviation of what is left out"
    else:
        why = f"calibrated on {counted(general.told, 'condition')}, left out in {counted(general.folds, 'fold')}"
    why = f"{why}; answers have factors of their own by what they rest on: {each}" if each else why
    return Calibration(quantiles=quantiles, why=why, by_support=by_support)


@dataclass(kw_only=True)
class _Scores:
    """Scores of what was hidden in one way."""

    told: int = 0
    """Conditions that were asked for."""
    folds: int = 0
    labels: dict[How, set[str]] = field(default_factory=lambda: {how: set() for how in SUPPORT})
    """Conditions that were answered, by what the answers rest on."""
    scores: dict[tuple[How, str], list[Array]] = field(default_factory=dict)
    """By what answers rest on, and modality."""

    def quantiles(self, hows: Collection[How]) -> dict[str, Array]:
        """Give quantiles of all scores of some answers at the levels of the grid, by modality."""
        joined = {
            modality: np.concatenate([part for how in hows for part in self.scores.get((how, modality), [])])
            for modality in dict.fromkeys(modality for how, modality in self.scores if how in hows)
        }
        return {modality: np.quantile(scores, _GRID) for modality, scores in joined.items() if len(scores)}


def _scored(kind: type[ResponseModel], data: Training, hidden: str, seed: int) -> _Scores:
    """Hide, fit anew, predict, and score every expressed feature that no condition edits itself."""
    folds = list(leave_out(data, hidden, seed=seed))
    found = _Scores(told=sum(len(fold.told) for fold in folds), folds=len(folds))
    if found.told < FOLDS:
        return found
    expressed = expressed_features(data.values, data.split.train)
    for fold in folds:
        try:
            model = (kind.judged_as or kind).fit(fold.rest)
        except (DataError, UnsupportedError):  # too little is left of what this model learns from
            continue
        known = fold.rest.measured
        control = {modality: table.mean[0] for modality, table in known.tables.items()}
        spread = {modality: np.sqrt(known.pooled_variance(modality)) for modality in known.tables}
        for one in compare(model, fold.observed, fold.told, control=control, spread=spread, guess=True):
            scored = expressed[one.modality] & one.varies & ~one.edited & np.isfinite(one.sd)
            how = fold.told[one.label]
            found.labels[how].add(one.label)
            found.scores.setdefault((how, one.modality), []).append(one.score[scored])
    return found


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
    for one in compare(model, observed, observed.labels[1:], control=control, spread=spread, guess=True):
        known = scored[one.modality] & one.varies & ~one.edited & np.isfinite(one.sd)
        change = one.observed - observed.tables[one.modality].mean[0]
        error = np.sqrt(one.noise * (1.0 + observed.n[observed.row[one.label]] / observed.n[0]))
        support = model.support(one.label)
        half = calibration.half_width(one.modality, one.sd, one.noise, level, how=support.how)
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
