"""Every response model by name: one row each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from waddington._checks import check_known
from waddington.errors import ArgumentError
from waddington.twin.data.splits import Split
from waddington.twin.respond.base import ResponseModel, Values
from waddington.twin.respond.baselines import Additive, MeanEffect, NoEffect
from waddington.twin.respond.decoded import DecodedResponse

__all__ = ["BASELINE_REPRESENTATIONS", "MODELS", "fit_model"]

MODELS: dict[str, type[ResponseModel]] = {
    model.name: model
    for model in (
        NoEffect,
        MeanEffect,
        Additive,
        DecodedResponse,
    )
}
"""Response models by name, baselines first and in the order in which tables show them."""

BASELINE_REPRESENTATIONS = ("pca", "untrained", "random projection")
"""Representations that a trained encoder has to beat, under the same model; tables name the row for them."""


def fit_model(
    name: str, values: Values, split: Split, *, representation: npt.NDArray[np.float32] | None = None
) -> ResponseModel:
    """Fit a response model on training cells.

    Parameters
    ----------
    name
        One of :data:`MODELS`.
    values, split, representation
        As :meth:`ResponseModel.fit <waddington.twin.respond.base.ResponseModel.fit>` takes them.

    Raises
    ------
    UnknownNameError
        When there is no such model; names the closest.
    ArgumentError
        When a representation is given to a model that uses none, or missing where one is used.
    """
    model = MODELS[check_known("response model", name, MODELS)]
    if representation is not None and not model.uses_representation:
        raise ArgumentError(f"cannot fit the response model {model.name!r} in a representation: it uses features alone")
    return model.fit(values, split, representation=representation)
