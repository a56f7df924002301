"""Protocol ``held-out``: predicted effect against observed effect, on cells and conditions the model never saw.

Truth is the mean effect in test cells against test controls; predictions come from training cells alone. A feature that
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

from waddington.errors import UnsupportedError
from waddington.twin._moved import names_moved_from
from waddington.twin.data.conditions import parse_label
from waddington.twin.data.splits import Split
from waddington.twin.evaluate.metrics import effect_metrics
from waddington.twin.respond.base import Effect, ResponseModel, Values, mean_effect

__all__ = [
    "Pairs",
    "Truth",
    "average",
    "edited_features",
    "observe",
    "replicate_scores",
    "score",
    "score_effect",
]

__getattr__ = names_moved_from(__name__)

Names = Mapping[str, npt.NDArray[np.str_]]
"""Feature names by modality."""

Pairs = frozenset[tuple[str, str]]
"""Conditions and modalities."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What the test cells show, and which features count."""

    effects: dict[str, Effect]
    """Observed effect, by label and modality."""
    scored: dict[str, dict[str, npt.NDArray[np.bool_]]]
    """Features that are scored, by label and modality: all but those the condition edits itself."""
    split_of: dict[str, str]
    """Way in which each label is held out."""


def observe(values: Values, names: Names, split: Split) -> Truth:
    """Measure the effect of every scored label on test cells, against test controls."""
    control = split.cells(split.control, train=False)
    return Truth(
        effects={label: mean_effect(values, split.cells(label, train=False), control) for label in split.split_of},
        scored={
            label: {modality: ~np.isin(names[modality], edited_features(label, split)) for modality in values}
            for label in split.split_of
        },
        split_of=dict(split.split_of),
    )


def edited_features(label: str, split: Split) -> list[str]:
    """Name the genes that a condition edits itself."""
    return [perturbation.gene for perturbation in parse_label(label)] if split.kind == "perturbation" else []


def score_effect(truth: Truth, label: str, predicted: Effect) -> list[dict[str, object]]:
    """Score one predicted effect: a row for each modality and metric."""
    rows: list[dict[str, object]] = []
    for modality, observed in truth.effects[label].items():
        keep = truth.scored[label][modality]
        for metric, value in effect_metrics(predicted[modality][keep], observed[keep]).items():
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


def score(truth: Truth, model: ResponseModel) -> pd.DataFrame:
    """Score a model on every label that it does not refuse.

    Returns
    -------
    DataFrame
        Columns condition, split, modality, metric, value.
    """
    rows: list[dict[str, object]] = []
    for label in truth.effects:
        try:
            predicted = model.predict(label)
        except UnsupportedError:
            continue
        rows += score_effect(truth, label, predicted)
    return pd.DataFrame(rows, columns=["condition", "split", "modality", "metric", "value"])


def replicate_scores(values: Values, names: Names, split: Split, *, repeats: int = 5, seed: int = 0) -> pd.DataFrame:
    """Score one random half of the test cells as a prediction of the other, each half with its own controls.

    Only labels with at least 10 test cells are used; each has one row a metric, the mean over `repeats`. The halves
    have half the depth of the truth, so the row understates what a full replicate would reach.
    """
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for _ in range(repeats):
        first_control, second_control = _halves(split.cells(split.control, train=False), rng)
        for label, way in split.split_of.items():
            cells = split.cells(label, train=False)
            if len(cells) < 10:
                continue
            first, second = _halves(cells, rng)
            truth = Truth(
                effects={label: mean_effect(values, second, second_control)},
                scored={label: {m: ~np.isin(names[m], edited_features(label, split)) for m in values}},
                split_of={label: way},
            )
            rows += score_effect(truth, label, mean_effect(values, first, first_control))
    keys = ["condition", "split", "modality", "metric"]
    scores = pd.DataFrame(rows, columns=[*keys, "value"])
    return scores.groupby(keys, sort=False)["value"].mean().reset_index()


def _halves(cells: npt.NDArray[np.intp], rng: np.random.Generator) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    shuffled = rng.permutation(cells)
    return shuffled[: len(cells) // 2], shuffled[len(cells) // 2 :]


def average(scores: pd.DataFrame, measurable: Pairs | None = None) -> pd.DataFrame:
    """Average over conditions: one value for each split, modality and metric.

    Parameters
    ----------
    scores
        Columns condition, split, modality, metric, value.
    measurable
        Pairs of condition and modality that can be measured; they are averaged once more on their own.

    Returns
    -------
    DataFrame
        Columns conditions (``"all"`` or ``"measurable"``), split, modality, metric, value, and n: how many conditions
        the value is a mean of. Undefined values are left out and not counted.
    """
    kinds = {"all": scores}
    if measurable is not None:
        pairs = zip(scores["condition"], scores["modality"], strict=True)
        kinds["measurable"] = scores[np.fromiter((pair in measurable for pair in pairs), bool, len(scores))]
    keys = ["split", "modality", "metric"]
    tables = [
        part.groupby(keys, sort=True)["value"].agg(value="mean", n="count").reset_index().assign(conditions=kind)
        for kind, part in kinds.items()
    ]
    return pd.concat(tables, ignore_index=True)
