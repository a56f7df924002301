"""A perturbation, a condition of several, and their canonical label, which reads back exactly."""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from waddington.errors import DataError
from waddington.twin.data.conditions.controls import CONTROL, is_control_word, is_missing
from waddington.twin.data.conditions.doses import split_dose, with_dose
from waddington.twin.data.conditions.joined import JOIN, MARK
from waddington.twin.data.conditions.modes import MODES

__all__ = [
    "Condition",
    "Perturbation",
    "condition_label",
    "is_canonical",
    "make_condition",
    "parse_label",
    "perturbation_of",
    "pieces_of",
]

_AFTER_MODE: Final = re.compile("|".join(f"(?<={MARK}{mode}){re.escape(JOIN)}" for mode in MODES))
"""The ``+`` that joins two perturbations of a canonical label: it follows a mode."""


@functools.total_ordering
@dataclass(frozen=True, slots=True)
class Perturbation:
    """One thing done to a cell; sorted by name, then mode, then dose.

    Attributes
    ----------
    gene
        The gene's symbol as the data spell it, or the name of a drug or cytokine.
    mode
        One of :data:`MODES`.
    dose
        How much of it, above 0, in the unit of the data; None where nothing says it.

    Raises
    ------
    DataError
        When the name is empty, a word for control or for a missing label, or holds a mode and ``"+"`` (which joins the
        perturbations of a label), when the mode is none of :data:`MODES`, or when the dose is not above 0.
    """

    gene: str
    mode: str
    dose: float | None = None

    def __post_init__(self) -> None:
        if is_missing(self.gene) or self.gene != self.gene.strip() or is_control_word(self.gene):
            raise DataError(
                f"cannot perturb {self.gene!r}: a perturbed gene's name must not be empty, start or end with a space, "
                "or be a name for control or for a missing label"
            )
        if _AFTER_MODE.search(self.gene):
            raise DataError(
                f"cannot perturb {self.gene!r}: a mode and {JOIN!r} join two perturbations; "
                "accepted is one name without them"
            )
        if self.mode not in MODES:
            raise DataError(
                f"cannot perturb {self.gene!r} by mode {self.mode!r}: accepted modes are {', '.join(MODES)}"
            )

        if self.dose is not None and not (math.isfinite(self.dose) and self.dose > 0):
            raise DataError(
                f"cannot perturb {self.gene!r} at dose {self.dose!r}: accepted are numbers above 0; a dose of 0 is the "
                "control"
            )

    def __str__(self) -> str:
        return f"{self.name}{MARK}{self.mode}"

    def __lt__(self, other: Perturbation) -> bool:
        return self._order < other._order

    @property
    def name(self) -> str:
        """The name as labels write it, with the dose: ``"Dex@10"``."""
        return with_dose(self.gene, self.dose)

    @property
    def _order(self) -> tuple[str, str, float]:
        return self.gene, self.mode, self.dose or 0.0


Condition = tuple[Perturbation, ...]
"""Everything done to one cell: sorted, without repeats; ``()`` is control."""


def make_condition(perturbations: Iterable[Perturbation]) -> Condition:
    """Sort perturbations into a condition; two guides against one gene in one mode are one perturbation.

    Raises
    ------
    DataError
        When one gene is perturbed in two modes, or one drug given at two doses, at once.
    """
    condition = tuple(sorted(set(perturbations)))
    for first, second in itertools.pairwise(condition):
        if first.gene == second.gene:
            what = "mode for each gene" if first.mode != second.mode else "dose for each drug"
            raise DataError(f"cannot combine {first} and {second}: accepted is one {what} of a condition")
    return condition


def condition_label(condition: Condition) -> str:
    """Write a condition's canonical label: ``"control"``, ``"Cebpa:knockout+Gata1:activation"``, ``"Dex@10:drug"``."""
    return JOIN.join(map(str, make_condition(condition))) or CONTROL


def parse_label(label: str) -> Condition:
    """Read a canonical label; the inverse of :func:`condition_label`.

    Raises
    ------
    DataError
        When the label is not canonical, such as a gene without its mode.
    """
    if label == CONTROL:
        return ()
    if not is_canonical(label):
        raise DataError(
            f"cannot read condition {label!r}: accepted are {CONTROL!r} and genes with their mode, "
            f"'Cebpa:knockout' or 'Cebpa:knockout+Gata1:activation'; modes are {', '.join(MODES)}"
        )
    return make_condition(pieces_of(label))


def pieces_of(label: str) -> list[Perturbation]:
    """Read the perturbations of a canonical label in the order in which it names them."""
    return [perturbation_of(name, mode) for name, _, mode in _pieces(label)]


def perturbation_of(name: str, mode: str) -> Perturbation:
    """Make a perturbation of a name that may bear a dose, ``"Dex@10"``."""
    gene, dose = split_dose(name)
    return Perturbation(gene, mode, dose)


def _pieces(label: str) -> list[tuple[str, str, str]]:
    return [part.rpartition(MARK) for part in _AFTER_MODE.split(label)]


def is_canonical(label: str) -> bool:
    """Say whether a label is made of names that each bear their mode."""
    return all(gene and mode in MODES for gene, _, mode in _pieces(label))
