"""What was done to a cell: perturbations, conditions, their labels, and how files in the wild write them.

A :class:`Perturbation` is one gene (or drug, or cytokine) and a mode; a condition is a sorted tuple of perturbations,
and the empty tuple is control. Its canonical label is ``"control"``, ``"Cebpa:knockout"`` or
``"Cebpa:knockout+Gata1:activation"``. Understood on the way in are this form and three conventions of the field:
scPerturb, pertpy and PerturBench (``perturbation`` = ``"A+B"`` or ``"control"``), GEARS (``condition`` = ``"A+ctrl"``,
``"A+B"``, ``"ctrl"``) and cell-eval (``target_gene`` = ``"A"`` or ``"non-targeting"``).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from waddington._errors import DataError
from waddington.twin._vocabulary import CONTROL, MODES, canonical_mode, is_control_name

__all__ = [
    "CONTROL",
    "MODES",
    "MODE_COLUMNS",
    "PERTURBATION_COLUMNS",
    "Condition",
    "Perturbation",
    "condition_columns",
    "condition_label",
    "conditions_of",
    "find_perturbation_column",
    "make_condition",
    "parse_condition",
    "parse_label",
]

PERTURBATION_COLUMNS: Final = ("perturbation", "condition", "target_gene")
"""Columns of ``obs`` that are looked for, in this order, when none is named."""

MODE_COLUMNS: Final = ("perturbation_mode", "perturbation_type")
"""Columns of ``obs`` in which the mode is looked for, in this order, when none is named."""

_JOIN = "+"
_MARK = ":"


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
        When the name is empty, holds ``"+"`` (which joins the perturbations of a label) or means control, or when the
        mode is none of :data:`MODES`.
    """

    gene: str
    mode: str

    def __post_init__(self) -> None:
        if not self.gene or self.gene != self.gene.strip() or _JOIN in self.gene or is_control_name(self.gene):
            raise DataError(
                f"cannot perturb {self.gene!r}: a perturbed gene's name must not be empty, start or end with a space, "
                f"hold {_JOIN!r}, or be a name for control"
            )
        if self.mode not in MODES:
            raise DataError(
                f"cannot perturb {self.gene!r} by mode {self.mode!r}: accepted modes are {', '.join(MODES)}"
            )

    def __str__(self) -> str:
        return f"{self.gene}{_MARK}{self.mode}"


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


def parse_condition(
    label: str,
    mode: str | None = None,
    *,
    sep: str = _JOIN,
    default_mode: str = "knockout",
    control: str | Iterable[str] | None = None,
) -> Condition:
    """Read a condition from a label in any of the conventions of the field.

    Parameters
    ----------
    label
        ``"control"``, ``"ctrl"``, ``"non-targeting"``, ``"A"``, ``"A+ctrl"``, ``"A+B"``, or canonical ``"A:knockout"``.
    mode
        One mode for every gene, or as many as genes joined by ``sep`` (``"knockout+activation"``) in the label's order.
        None takes ``default_mode``. A mode inside the label wins.
    sep
        What joins genes in the label (Norman's tables write ``"A_B"``: ``sep="_"``).
    default_mode
        The mode of genes for which nothing is said.
    control
        Further names that mean control here.

    Returns
    -------
    Condition
        Sorted perturbations; ``()`` for control.

    Raises
    ------
    DataError
        When the label is empty or has an empty part, a mode is unknown, or the number of modes is not that of genes.
    """
    extra = {control} if isinstance(control, str) else set(control or ())
    if label in extra:
        return ()
    parts = [part.strip() for part in label.split(sep)]
    if not all(parts):
        raise DataError(f"cannot read perturbation {label!r}: accepted are 'control', 'A', 'A{sep}ctrl' and 'A{sep}B'")
    perturbed = [not is_control_name(part) and part not in extra for part in parts]
    modes = _align_modes(label, perturbed, mode, sep=sep, default_mode=default_mode)
    return make_condition(_read_part(part, kind) for part, kind in zip(_kept(parts, perturbed), modes, strict=True))


def _kept(parts: list[str], keep: list[bool]) -> list[str]:
    return [part for part, kept in zip(parts, keep, strict=True) if kept]


def _align_modes(label: str, perturbed: list[bool], mode: str | None, *, sep: str, default_mode: str) -> list[str]:
    """Give one canonical mode for each perturbed part of a label."""
    n_genes = sum(perturbed)
    if mode is None or n_genes == 0:
        return [canonical_mode(default_mode)] * n_genes
    words = [word.strip() for word in mode.split(sep)]
    if len(words) == len(perturbed) and len(words) > n_genes:
        # "A+ctrl" with "knockout+control": the modes follow the label's parts, control included.
        words = _kept(words, perturbed)
    elif len(words) == 1:
        words = words * n_genes
    if len(words) != n_genes:
        raise DataError(
            f"cannot read perturbation {label!r} with mode {mode!r}: found {n_genes} genes and {len(words)} modes; "
            f"accepted is one mode for all or one for each, joined by {sep!r}"
        )
    return [canonical_mode(word) for word in words]


def _read_part(part: str, mode: str) -> Perturbation:
    """Read one gene, whose own mode after a colon wins over the one given."""
    gene, mark, own = part.rpartition(_MARK)
    if mark and own in MODES:
        return Perturbation(gene, own)
    return Perturbation(part, mode)


