"""What any prediction has to beat: no change, the mean response, the additive model, other latents.

A predictor answers one question, ``predict(label)``: the mean change that this condition makes against the control, in
every modality, learnt from training cells only. What it cannot know it refuses by name
(:class:`~waddington._errors.UnsupportedError`); only baselines that say the same of every condition (no change, the
mean) answer for one that was never measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import RidgeCV

from waddington._errors import UnsupportedError
from waddington._text import counted
from waddington.twin.data.conditions import condition_label, parse_label, resolve_condition
from waddington.twin.data.splits import Design
from waddington.twin.respond.latent import LatentResponse

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

    def predict(self, label: str) -> Change:
        """Give the change by modality.

        Raises
        ------
        UnsupportedError
            Where the predictor has nothing to say; names what it lacks.
        """


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
        self._measured = {design.control: NoChange(values).predict(design.control), **train_changes(values, design)}

    def predict(self, label: str) -> Change:
        """Sum the measured changes of the single perturbations.

        Raises
        ------
        UnsupportedError
            When the condition or one of its parts was never measured; names it.
        DataError
            When a bare name was measured in several modes; names them.
        """
        label = _resolved(label, self._design, self._measured)
        if label in self._measured:
            return self._measured[label]
        parts = [self._measured[part] for part in _measured_parts(label, self._design, self._measured)]
        return {modality: np.sum([part[modality] for part in parts], axis=0) for modality in parts[0]}


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
        self._response = (
            LatentResponse.fit(latent[train], design.labels[train]) if design.kind == "perturbation" else None
        )

    def decode(self, shift: npt.NDArray[np.floating]) -> Change:
        """Read a latent shift, (dimensions,), out as a change of every feature."""
        return {modality: weights @ np.asarray(shift, np.float64) for modality, weights in self.readout.items()}

    def supports(self, label: str) -> bool:
        """Say whether the training cells measured the condition or each of its parts."""
        try:
            self.predict(label)
        except UnsupportedError:
            return False
        return True

    def predict(self, label: str) -> Change:
        """Decode the latent shift of a condition: the measured one, or the scaled sum of its parts' shifts.

        Raises
        ------
        UnsupportedError
            When the condition or one of its parts was never measured; names it and those that were.
        DataError
            When a bare name was measured in several modes; names them.
        """
        label = _resolved(label, self._design, self.shifts)
        if label in self.shifts:
            return self.decode(self.shifts[label])
        if label == self._design.control:
            return self.decode(np.zeros_like(next(iter(self.shifts.values()))))
        _measured_parts(label, self._design, self.shifts)
        assert self._response is not None, "only perturbations have parts"
        return self.decode(self._response.predict(label))


def _resolved(label: str, design: Design, measured: Mapping[str, object]) -> str:
    """Write a condition by its canonical label; a bare name stands for its one measured mode."""
    if design.kind != "perturbation" or label in measured:
        return label
    return condition_label(resolve_condition(label, measured))


def _measured_parts(label: str, design: Design, measured: Mapping[str, object]) -> list[str]:
    """Name the single perturbations of a condition, each of which was measured.

    Raises
    ------
    UnsupportedError
        When one of them was not.
    """
    parts = [condition_label((edit,)) for edit in parse_label(label)] if design.kind == "perturbation" else [label]
    missing = [part for part in parts if part not in measured]
    if missing:
        seen = [name for name in measured if name != design.control]
        known = ", ".join(seen[:8]) + (", …" if len(seen) > 8 else "")
        alone = " alone" if design.kind == "perturbation" else ""
        raise UnsupportedError(
            f"cannot predict the change of {label}: found no training cells with {' or '.join(missing)}{alone}; "
            f"accepted: {'combinations of ' if alone else ''}the {counted(len(seen), 'measured condition')} ({known})"
        )
    return parts


def train_changes(values: Values, design: Design) -> dict[str, Change]:
    """Give the change that the training cells show, of every training condition."""
    control = design.cells(design.control, train=True)
    return {label: mean_change(values, design.cells(label, train=True), control) for label in design.seen}
