"""The ten metrics of the paper, on predicted against observed *change*.

Tables II and III of paper 000 report accuracy, precision, recall, F1, AUPRC, MSE, RMSE, MAE, R² and Pearson r.
There the label of a feature is "target above original"; here it is the sign of the observed change, the score behind
AUPRC is the predicted change itself (continuous, not a hard call), and every number is computed per condition and
averaged over conditions afterwards, never pooled over cells.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from waddington._errors import ArgumentError
from waddington._text import counted

__all__ = ["CLASSIFICATION", "METRICS", "REGRESSION", "change_metrics"]

CLASSIFICATION = ("accuracy", "precision", "recall", "f1", "auprc")
REGRESSION = ("mse", "rmse", "mae", "r2", "pearson")
METRICS = CLASSIFICATION + REGRESSION


def change_metrics(
    predicted: npt.NDArray[np.floating],
    observed: npt.NDArray[np.floating],
    *,
    score: npt.NDArray[np.floating] | None = None,
) -> dict[str, float]:
    """Score a predicted change against the observed one, over features.

    Parameters
    ----------
    predicted
        Predicted change of each feature, shape (features,).
    observed
        Observed change of the same features, shape (features,).
    score
        What AUPRC ranks features by; the predicted change when not given. The ``paper`` protocol passes hard 0/1 calls
        here, as its published code does.

    Returns
    -------
    dict
        One value for each name in :data:`METRICS`. Precision, recall and F1 are weighted over the two classes, as in
        the paper (whose recall equals its accuracy). A metric that is not defined is NaN: Pearson r of a constant,
        AUPRC where nothing rises, R² where nothing changes.

    Raises
    ------
    ArgumentError
        When the shapes differ, no feature is given, or a value is not finite.
    """
    predicted = np.asarray(predicted, dtype=np.float64).ravel()
    observed = np.asarray(observed, dtype=np.float64).ravel()
    if predicted.shape != observed.shape or predicted.size == 0:
        raise ArgumentError(
            f"cannot compare predicted change of {counted(predicted.size, 'feature')} with observed change of "
            f"{observed.size}: "
            "both must have the same, non-zero number of features"
        )
    if not (np.isfinite(predicted).all() and np.isfinite(observed).all()):
        raise ArgumentError("cannot score changes that are not finite: found NaN or infinity")
    ranking = predicted if score is None else np.asarray(score, dtype=np.float64).ravel()

    rises = observed > 0
    called = predicted > 0
    precision, recall, f1, _ = precision_recall_fscore_support(rises, called, average="weighted", zero_division=0.0)
    error = predicted - observed
    spread = float(np.square(observed - observed.mean()).sum())
    mse = float(np.square(error).mean())
    return {
        "accuracy": float((rises == called).mean()),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "auprc": float(average_precision_score(rises, ranking)) if rises.any() else float("nan"),
        "mse": mse,
        "rmse": float(np.sqrt(mse)),
        "mae": float(np.abs(error).mean()),
        "r2": 1.0 - float(np.square(error).sum()) / spread if spread > 0 else float("nan"),
        "pearson": _pearson(predicted, observed),
    }


def _pearson(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    """Correlate two vectors; NaN where one of them does not vary beyond rounding."""
    x = x - x.mean()
    y = y - y.mean()
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm > np.finfo(np.float64).tiny else float("nan")
