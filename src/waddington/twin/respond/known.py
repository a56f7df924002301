"""Which conditions a model has seen, and what an answer to another one rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from waddington._text import counted
from waddington.errors import UnsupportedError
from waddington.twin.data.conditions import condition_label, is_canonical, nearest, parse_label, resolve_condition
from waddington.twin.data.splits import time_of_label
from waddington.twin.respond.measured import Measured, parts_of_label

__all__ = ["SUPPORT", "How", "Known", "Support"]

How = Literal["measured", "added", "combined", "partial", "none"]

SUPPORT: dict[How, str] = {
    "measured": "training cells show this condition",
    "added": "training cells show each of its perturbations alone",
    "combined": "training cells show each of its perturbations, some only within combinations",
    "partial": "training cells show some of its perturbations; what the others do is guessed",
    "none": "training cells show none of its perturbations; the answer is a guess",
}
"""What an answer rests on, best first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Support:
    """What an answer rests on."""

    how: How
    n_cells: int
    """Training cells of the condition; of one that was not measured, the fewest cells that show any of its parts."""
    missing: tuple[str, ...] = ()
    """Perturbations that no training cell carries."""

    @property
    def flagged(self) -> bool:
        """Whether any part of the answer is a guess."""
        return self.how in ("partial", "none")


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """The training conditions of a model, by label, with their numbers of cells."""

    kind: str
    """What conditions are: ``"perturbation"``, ``"time"`` or ``"pseudotime"``."""
    control: str
    n_cells: Mapping[str, int]
    """Of each training condition, and of the control."""

    @classmethod
    def of(cls, measured: Measured) -> Known:
        """Take labels and numbers of cells."""
        cells = {label: round(n) for label, n in zip(measured.labels, measured.n.tolist(), strict=True)}
        return cls(kind=measured.kind, control=measured.control, n_cells=cells)

    @cached_property
    def conditions(self) -> tuple[str, ...]:
        """Training conditions, the control excepted."""
        return tuple(label for label in self.n_cells if label != self.control)

    @cached_property
    def anywhere(self) -> dict[str, int]:
        """Most cells of any one condition that shows a perturbation, alone or in a combination, by perturbation."""
        found: dict[str, int] = {}
        for label in self.conditions:
            for part in parts_of_label(label, self.kind, self.control):
                found[part] = max(found.get(part, 0), self.n_cells[label])
        return found

    def time_before(self, label: str) -> str | None:
        """Name the latest training time before another; None where there is none, or conditions are no times."""
        asked = time_of_label(label) if self.kind == "time" else None
        if asked is None:
            return None
        times = {time: one for one in self.n_cells if (time := time_of_label(one)) is not None and time < asked}
        return times[max(times)] if times else None

    def canonical(self, label: str) -> str:
        """Write a condition by its canonical label; a bare name stands for its one measured mode.

        Raises
        ------
        UnsupportedError
            When a bare name was not measured.
        DataError
            When it was measured in several modes; names them.
        """
        if self.kind != "perturbation" or label in self.n_cells:
            return label
        if is_canonical(label):
            condition = parse_label(label)
            if all(condition_label((one,)) in self.anywhere for one in condition):
                return condition_label(condition)
        return condition_label(resolve_condition(label, self.n_cells))

    def parts(self, label: str) -> tuple[str, ...]:
        """Name the single perturbations of a canonical label."""
        return parts_of_label(label, self.kind, self.control)

    def support(self, label: str) -> Support:
        """Say what an answer to a canonical label rests on."""
        if label in self.n_cells:
            return Support(how="measured", n_cells=self.n_cells[label])
        parts = self.parts(label)
        missing = tuple(part for part in parts if part not in self.anywhere)
        if missing:
            fewest = min((self.anywhere[part] for part in parts if part not in missing), default=0)
            return Support(how="none" if len(missing) == len(parts) else "partial", n_cells=fewest, missing=missing)
        if all(part in self.n_cells for part in parts):
            return Support(how="added", n_cells=min(self.n_cells[part] for part in parts))
        return Support(how="combined", n_cells=min(self.anywhere[part] for part in parts))

    def require(self, label: str, *, alone: bool) -> tuple[str, ...]:
        """Give the single perturbations of a canonical label, each of which was measured.

        Parameters
        ----------
        label
            Of a condition.
        alone
            Whether only perturbations that were measured alone will do.

        Raises
        ------
        UnsupportedError
            When one of them was not; names it and the closest that was.
        """
        parts = self.parts(label)
        missing = [part for part in parts if part not in (self.n_cells if alone else self.anywhere)]
        if not missing:
            return parts
        raise UnsupportedError(self._refusal(label, missing, alone=alone and self.kind == "perturbation"))

    def _refusal(self, label: str, missing: list[str], *, alone: bool) -> str:
        perturbed = self.kind == "perturbation"
        shown = ", ".join(self.conditions[:8]) + (", …" if len(self.conditions) > 8 else "")
        singles = [one for one in self.conditions if not perturbed or len(parse_label(one)) == 1]
        hint = nearest(missing[0], singles if alone else self.anywhere) if perturbed else ""
        return (
            f"cannot predict the change of {label}: found no training cells with {' or '.join(missing)}"
            f"{' alone' if alone else ''}{hint}; accepted: {'combinations of ' if perturbed else ''}"
            f"the {counted(len(self.conditions), 'measured condition')} ({shown})"
        )

    def state_dict(self) -> dict[str, Any]:
        """Give everything as numbers and strings."""
        return {**asdict(self), "n_cells": dict(self.n_cells)}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Known:
        """Make it from what :meth:`state_dict` gave."""
        return cls(**state)
