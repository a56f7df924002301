"""Responses to perturbations: models that predict the mean effect of a condition, and a registry of them."""

from __future__ import annotations

from waddington.twin.respond.base import Effect, ResponseModel, mean_effect, train_effects
from waddington.twin.respond.baselines import Additive, MeanEffect, NoEffect
from waddington.twin.respond.decoded import DecodedResponse
from waddington.twin.respond.decoder import LinearDecoder
from waddington.twin.respond.latent import LatentResponse, PerturbationSupport
from waddington.twin.respond.registry import MODELS, fit_model

__all__ = [
    "MODELS",
    "Additive",
    "DecodedResponse",
    "Effect",
    "LatentResponse",
    "LinearDecoder",
    "MeanEffect",
    "NoEffect",
    "PerturbationSupport",
    "ResponseModel",
    "fit_model",
    "mean_effect",
    "train_effects",
]
