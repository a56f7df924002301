"""The columns of ``obs`` that the twin understands, recognised under the names that files use.

Written are ``perturbation`` and ``perturbation_mode`` (canonical), ``time`` (float, in one unit), ``batch``,
``cell_type`` and ``split`` (``"train"`` or ``"test"``), each only where the file knows it. A column that the caller
names must exist and be readable; one recognised by its name is left alone, with a note, when it cannot be read as such.
Perturbations without a control are refused, named or not: nothing can be measured against them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from itertools import count as count_from
from typing import Final

import pandas as pd

from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.data.io.perturbations import LabelKeys, keep_dosed, keep_labelled, read_perturbations
from waddington.twin.data.io.times import parse_times
from waddington.twin.data.io.validation import check_columns

__all__ = ["StandardColumns", "free_name", "read_split", "standard_columns"]

_TIME: Final = (
    *("time", "timepoint", "time_point", "treatment_time", "time_info", "hour", "hours", "day", "days"),
    *("time_h", "time_hours", "time_days", "hpf", "dpf", "hpi", "dpi"),
)
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


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StandardColumns:
    """A table of cells that has the twin's columns.

    Attributes
    ----------
    obs
        A copy with the columns added and without the cells that bear no label; a file's own column that is rewritten is
        kept as ``NAME_original``, or as ``NAME_original_2`` and so on where the file has such a column already.
    notes
        What was recognised, what was left out, and what could not be read.
    unused
        Of the notes those on columns that bear a usual name and could not be read.
    time_unit
        Unit of ``obs["time"]``; empty where nothing says it.
    dose_unit
        Unit of the doses in labels; empty where nothing says it.
    """

    obs: pd.DataFrame
    notes: tuple[str, ...]
    unused: tuple[str, ...] = ()
    time_unit: str = ""
    dose_unit: str = ""


def standard_columns(
    obs: pd.DataFrame,
    keys: LabelKeys,
    *,
    source: str,
    genes: Iterable[str] = (),
    time_unit: str = "",
    dose_unit: str = "",
) -> StandardColumns:
    """Add the twin's columns to a table of cells.

    Parameters
    ----------
    obs
        Cells x columns as the file holds them.
    keys
        Columns to use where the usual names do not hold.
    source
        The file's name, for messages.
    genes
        Names of the measured genes; a ``"+"`` may join them in a label.
    time_unit
        Unit of bare numbers in a column named ``time``, as an earlier reading found it.
    dose_unit
        Unit of doses that labels bear, as an earlier reading found it.

    Raises
    ------
    DataError
        When a named column does not exist or cannot be read as what it is named for, or when a column of perturbations
        has no control.
    """
    named = (keys.perturbation, keys.mode, keys.dose, keys.time, keys.split, keys.batch, keys.cell_type)
    check_columns([key for key in named if key is not None], obs, source=source)
    obs, notes = keep_labelled(obs, keys)
    dosed = keep_dosed(obs, keys)
    obs = dosed.obs
    new, said = read_perturbations(obs, keys, genes=genes, doses=dosed.values)
    notes += [*said, *dosed.notes]
    units: list[str] = []
    unused: list[str] = [*dosed.unused]

    def read_time(values: pd.Series) -> pd.Series:
        times = parse_times(values)
        units.append(times.unit or (time_unit if values.name == "time" else ""))
        notes.extend(times.notes)
        return times.values

    for target, key, usual, reader in (
        ("time", keys.time, _TIME, read_time),
        ("split", keys.split, _SPLIT, read_split),
        ("batch", keys.batch, _BATCH, _read_text),
        ("cell_type", keys.cell_type, _CELL_TYPE, _read_text),
    ):
        _read_column(obs, target, key, usual, reader, new, notes, unused)
    notes += unused
    if units:
        notes.append(f"time is in {units[0]}" if units[0] else "time bears no unit")
    result = obs.copy()
    for target in ("time", "split"):
        # What stands there under the twin's own name, and is no time or split, would be read as one later.
        if target in obs.columns and target not in new:
            kept = free_name(target, result)
            result = result.rename(columns={target: kept})
            notes.append(f"the file's obs[{target!r}] is kept in obs[{kept!r}]")
    for target, values in new.items():
        if target in obs.columns and not _same(obs[target], values):
            kept = free_name(target, result)
            result[kept] = obs[target]
            notes.append(f"obs[{target!r}] was rewritten; the file's own is in obs[{kept!r}]")
        result[target] = values
    return StandardColumns(
        obs=result,
        notes=tuple(notes),
        unused=tuple(unused),
        time_unit=units[0] if units else "",
        dose_unit=dosed.unit or dose_unit,
    )


def free_name(target: str, obs: pd.DataFrame) -> str:
    """Name a column for what a file had under the twin's own name; one that the file has under that name stays."""
    names = chain([f"{target}_original"], (f"{target}_original_{count}" for count in count_from(2)))
    return next(name for name in names if name not in obs.columns)


def _read_column(
    obs: pd.DataFrame,
    target: str,
    key: str | None,
    usual: tuple[str, ...],
    reader: Callable[[pd.Series], pd.Series],
    new: dict[str, pd.Series],
    notes: list[str],
    unused: list[str],
) -> None:
    """Read one column into ``new``, strictly if it was named and leniently if it was recognised."""
    column = key or next((name for name in usual if name in obs.columns), None)
    if column is None:
        return
    try:
        new[target] = reader(obs[column])
    except DataError as error:
        if key is not None or (target == "split" and _splits(obs[column])):
            raise
        unused.append(f"obs[{column!r}] is not used as {target}: {error}")
        return
    if column != target:
        notes.append(f"{target} from obs[{column!r}]")


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
        count = int(values.isna().sum())
        missing = f" ({count:,} of {counted(len(values), 'cell')} without a value)" if count else ""
        raise DataError(
            f"cannot read column {values.name!r} as split: found {', '.join(map(repr, unknown[:5]))}{missing}; "
            "accepted are 'train', 'validation' and 'test', one for each cell"
        )
    return words.map(_SPLIT_WORDS).astype(object)


def _splits(values: pd.Series) -> bool:
    """Tell whether a column keeps cells for testing, and lacks values: to pass it over would train on those cells."""
    words = set(_as_text(values.dropna(), missing="").str.casefold())
    return words <= _SPLIT_WORDS.keys() and "test" in {_SPLIT_WORDS[word] for word in words}


def _read_text(values: pd.Series) -> pd.Series:
    """Read labels as strings; a missing one is ``"unknown"``."""
    return _as_text(values, missing="unknown")


def _as_text(values: pd.Series, *, missing: str) -> pd.Series:
    text = values.astype(object).where(values.notna(), missing)
    return text.astype(str).astype(object).str.strip()


def _same(old: pd.Series, new: pd.Series) -> bool:
    return bool((old.astype(object).to_numpy() == new.to_numpy()).all())
