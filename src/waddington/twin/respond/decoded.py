"""The response of the twin: effects measured in a representation, added there, and decoded linearly."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from waddington._errors import ArgumentError
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
        self._split = split
        train = split.train
        self.decoder = LinearDecoder(representation, values, train)
        control = representation[split.cells(split.control, train=True)].mean(axis=0, dtype=np.float64)
        self.effects: dict[str, npt.NDArray[np.float64]] = {
            label: representation[split.cells(label, train=True)].mean(axis=0, dtype=np.float64) - control
            for label in split.seen
        }
        """Measured effect of each training condition on the representation, (dimensions,)."""
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
        label = canonical_label(label, self._split, self.effects)
        if label in self.effects:
            return self.decode(self.effects[label])
        if label == self._split.control:
            return self.decode(np.zeros_like(next(iter(self.effects.values()))))
        measured_parts(label, self._split, self.effects)
        assert self._response is not None, "only perturbations have parts"
        return self.decode(self._response.predict(label))
