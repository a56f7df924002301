"""The metrics of a prediction, as a registry: :data:`METRICS` holds one row each.

The ten of the ASGDAdam paper (Tables II and III): accuracy, precision, recall, F1, AUPRC, MSE, RMSE, MAE, R² and
Pearson r. There the label of a feature is "target above original"; here it is the sign of the observed effect, the
score behind AUPRC is the predicted effect itself (continuous, not a hard call), and every number is computed per
condition and averaged over conditions afterwards, never pooled over cells. Six more (:mod:`.sampled`) need to know how
the effect was measured: its noise, which features changed, what other conditions do.

A new metric is a function and a :class:`Metric` in a file of this folder, and its row in :data:`METRICS`. A table may
hold a metric of another origin: :func:`register` says which way it gets better, because nothing guesses that from a
name.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from waddington._checks import check_known
from waddington._text import counted
from waddington.errors import ArgumentError
from waddington.twin._moved import names_moved_from
from waddington.twin.evaluate.metrics import classification, regression, sampled
from waddington.twin.evaluate.metrics.metric import Metric, Pair, Sample

__all__ = [
    "CLASSIFICATION",
    "METRICS",
    "PAPER",
    "REGRESSION",
    "SAMPLED",
    "Metric",
    "Pair",
    "Sample",
    "effect_metrics",
    "get_metric",
    "register",
]

__getattr__ = names_moved_from(__name__)

METRICS: dict[str, Metric] = {row.name: row for row in (*classification.ROWS, *regression.ROWS, *sampled.ROWS)}
"""Metrics by name, in the order in which tables show them."""

CLASSIFICATION = tuple(row.name for row in classification.ROWS)
"""Names of the metrics of calls."""
REGRESSION = tuple(row.name for row in regression.ROWS)
"""Names of the metrics of values."""
PAPER = CLASSIFICATION + REGRESSION
"""Names of the ten metrics of the ASGDAdam paper, which need the two effects alone."""
SAMPLED = tuple(row.name for row in sampled.ROWS)
"""Names of the metrics that need to know how the observed effect was measured."""


def get_metric(name: str) -> Metric:
    """Look a metric up.

    Raises
    ------
    UnknownNameError
        Names the closest spelling and every known metric.
    """
    known = METRICS | _OTHERS
    return known[check_known("metric", name, known)]


def register(metric: Metric) -> None:
    """Make a metric known to tables, pictures and reports; runs do not compute it.

    Raises
    ------
    ArgumentError
        When a metric of that name is known already.
    """
    if metric.name in METRICS | _OTHERS:
        raise ArgumentError(f"cannot register the metric {metric.name!r}: one of that name is known already")
    _OTHERS[metric.name] = metric


_OTHERS: dict[str, Metric] = {}


def effect_metrics(
    predicted: npt.NDArray[np.floating],
    observed: npt.NDArray[np.floating],
    *,
    score: npt.NDArray[np.floating] | npt.NDArray[np.bool_] | None = None,
    sample: Sample | None = None,
) -> dict[str, float]:
    """Score a predicted effect against the observed one, over features.

    Parameters
    ----------
    predicted
        Predicted effect on each feature, shape (features,).
    observed
        Observed effect on the same features, shape (features,).
    score
        What AUPRC ranks features by; the predicted effect when not given. The ``paper`` protocol passes hard 0/1 calls
        here, as its published code does.
    sample
        How the observed effect was measured; without it :data:`SAMPLED` is left out.

    Returns
    -------
    dict
        One value for each name in :data:`PAPER`, and in :data:`SAMPLED` with a sample. A metric that is not defined is
        NaN: Pearson r of a constant, AUPRC where nothing rises, R² where nothing changes.

    Raises
    ------
    ArgumentError
        When the shapes differ, no feature is given, or a value is not finite.
    """
    predicted = np.asarray(predicted, dtype=np.float64).ravel()
    observed = np.asarray(observed, dtype=np.float64).ravel()
    if predicted.shape != observed.shape or predicted.size == 0:
        raise ArgumentError(
            f"cannot compare the predicted effect on {counted(predicted.size, 'feature')} with the observed effect on "
            f"{observed.size}: both must have the same, non-zero number of features"
        )
    if not (np.isfinite(predicted).all() and np.isfinite(observed).all()):
        raise ArgumentError("cannot score effects that are not finite: found NaN or infinity")
    ranked = predicted if score is None else np.asarray(score, dtype=np.float64).ravel()
    pair = Pair(predicted, observed, ranked, sample)
    names = PAPER if sample is None else METRICS
    return {name: METRICS[name].value(pair) for name in names}
