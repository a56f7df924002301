"""Jobs that ask of one modality which conditions can be measured; scores depend on the answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from waddington.jobs import Context
from waddington.twin.evaluate.heldout import Pairs
from waddington.twin.evaluate.measurability import measure_conditions
from waddington.twin.run.artifacts import finite
from waddington.twin.run.jobs import TwinJob, read_inputs

__all__ = ["COLUMNS", "ReplicateJob", "measurable_pairs"]

COLUMNS = (
    "modality", "condition", "split", "measurable", "reason", "half_r", "reliability", "bound", "n_cells", "n_controls",
)  # fmt: skip
"""Columns of ``measurability.csv``."""


@dataclass(frozen=True, kw_only=True)
class ReplicateJob(TwinJob):
    """Measures the agreement of replicates on every condition, in the modality that is its variant."""

    kind: ClassVar[str] = "replicates"

    def run(self, context: Context) -> dict[str, Any]:
        """Measure; ``conditions`` holds the rows of ``measurability.csv``."""
        prepared, config = read_inputs(context)
        table = measure_conditions(
            prepared.inputs[self.variant],
            prepared.names[self.variant],
            prepared.design,
            seed=config.seed,
            callback=context.progress,
        )
        rows = [
            {name: finite(cell) if isinstance(cell, float) else cell for name, cell in row.items()}
            for row in table.assign(modality=self.variant)[list(COLUMNS)].to_dict("records")
        ]
        return {"objective": None, "scores": [], "history": {}, "conditions": rows}


def measurable_pairs(context: Context, replicates: Iterable[ReplicateJob]) -> Pairs:
    """Give the pairs of condition and modality that can be measured, by what replicates showed."""
    return frozenset(
        (row["condition"], row["modality"])
        for job in replicates
        for row in context.result(job)["conditions"]
        if row["measurable"]
    )
