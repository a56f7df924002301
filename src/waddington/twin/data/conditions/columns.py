"""The column of ``obs`` that says what was done to each cell: found, and read for every cell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import pandas as pd

from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.data.conditions.controls import CONTROL, is_control_name, is_missing
from waddington.twin.data.conditions.joined import JOIN, known_names
from waddington.twin.data.conditions.modes import DEFAULT_MODE, is_mode_word
from waddington.twin.data.conditions.parsing import parse_condition
from waddington.twin.data.conditions.perturbation import condition_label

__all__ = [
    "MODE_COLUMNS",
    "PERTURBATION_COLUMNS",
    "conditions_of",
    "find_perturbation_column",
    "names_control",
    "unknown_mode_words",
]

PERTURBATION_COLUMNS: Final = ("perturbation", "condition", "target_gene", "gene_target", "guide_target")
"""Columns of ``obs`` that are looked for, in this order, when none is named."""

MODE_COLUMNS: Final = ("perturbation_mode", "perturbation_type")
"""Columns of ``obs`` in which the mode is looked for, in this order, when none is named."""


def conditions_of(
    data: Any,
    *,
    perturbation_key: str | None = None,
    mode_key: str | None = None,
    control: str | Iterable[str] | None = None,
    sep: str | None = None,
    default_mode: str = DEFAULT_MODE,
    genes: Iterable[str] = (),
    doses: pd.Series | None = None,
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
        What joins the genes of a label, always. None takes ``"+"`` between names: those that a label of the column
        holds alone, ``genes``, and symbols of genes where the mode acts on genes.
    default_mode
        Mode of perturbations for which nothing is said, or a word that stands for no mode.
    genes
        Names of measured genes, beside those of ``data``.
    doses
        Of each cell, as text that :func:`parse_condition` takes, None where nothing says it. Default: those that labels
        bear.

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
    labels = obs[label_column].astype(object)
    distinct = labels.unique()
    n_missing = int(labels.isin([label for label in distinct if is_missing(label)]).sum())
    if n_missing:
        raise DataError(
            f"cannot read conditions from column {label_column!r}: {n_missing} of {counted(len(labels), 'cell')} "
            "without a label; "
            f"accepted is a label for every cell, {CONTROL!r} for unperturbed ones"
        )
    known = known_names(map(str, distinct), [*genes, *getattr(data, "var_names", ())])
    pairs = pd.DataFrame({"label": labels.astype(str).to_numpy()})
    pairs["mode"] = None if mode_column is None else obs[mode_column].astype(object).to_numpy()
    pairs["dose"] = None if doses is None else doses.astype(object).to_numpy()
    # There are few different rows and perhaps a million cells: each is parsed once.
    groups = pairs.groupby(["label", "mode", "dose"], dropna=False, sort=False)
    codes = groups.ngroup().to_numpy()
    read = [
        condition_label(
            parse_condition(
                label,
                _known_modes(mode, default_mode),
                sep=sep,
                default_mode=default_mode,
                control=control,
                known=known,
                dose=None if is_missing(dose) else dose,
            )
        )
        for label, mode, dose in pairs.drop_duplicates().itertuples(index=False)
    ]
    return pd.Series(pd.array(read, dtype=object)[codes], index=obs.index, name="condition", dtype=object)


def unknown_mode_words(obs: pd.DataFrame, named: str | None = None) -> list[str]:
    """List the words of the column of modes that stand for no mode, sorted; empty where there is no such column."""
    column = _find_column(obs, named, MODE_COLUMNS)
    modes = [] if column is None else [str(mode) for mode in obs[column].unique() if not is_missing(mode)]
    words = {word.strip() for mode in modes for word in mode.split(JOIN)}
    return sorted(word for word in words if not (is_mode_word(word) or is_control_name(word)))


def _known_modes(mode: object, default_mode: str) -> str | None:
    """Put the default in the place of words that stand for no mode; None where nothing is said."""
    if is_missing(mode) or is_control_name(str(mode)):
        return None
    words = str(mode).split(JOIN)
    return JOIN.join(word if is_mode_word(word) or is_control_name(word) else default_mode for word in words)


def find_perturbation_column(obs: pd.DataFrame, named: str | None = None) -> str | None:
    """Find the column that says what was done to each cell.

    Parameters
    ----------
    obs
        Cells x columns.
    named
        A column that must exist. None takes the first of :data:`PERTURBATION_COLUMNS` that is there; ``condition`` also
        holds other things in the wild (diseases, tissues), so it must name a control among its labels.

    Raises
    ------
    DataError
        When the named column does not exist.
    """
    if named is not None:
        return _find_column(obs, named, ())
    for column in PERTURBATION_COLUMNS:
        if column in obs.columns and (column != "condition" or names_control(obs[column])):
            return column
    return None


def names_control(labels: pd.Series) -> bool:
    """Say whether a label of a column means control, alone or joined to a name by ``+``."""
    return any(is_control_name(part) for label in labels.unique() for part in str(label).split(JOIN))


def _find_column(obs: pd.DataFrame, named: str | None, known: Iterable[str]) -> str | None:
    """Give the column to read: the one named, which must exist, or the first known one that does."""
    if named is None:
        return next((column for column in known if column in obs.columns), None)
    if named not in obs.columns:
        columns = ", ".join(map(repr, obs.columns)) or "none"
        raise DataError(f"cannot read column {named!r} of obs: it does not exist; columns found: {columns}")
    return named
