"""Every response model by name: one row each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waddington._checks import check_known
from waddington.errors import ArgumentError
from waddington.twin.respond.base import ResponseModel, Training
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
from waddington.twin.respond.decoded import DecodedResponse
from waddington.twin.respond.hierarchical import HierarchicalAdditive
from waddington.twin.respond.nearest import Nearest
from waddington.twin.respond.opposite import OppositeMode
from waddington.twin.respond.priors import PriorInformed
from waddington.twin.respond.state import StateDependent
from waddington.twin.respond.transfer import SimilarityWeighted

__all__ = ["BASELINE_REPRESENTATIONS", "DEFAULT_MODEL", "MODELS", "fit_model", "model_from_state"]

MODELS: dict[str, type[ResponseModel]] = {
    model.name: model
    for model in (
        NoEffect,
        MeanEffect,
        DenoisedMean,
        MeanOverDoses,
        Nearest,
        StrongestSingle,
        MatchingMean,
        Additive,
        ScaledAdditive,
        DenoisedAdditive,
        OppositeMode,
        Bilinear,
        SimilarityWeighted,
        HierarchicalAdditive,
        StateDependent,
        DecodedResponse,
    )
}
"""Response models by name, baselines first and in the order in which tables show them."""

DEFAULT_MODEL = HierarchicalAdditive.name
"""The model that predicts where none is named."""

BASELINE_REPRESENTATIONS = ("pca", "untrained", "random projection")
"""Representations that a trained encoder has to beat, under the same model; tables name the row for them."""


def fit_model(name: str, data: Training) -> ResponseModel:
    """Fit a response model on training cells.

    Parameters
    ----------
    name
        One of :data:`MODELS`.
    data
        The cells. A model that uses no representation passes over the one given.

    Raises
    ------
    UnknownNameError
        When there is no such model; names the closest.
    ArgumentError
        When a representation is missing where one is used.
    DataError
        When there is no control, no other condition, or nothing that this model can learn from.
    UnsupportedError
        When the model is not made for such data, as one that needs groups.
    """
    model = MODELS[check_known("response model", name, MODELS)]
    if model.uses_representation and data.representation is None:
        raise ArgumentError(f"cannot fit the response model {model.name!r} without a representation of the cells")
    return model.fit(data)


def model_from_state(state: Mapping[str, Any]) -> ResponseModel:
    """Make any model from what its ``state_dict`` gave.

    Raises
    ------
    UnknownNameError
        When there is no such model.
    """
    kept: dict[str, type[ResponseModel]] = {**MODELS, PriorInformed.name: PriorInformed}
    # States of the last release, of the one model that was kept, do not say which it is.
    return kept[check_known("response model", state.get("class", DecodedResponse.name), kept)].from_state_dict(state)
