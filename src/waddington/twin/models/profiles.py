"""Predicted profiles as an AnnData: one observation a condition, the features of all modalities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from waddington._checks import check_choice
from waddington.errors import ArgumentError, DataError
from waddington.twin.data.conditions import condition_columns, parse_label
from waddington.twin.data.splits import Split
from waddington.twin.respond.averaged import AveragedResponse
from waddington.twin.respond.base import Effect, Values, spread_within
from waddington.twin.respond.decoded import DecodedResponse

__all__ = ["Response", "fit_response", "predict_profiles", "response_of"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Response:
    """A response model with what turns its effects into profiles."""

    model: DecodedResponse | AveragedResponse
    """Predicts effects on the mean."""
    control: Effect
    """Mean profile of the training controls, (features,) by modality."""
    spread: Effect
    """Standard deviation of cells of one condition, (features,) by modality."""
    names: dict[str, list[str]]
    """Names of the features, by modality."""

    def state_dict(self) -> dict[str, Any]:
        """Give everything as tensors, numbers and strings."""

        def tensors(effect: Effect) -> dict[str, torch.Tensor]:
            return {modality: torch.from_numpy(values.copy()) for modality, values in effect.items()}

        return {
            "model": self.model.state_dict(),
            "control": tensors(self.control),
            "spread": tensors(self.spread),
            "names": {modality: list(names) for modality, names in self.names.items()},
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Response:
        """Make a response from what :meth:`state_dict` gave."""
        return cls(
            model=_MODELS[state["model"].get("class", DecodedResponse.name)].from_state_dict(state["model"]),
            control={modality: values.numpy().copy() for modality, values in state["control"].items()},
            spread={modality: values.numpy().copy() for modality, values in state["spread"].items()},
            names={modality: list(names) for modality, names in state["names"].items()},
        )


_MODELS: Final = {model.name: model for model in (DecodedResponse, AveragedResponse)}


def fit_response(
    latent: npt.NDArray[np.float32],
    values: Values,
    names: Mapping[str, Sequence[str] | npt.NDArray[np.str_]],
    split: Split,
) -> Response:
    """Learn from training cells what conditions do.

    Parameters
    ----------
    latent
        Joint embedding of all cells, (cells, dimensions).
    values
        Normalized profiles by modality, (cells, features).
    names
        Names of the features.
    split
        Labels and training cells.

    Raises
    ------
    DataError
        When the training cells hold no control or no condition.
    """
    n_control = len(split.cells(split.control, train=True))
    if not n_control or not split.seen:
        raise DataError(
            f"cannot learn a response: found {n_control} training cells of {split.control!r} and "
            f"{len(split.seen)} other conditions; accepted: at least one of each"
        )
    return response_of(DecodedResponse(latent, values, split), values, names, split)


def response_of(
    model: DecodedResponse | AveragedResponse,
    values: Values,
    names: Mapping[str, Sequence[str] | npt.NDArray[np.str_]],
    split: Split,
) -> Response:
    """Put what turns effects into profiles beside a fitted model; parameters as in :func:`fit_response`."""
    control = split.cells(split.control, train=True)
    return Response(
        model=model,
        control={modality: x[control].mean(axis=0, dtype=np.float64) for modality, x in values.items()},
        spread=spread_within(values, split),
        names={modality: [str(name) for name in names[modality]] for modality in values},
    )


def predict_profiles(
    response: Response,
    perturbations: str | Sequence[str],
    *,
    start: Effect | None = None,
    modality: str | None = None,
) -> ad.AnnData:
    """Predict the mean profile of each condition.

    Parameters
    ----------
    response
        From :func:`fit_response`.
    perturbations
        One condition or several: ``"control"``, ``"Cebpa:knockout"``, ``"Cebpa:knockout+Gata1:knockout"``; a bare name
        stands for its one measured mode.
    start
        Mean profile that effects are added to, by modality; the training controls' by default.
    modality
        Keep the features of this one; all by default.

    Returns
    -------
    anndata.AnnData
        One observation a condition, named by its canonical label. ``X``: predicted mean profile; ``layers["effect"]``:
        its difference from the start; ``layers["std"]``: standard error of the effect from the number of cells it was
        measured on; ``layers["spread"]``: standard deviation of single cells about the mean; all in units of the
        normalized profiles. ``obs``: ``perturbation``, ``perturbation_mode``, ``support`` (``"measured"`` or
        ``"added"`` from its parts) and ``n_cells`` behind it (of the part with the fewest). ``var["modality"]``; a
        name that two modalities share is written ``"protein:CD4"``.

    Raises
    ------
    UnsupportedError
        When a part of a condition was never measured; names it and the closest that was.
    DataError
        When a bare name was measured in several modes, or a condition is asked for twice.
    """
    asked = (
        [perturbations]
        if isinstance(perturbations, str) or not isinstance(perturbations, Iterable)
        else [*perturbations]
    )
    if not asked or not all(isinstance(label, str) for label in asked):
        raise ArgumentError(f"cannot predict {perturbations!r}: accepted is a condition or a list of them, as text")
    model = response.model
    if modality is not None:
        check_choice("modality", modality, response.names)
    kept = list(response.names) if modality is None else [modality]
    labels = [model.canonical(label) for label in asked]
    if repeated := sorted({label for label in labels if labels.count(label) > 1}):
        raise DataError(f"cannot predict {repeated[0]!r} twice: accepted is each condition once")

    def joined(effect: Effect) -> npt.NDArray[np.float64]:
        return np.concatenate([effect[name] for name in kept])

    effects = np.stack([joined(model.predict(label)) for label in labels])
    errors = np.stack([joined(model.standard_error(label)) for label in labels])
    first = joined(response.control if start is None else start)
    support = [model.support(label) for label in labels]
    obs = pd.DataFrame(
        {"support": [one.how for one in support], "n_cells": [one.n_cells for one in support]},
        index=pd.Index(labels, dtype=object),
    )
    if model.kind == "perturbation":
        columns = [condition_columns(parse_label(label)) for label in labels]
        obs.insert(0, "perturbation", [genes for genes, _ in columns])
        obs.insert(1, "perturbation_mode", [modes for _, modes in columns])
    predicted = ad.AnnData(X=(first + effects).astype(np.float32), obs=obs, var=_features(response.names, kept))
    predicted.layers["effect"] = effects.astype(np.float32)
    predicted.layers["std"] = errors.astype(np.float32)
    predicted.layers["spread"] = np.tile(joined(response.spread).astype(np.float32), (len(labels), 1))
    return predicted


def _features(names: Mapping[str, Sequence[str]], kept: Sequence[str]) -> pd.DataFrame:
    """Tabulate features; a name of two modalities bears its modality."""
    holders = pd.Series([name for modality in kept for name in names[modality]], dtype=object).value_counts()
    index = [name if holders[name] == 1 else f"{modality}:{name}" for modality in kept for name in names[modality]]
    modalities = [modality for modality in kept for _ in names[modality]]
    return pd.DataFrame({"modality": modalities}, index=pd.Index(index, dtype=object))
