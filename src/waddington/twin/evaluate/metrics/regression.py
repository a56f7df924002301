"""Metrics of size: how far the predicted effect lies from the observed one, and how well the two go together."""

from __future__ import annotations

import math

import numpy as np

from waddington.twin.evaluate.metrics.metric import Metric, Pair

__all__ = ["ROWS", "mae", "mse", "pearson", "r2", "rmse"]


def mse(pair: Pair) -> float:
    """Mean squared error."""
    return float(np.square(pair.error).mean())


def rmse(pair: Pair) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(mse(pair)))


def mae(pair: Pair) -> float:
    """Mean absolute error."""
    return float(np.abs(pair.error).mean())


def r2(pair: Pair) -> float:
    """Share of the variance over features that the prediction explains; NaN where all features change alike."""
    spread = float(np.square(pair.observed - pair.observed.mean()).sum())
    return 1.0 - float(np.square(pair.error).sum()) / spread if spread > 0 else math.nan


def pearson(pair: Pair) -> float:
    """Correlation over features; NaN where one side does not vary beyond rounding."""
    x = pair.predicted - pair.predicted.mean()
    y = pair.observed - pair.observed.mean()
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm > np.finfo(np.float64).tiny else math.nan


ROWS = (
    Metric(name="mse", label="MSE", better="lower", best=0.0, low=0.0, high=math.inf, unit="feature²", value=mse),
    Metric(name="rmse", label="RMSE", better="lower", best=0.0, low=0.0, high=math.inf, unit="feature", value=rmse),
    Metric(name="mae", label="MAE", better="lower", best=0.0, low=0.0, high=math.inf, unit="feature", value=mae),
    Metric(name="r2", label="R²", better="higher", best=1.0, low=-math.inf, high=1.0, value=r2),
    Metric(name="pearson", label="Pearson r", better="higher", best=1.0, low=-1.0, high=1.0, value=pearson),
)
