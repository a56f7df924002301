"""Predicted profiles as an AnnData: one observation a condition, the features of all modalities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import anndata as ad
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from waddington._checks import check_choice
from waddington.errors import ArgumentError, DataError
from waddington.twin._keys import record
from waddington.twin.data.conditions import condition_columns, parse_label
from waddington.twin.data.splits import Split
from waddington.twin.respond.base import Effect, ResponseModel, Training, Values, spread_within
from waddington.twin.respond.calibration import LEVEL, Calibration, calibrate, deviation
from waddington.twin.respond.known import How, Support
from waddington.twin.respond.priors import GenePrior, PriorInformed, prior_gain
from waddington.twin.respond.registry import fit_model, model_from_state

__all__ = ["FittedResponse", "Names", "feature_table", "fit_response", "predict_profiles", "response_of"]

Array = npt.NDArray[np.float64]
Names = Mapping[str, Sequence[str] | npt.NDArray[np.str_]]
"""Names of the features, by modality."""

_UNCALIBRATED = Calibration(quantiles={}, why="not calibrated: nothing was left out")


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedResponse:
    """A response model with what turns its effects into profiles and its deviations into intervals."""

    model: ResponseModel
    """Predicts effects on the mean."""
    control: Effect
    """Mean profile of the training controls, (features,) by modality."""
    spread: Effect
    """Standard deviation of cells of one condition, (features,) by modality."""
    names: dict[str, list[str]]
    """Names of the features, by modality."""
    calibration: Calibration = _UNCALIBRATED
    """What a standard deviation is multiplied with."""
    notes: tuple[str, ...] = ()
    """What else is to be said of it, in words."""

    def state_dict(self) -> dict[str, Any]:
        """Give everything as tensors, numbers and strings."""

        def tensors(effect: Effect) -> dict[str, torch.Tensor]:
            return {modality: torch.from_numpy(values.copy()) for modality, values in effect.items()}

        return {
            "model": self.model.state_dict(),
            "control": tensors(self.control),
            "spread": tensors(self.spread),
            "names": {modality: list(names) for modality, names in self.names.items()},
            "calibration": self.calibration.state_dict(),
            "notes": list(self.notes),
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> FittedResponse:
        """Make a response from what :meth:`state_dict` gave."""
        known = state.get("calibration")
        return cls(
            model=model_from_state(state["model"]),
            control={modality: values.numpy().copy() for modality, values in state["control"].items()},
            spread={modality: values.numpy().copy() for modality, values in state["spread"].items()},
            names={modality: list(names) for modality, names in state["names"].items()},
            calibration=_UNCALIBRATED if known is None else Calibration.from_state_dict(known),
            notes=tuple(state.get("notes", ())),
        )


def fit_response(
    latent: npt.NDArray[np.float32] | None,
    values: Values,
    names: Names,
    split: Split,
    *,
    model: str = "latent additive",
    groups: npt.NDArray[np.str_] | None = None,
    prior: GenePrior | None = None,
) -> FittedResponse:
    """Learn from training cells what conditions do, and how far that may be off.

    Parameters
    ----------
    latent
        Joint embedding of all cells, (cells, dimensions), for a model that learns in one.
    values
        Normalized profiles by modality, (cells, features).
    names
        Names of the features.
    split
        Labels and training cells.
    model
        A name of :data:`~waddington.twin.respond.MODELS`.
    groups
        Donor, line or batch of each cell, (cells,), within which effects are measured.
    prior
        Links between genes, with which the hierarchical additive model answers for genes never perturbed. What it
        gains, beside graphs with permuted genes, becomes a note.

    Raises
    ------
    DataError
        When the training cells hold no control or no condition, or nothing that the model can learn from.
    UnsupportedError
        When the model is not made for such data, as one that needs groups.
    UnknownNameError
        When there is no such model; names the closest.
    """
    as_text = {modality: np.asarray(names[modality], dtype=np.str_) for modality in values}
    data = Training(values=values, split=split, names=as_text, representation=latent, groups=groups)
    fitted = fit_model(model, data) if prior is None else PriorInformed(data, prior)
    # A prior answers otherwise for what was never measured than the model that is left out in its place.
    asked: Sequence[How] | None = None if prior is None else ("measured", "added", "combined")
    found = response_of(fitted, values, names, split, calibration=calibrate(type(fitted), data, supports=asked))
    return found if prior is None else replace(found, notes=(_gain_of(prior, data),))


def _gain_of(prior: GenePrior, data: Training) -> str:
    """Say what a prior gains, or why that cannot be measured."""
    try:
        return str(prior_gain(data, prior, modality="rna" if "rna" in data.values else next(iter(data.values))))
    except DataError as error:
        return str(error)


def response_of(
    model: ResponseModel, values: Values, names: Names, split: Split, *, calibration: Calibration = _UNCALIBRATED
) -> FittedResponse:
    """Put what turns effects into profiles beside a fitted model; parameters as in :func:`fit_response`."""
    control = split.cells(split.control, train=True)
    return FittedResponse(
        model=model,
        control={modality: x[control].mean(axis=0, dtype=np.float64) for modality, x in values.items()},
        spread=spread_within(values, split),
        names={modality: [str(name) for name in names[modality]] for modality in values},
        calibration=calibration,
    )


def predict_profiles(
    response: FittedResponse,
    perturbations: str | Sequence[str],
    *,
    start: Effect | None = None,
    modality: str | None = None,
    guess: bool = False,
    level: float = LEVEL,
) -> ad.AnnData:
    """Predict the mean profile of each condition, and how far it may be off.

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
    guess
        Answer from the model's prior where a perturbation was never measured, if it has one, and flag the answer.
    level
        Share of truths that an interval is to hold.

    Returns
    -------
    anndata.AnnData
        One observation a condition, named by its canonical label; all in units of the normalized profiles.

        - ``X``: predicted mean profile. ``layers["effect"]``: its difference from the start.
        - ``layers["std"]``: standard deviation of the effect, as the model's posterior has it, or else the sampling
          error of the cells behind it; ``uns["waddington"]["prediction"]["std"]`` says which. NaN where no cell stands
          behind the answer of a model that is silent about itself.
        - ``layers["low"]``, ``layers["high"]``: interval of the effect at `level`. How it was calibrated, and what
          looked wrong in the training cells, is in ``uns["waddington"]["prediction"]``.
        - ``layers["spread"]``: standard deviation of single cells about the mean.
        - ``obs``: ``perturbation`` and ``perturbation_mode``; ``support``, one of
          :data:`~waddington.twin.respond.SUPPORT`; ``n_cells`` behind it (of the part with the fewest); ``flagged``,
          whether any part is a guess; ``missing``, the perturbations that were never measured.
        - ``var["modality"]``; a name that two modalities share is written ``"protein:CD4"``.

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
    model, calibration = response.model, response.calibration
    if modality is not None:
        check_choice("modality", modality, response.names)
    kept = list(response.names) if modality is None else [modality]
    labels = [model.known.canonical(label) for label in asked]
    if repeated := sorted({label for label in labels if labels.count(label) > 1}):
        raise DataError(f"cannot predict {repeated[0]!r} twice: accepted is each condition once")

    def joined(effect: Effect) -> Array:
        return np.concatenate([effect[name] for name in kept])

    effects = np.stack([joined(model.predict(label, guess=guess, start=start)) for label in labels])
    found = [deviation(model, label, guess=guess) for label in labels]
    errors = np.stack([np.full(effects.shape[1], np.nan) if one is None else joined(one) for one in found])
    support = [model.support(label) for label in labels]
    factors: dict[str, dict[str, float]] = {
        one.how: {name: calibration.factor(name, level, how=one.how) for name in kept} for one in support
    }
    sizes = [len(response.names[name]) for name in kept]
    half = errors * np.stack([np.repeat([factors[one.how][name] for name in kept], sizes) for one in support])
    first = joined(response.control if start is None else start)
    predicted = ad.AnnData(
        X=(first + effects).astype(np.float32),
        obs=_conditions(model, labels, support),
        var=feature_table(response.names, kept),
    )
    spread = np.tile(joined(response.spread), (len(labels), 1))
    layers = {"effect": effects, "std": errors, "low": effects - half, "high": effects + half, "spread": spread}
    for name, layer in layers.items():
        predicted.layers[name] = layer.astype(np.float32)
    own = model.standard_deviation(labels[0], guess=guess) is not None
    record(predicted)["prediction"] = {
        "model": model.name,
        "std": "posterior standard deviation of the effect" if own else "sampling error of the cells behind the effect",
        "level": level,
        "factor": factors,
        "calibration": calibration.why,
        "notes": [*model.notes, *response.notes],
    }
    return predicted


def _conditions(model: ResponseModel, labels: Sequence[str], support: Sequence[Support]) -> pd.DataFrame:
    """Tabulate conditions and what an answer to each rests on."""
    obs = pd.DataFrame(
        {
            "support": [one.how for one in support],
            "n_cells": [one.n_cells for one in support],
            "flagged": [one.flagged for one in support],
            "missing": ["+".join(one.missing) for one in support],
        },
        index=pd.Index([*labels], dtype=object),
    )
    if model.known.kind == "perturbation":
        columns = [condition_columns(parse_label(label)) for label in labels]
        obs.insert(0, "perturbation", [genes for genes, _ in columns])
        obs.insert(1, "perturbation_mode", [modes for _, modes in columns])
    return obs


def feature_table(names: Mapping[str, Sequence[str]], kept: Sequence[str]) -> pd.DataFrame:
    """Tabulate features; a name of two modalities bears its modality."""
    holders = pd.Series([name for modality in kept for name in names[modality]], dtype=object).value_counts()
    index = [name if holders[name] == 1 else f"{modality}:{name}" for modality in kept for name in names[modality]]
    modalities = [modality for modality in kept for _ in names[modality]]
    return pd.DataFrame({"modality": modalities}, index=pd.Index(index, dtype=object))
