"""The columns of ``obs`` that the twin understands, recognised under the names that files use.

Written are ``perturbation`` and ``perturbation_mode`` (canonical), ``time`` (float), ``batch``, ``cell_type`` and
``split`` (``"train"`` or ``"test"``), each only where the file knows it. A column that the caller names must exist and
be readable; one recognised by its name is left alone, with a note, when it cannot be read as such.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pandas as pd

from waddington._errors import DataError
from waddington.twin.conditions import (
    MODE_COLUMNS,
    condition_columns,
    conditions_of,
    find_perturbation_column,
    parse_label,
)
from waddington.twin.io.validation import check_columns

__all__ = ["LabelKeys", "read_split", "read_time", "standard_columns"]

_TIME: Final = (*("time", "timepoint", "time_point", "treatment_time", "time_info", "hour", "hours", "day", "days"),)
_SPLIT: Final = ("split", "paper_split", "train_test_split", "train_test")
_BATCH: Final = ("batch", "batch_id", "bio_rep", "replicate", "donor", "sample", "sample_id", "orig.ident")
_CELL_TYPE: Final = (
    *("cell_type", "celltype", "cell_types", "cell.type", "CellType", "annotation", "state_info", "bulk_labels"),
    *("coarse_cluster", "cluster", "clusters", "ident", "leiden", "louvain"),
)
_SPLIT_WORDS: Final = {
    **dict.fromkeys(("train", "training", "val", "valid", "validation"), "train"),
    **dict.fromkeys(("test", "testing", "held-out", "heldout", "held out", "holdout"), "test"),
}
_NUMBER: Final = re.compile(r"[^\d.+-]*([+-]?\d+(?:\.\d+)?)[^\d]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelKeys:
    """Which columns of ``obs`` hold what; None looks for the usual names.

    Attributes
    ----------
    perturbation, mode, time, split, batch, cell_type
        Column names.
    control
        A further label that means control.
    default_mode
        Mode of perturbations where no column says it.
    """

    perturbation: str | None = None
    mode: str | None = None
    time: str | None = None
    split: str | None = None
    batch: str | None = None
    cell_type: str | None = None
    control: str | None = None
    default_mode: str | None = None


def standard_columns(obs: pd.DataFrame, keys: LabelKeys, *, source: str) -> tuple[pd.DataFrame, list[str]]:
    """Add the twin's columns to a table of cells.

    Parameters
    ----------
    obs
        Cells x columns as the file holds them.
    keys
        Columns to use where the usual names do not hold.
    source
        The file's name, for messages.

    Returns
    -------
    obs : pandas.DataFrame
        A copy with the columns added; a file's own column that is rewritten is kept as ``NAME_original``.
    notes : list[str]
        What was recognised, and what could not be read.

    Raises
    ------
    DataError
        When a named column does not exist or cannot be read as what it is named for.
    """
    named = (keys.perturbation, keys.mode, keys.time, keys.split, keys.batch, keys.cell_type)
    check_columns([key for key in named if key is not None], obs, source=source)
    new: dict[str, pd.Series] = {}
    notes = _read_perturbation(obs, keys, new)
    for target, key, usual, reader in (
        ("time", keys.time, _TIME, read_time),
        ("split", keys.split, _SPLIT, read_split),
        ("batch", keys.batch, _BATCH, _read_text),
        ("cell_type", keys.cell_type, _CELL_TYPE, _read_text),
    ):
        _read_column(obs, target, key, usual, reader, new, notes)
    result = obs.copy()
    for target, values in new.items():
        if target in obs.columns and not _same(obs[target], values):
            result[f"{target}_original"] = obs[target]
            notes.append(f"obs[{target!r}] was rewritten; the file's own is in obs['{target}_original']")
        result[target] = values
    return result, notes


def _read_perturbation(obs: pd.DataFrame, keys: LabelKeys, new: dict[str, pd.Series]) -> list[str]:
    column = find_perturbation_column(obs, keys.perturbation)
    if column is None:
        return ["no column of perturbations: every cell is taken as control"]
    default = keys.default_mode or "knockout"
    labels = conditions_of(obs, perturbation_key=column, mode_key=keys.mode, control=keys.control, default_mode=default)
    written = {label: condition_columns(parse_label(label)) for label in labels.unique()}
    new["perturbation"] = labels.map({label: pair[0] for label, pair in written.items()})
    new["perturbation_mode"] = labels.map({label: pair[1] for label, pair in written.items()})
    notes = [f"perturbations from obs[{column!r}]: {len(written) - ('control' in written)} conditions beside control"]
    if "control" not in written:
        notes.append(f"no control cells in obs[{column!r}]")
    has_mode = keys.mode is not None or any(name in obs.columns for name in MODE_COLUMNS)
    if not has_mode and keys.default_mode is None and set(written) != {"control"}:
        notes.append(f"no column of modes: perturbations are read as {default}; perturbation_mode= says otherwise")
    return notes


def _read_column(
    obs: pd.DataFrame,
    target: str,
    key: str | None,
    usual: tuple[str, ...],
    reader: Callable[[pd.Series], pd.Series],
    new: dict[str, pd.Series],
    notes: list[str],
) -> None:
    """Read one column into ``new``, strictly if it was named and leniently if it was recognised."""
    column = key or next((name for name in usual if name in obs.columns), None)
    if column is None:
        return
    try:
        new[target] = reader(obs[column])
    except DataError as error:
        if key is not None:
            raise
        notes.append(f"obs[{column!r}] is not used as {target}: {error}")
        return
    if column != target:
        notes.append(f"{target} from obs[{column!r}]")


def read_time(values: pd.Series) -> pd.Series:
    """Read a time for every cell: numbers, or words with one number such as ``"3h"``, ``"day 2"`` and ``"E8.5"``.

    Raises
    ------
    DataError
        When a cell has no time; shows the first value that could not be read.
    """
    words = _as_text(values, missing="")
    read = {}
    for word in words.unique():
        match = _NUMBER.fullmatch(word)
        try:
            read[word] = float(word)
        except ValueError:
            read[word] = float(match.group(1)) if match else float("nan")
    times = words.map(read).astype("float64")
    bad = times.isna() | times.abs().eq(float("inf"))
    if bad.any():
        raise DataError(
            f"cannot read column {values.name!r} as time: found {int(bad.sum())} of {len(times)} cells "
            f"without a number, the first is {words[bad].iloc[0]!r}; "
            "accepted are numbers, also with a unit ('3h', 'day 2')"
        )
    return times


def read_split(values: pd.Series) -> pd.Series:
    """Read a fixed split; validation cells count as training cells.

    Raises
    ------
    DataError
        When a value is neither train nor test.
    """
    words = _as_text(values, missing="nothing").str.casefold()
    unknown = [word for word in words.unique() if word not in _SPLIT_WORDS]
    if unknown:
        raise DataError(
            f"cannot read column {values.name!r} as split: found {', '.join(map(repr, unknown[:5]))}; "
            "accepted are 'train', 'validation' and 'test'"
        )
    return words.map(_SPLIT_WORDS).astype(object)


def _read_text(values: pd.Series) -> pd.Series:
    """Read labels as strings; a missing one is ``"unknown"``."""
    return _as_text(values, missing="unknown")


def _as_text(values: pd.Series, *, missing: str) -> pd.Series:
    text = values.astype(object).where(values.notna(), missing)
    return text.astype(str).astype(object).str.strip()


def _same(old: pd.Series, new: pd.Series) -> bool:
    return bool((old.astype(object).to_numpy() == new.to_numpy()).all())
