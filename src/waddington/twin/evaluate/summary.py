"""From tidy metrics to what a reader compares: means, deviations, who is best, who is a baseline.

Tidy metrics are one row a measurement, with the columns of ``COLUMNS``.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from waddington.errors import DataError
from waddington.twin._moved import names_moved_from
from waddington.twin.evaluate.metrics import get_metric
from waddington.twin.respond.registry import BASELINE_REPRESENTATIONS, MODELS

__all__ = [
    "BASELINES",
    "CEILING",
    "COLUMNS",
    "FIXED_POLICIES",
    "POLICIES",
    "headline",
    "is_baseline",
    "is_policy",
    "lower_is_better",
    "metric_label",
    "model_name",
    "summarize",
]

__getattr__ = names_moved_from(__name__)

COLUMNS = ("protocol", "predictor", "optimizer", "seed", "modality", "split", "metric", "value")
"""Columns of tidy metrics."""

FIXED_POLICIES = ("do nothing", "random", "untrained policy", "untrained policy, stochastic", "go to the mean")
"""Policies that are not trained, in the order in which they are shown."""

POLICIES = ("agent", *FIXED_POLICIES)
"""Policies: they are told the effect to bring about, so no response model is their rival, nor they its."""

CEILING = "replicate"
"""What a repeat of the experiment scores."""

BASELINES = (
    "do nothing",
    *(name for name, row in MODELS.items() if row.baseline),
    *BASELINE_REPRESENTATIONS,
    *FIXED_POLICIES[1:],
    CEILING,
)
"""What a model has to beat, in the order in which it is shown, and the ceiling."""

_ALL = ["protocol", "split", "modality", "metric", "predictor", "optimizer"]


def metric_label(metric: str) -> str:
    """Return the name that a table or an axis shows for a metric."""
    return get_metric(metric).label


def lower_is_better(metric: str) -> bool:
    """Say whether a smaller value of this metric is the better one."""
    return get_metric(metric).better == "lower"


def is_baseline(model: str) -> bool:
    """Say whether a model is one that others have to beat, or the ceiling, and none of ours."""
    return model in BASELINES


def is_policy(model: str) -> bool:
    """Say whether a row is a policy's, which is told the target, and no prediction."""
    return model in POLICIES


def headline(metrics: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows that answer a question: averages over measurable conditions, or over all where there is none.

    The choice is made for each protocol (where the table has several), split and modality; the column ``conditions``
    says which it was. Metrics without that column are given back as they are.
    """
    if "conditions" not in metrics.columns:
        return metrics
    table = metrics.reset_index(drop=True)
    wanted = table["conditions"] == "measurable"
    keys = [table[name] for name in ("protocol", "split", "modality") if name in table.columns]
    answered = wanted.groupby(keys).transform("any")
    return table[wanted | ~answered]


def model_name(model: str, optimizer: str) -> str:
    """Name a row: the model, and the optimizer that trained it where there is one."""
    return model if not optimizer or optimizer == "none" else f"{model} · {optimizer}"


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
    groups know their model, ``contestant``, ``baseline`` and ``best`` (the best mean among rows that share all
    but predictor and optimizer, policies apart from response models; the replicate, a ceiling, takes no part).

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
    table["contestant"] = [model_name(str(p), str(o)) for p, o in zip(table["predictor"], optimizers, strict=True)]
    table["baseline"] = table["predictor"].map(lambda name: is_baseline(str(name)))
    table["best"] = False
    rivals = [key for key in keys if key not in ("predictor", "optimizer")]
    if "metric" in rivals:
        policy = table["predictor"].map(lambda name: is_policy(str(name))).rename("policy")
        among = table["predictor"] != CEILING
        for _, group in table[among].groupby([*rivals, policy[among]], sort=False, dropna=False):
            _mark_best(table, group)
    return table


def _mark_best(table: pd.DataFrame, group: pd.DataFrame) -> None:
    """Set ``best`` on every row of a group that reaches its best mean; one alone wins nothing."""
    means = group["mean"].dropna()
    if len(means) < 2:
        return
    best = means.min() if lower_is_better(str(group["metric"].iloc[0])) else means.max()
    table.loc[means.index[np.isclose(means, best, rtol=1e-9, atol=0.0)], "best"] = True
