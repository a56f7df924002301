"""Observed means beside their predictions, feature by feature, and how far each was expected to lie from the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from waddington.errors import UnsupportedError
from waddington.twin.data.conditions import parse_label
from waddington.twin.respond.base import Effect, ResponseModel, Values
from waddington.twin.respond.measured import Measured

__all__ = ["Array", "Compared", "Mask", "compare", "deviation", "expressed_features"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_EXPRESSED: Final = 0.05
"""Share of training cells in which an expressed feature is detected, at least."""
_LEAST_VARIANCE: Final = 1e-8


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """An observed mean beside its prediction, one condition and modality; arrays are (features,)."""

    label: str
    modality: str
    observed: Array
    predicted: Array
    sd: Array
    """Of the prediction."""
    noise: Array
    """Sampling variance of the observed mean."""
    edited: Mask
    varies: Mask

    @property
    def score(self) -> Array:
        """Distance of the two in standard deviations; meaningless where nothing varies."""
        return np.asarray(
            np.abs(self.observed - self.predicted)
            / np.sqrt(np.maximum(np.square(self.sd) + self.noise, np.finfo(np.float64).tiny))
        )


def compare(
    model: ResponseModel,
    observed: Measured,
    labels: Collection[str],
    *,
    control: Effect,
    spread: Effect,
    guess: bool = False,
) -> Iterator[Compared]:
    """Predict the observed mean profiles; what the model refuses, or has no deviation of, is passed over."""
    start = model.unperturbed or control
    for label in labels:
        try:
            effect, sd = model.predict(label, guess=guess), deviation(model, label, guess=guess)
        except UnsupportedError:
            continue
        if sd is None:
            continue
        row = observed.row[label]
        genes = [one.gene for one in parse_label(label)] if observed.kind == "perturbation" else []
        for modality, change in effect.items():
            names = observed.names.get(modality)
            yield Compared(
                label=label,
                modality=modality,
                observed=observed.tables[modality].mean[row],
                predicted=start[modality] + change,
                sd=sd[modality],
                noise=np.square(spread[modality]) / observed.n[row],
                edited=np.zeros(len(change), dtype=bool) if names is None else np.isin(names, genes),
                varies=np.square(spread[modality]) > _LEAST_VARIANCE,
            )


def deviation(model: ResponseModel, label: str, *, guess: bool = False) -> Effect | None:
    """Give a model's standard deviation of an effect, or the sampling error where it is silent about itself."""
    found = model.standard_deviation(label, guess=guess)
    return model.standard_error(label) if found is None else found


def expressed_features(values: Values, cells: Mask) -> dict[str, Mask]:
    """Mark the features that more than 5 % of some cells show; all where values may be below 0, (features,)."""
    return {
        modality: np.asarray((x[cells] > 0).mean(axis=0) > _EXPRESSED)
        if float(x.min(initial=0.0)) >= 0.0
        else np.ones(x.shape[1], dtype=bool)
        for modality, x in values.items()
    }
