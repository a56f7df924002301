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
from waddington.twin.respond.doses import DoseRange, Term, doses_by_drug, range_of, term_of
from waddington.twin.respond.measured import Measured, parts_of_label

__all__ = ["SUPPORT", "How", "Known", "Support"]

How = Literal["measured", "added", "combined", "interpolated", "partial", "none"]

SUPPORT: dict[How, str] = {
    "measured": "training cells show this condition",
    "added": "training cells show each of its perturbations alone",
    "combined": "training cells show each of its perturbations, some only within combinations",
    "interpolated": "training cells show a lower and a higher dose of a drug in it, and all of its other perturbations",
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
    """Perturbations that no training cell carries, doses between measured ones excepted."""

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

    @cached_property
    def alone(self) -> dict[str, int]:
        """Cells of each perturbation that was measured alone."""
        return {label: n for label, n in self.n_cells.items() if label in self.anywhere}

    @cached_property
    def _drugs_alone(self) -> dict[tuple[str, str], DoseRange]:
        return doses_by_drug(self.alone) if self.kind == "perturbation" else {}

    @cached_property
    def _drugs(self) -> dict[tuple[str, str], DoseRange]:
        return doses_by_drug(self.anywhere) if self.kind == "perturbation" else {}

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
        terms = [self._term(part, alone=False) for part in self.parts(label)]
        missing = tuple(term.part for term in terms if not term.known)
        shown = [self.anywhere[part] for term in terms for part in term.weights]
        if missing:
            how: How = "none" if len(missing) == len(terms) else "partial"
            return Support(how=how, n_cells=min(shown, default=0), missing=missing)
        if any(term.interpolated for term in terms):
            return Support(how="interpolated", n_cells=min(shown))
        if all(term.part in self.n_cells for term in terms):
            return Support(how="added", n_cells=min(self.n_cells[term.part] for term in terms))
        return Support(how="combined", n_cells=min(shown))

    def terms(self, label: str, *, alone: bool, guess: bool = False) -> tuple[Term, ...]:
        """Say by which measured perturbations each part of a canonical label is told.

        Parameters
        ----------
        label
            Of a condition.
        alone
            Whether only perturbations that were measured alone will do.
        guess
            Keep parts that nothing tells of, without weights, and hold the nearest dose outside the measured ones.

        Raises
        ------
        UnsupportedError
            Unless `guess`, when nothing tells of a part; names it and the closest that was measured.
        """
        terms = tuple(self._term(part, alone=alone, hold=guess) for part in self.parts(label))
        missing = [term.part for term in terms if not term.known]
        if missing and not guess:
            raise UnsupportedError(self._refusal(label, missing, alone=alone and self.kind == "perturbation"))
        return terms

    def _term(self, part: str, *, alone: bool, hold: bool = False) -> Term:
        return term_of(
            part,
            self.alone if alone else self.anywhere,
            self._drugs_alone if alone else self._drugs,
            hold=hold,
        )

    def _refusal(self, label: str, missing: list[str], *, alone: bool) -> str:
        perturbed = self.kind == "perturbation"
        doses = range_of(missing[0], self._drugs_alone if alone else self._drugs)
        if doses is not None:
            accepted = "accepted are these and doses between them" if len(doses.parts) > 1 else "accepted is that one"
            return f"cannot predict the change of {label}: {doses}; {accepted}"
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
