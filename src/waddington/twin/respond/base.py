"""What a response model is: it answers what a condition does to the mean profile of cells, from training cells only.

A model gives one answer, :meth:`ResponseModel.predict`: the effect of a condition, which is the mean of its cells less
the mean of the control cells, for every feature of every modality. What it cannot know it refuses by name; asked for a
guess, it says what its prior says, and :meth:`ResponseModel.support` tells that it is one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from waddington._text import counted
from waddington.errors import ArgumentError, UnsupportedError
from waddington.twin.data.splits import Split
from waddington.twin.respond.grouped import matched
from waddington.twin.respond.interpolation import curvature_of
from waddington.twin.respond.known import Known, Support
from waddington.twin.respond.measured import Measured, Values

__all__ = [
    "Effect",
    "MeasuredModel",
    "ResponseModel",
    "Training",
    "Values",
    "check_groups",
    "mean_effect",
    "spread_within",
    "train_effects",
]

Effect = dict[str, npt.NDArray[np.float64]]
"""Effect on the mean of each feature, (features,), by modality."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """What a model may learn from: all cells, of which the split marks those of training.

    Attributes
    ----------
    values
        Normalized profiles of all cells, by modality.
    split
        Labels and training mask of the same cells.
    names
        Names of the features, by modality; only models that look perturbed genes up among them need any.
    representation
        Shape (cells, dimensions); used by the models that say so.
    groups
        Donor, cell type, line or batch of each cell, (cells,): effects are then measured within groups. Default: none.
    """

    values: Values
    split: Split
    names: Mapping[str, npt.NDArray[np.str_]] = field(default_factory=dict)
    representation: npt.NDArray[np.float32] | None = None
    groups: npt.NDArray[np.str_] | None = None
    left_out: frozenset[str] = frozenset()
    """Conditions that are not learned from although training cells carry them."""

    @cached_property
    def by_group(self) -> dict[str, Measured]:
        """What each group's training cells show, of those groups that hold controls and a condition."""
        if self.groups is None:
            return {}
        found = {}
        for group in sorted(set(self.groups[self.split.train].tolist())):
            inside = (self.groups == group) & self.split.train
            labels = set(self.split.labels[inside].tolist()) - self.left_out
            if self.split.control in labels and len(labels) > 1:
                measured = Measured.of(self.values, self.split, names=self.names, cells=inside)
                found[group] = measured.without(self.left_out) if self.left_out else measured
        return found

    @cached_property
    def measured(self) -> Measured:
        """What training cells show of every condition; matched by group where there are groups.

        Raises
        ------
        DataError
            When there is no training cell of the control, or of any other condition.
        """
        if self.by_group:
            return matched(self.by_group)
        found = Measured.of(self.values, self.split, names=self.names)
        return found.without(self.left_out) if self.left_out else found

    def without(self, labels: Collection[str]) -> Training:
        """Leave conditions out, without summing up the others again."""
        made = replace(self, left_out=self.left_out | frozenset(labels))
        if self.groups is None and "measured" in self.__dict__:
            made.__dict__["measured"] = self.measured.without(made.left_out)
        return made


