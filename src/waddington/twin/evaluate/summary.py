"""From tidy metrics to what a reader compares: means, deviations, who is best, who is a baseline.

Tidy metrics are one row a measurement, with the columns of ``COLUMNS``.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from waddington._errors import DataError

__all__ = [
    "BASELINES",
    "COLUMNS",
    "TOLD",
    "contestant",
    "headline",
    "is_baseline",
    "is_told",
    "lower_is_better",
    "metric_label",
    "summarize",
]

COLUMNS = ("protocol", "predictor", "optimizer", "seed", "modality", "split", "metric", "value")
"""Columns of tidy metrics."""

BASELINES = (
    "do nothing",
    "no change",
    "mean",
    "matching mean",
    "additive",
    "strongest single",
    "nearest",
    "bilinear",
    "pca",
    "lsi",
    "untrained",
    "random projection",
    "random",
    "replicate",
)
"""Predictors that a model has to beat, in the order in which they are shown (``replicate`` is the ceiling)."""

TOLD = ("agent", "do nothing", "random")
"""Policies: they are told the change to bring about, so no predictor is their rival, nor they a predictor's."""

_LABELS = {
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "auprc": "AUPRC",
    "mse": "MSE",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "pearson": "Pearson r",
    "pearson_delta": "Pearson Δ",
    "e_distance": "E-distance",
    "regret": "Regret",
}
_ERRORS = ("mse", "mae", "error", "distance", "regret", "loss")
_ALL = ["protocol", "split", "modality", "metric", "predictor", "optimizer"]


def metric_label(metric: str) -> str:
    """Return the name that a table or an axis shows for a metric."""
    return _LABELS.get(metric, metric.replace("_", " "))


def lower_is_better(metric: str) -> bool:
    """Say whether a smaller value of this metric is the better one."""
    return any(word in metric.lower() for word in _ERRORS)


def is_baseline(predictor: str) -> bool:
    """Say whether a predictor is one that a model has to beat, or the ceiling, and no model of ours."""
    return predictor.lower() in BASELINES


def is_told(predictor: str) -> bool:
    """Say whether a row is a policy's, which is told the target, and no prediction."""
    return predictor.lower() in TOLD


def headline(metrics: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows that answer a question: averages over measurable conditions, or over all where there is none.

    The choice is made for each protocol, split and modality; the column ``conditions`` says which it was. Metrics
    without that column are given back as they are.
    """
    if "conditions" not in metrics.columns:
        return metrics
    table = metrics.reset_index(drop=True)
    wanted = table["conditions"] == "measurable"
    answered = wanted.groupby([table[name] for name in ("protocol", "split", "modality")]).transform("any")
    return table[wanted | ~answered]


def contestant(predictor: str, optimizer: str) -> str:
    """Name a row: the predictor, and the optimizer that trained it where there is one."""
    return predictor if not optimizer or optimizer == "none" else f"{predictor} · {optimizer}"


def summarize(metrics: pd.DataFrame, *, by: Iterable[str] = _ALL) -> pd.DataFrame:
    """Average tidy metrics over seeds.

    Parameters
    ----------
    metrics
        Tidy metrics; missing values (a metric that is not measurable) are left out and counted in ``n``. Averages over
        all and over measurable conditions are not mixed: the rows of :func:`headline` are taken, unless ``by`` keeps
        ``conditions`` apart.
    by
        Columns that are kept apart.

    Returns
    -------
    One row a group: the columns of ``by``, ``mean``, ``sd`` (NaN for one seed), ``n`` (finite values), and, when the
    groups know their predictor, ``contestant``, ``baseline`` and ``best`` (the best mean among rows that share all
    but predictor and optimizer, policies apart from predictors; the replicate, a ceiling, takes no part).

    Raises
    ------
    DataError
        A column of tidy metrics is missing.
    """
    missing = [column for column in COLUMNS if column not in metrics.columns]
    if missing:
        raise DataError(
            f"cannot summarize metrics: column(s) {', '.join(missing)} missing; found {', '.join(metrics.columns)}"
        )
    keys = list(by)
    if "conditions" not in keys:
        metrics = headline(metrics)
    frame = metrics.assign(
        optimizer=metrics["optimizer"].fillna("none").astype(str),
        value=pd.to_numeric(metrics["value"], errors="coerce").replace([np.inf, -np.inf], np.nan),
    )
    grouped = frame.groupby(keys, sort=False, dropna=False, observed=True)["value"]
    table = grouped.agg(mean="mean", sd="std", n="count").reset_index()
    if "predictor" not in keys:
        return table
    optimizers = table["optimizer"] if "optimizer" in keys else pd.Series("none", index=table.index)
    table["contestant"] = [contestant(str(p), str(o)) for p, o in zip(table["predictor"], optimizers, strict=True)]
    table["baseline"] = table["predictor"].map(lambda name: is_baseline(str(name)))
    table["best"] = False
    rivals = [key for key in keys if key not in ("predictor", "optimizer")]
    if "metric" in rivals:
        told = table["predictor"].map(lambda name: is_told(str(name))).rename("told")
        among = table["predictor"] != "replicate"
        for _, group in table[among].groupby([*rivals, told[among]], sort=False, dropna=False):
            _mark_best(table, group)
    return table


def _mark_best(table: pd.DataFrame, group: pd.DataFrame) -> None:
    """Set ``best`` on every row of a group that reaches its best mean; one contestant alone wins nothing."""
    means = group["mean"].dropna()
    if len(means) < 2:
        return
    best = means.min() if lower_is_better(str(group["metric"].iloc[0])) else means.max()
    table.loc[means.index[np.isclose(means, best, rtol=1e-9, atol=0.0)], "best"] = True
