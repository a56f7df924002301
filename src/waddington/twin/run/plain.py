"""Cells written to a file whatever they hold: what no file can hold is kept as text or left out, and that is said."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import mudata as md
import pandas as pd
from anndata.io import write_elem

from waddington._text import counted
from waddington.errors import OutputError
from waddington.twin._keys import note
from waddington.twin.data import io

__all__ = ["plainest", "write_cells"]


def write_cells(cells: md.MuData, path: Path) -> list[str]:
    """Write cells, which are not changed; say what had to be kept in another form, or left out.

    Raises
    ------
    OutputError
        When the place cannot be written.
    """
    try:
        io.write(cells, path)
    except OutputError:
        raise
    except Exception:  # noqa: BLE001  whatever a writer says of a column or an entry that it does not know
        plain, said = plainest(cells.copy())
        io.write(plain, path)
        return said
    return []


def plainest(cells: md.MuData) -> tuple[md.MuData, list[str]]:
    """Give cells that any file can hold: columns that none can hold as text, other entries left out.

    Returns
    -------
    cells : mudata.MuData
        The same object.
    said : list[str]
        What was changed, by name; it is noted in the cells, too.
    """
    said: list[str] = []
    for holder in (cells, *cells.mod.values()):
        for where in ("obs", "var"):
            table, changes = _plain_table(getattr(holder, where))
            setattr(holder, where, table)
            said += changes
        for where in ("uns", "obsm", "varm", "obsp", "varp"):
            entries = getattr(holder, where)
            gone = [key for key in entries if not _fits(entries[key])]
            for key in gone:
                del entries[key]
            if gone:
                number = counted(len(gone), "entry", "entries")
                said.append(f"{where} is kept without {number} that no file can hold: {', '.join(map(repr, gone))}")
    said = list(dict.fromkeys(said))
    note(cells, *said)
    return cells, said


def _plain_table(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Give a table of columns that a file can hold, named by texts, each once; and what was changed."""
    said: list[str] = []
    columns: dict[str, Any] = {}
    for place, given in enumerate(table.columns):
        values = table.iloc[:, place]
        name = str(given)
        while name in columns:
            name = f"{name}_again"
        if name != given:
            said.append(f"column {given!r} is kept as {name!r}")
        columns[name] = values.array
        if not _fits(pd.DataFrame({name: values.array})):
            texts = [
                None if is_missing else str(value) for value, is_missing in zip(values, values.isna(), strict=True)
            ]
            columns[name] = pd.Categorical(texts, categories=sorted({text for text in texts if text is not None}))
            if not all(isinstance(value, str) for value in values.dropna()):  # text beside what is missing stays itself
                said.append(f"column {name!r} is kept as text")
    index = table.index
    if index.name is not None and not (isinstance(index.name, str) and index.name not in columns):
        said.append(f"the index is kept without its name {index.name!r}")
        index = index.rename(None)
    return pd.DataFrame(columns, index=index), said


def _fits(value: Any) -> bool:
    """Say whether a file can hold a value: it is written to one in memory."""
    with h5py.File(BytesIO(), "w") as file:
        try:
            write_elem(file, "value", value)
        except Exception:  # noqa: BLE001  whatever a writer says of what it does not know
            return False
    return True
