"""The mean of several response models that differ in the seed of their encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from waddington.errors import ArgumentError, UnsupportedError
from waddington.twin.respond.base import Effect, ResponseModel, Training
from waddington.twin.respond.decoded import DecodedResponse

__all__ = ["AveragedResponse"]


class AveragedResponse(ResponseModel):
    """Predict with every member and average; all members were fitted on the same training cells.

    Parameters
    ----------
    members
        At least one.
    """

    name: ClassVar[str] = "averaged"
    uses_representation: ClassVar[bool] = True

    def __init__(self, members: Sequence[DecodedResponse]) -> None:
        if not members:
            raise ArgumentError("cannot average members=(): accepted is at least one model")
        self.members = tuple(members)
        self.known = self.members[0].known

    @classmethod
    def fit(cls, data: Training) -> Self:
        """Refuse: its members are fitted, each in its own representation."""
        raise UnsupportedError("cannot fit a mean of response models: accepted are its members, each fitted before")

    def predict(self, label: str, *, guess: bool = False, start: Effect | None = None) -> Effect:
        """Give the mean effect; errors as :meth:`DecodedResponse.predict`."""
        return _mean([member.predict(label, guess=guess, start=start) for member in self.members])

    def standard_error(self, label: str) -> Effect:
        """Give the mean of the members' sampling errors: all come from the same cells, so they do not average out."""
        return _mean([member.standard_error(label) for member in self.members])

    @property
    def effects(self) -> dict[str, npt.NDArray[np.float64]]:
        """Measured conditions, and their effects on the first member's representation."""
        return self.members[0].effects

    def state_dict(self) -> dict[str, Any]:
        """Give everything that was learned as tensors, numbers and strings."""
        return {"class": self.name, "members": [member.state_dict() for member in self.members]}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Make a model from what :meth:`state_dict` gave."""
        return cls([DecodedResponse.from_state_dict(member) for member in state["members"]])


def _mean(effects: Sequence[Effect]) -> Effect:
    return {modality: np.mean([effect[modality] for effect in effects], axis=0) for modality in effects[0]}
