"""What happened while a network was trained, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

__all__ = ["History"]


@dataclass(kw_only=True, slots=True, repr=False)
class History:
    """Losses per epoch, over the batches of training and over the validation cells."""

    train: list[dict[str, float]] = field(default_factory=list)
    """One mapping of loss terms per epoch; ``"total"`` is what was minimized."""
    validation: list[dict[str, float]] = field(default_factory=list)
    """The same on validation cells, with the same masks in each epoch; empty mappings without validation cells."""
    seconds: list[float] = field(default_factory=list)
    """Wall time of each epoch."""

    def __repr__(self) -> str:
        """Say how many epochs there were, and where they ended."""
        ends = [(name, terms[-1].get("total")) for name, terms in self._by_split() if terms]
        shown = "".join(f", {name}={total:.6g}" for name, total in ends if total is not None)
        return f"History(epochs={len(self)}{shown})"

    def __len__(self) -> int:
        return len(self.train)

    def append(self, *, train: Mapping[str, float], validation: Mapping[str, float], seconds: float) -> None:
        """Add an epoch."""
        self.train.append(dict(train))
        self.validation.append(dict(validation))
        self.seconds.append(seconds)

    def _by_split(self) -> tuple[tuple[str, list[dict[str, float]]], ...]:
        return ("train", self.train), ("validation", self.validation)

    def to_frame(self) -> pd.DataFrame:
        """Tidy table with the columns epoch (from 1), split (``"train"`` or ``"validation"``), term and loss."""
        rows = [
            (epoch, split, term, loss)
            for split, epochs in self._by_split()
            for epoch, terms in enumerate(epochs, start=1)
            for term, loss in terms.items()
        ]
        return pd.DataFrame(rows, columns=["epoch", "split", "term", "loss"])

    def state_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, as a checkpoint keeps them."""
        return {"train": self.train, "validation": self.validation, "seconds": self.seconds}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> History:
        """Inverse of `state_dict`."""
        return cls(train=list(state["train"]), validation=list(state["validation"]), seconds=list(state["seconds"]))
