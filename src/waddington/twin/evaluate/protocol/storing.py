"""Tables of an evaluation as files, which read back to the last digit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from waddington._files import write_text

if TYPE_CHECKING:
    from waddington.twin.evaluate.protocol.evaluation import Evaluation

__all__ = ["TABLES", "read_tables", "write_tables"]

TABLES: Mapping[str, str] = {
    "scores": "one row a condition, split, model, modality and metric",
    "summary": "averages over conditions with intervals, and differences to a reference",
    "genes": "how well each feature is predicted over conditions",
    "conditions": "which conditions can be measured, and why others cannot",
    "coverage": "what share of features lies inside the models' intervals",
    "null": "the same evaluation on permuted labels",
}
"""Tables of an evaluation, each a CSV file of that name."""

_TEXT: Final = (
    "perturbation", "group", "split", "model", "modality", "metric", "support", "conditions", "reference", "gene",
    "reason", "interval", "features",
)  # fmt: skip
"""Columns that hold text; an empty one is a text, too."""


def write_tables(found: Evaluation, folder: str | os.PathLike[str]) -> None:
    """Write each table of an evaluation to a CSV file, replaced whole."""
    for name in TABLES:
        table: pd.DataFrame = getattr(found, name)
        write_text(Path(folder) / f"{name}.csv", table.to_csv(index=False))


def read_tables(folder: str | os.PathLike[str]) -> dict[str, pd.DataFrame]:
    """Read what :func:`write_tables` wrote, by name."""
    found = {}
    for name in TABLES:
        path = Path(folder) / f"{name}.csv"
        columns = pd.read_csv(path, nrows=0).columns
        numbers = {column: [""] for column in columns if column not in _TEXT}
        found[name] = pd.read_csv(
            path, dtype=dict.fromkeys(_TEXT, str), keep_default_na=False, na_values=numbers,
            float_precision="round_trip",
        )  # fmt: skip
    return found
