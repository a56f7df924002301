"""The response of the twin: effects measured in a representation, added there, and decoded linearly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from waddington.errors import ArgumentError
from waddington.twin._moved import renamed
from waddington.twin.data.splits import Split
from waddington.twin.respond.base import Effect, ResponseModel, Training, Values
from waddington.twin.respond.decoder import LinearDecoder
from waddington.twin.respond.doses import weights_of
from waddington.twin.respond.interpolation import PRIOR_CURVATURE
from waddington.twin.respond.known import Known
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
    uses_groups = False

    def __init__(self, representation: npt.NDArray[np.float32], values: Values, split: Split) -> None:
        train = split.train
        self.decoder = LinearDecoder(representation, values, train)
        rows = {label: split.cells(label, train=True) for label in (split.control, *split.seen)}
        self.known = Known(
            kind=split.kind, control=split.control, n_cells={label: len(found) for label, found in rows.items()}
        )
        control = representation[rows[split.control]].mean(axis=0, dtype=np.float64)
        self.effects: dict[str, npt.NDArray[np.float64]] = {
            label: representation[rows[label]].mean(axis=0, dtype=np.float64) - control for label in split.seen
        }
        """Measured effect of each training condition on the representation, (dimensions,)."""
        self._variance = {label: _variance_of_mean(representation[found]) for label, found in rows.items()}
        self._response = (
            LatentResponse.fit(representation[train], split.labels[train]) if split.kind == "perturbation" else None
        )

    @classmethod
    def fit(cls, data: Training) -> Self:
        """Learn from the training cells, in the representation given.

        Raises
        ------
        ArgumentError
            Without a representation.
        """
        if data.representation is None:
            raise ArgumentError(f"cannot fit the response model {cls.name!r} without a representation of the cells")
        split = data.split
        if data.left_out:
            split = replace(split, train=split.train & ~np.isin(split.labels, sorted(data.left_out)))
        return cls(data.representation, data.values, split)

    def decode(self, effect: npt.NDArray[np.floating]) -> Effect:
        """Read an effect on the representation, (dimensions,), out as an effect on every feature."""
        return self.decoder.decode(effect)

    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
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
        terms = self.known.terms(label, alone=True)
        scale = self._scale(len(terms))
        return self.decode(
            scale * np.sum([weight * self.effects[part] for part, weight in weights_of(terms).items()], axis=0)
        )

    def _scale(self, n_parts: int) -> float:
        """Factor on the sum of effects of so many perturbations."""
        return self._response.scale if self._response is not None and n_parts > 1 else 1.0

    def standard_error(self, label: str) -> Effect:
        """Give the sampling error of :meth:`predict`, by modality: how far the mean of so few cells may be off.

        The dimensions are taken as independent; the error of the model itself is not in it, but for what the
        interpolation between two doses may be off.

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
        terms = self.known.terms(label, alone=True)
        variance = len(terms) ** 2 * self._variance[self.control]
        for term in terms:
            for part, weight in term.weights.items():
                variance = variance + weight**2 * self._variance[part]
            if term.interpolated:
                gap = np.sum([weight * self.effects[part] for part, weight in term.doubt.items()], axis=0)
                variance = variance + term.doubted(PRIOR_CURVATURE) * gap**2
        return self.decoder.decode_error(self._scale(len(terms)) * np.sqrt(variance))

    @property
    def control(self) -> str:
        """The label that effects are measured from."""
        return self.known.control

    @property
    def kind(self) -> str:
        """What conditions are: ``"perturbation"``, ``"time"`` or ``"pseudotime"``."""
        return self.known.kind

    def canonical(self, label: str) -> str:
        """Write a condition as a user names it by its canonical label.

        Raises
        ------
        UnsupportedError, DataError
            As :meth:`predict`.
        """
        return self.known.canonical(label)

    def state_dict(self) -> dict[str, Any]:
        """Give everything that was learned as tensors, numbers and strings."""
        return {
            "class": self.name,
            "known": self.known.state_dict(),
            "decoder": self.decoder.state_dict(),
            "effects": {label: torch.from_numpy(effect.copy()) for label, effect in self.effects.items()},
            "variance": {label: torch.from_numpy(value.copy()) for label, value in self._variance.items()},
            "response": None if self._response is None else self._response.state_dict(),
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Make a model from what :meth:`state_dict` gave."""
        made = cls.__new__(cls)
        made.known = Known.from_state_dict(state["known"])
        made.decoder = LinearDecoder.from_state_dict(state["decoder"])
        made.effects = {label: effect.numpy().copy() for label, effect in state["effects"].items()}
        made._variance = {label: value.numpy().copy() for label, value in state["variance"].items()}
        made._response = None if state["response"] is None else LatentResponse.from_state_dict(state["response"])
        return made


def _variance_of_mean(cells: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Give the squared standard error of the mean of some cells, (dimensions,); zero for a single one."""
    n = len(cells)
    return np.asarray(cells.var(axis=0, ddof=1, dtype=np.float64) / n if n > 1 else np.zeros(cells.shape[1]))
