"""The state-dependent model behind the interface of response models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from waddington._text import counted
from waddington.errors import ArgumentError
from waddington.twin.respond.base import Effect, ResponseModel, Training, Values, check_groups
from waddington.twin.respond.doses import weights_of
from waddington.twin.respond.hierarchical import HierarchicalAdditive
from waddington.twin.respond.state.choosing import Choice, Part, choose, fit_form, measured_range, used_cells
from waddington.twin.respond.state.components import Components, joined
from waddington.twin.respond.state.deviations import Deviations
from waddington.twin.respond.state.slopes import Slopes

__all__ = ["StateDependent"]

Array = npt.NDArray[np.float64]

_COMPONENTS = 30
"""Components in which cells are compared when a form is chosen."""


class StateDependent(ResponseModel):
    """The hierarchical additive effect, and what the state of a cell adds to it where that predicts cells better.

    Asked without a state, it answers as :class:`~waddington.twin.respond.HierarchicalAdditive` does, which it holds.
    Asked for cells of some state, it adds a linear function of the state
    (:mod:`~waddington.twin.respond.state.slopes`), or the deviation of the cell's group where training cells have
    groups (:mod:`~waddington.twin.respond.state.deviations`). Which, or neither, is chosen by cross-validation
    (:mod:`~waddington.twin.respond.state.choosing`), and :attr:`choice` says it. In combinations the parts' own
    functions add as their effects do. Predicted cells stay within the range that training cells span.

    Cells are destroyed as they are measured: training cells tell where each condition's cells lie, not which control
    cell becomes which. Effects by state are the least motion that explains it, and a random response of equal cells
    looks the same.
    """

    name = "state-dependent"
    judged_as = HierarchicalAdditive

    def __init__(
        self,
        shared: HierarchicalAdditive,
        components: Components,
        choice: Choice,
        part: Part | None,
        limits: tuple[Array, Array],
    ) -> None:
        self.known = shared.known
        self.shared = shared
        """The model of the shared effect."""
        self.choice = choice
        """Which form was chosen, and why."""
        self._components = components
        self._part = part
        self._limits = limits

    @classmethod
    def fit(cls, data: Training) -> Self:
        """Fit the shared effect, choose a form, and fit that on all training cells."""
        shared = HierarchicalAdditive.fit(data)
        cells = used_cells(data)
        components = Components.of(data.values, cells, _COMPONENTS)
        choice = choose(data, components)
        part = None
        if choice.form != "shared":
            effects = {label: joined(shared.predict(label)) for label in data.measured.labels[1:]}
            part = fit_form(data, components, choice.form, choice.prior, effects)
        return cls(shared, components, choice, part, measured_range(data.values, cells))

    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
        """Give the mean effect; with `start`, on cells of that mean profile.

        Raises
        ------
        UnsupportedError
            When a perturbation was never measured; names it and the closest that was.
        DataError
            When a bare name was measured in several modes; names them.
        """
        effect = self.shared.predict(label, guess=guess)
        if start is None:
            return effect
        resting = self._joined(start)[None]
        return self._components.by_modality((self._moved(label, effect, resting, None) - resting)[0])

    def predict_cells(
        self, label: str, cells: Values, *, guess: bool = False, groups: npt.NDArray[np.str_] | None = None
    ) -> dict[str, Array]:
        """Give the profiles that unperturbed cells would have under a condition, each by its own effect.

        Parameters
        ----------
        label
            As in :meth:`predict`.
        cells
            Profiles of unperturbed cells by modality, (cells, features) each.
        guess
            As in :meth:`predict`.
        groups
            Of the cells, (cells,), where effects are by group. Default: each cell counts as the mixture of groups whose
            controls' mean lies nearest.

        Returns
        -------
        dict[str, ndarray]
            By modality, (cells, features), within the range of the training cells.

        Raises
        ------
        ArgumentError
            When modalities, features or groups do not fit; names them.
        UnsupportedError, DataError
            As :meth:`predict`.
        """
        effect = self.shared.predict(label, guess=guess)
        resting = self._joined(cells)
        check_groups(cells, groups)
        return self._components.by_modality(self._moved(label, effect, resting, groups))

    @property
    def notes(self) -> tuple[str, ...]:
        """What looked wrong in the training cells, in words."""
        return (*self.shared.notes, self.choice.reason)

    @property
    def unperturbed(self) -> Effect:
        """Mean profile of unperturbed cells as the shared model tells it, by modality."""
        return self.shared.unperturbed

    def standard_deviation(self, label: str, *, guess: bool = False) -> Effect:
        """Give that of the shared effect; errors as :meth:`predict`."""
        return self.shared.standard_deviation(label, guess=guess)

    def state_dict(self) -> dict[str, Any]:
        """Give everything that was learned as tensors, numbers and strings."""
        return {
            "class": self.name,
            "shared": self.shared.state_dict(),
            "components": self._components.state_dict(),
            "choice": self.choice.state_dict(),
            "part": None if self._part is None else self._part.state_dict(),
            "limits": [torch.from_numpy(one.copy()) for one in self._limits],
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Make a model from what :meth:`state_dict` gave."""
        components = Components.from_state_dict(state["components"])
        part: Part | None = None
        if state["part"] is not None:
            by_group = state["part"]["form"] == "by group"
            part = (
                Deviations.from_state_dict(state["part"])
                if by_group
                else Slopes.from_state_dict(components, state["part"])
            )
        low, high = (one.numpy().copy() for one in state["limits"])
        shared = HierarchicalAdditive.from_state_dict(state["shared"])
        return cls(shared, components, Choice.from_state_dict(state["choice"]), part, (low, high))

    def _moved(self, label: str, effect: Effect, resting: Array, groups: npt.NDArray[np.str_] | None) -> Array:
        """Move joined profiles, each by its own effect, within the measured range."""
        moved = resting + joined(effect)
        if self._part is not None:
            label = self.known.canonical(label)
            own = label in self.known.n_cells
            measured = {label: 1.0} if own else weights_of(self.known.terms(label, alone=False, guess=True))
            moved += self._part.change(measured, self._components.states(resting), groups)
        return np.asarray(np.clip(moved, *self._limits))

    def _joined(self, profiles: Mapping[str, npt.NDArray[np.floating]]) -> Array:
        sizes = {modality: x.shape[-1] for modality, x in profiles.items()}
        expected = self._components.sizes
        if sizes.keys() != expected.keys() or any(sizes[m] != n for m, n in expected.items()):
            raise ArgumentError(
                f"cannot predict from profiles of {_sizes(sizes)}: accepted is {_sizes(expected)}, as in training"
            )
        return joined({modality: np.asarray(profiles[modality]) for modality in expected})


def _sizes(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{modality} ({counted(n, 'feature')})" for modality, n in sizes.items()) or "nothing"
