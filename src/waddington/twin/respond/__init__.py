"""Responses to perturbations: models that predict the mean effect of a condition, and a registry of them."""

from __future__ import annotations

from waddington.twin.respond.base import Effect, MeasuredModel, ResponseModel, Training, mean_effect, train_effects
from waddington.twin.respond.baselines import (
    Additive,
    DenoisedAdditive,
    DenoisedMean,
    MatchingMean,
    MeanEffect,
    MeanOverDoses,
    NoEffect,
    ScaledAdditive,
    StrongestSingle,
)
from waddington.twin.respond.bilinear import Bilinear
from waddington.twin.respond.calibration import Calibration, calibrate, coverage, expressed_features
from waddington.twin.respond.decoded import DecodedResponse
from waddington.twin.respond.decoder import LinearDecoder
from waddington.twin.respond.hierarchical import Course, HierarchicalAdditive
from waddington.twin.respond.known import SUPPORT, Known, Support
from waddington.twin.respond.latent import LatentResponse, PerturbationSupport
from waddington.twin.respond.measured import Measured, Table
from waddington.twin.respond.nearest import Nearest
from waddington.twin.respond.opposite import OppositeMode
from waddington.twin.respond.priors import GenePrior, PriorGain, PriorInformed, prior_gain
from waddington.twin.respond.registry import DEFAULT_MODEL, MODELS, fit_model, model_from_state
from waddington.twin.respond.state import Choice, Comparison, StateDependent
from waddington.twin.respond.transfer import SimilarityWeighted

__all__ = [
    "DEFAULT_MODEL",
    "MODELS",
    "SUPPORT",
    "Additive",
    "Bilinear",
    "Calibration",
    "Choice",
    "Comparison",
    "Course",
    "DecodedResponse",
    "DenoisedAdditive",
    "DenoisedMean",
    "Effect",
    "GenePrior",
    "HierarchicalAdditive",
    "Known",
    "LatentResponse",
    "LinearDecoder",
    "MatchingMean",
    "MeanEffect",
    "MeanOverDoses",
    "Measured",
    "MeasuredModel",
    "Nearest",
    "NoEffect",
    "OppositeMode",
    "PerturbationSupport",
    "PriorGain",
    "PriorInformed",
    "ResponseModel",
    "ScaledAdditive",
    "SimilarityWeighted",
    "StateDependent",
    "StrongestSingle",
    "Support",
    "Table",
    "Training",
    "calibrate",
    "coverage",
    "expressed_features",
    "fit_model",
    "mean_effect",
    "model_from_state",
    "prior_gain",
    "train_effects",
]