def condition_label(condition: Condition) -> str:
    """Write a condition's canonical label: ``"control"`` or ``"Cebpa:knockout+Gata1:activation"``."""
    return _JOIN.join(map(str, make_condition(condition))) or CONTROL


def parse_label(label: str) -> Condition:
    """Read a canonical label; the inverse of :func:`condition_label`.

    Raises
    ------
    DataError
        When the label is not canonical, such as a gene without its mode.
    """
    if label == CONTROL:
        return ()
    pieces = [part.rpartition(_MARK) for part in label.split(_JOIN)]
    if not all(gene and mode in MODES for gene, _, mode in pieces):
        raise DataError(
            f"cannot read condition {label!r}: accepted are {CONTROL!r} and genes with their mode, "
            f"'Cebpa:knockout' or 'Cebpa:knockout+Gata1:activation'; modes are {', '.join(MODES)}"
        )
    return make_condition(Perturbation(gene, mode) for gene, _, mode in pieces)


def condition_columns(condition: Condition) -> tuple[str, str]:
    """Write a condition as the two columns of files: genes and, aligned with them, modes.

    Returns
    -------
    tuple[str, str]
        ``("control", "control")`` or ``("Cebpa+Gata1", "knockout+activation")``, for ``obs["perturbation"]`` and
        ``obs["perturbation_mode"]``.
    """
    ordered = make_condition(condition)
    if not ordered:
        return CONTROL, CONTROL
    return _JOIN.join(one.gene for one in ordered), _JOIN.join(one.mode for one in ordered)


def conditions_of(
    data: Any,
    *,
    perturbation_key: str | None = None,
    mode_key: str | None = None,
    control: str | Iterable[str] | None = None,
    sep: str = _JOIN,
    default_mode: str = "knockout",
) -> pd.Series:
    """Give every cell's canonical condition label.

    Parameters
    ----------
    data
        A MuData or AnnData, or its ``obs`` as a DataFrame.
    perturbation_key
        Column of labels, in any convention that :func:`parse_condition` reads. None looks for it
        (:func:`find_perturbation_column`); where there is none, every cell is control.
    mode_key
        Column of modes. None takes the first of :data:`MODE_COLUMNS` that is there, else ``default_mode`` holds.
    control
        Further labels that mean control.
    sep
        What joins the genes of a label.
    default_mode
        Mode of perturbations for which nothing is said.

    Returns
    -------
    pandas.Series
        Strings, aligned with the rows of ``obs`` and named ``"condition"``.

    Raises
    ------
    DataError
        When a named column does not exist (lists those that do), a cell has no label, or a label cannot be read.
    """
    obs: pd.DataFrame = data if isinstance(data, pd.DataFrame) else data.obs
    label_column = find_perturbation_column(obs, perturbation_key)
    if label_column is None:
        return pd.Series(CONTROL, index=obs.index, name="condition", dtype=object)
    mode_column = _find_column(obs, mode_key, MODE_COLUMNS)
    labels = obs[label_column]
    n_missing = int(labels.isna().sum())
    if n_missing:
        raise DataError(
            f"cannot read conditions from column {label_column!r}: {n_missing} of {len(labels)} cells have no label; "
            f"accepted is a label for every cell, {CONTROL!r} for unperturbed ones"
        )
    pairs = pd.DataFrame({"label": labels.astype(str).to_numpy()})
    pairs["mode"] = None if mode_column is None else obs[mode_column].astype(object).to_numpy()
    # There are few different pairs and perhaps a million cells: each pair is parsed once.
    groups = pairs.groupby(["label", "mode"], dropna=False, sort=False)
    codes = groups.ngroup().to_numpy()
    read = [
        condition_label(
            parse_condition(
                label, None if pd.isna(mode) else str(mode), sep=sep, default_mode=default_mode, control=control
            )
        )
        for label, mode in pairs.drop_duplicates().itertuples(index=False)
    ]
    return pd.Series(pd.array(read, dtype=object)[codes], index=obs.index, name="condition", dtype=object)


def find_perturbation_column(obs: pd.DataFrame, named: str | None = None) -> str | None:
    """Find the column that says what was done to each cell.

    Parameters
    ----------
    obs
        Cells x columns.
    named
        A column that must exist. None takes the first of :data:`PERTURBATION_COLUMNS` that is there; ``condition`` also
        holds other things in the wild (diseases, tissues), so all but the first must name a control among their labels.

    Raises
    ------
    DataError
        When the named column does not exist.
    """
    column = _find_column(obs, named, PERTURBATION_COLUMNS[:1])
    if column is not None:
        return column
    for column in PERTURBATION_COLUMNS[1:]:
        if column in obs.columns and any(is_control_name(str(label)) for label in obs[column].unique()):
            return column
    return None


def _find_column(obs: pd.DataFrame, named: str | None, known: Iterable[str]) -> str | None:
    """Give the column to read: the one named, which must exist, or the first known one that does."""
    if named is None:
        return next((column for column in known if column in obs.columns), None)
    if named not in obs.columns:
        columns = ", ".join(map(repr, obs.columns)) or "none"
        raise DataError(f"cannot read column {named!r} of obs: it does not exist; columns found: {columns}")
    return named
