"""Metrics of calls: does each feature rise or not, and are those that rise ranked first."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from waddington.twin.evaluate.metrics.metric import Metric, Pair

__all__ = ["ROWS", "accuracy", "auprc", "average_precision"]


def accuracy(pair: Pair) -> float:
    """Share of the features whose direction is called right."""
    return float((pair.rises == pair.called).mean())


def average_precision(labels: npt.NDArray[np.bool_], score: npt.NDArray[np.floating]) -> float:
    """Sum precision over the steps of recall, from the highest score down; equal scores are one step.

    As ``sklearn.metrics.average_precision_score``, whose checks of each call cost a hundred times the sum: an
    evaluation asks tens of thousands of times.

    Parameters
    ----------
    labels
        Which are to be found, shape (n,); at least one.
    score
        What ranks them, shape (n,).
    """
    order = np.argsort(-score, kind="stable")
    last_of_step = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    found = np.cumsum(labels[order])[last_of_step]
    precision, recall = found / (last_of_step + 1), found / found[-1]
    return float(np.diff(recall, prepend=0.0) @ precision)


def auprc(pair: Pair) -> float:
    """Area under the curve of precision over recall, as average precision; NaN where nothing rises."""
    return average_precision(pair.rises, pair.score) if pair.rises.any() else math.nan


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
