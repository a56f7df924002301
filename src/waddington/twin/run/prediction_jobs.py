"""Judges response models of the features on the run's own split: what can be predicted, and how surely."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from waddington._files import write_text
from waddington.jobs import Context
from waddington.twin.evaluate.protocol import Evaluation, Screen, evaluate_screen, read_tables, write_tables
from waddington.twin.run.data import RunData
from waddington.twin.run.jobs import TwinJob, read_inputs

__all__ = ["PredictionJob", "read_evaluation", "screen_of_run"]

_ABOUT = "evaluation.json"
_REPEATS, _NULL_REPEATS = 10, 5


@dataclass(frozen=True, kw_only=True)
class PredictionJob(TwinJob):
    """Judges every response model that needs no representation on test cells; its tables lie in the job's folder."""

    kind: ClassVar[str] = "prediction"
    version: ClassVar[int] = 2

    def run(self, context: Context) -> dict[str, Any]:
        """Judge; there is nothing to tune, and the tables are read by :func:`read_evaluation`."""
        prepared, config = read_inputs(context)
        found = evaluate_screen(
            screen_of_run(prepared),
            repeats=_REPEATS,
            null_repeats=_NULL_REPEATS,
            seed=config.seed,
            callback=lambda done, _: context.progress(done),
        )
        write_tables(found, context.folder)
        write_text(context.folder / _ABOUT, json.dumps({"settings": found.settings, "notes": found.notes}))
        return {"objective": None, "scores": [], "history": {}}


def screen_of_run(prepared: RunData) -> Screen:
    """Give a run's cells as the evaluator takes them; its test cells stay test cells."""
    design = prepared.design
    return Screen(
        values=prepared.inputs,
        names=prepared.names,
        labels=design.labels,
        control=design.control,
        kind=design.kind,
        order=tuple(label for label in design.label_order if label != design.control),
        train=design.train,
    )


def read_evaluation(folder: Path) -> Evaluation:
    """Read what a :class:`PredictionJob` left in its folder."""
    about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    return Evaluation(**read_tables(folder), notes=tuple(about["notes"]), settings=about["settings"])
