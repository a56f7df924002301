"""Protocol ``held-out``: predicted change against observed change, on cells and conditions the model never saw.

Truth is the mean change of test cells against test controls; predictions come from training cells alone. A feature that
the condition edits itself is left out (its own knock-down would dominate), and a replicate row tells what a repeat of
the experiment would score: the effect on one random half of the test cells, with its own controls, predicted by the
other half.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington._errors import UnsupportedError
from waddington.twin.baselines import Change, Predictor, Values, mean_change
from waddington.twin.conditions import parse_label
from waddington.twin.design import Design
from waddington.twin.metrics import change_metrics

__all__ = ["Truth", "average", "observe", "replicate_scores", "score", "score_change"]

Names = Mapping[str, npt.NDArray[np.str_]]
"""Feature names by modality."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What the test cells show, and which features count."""

    changes: dict[str, Change]
    """Observed change, by label and modality."""
    scored: dict[str, dict[str, npt.NDArray[np.bool_]]]
    """Features that are scored, by label and modality: all but those the condition edits itself."""
    split_of: dict[str, str]
    """Way in which each label is held out."""


def observe(values: Values, names: Names, design: Design) -> Truth:
    """Measure the change of every scored label on test cells, against test controls."""
    control = design.cells(design.control, train=False)
    return Truth(
        changes={label: mean_change(values, design.cells(label, train=False), control) for label in design.split_of},
        scored={
            label: {modality: ~np.isin(names[modality], _edited(label, design)) for modality in values}
            for label in design.split_of
        },
        split_of=dict(design.split_of),
    )


def _edited(label: str, design: Design) -> list[str]:
    """Name the genes that a condition edits itself."""
    return [edit.gene for edit in parse_label(label)] if design.kind == "perturbation" else []


def score_change(truth: Truth, label: str, predicted: Change) -> list[dict[str, object]]:
    """Score one predicted change: a row for each modality and metric."""
    rows: list[dict[str, object]] = []
    for modality, observed in truth.changes[label].items():
        keep = truth.scored[label][modality]
        for metric, value in change_metrics(predicted[modality][keep], observed[keep]).items():
            rows.append(
                {
                    "condition": label,
                    "split": truth.split_of[label],
                    "modality": modality,
                    "metric": metric,
                    "value": value,
                }
            )
    return rows


def score(truth: Truth, predictor: Predictor) -> pd.DataFrame:
    """Score a predictor on every label that it does not refuse.

    Returns
    -------
    DataFrame
        Columns condition, split, modality, metric, value.
    """
    rows: list[dict[str, object]] = []
    for label in truth.changes:
        try:
            predicted = predictor.predict(label)
        except UnsupportedError:
            continue
        rows += score_change(truth, label, predicted)
    return pd.DataFrame(rows, columns=["condition", "split", "modality", "metric", "value"])


def replicate_scores(values: Values, names: Names, design: Design, *, repeats: int = 5, seed: int = 0) -> pd.DataFrame:
    """Score one random half of the test cells as a prediction of the other, each half with its own controls.

    Only labels with at least 10 test cells are used. The halves have half the depth of the truth, so the row
    understates what a full replicate would reach.
    """
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for _ in range(repeats):
        first_control, second_control = _halves(design.cells(design.control, train=False), rng)
        for label, split in design.split_of.items():
            cells = design.cells(label, train=False)
            if len(cells) < 10:
                continue
            first, second = _halves(cells, rng)
            truth = Truth(
                changes={label: mean_change(values, second, second_control)},
                scored={label: {m: ~np.isin(names[m], _edited(label, design)) for m in values}},
                split_of={label: split},
            )
            rows += score_change(truth, label, mean_change(values, first, first_control))
    return pd.DataFrame(rows, columns=["condition", "split", "modality", "metric", "value"])


def _halves(cells: npt.NDArray[np.intp], rng: np.random.Generator) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    shuffled = rng.permutation(cells)
    return shuffled[: len(cells) // 2], shuffled[len(cells) // 2 :]


def average(scores: pd.DataFrame) -> pd.DataFrame:
    """Average over conditions: one value for each split, modality and metric (undefined values are left out)."""
    return scores.groupby(["split", "modality", "metric"], sort=True)["value"].mean().reset_index()