class ResponseModel(ABC):
    """Predicts the effect of a condition. A new one is a file of this folder and a row of the registry."""

    name: ClassVar[str]
    """As the registry and tables of a run spell it."""
    baseline: ClassVar[bool] = False
    """Whether it is there to be beaten."""
    uses_representation: ClassVar[bool] = False
    """Whether it learns in a representation of cells, such as an embedding, or in the features alone."""
    uses_groups: ClassVar[bool] = True
    """Whether it measures effects within groups, where there are any."""
    uses_doses: ClassVar[bool] = False
    """Whether it says something of its own only where drugs were given at doses."""
    judged_as: ClassVar[type[ResponseModel] | None] = None
    """A model of the same mean effects and deviations that is quicker to fit, where there is one."""
    known: Known
    """The training conditions."""

    @classmethod
    @abstractmethod
    def fit(cls, data: Training) -> Self:
        """Learn from the training cells.

        Raises
        ------
        DataError
            When there is no control, no other condition, or nothing that this model can learn from.
        """

    @abstractmethod
    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
        """Give the effect of a condition, by modality.

        Parameters
        ----------
        label
            Canonical, or with bare names of perturbations that were measured in one mode.
        guess
            Answer from the prior where perturbations were never measured, if the model has one.
        start
            Mean profile of the unperturbed cells that the effect is asked for, where it depends on that; the training
            controls' by default.

        Raises
        ------
        UnsupportedError
            Where the model has nothing to say; names what it lacks.
        DataError
            When a bare name was measured in several modes; names them.
        """

    def predict_cells(
        self, label: str, cells: Values, *, guess: bool = False, groups: npt.NDArray[np.str_] | None = None
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Give the profiles that unperturbed cells would have under a condition.

        All cells of a group move alike unless the model says more; parameters and errors are those of :meth:`predict`.

        Parameters
        ----------
        label, guess
            As in :meth:`predict`.
        cells
            Profiles of unperturbed cells by modality, (cells, features) each.
        groups
            Donor, cell type, line or batch of each, (cells,): the effect is asked for from each group's mean profile.
            Default: all are one group.

        Returns
        -------
        dict[str, ndarray]
            By modality, (cells, features).

        Raises
        ------
        ArgumentError
            When there is not one group for each cell.
        """
        check_groups(cells, groups)
        moved = {modality: np.array(x, dtype=np.float64) for modality, x in cells.items()}
        for rows in [slice(None)] if groups is None else [groups == one for one in np.unique(groups)]:
            start = {modality: x[rows].mean(axis=0, dtype=np.float64) for modality, x in cells.items()}
            effect = self.predict(label, guess=guess, start=start)
            for modality, x in moved.items():
                x[rows] += effect[modality]
        return moved

    def standard_deviation(self, label: str, *, guess: bool = False) -> Effect | None:
        """Give how far the effect may lie from :meth:`predict`, one standard deviation; None where the model is silent.

        Sampling noise of cells that are yet to be seen is not in it. Parameters and errors are those of
        :meth:`predict`.
        """
        return None

    def standard_error(self, label: str) -> Effect | None:
        """Give the sampling error of the cells behind an answer: how far the mean of so few may be off.

        The model's own error is not in it. NaN where no training cell stands behind the answer; None where the model
        keeps no numbers of cells. Errors as :meth:`predict`.
        """
        return None

    @property
    def unperturbed(self) -> Effect | None:
        """Mean profile of unperturbed cells as the model knows it; None for the mean of the training controls."""
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """What looked wrong in the training cells, in words."""
        return ()

    def support(self, label: str) -> Support:
        """Say what an answer rests on; errors as :meth:`predict` for bare names."""
        return self.known.support(self.known.canonical(label))

    def supports(self, label: str, *, guess: bool = False) -> bool:
        """Say whether the model has an answer for a condition."""
        try:
            self.predict(label, guess=guess)
        except UnsupportedError:
            return False
        return True

    def state_dict(self) -> dict[str, Any]:
        """Give everything that was learned as tensors, numbers and strings, with the model's name as ``class``.

        Raises
        ------
        UnsupportedError
            When the model is not made to be kept.
        """
        raise UnsupportedError(f"cannot keep the response model {self.name!r}: it says nothing of what it learned")

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Make a model from what :meth:`state_dict` gave."""
        raise UnsupportedError(f"cannot load the response model {cls.name!r}: it says nothing of what it learned")


class MeasuredModel(ResponseModel):
    """A model that learns from the condition means alone: it is kept as they are, and made anew from them.

    Parameters
    ----------
    measured
        Means of the training conditions.
    """

    def __init__(self, measured: Measured) -> None:
        self.measured = measured
        self.known = Known.of(measured)

    @classmethod
    def fit(cls, data: Training) -> Self:
        """Learn from the means of all training conditions; errors as :meth:`ResponseModel.fit`."""
        return cls(data.measured)

    @cached_property
    def _curvature(self) -> dict[str, float]:
        return {modality: curvature_of(self.measured, modality) for modality in self.measured.tables}

    def standard_error(self, label: str) -> Effect:
        """Add up the sampling errors of the condition, or of its parts; errors as :meth:`predict`.

        Of a dose between two measured ones, what the interpolation may be off is in it
        (:mod:`~waddington.twin.respond.interpolation`).
        """
        label = self.known.canonical(label)
        rows = self.measured.behind(label)
        if not rows and label != self.known.control:
            return {modality: np.full(table.mean.shape[1], np.nan) for modality, table in self.measured.tables.items()}
        found = {modality: self.measured.sampling_error(modality, rows) for modality in self.measured.tables}
        for term in () if label in self.measured.row else self.measured.terms(label):
            for modality, error in found.items() if term.interpolated else ():
                gap = self.measured.weighted_effect(modality, term.doubt)
                found[modality] = np.sqrt(error**2 + term.doubted(self._curvature[modality]) * gap**2)
        return found

    def state_dict(self) -> dict[str, Any]:
        """Give the means as tensors, numbers and strings."""
        return {"class": self.name, "measured": self.measured.state_dict()}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Make the model anew from the means."""
        return cls(Measured.from_state_dict(state["measured"]))


def check_groups(cells: Values, groups: npt.NDArray[np.str_] | None) -> None:
    """Refuse groups that are not one for each cell.

    Raises
    ------
    ArgumentError
        Says how many there are of each.
    """
    n_cells = len(next(iter(cells.values())))
    if groups is not None and len(groups) != n_cells:
        raise ArgumentError(
            f"cannot predict {counted(n_cells, 'cell')} with {counted(len(groups), 'group')}: one for each cell is "
            "accepted"
        )


def mean_effect(values: Values, target: npt.NDArray[np.intp], control: npt.NDArray[np.intp]) -> Effect:
    """Subtract the mean profile of one set of cells from that of another, in float64."""
    return {
        modality: x[target].mean(axis=0, dtype=np.float64) - x[control].mean(axis=0, dtype=np.float64)
        for modality, x in values.items()
    }


def train_effects(values: Values, split: Split) -> dict[str, Effect]:
    """Give the effect that the training cells show, of every training condition."""
    measured = Measured.of(values, split)
    effects = {modality: measured.effects(modality) for modality in values}
    return {label: {name: found[row] for name, found in effects.items()} for label, row in measured.row.items() if row}


def spread_within(values: Values, split: Split) -> Effect:
    """Give the standard deviation of each feature among training cells of one condition, pooled over conditions.

    Returns
    -------
    dict
        By modality, (features,); zeros where every condition has a single cell.
    """
    labels, group = np.unique(split.labels[split.train], return_inverse=True)
    size = np.bincount(group)
    found = {}
    for modality, x in values.items():
        cells = x[split.train].astype(np.float64)
        means = np.stack([cells[group == one].mean(axis=0) for one in range(len(labels))])
        cells -= means[group]
        found[modality] = np.sqrt(np.square(cells).sum(axis=0) / max(int(size.sum()) - len(labels), 1))
    return found
