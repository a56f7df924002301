"""What was done to a cell: perturbations, conditions, their labels, and how files in the wild write them.

A :class:`Perturbation` is one gene (or drug, or cytokine), a mode and perhaps a dose; a condition is a sorted tuple of
perturbations, and the empty tuple is control. Its canonical label is ``"control"``, ``"Cebpa:knockout"``,
``"Cebpa:knockout+Gata1:activation"`` or ``"Dex@10:drug"``. Understood on the way in are this form and three conventions
of the field: scPerturb, pertpy and PerturBench (``perturbation`` = ``"A+B"`` or ``"control"``), GEARS (``condition`` =
``"A+ctrl"``, ``"A+B"``, ``"ctrl"``) and cell-eval (``target_gene`` = ``"A"`` or ``"non-targeting"``).

A ``+`` joins perturbations only between names (:func:`conditions_of` asks the other labels and the measured genes):
``"Ca2+"`` is one thing. The words for control are in :data:`CONTROL_WORDS`; a missing label is none of them.
"""

from __future__ import annotations

from waddington.twin.data.conditions.columns import (
    MODE_COLUMNS,
    PERTURBATION_COLUMNS,
    conditions_of,
    find_perturbation_column,
)
from waddington.twin.data.conditions.controls import CONTROL, CONTROL_WORDS, is_control_name
from waddington.twin.data.conditions.modes import DEFAULT_MODE, MODES
from waddington.twin.data.conditions.parsing import condition_columns, nearest, parse_condition, resolve_condition
from waddington.twin.data.conditions.perturbation import (
    Condition,
    Perturbation,
    condition_label,
    is_canonical,
    make_condition,
    parse_label,
)

__all__ = [
    "CONTROL",
    "CONTROL_WORDS",
    "DEFAULT_MODE",
    "MODES",
    "MODE_COLUMNS",
    "PERTURBATION_COLUMNS",
    "Condition",
    "Perturbation",
    "condition_columns",
    "condition_label",
    "conditions_of",
    "find_perturbation_column",
    "is_canonical",
    "is_control_name",
    "make_condition",
    "nearest",
    "parse_condition",
    "parse_label",
    "resolve_condition",
]
