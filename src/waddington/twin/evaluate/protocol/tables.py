"""Scores as tidy tables: by condition, by split with intervals over conditions, by feature."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington.twin.evaluate.metrics import METRICS
from waddington.twin.evaluate.protocol.covering import mean_coverage
from waddington.twin.evaluate.protocol.scores import REPLICATE, Scores

__all__ = ["GENES", "SCORES", "SUMMARY", "coverage_table", "gene_table", "score_table", "summary_table"]

SCORES = (
    "perturbation", "group", "split", "model", "modality", "metric", "value", "low", "high", "scaled", "measurable",
    "support", "repeats", "numerator", "denominator",
)  # fmt: skip
"""Columns of ``scores.csv``: one row a condition, model, modality and metric."""

SUMMARY = (
    "split", "model", "modality", "metric", "conditions", "value", "low", "high", "n", "scaled", "reference",
    "difference", "difference_low", "difference_high",
)  # fmt: skip
"""Columns of ``summary.csv``: one row a split, model, modality and metric, over all or measurable conditions."""

GENES = ("gene", "modality", "split", "model", "mse", "r2", "pearson", "n", "measurable")
"""Columns of ``genes.csv``."""

_RESAMPLES = 2000
_BASELINE = "mean"
"""Model that scores 0 on the scale on which the replicate scores 1."""


def score_table(scores: Scores, measurable: Mapping[tuple[str, str, str], bool]) -> pd.DataFrame:
    """Tabulate scores by condition.

    Parameters
    ----------
    scores
        What was measured.
    measurable
        By perturbation, group and modality.

    Returns
    -------
    DataFrame
        Columns :data:`SCORES`. ``value`` is the mean over halvings, of quotients the quotient of sums; ``low`` and
        ``high`` hold 95 % of halvings; ``scaled`` is 0 for the mean effect and 1 for the replicate.
    """
    quotients = [name for name in scores.metrics if METRICS[name].parts]
    rows = []
    for key, found in scores.values.items():
        table = np.stack(found)
        means = _means(table)
        for column, name in enumerate(scores.metrics):
            top = bottom = math.nan
            value = means[column]
            if name in quotients:
                at = len(scores.metrics) + 2 * quotients.index(name)
                top, bottom = float(table[:, at].mean()), float(table[:, at + 1].mean())
                value = top / bottom if bottom > 0 else math.nan
            low, high = _middle(table[:, column])
            row = {**key._asdict(), "metric": name, "value": value, "low": low, "high": high}
            row |= {"measurable": measurable.get((key.perturbation, key.group, key.modality), False)}
            row |= {"support": scores.support.get(key, ""), "repeats": int(np.isfinite(table[:, column]).sum())}
            rows.append(row | {"numerator": top, "denominator": bottom})
    table_of = pd.DataFrame(rows, columns=[name for name in SCORES if name != "scaled"])
    table_of["scaled"] = _scaled(table_of, ["perturbation", "group", "split", "modality", "metric"])
    return table_of[list(SCORES)]


def summary_table(scores: pd.DataFrame, *, references: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """Average over conditions, with 95 % intervals from a bootstrap over them, or over groups where there are any.

    Parameters
    ----------
    scores
        Columns :data:`SCORES`.
    references
        Models that others are compared with, condition by condition: the first that scores in a split.
    seed
        Of the bootstrap.

    Returns
    -------
    DataFrame
        Columns :data:`SUMMARY`; ``conditions`` is ``"all"`` or ``"measurable"``. ``difference`` is the value less the
        reference's over the conditions that both have, its interval from the same bootstrap.
    """
    rows: list[dict[str, object]] = []
    rng = np.random.default_rng(seed)
    kinds = {"all": scores, "measurable": scores[scores["measurable"].astype(bool)]}
    for kind, table in kinds.items():
        for (split, modality, metric), block in table.groupby(["split", "modality", "metric"], sort=False):
            known = {"split": split, "modality": modality, "metric": metric, "conditions": kind}
            rows += [known | row for row in _Units(block).rows(references, rng)]
    found = pd.DataFrame(rows, columns=[name for name in SUMMARY if name != "scaled"])
    found["scaled"] = _scaled(found, ["split", "modality", "metric", "conditions"])
    return found[list(SUMMARY)]


def gene_table(scores: Scores, names: Mapping[str, npt.NDArray[np.str_]]) -> pd.DataFrame:
    """Tabulate how well each feature is predicted over conditions; columns :data:`GENES`."""
    parts = []
    for (split, model, modality), sums in scores.genes.items():
        columns = sums.columns()
        parts.append(
            pd.DataFrame({"gene": names[modality], "modality": modality, "split": split, "model": model, **columns})
        )
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(GENES))
    table["n"] = table["n"].astype(int)
    return table[list(GENES)]


def coverage_table(scores: Scores, *, seed: int = 0) -> pd.DataFrame:
    """Tabulate what share of features lie inside the intervals of models that give any; columns :data:`.COVERAGE`."""
    return mean_coverage(
        (
            (
                {"split": key.split, "support": scores.support.get(key, ""), "model": key.model}
                | {"modality": key.modality, "unit": key.group or key.perturbation},
                found,
            )
            for key, found in scores.coverage.items()
        ),
        seed=seed,
    )


def _means(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Average columns over their defined values; NaN where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(table, axis=0))


def _middle(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return math.nan, math.nan
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def _scaled(table: pd.DataFrame, keys: list[str]) -> pd.Series:
    """Put values on a scale on which the mean effect is 0 and the replicate 1; NaN where the two don't differ."""
    anchors = []
    for model in (_BASELINE, REPLICATE):
        part = table[table["model"] == model].set_index(keys)["value"]
        anchors.append(table.set_index(keys).index.map(part.to_dict()).to_numpy(dtype=np.float64))
    base, top = anchors
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (table["value"].to_numpy(dtype=np.float64) - base) / (top - base)
    return pd.Series(np.where(np.isfinite(found), found, np.nan), index=table.index)


