"""The response of the twin: effects measured in a representation, added there, and decoded linearly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from waddington.errors import ArgumentError
from waddington.twin._moved import renamed
from waddington.twin.data.splits import Split
from waddington.twin.respond.base import Effect, ResponseModel, Values, canonical_label, measured_parts
from waddington.twin.respond.decoder import LinearDecoder
from waddington.twin.respond.latent import LatentResponse

__all__ = ["DecodedResponse"]


@renamed(shifts="effects")
class DecodedResponse(ResponseModel):
    """Predict in a representation, and read the profile out with a :class:`LinearDecoder`.

    A training condition has the effect that its cells show; a new combination has the scaled sum of the effects of its
    perturbations (:class:`~waddington.twin.respond.latent.LatentResponse`).

    Parameters
    ----------
    representation
        Of all cells, shape (cells, dimensions).
    values
        Normalized profiles by modality, same cells.
    split
        Labels and training mask.
    """

    name = "latent additive"
    uses_representation = True

    def __init__(self, representation: npt.NDArray[np.float32], values: Values, split: Split) -> None:
        self._split = Split.empty(split.kind, split.control)
        train = split.train
        self.decoder = LinearDecoder(representation, values, train)
        rows = {label: split.cells(label, train=True) for label in (split.control, *split.seen)}
        control = representation[rows[split.control]].mean(axis=0, dtype=np.float64)
        self.effects: dict[str, npt.NDArray[np.float64]] = {
            label: representation[rows[label]].mean(axis=0, dtype=np.float64) - control for label in split.seen
        }
        """Measured effect of each training condition on the representation, (dimensions,)."""
        self.n_cells: dict[str, int] = {label: len(found) for label, found in rows.items()}
        """Training cells of each training condition, and of the control."""
        self._variance = {label: _variance_of_mean(representation[found]) for label, found in rows.items()}
        self._response = (
            LatentResponse.fit(representation[train], split.labels[train]) if split.kind == "perturbation" else None
        )

    @classmethod
    def fit(cls, values: Values, split: Split, *, representation: npt.NDArray[np.float32] | None = None) -> Self:
        """Learn from the training cells, in the representation given.

        Raises
        ------
        ArgumentError
            Without a representation.
        """
        if representation is None:
            raise ArgumentError(f"cannot fit the response model {cls.name!r} without a representation of the cells")
        return cls(representation, values, split)

    def decode(self, effect: npt.NDArray[np.floating]) -> Effect:
        """Read an effect on the representation, (dimensions,), out as an effect on every feature."""
        return self.decoder.decode(effect)

    def predict(self, label: str) -> Effect:
        """Decode the effect of a condition: the measured one, or the scaled sum of its perturbations' effects.

        Raises
        ------
        UnsupportedError
            When the condition or one of its perturbations was never measured; names it and those that were.
        DataError
            When a bare name was measured in several modes; names them.
        """
        label = self.canonical(label)
        if label in self.effects:
            return self.decode(self.effects[label])
        if label == self.control:
            return self.decode(np.zeros_like(next(iter(self.effects.values()))))
        measured_parts(label, self._split, self.effects)
        assert self._response is not None, "only perturbations have parts"
        return self.decode(self._response.predict(label))

    def standard_error(self, label: str) -> Effect:
        """Give the sampling error of :meth:`predict`, by modality: how far the mean of so few cells may be off.

        The dimensions are taken as independent; the error of the model itself is not in it.

        Raises
        ------
        UnsupportedError, DataError
            As :meth:`predict`.
        """
        label = self.canonical(label)
        if label in self.effects:
            return self.decoder.decode_error(np.sqrt(self._variance[label] + self._variance[self.control]))
        if label == self.control:
            return self.decoder.decode_error(np.sqrt(self._variance[label]))
        measured_parts(label, self._split, self.effects)
        assert self._response is not None, "only perturbations have parts"
        return self.decoder.decode_error(self._response.standard_error(label))

    @property
    def control(self) -> str:
        """The label that effects are measured from."""
        return self._split.control

    @property
    def kind(self) -> str:
        """What conditions are: ``"perturbation"``, ``"time"`` or ``"pseudotime"``."""
        return self._split.kind

    def canonical(self, label: str) -> str:
        """Write a condition as a user names it by its canonical label.

        Raises
        ------
        UnsupportedError, DataError
            As :meth:`predict`.
        """
        return canonical_label(label, self._split, self.effects)

    def support(self, label: str) -> tuple[str, int]:
        """Say what an answer rests on: ``"measured"`` or ``"added"``, and the fewest cells behind any part.

        Raises
        ------
        UnsupportedError, DataError
            As :meth:`predict`.
        """
        label = self.canonical(label)
        if label in self.n_cells:
            return "measured", self.n_cells[label]
        return "added", min(self.n_cells[part] for part in measured_parts(label, self._split, self.effects))

    def state_dict(self) -> dict[str, Any]:
        """Give everything that was learned as tensors, numbers and strings."""
        return {
            "kind": self.kind,
            "control": self.control,
            "decoder": self.decoder.state_dict(),
            "effects": {label: torch.from_numpy(effect.copy()) for label, effect in self.effects.items()},
            "variance": {label: torch.from_numpy(value.copy()) for label, value in self._variance.items()},
            "n_cells": dict(self.n_cells),
            "response": None if self._response is None else self._response.state_dict(),
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Make a model from what :meth:`state_dict` gave."""
        made = cls.__new__(cls)
        made._split = Split.empty(state["kind"], state["control"])
        made.decoder = LinearDecoder.from_state_dict(state["decoder"])
        made.effects = {label: effect.numpy().copy() for label, effect in state["effects"].items()}
        made.n_cells = dict(state["n_cells"])
        made._variance = {label: value.numpy().copy() for label, value in state["variance"].items()}
        made._response = None if state["response"] is None else LatentResponse.from_state_dict(state["response"])
        return made


def _variance_of_mean(cells: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Give the squared standard error of the mean of some cells, (dimensions,); zero for a single one."""
    n = len(cells)
    return np.asarray(cells.var(axis=0, ddof=1, dtype=np.float64) / n if n > 1 else np.zeros(cells.shape[1]))
