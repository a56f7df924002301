"""What any prediction has to beat: no change, the mean response, the additive model, other latents.

A predictor answers one question, ``predict(label)``: the mean change that this condition makes against the control, in
every modality, learnt from training cells only. ``None`` means that it has nothing to say about the label.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import RidgeCV

from waddington.twin.conditions import condition_label, parse_label
from waddington.twin.design import Design
from waddington.twin.response import LatentResponse

__all__ = ["Additive", "Change", "LatentHead", "MeanChange", "NoChange", "Predictor", "mean_change", "train_changes"]

Change = dict[str, npt.NDArray[np.float64]]
"""Mean change of each feature, by modality."""

Values = Mapping[str, npt.NDArray[np.float32]]
"""Normalized profiles, (cells, features), by modality."""


def mean_change(values: Values, target: npt.NDArray[np.intp], control: npt.NDArray[np.intp]) -> Change:
    """Subtract the mean profile of one set of cells from that of another, in float64."""
    return {
        modality: x[target].mean(axis=0, dtype=np.float64) - x[control].mean(axis=0, dtype=np.float64)
        for modality, x in values.items()
    }


class Predictor(Protocol):
    """Predict the mean change of a condition."""

    def predict(self, label: str) -> Change | None:
        """Give the change by modality, or None where the predictor has nothing to say."""


class NoChange:
    """Nothing ever changes."""

    def __init__(self, values: Values) -> None:
        self._zero = {modality: np.zeros(x.shape[1]) for modality, x in values.items()}

    def predict(self, label: str) -> Change:
        """Give zeros."""
        return self._zero


class MeanChange:
    """Every condition does what the training conditions do on average."""

    def __init__(self, values: Values, design: Design) -> None:
        changes = list(train_changes(values, design).values())
        self._mean = {modality: np.mean([change[modality] for change in changes], axis=0) for modality in values}

    def predict(self, label: str) -> Change:
        """Give the mean over the training conditions, one fixed vector for all labels."""
        return self._mean


class Additive:
    """A combination does the sum of what its parts do; a part is what its training cells showed."""

    def __init__(self, values: Values, design: Design) -> None:
        self._design = design
        self._measured = train_changes(values, design)

    def predict(self, label: str) -> Change | None:
        """Sum the measured changes of the single perturbations; None where one of them was never measured."""
        if label in self._measured:
            return self._measured[label]
        if self._design.kind != "perturbation":
            return None
        parts = [self._measured.get(condition_label((edit,))) for edit in parse_label(label)]
        known = [part for part in parts if part is not None]
        if not known or len(known) < len(parts):
            return None
        return {modality: np.sum([part[modality] for part in known], axis=0) for modality in known[0]}


class LatentHead:
    """Predict in a latent space and read the profile out with one linear head, whatever the latent space is.

    The head is a ridge regression from latent coordinates to normalized profiles, fitted on training cells, its penalty
    chosen by generalized cross-validation. Trained and untrained encoders, PCA and random projections are judged with
    this same head, so that only the representation differs.

    Parameters
    ----------
    latent
        Coordinates of all cells, shape (cells, dimensions).
    values
        Normalized profiles by modality, same cells.
    design
        Labels and training mask.
    """

    def __init__(self, latent: npt.NDArray[np.float32], values: Values, design: Design) -> None:
        self._design = design
        train = design.train
        scale = latent[train].std(axis=0) + 1e-8
        scaled = latent[train] / scale
        self.readout: dict[str, npt.NDArray[np.float64]] = {}
        """Change of each feature for one unit of each latent coordinate, (features, dimensions), by modality."""
        for modality, x in values.items():
            head = RidgeCV(alphas=np.logspace(-2, 4, 13)).fit(scaled, x[train])
            self.readout[modality] = np.asarray(head.coef_, dtype=np.float64).reshape(x.shape[1], -1) / scale
        control = latent[design.cells(design.control, train=True)].mean(axis=0, dtype=np.float64)
        self.shifts: dict[str, npt.NDArray[np.float64]] = {
            label: latent[design.cells(label, train=True)].mean(axis=0, dtype=np.float64) - control
            for label in design.seen
        }
        """Measured latent shift of each training condition, (dimensions,)."""
        self._mean_shift: npt.NDArray[np.float64] = np.mean(list(self.shifts.values()), axis=0)
        self._response = (
            LatentResponse.fit(latent[train], design.labels[train]) if design.kind == "perturbation" else None
        )

    def decode(self, shift: npt.NDArray[np.floating]) -> Change:
        """Read a latent shift, (dimensions,), out as a change of every feature."""
        return {modality: weights @ np.asarray(shift, np.float64) for modality, weights in self.readout.items()}

    def supports(self, label: str) -> bool:
        """Say whether the training cells measured the condition or each of its parts."""
        if label in self.shifts:
            return True
        return self._response is not None and all(
            condition_label((edit,)) in self.shifts for edit in parse_label(label)
        )

    def predict(self, label: str) -> Change:
        """Decode the latent shift of a condition.

        Where only some of its parts were measured, the shift is theirs; where none was, it is the mean training shift.
        :meth:`supports` tells such guesses from predictions.
        """
        return self.decode(self._shift(label))

    def _shift(self, label: str) -> npt.NDArray[np.float64]:
        if label in self.shifts:
            return self.shifts[label]
        if self._response is None:
            return self._mean_shift
        measured = [edit for edit in parse_label(label) if condition_label((edit,)) in self.shifts]
        if not measured:
            return self._mean_shift
        return np.asarray(self._response.predict(tuple(measured)), dtype=np.float64)


def train_changes(values: Values, design: Design) -> dict[str, Change]:
    """Give the change that the training cells show, of every training condition."""
    control = design.cells(design.control, train=True)
    return {label: mean_change(values, design.cells(label, train=True), control) for label in design.seen}