class _Units:
    """One metric of one split: the units of the bootstrap by models.

    A unit is a condition, or a group where there are any. Of a metric that is a quotient the sums of numerators and
    denominators are taken, of any other the mean over conditions.
    """

    def __init__(self, block: pd.DataFrame) -> None:
        unit = block["group"].where(block["group"] != "", block["perturbation"])
        self.models = list(dict.fromkeys(block["model"]))
        column = block["model"].map({name: i for i, name in enumerate(self.models)}).to_numpy()
        row, _ = pd.factorize(unit)
        # Conditions of a unit lie apart, because a difference is taken over those that both models score.
        place, _ = pd.factorize(pd.MultiIndex.from_arrays([unit, block["perturbation"]]))
        shape = (int(place.max()) + 1, len(self.models))
        self.unit = np.zeros(shape[0], dtype=np.intp)
        self.unit[place] = row
        self.top, self.bottom = np.full(shape, np.nan), np.full(shape, np.nan)
        value = block["value"].to_numpy(dtype=np.float64)
        self.is_quotient = bool(block["denominator"].notna().any())
        top = block["numerator"].to_numpy(dtype=np.float64) if self.is_quotient else value
        bottom = block["denominator"].to_numpy(dtype=np.float64) if self.is_quotient else np.ones(len(value))
        defined = np.isfinite(value)
        self.top[place[defined], column[defined]] = top[defined]
        self.bottom[place[defined], column[defined]] = bottom[defined]

    def rows(self, references: Sequence[str], rng: np.random.Generator) -> list[dict[str, object]]:
        """Give a row a model: value, its interval, and the difference to the reference with its own."""
        weights = rng.multinomial(n := int(self.unit.max()) + 1, np.full(n, 1.0 / n), size=_RESAMPLES)
        drawn = weights.astype(np.float64)[:, self.unit]
        reference = next((name for name in references if name in self.models), "")
        found = []
        for column, name in enumerate(self.models):
            there = np.isfinite(self.top[:, column])
            value, low, high = self._estimate(drawn, there, column)
            row: dict[str, object] = {"model": name, "value": value, "low": low, "high": high, "n": int(there.sum())}
            compared = reference not in ("", name) and name != REPLICATE
            paired = (math.nan,) * 3
            if compared:
                other = self.models.index(reference)
                paired = self._estimate(drawn, there & np.isfinite(self.top[:, other]), column, other)
            names = ("difference", "difference_low", "difference_high")
            found.append(row | {"reference": reference if compared else ""} | dict(zip(names, paired, strict=True)))
        return found

    def _estimate(
        self, drawn: npt.NDArray[np.float64], there: npt.NDArray[np.bool_], column: int, less: int | None = None
    ) -> tuple[float, float, float]:
        """Average over the conditions that are there, less another model's average over the same; with interval."""
        if not there.any():
            return (math.nan,) * 3
        taken = np.concatenate([np.ones((1, there.sum())), drawn[:, there]])
        found = self._average(taken, there, column)
        if less is not None:
            found = found - self._average(taken, there, less)
        if len(np.unique(self.unit[there])) < 2:
            return float(found[0]), math.nan, math.nan
        known = found[1:][np.isfinite(found[1:])]
        low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (math.nan, math.nan)
        return float(found[0]), float(low), float(high)

    def _average(
        self, weights: npt.NDArray[np.float64], there: npt.NDArray[np.bool_], column: int
    ) -> npt.NDArray[np.float64]:
        top, bottom = weights @ self.top[there, column], weights @ self.bottom[there, column]
        return np.asarray(np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0))
