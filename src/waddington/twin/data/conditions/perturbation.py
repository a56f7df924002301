"""A perturbation, a condition of several, and their canonical label, which reads back exactly."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from waddington.errors import DataError
from waddington.twin.data.conditions.controls import CONTROL, is_control_word, is_missing
from waddington.twin.data.conditions.joined import JOIN, MARK
from waddington.twin.data.conditions.modes import MODES

__all__ = ["Condition", "Perturbation", "condition_label", "is_canonical", "make_condition", "parse_label"]

_AFTER_MODE: Final = re.compile("|".join(f"(?<={MARK}{mode}){re.escape(JOIN)}" for mode in MODES))
"""The ``+`` that joins two perturbations of a canonical label: it follows a mode."""


@dataclass(frozen=True, order=True, slots=True)
class Perturbation:
    """One thing done to a cell.

    Attributes
    ----------
    gene
        The gene's symbol as the data spell it, or the name of a drug or cytokine.
    mode
        One of :data:`MODES`.

    Raises
    ------
    DataError
        When the name is empty, a word for control or for a missing label, or holds a mode and ``"+"`` (which joins the
        perturbations of a label), or when the mode is none of :data:`MODES`.
    """

    gene: str
    mode: str

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

    def __str__(self) -> str:
        return f"{self.gene}{MARK}{self.mode}"


Condition = tuple[Perturbation, ...]
"""Everything done to one cell: sorted, without repeats; ``()`` is control."""


def make_condition(perturbations: Iterable[Perturbation]) -> Condition:
    """Sort perturbations into a condition; two guides against one gene in one mode are one perturbation.

    Raises
    ------
    DataError
        When one gene is perturbed in two modes at once.
    """
    condition = tuple(sorted(set(perturbations)))
    for first, second in itertools.pairwise(condition):
        if first.gene == second.gene:
            raise DataError(f"cannot combine {first} and {second}: accepted is one mode for each gene of a condition")
    return condition


def condition_label(condition: Condition) -> str:
    """Write a condition's canonical label: ``"control"`` or ``"Cebpa:knockout+Gata1:activation"``."""
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
    return make_condition(Perturbation(gene, mode) for gene, _, mode in _pieces(label))


def _pieces(label: str) -> list[tuple[str, str, str]]:
    return [part.rpartition(MARK) for part in _AFTER_MODE.split(label)]


def is_canonical(label: str) -> bool:
    """Say whether a label is made of names that each bear their mode."""
    return all(gene and mode in MODES for gene, _, mode in _pieces(label))
