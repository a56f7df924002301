"""Metrics of calls: does each feature rise or not, and are those that rise ranked first."""

from __future__ import annotations

import math

from sklearn.metrics import average_precision_score

from waddington.twin.evaluate.metrics.metric import Metric, Pair

__all__ = ["ROWS", "accuracy", "auprc"]


def accuracy(pair: Pair) -> float:
    """Share of the features whose direction is called right."""
    return float((pair.rises == pair.called).mean())


def auprc(pair: Pair) -> float:
    """Area under the curve of precision over recall, as average precision; NaN where nothing rises."""
    return float(average_precision_score(pair.rises, pair.score)) if pair.rises.any() else math.nan


ROWS = (
    Metric(name="accuracy", label="Accuracy", better="higher", best=1.0, low=0.0, high=1.0, value=accuracy),
    Metric(
        name="precision", label="Precision", better="higher", best=1.0, low=0.0, high=1.0,
        value=lambda pair: pair.weighted[0],
    ),
    Metric(
        name="recall", label="Recall", better="higher", best=1.0, low=0.0, high=1.0,
        value=lambda pair: pair.weighted[1],
    ),
    Metric(name="f1", label="F1", better="higher", best=1.0, low=0.0, high=1.0, value=lambda pair: pair.weighted[2]),
    Metric(name="auprc", label="AUPRC", better="higher", best=1.0, low=0.0, high=1.0, value=auprc),
)  # fmt: skip
"""Precision, recall and F1 are weighted over the two classes, as in the paper, whose recall equals its accuracy."""
