"""Responses to perturbations: models that predict the mean effect of a condition."""

from __future__ import annotations

from waddington.twin.respond.baselines import (
    Additive,
    LatentHead,
    MeanChange,
    NoChange,
    Predictor,
    mean_change,
    train_changes,
)
from waddington.twin.respond.latent import EditSupport, LatentResponse

__all__ = [
    "Additive",
    "EditSupport",
    "LatentHead",
    "LatentResponse",
    "MeanChange",
    "NoChange",
    "Predictor",
    "mean_change",
    "train_changes",
]
