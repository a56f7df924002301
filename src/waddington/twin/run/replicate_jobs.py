"""Units that ask of one modality which conditions can be measured, and where scores find the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from waddington.twin.evaluate.heldout import Pairs, measure_conditions
from waddington.twin.run.artifacts import finite, shared
from waddington.twin.run.executor import Record, Unit

__all__ = ["COLUMNS", "FILE", "measurable_pairs", "measure"]

FILE = "measurable.json"
"""Name, in a run's ``work`` folder, of the table that all units read."""

COLUMNS = (
    "modality", "condition", "split", "measurable", "reason", "half_r", "reliability", "bound", "n_cells", "n_controls",
)  # fmt: skip
"""Columns of ``measurability.csv``."""


def measure(unit: Unit, folder: Path, tell: Callable[[float], None]) -> Record:
    """Measure the agreement of replicates on every condition, in the modality that is the unit's variant."""
    prepared, config = shared(folder.parent)
    table = measure_conditions(
        prepared.inputs[unit.variant], prepared.names[unit.variant], prepared.design, seed=config.seed, callback=tell
    )
    rows = [
        {name: finite(cell) if isinstance(cell, float) else cell for name, cell in row.items()}
        for row in table.assign(modality=unit.variant)[list(COLUMNS)].to_dict("records")
    ]
    return {"objective": None, "scores": [], "history": {}, "conditions": rows}


def measurable_pairs(work: Path) -> Pairs:
    """Read which pairs of condition and modality can be measured."""
    rows = pd.DataFrame(json.loads((work / FILE).read_text(encoding="utf-8")), columns=list(COLUMNS))
    kept = rows[rows["measurable"].astype(bool)]
    return frozenset(zip(kept["condition"], kept["modality"], strict=True))
