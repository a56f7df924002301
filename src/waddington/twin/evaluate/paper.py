"""Protocol ``paper``: the published evaluation, scored as its code does and against what was asked for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington.twin.evaluate.metrics import CLASSIFICATION, REGRESSION, effect_metrics

__all__ = ["AGAINST_TARGET", "PUBLISHED", "is_published", "paper_split", "score_paper"]

Float = npt.NDArray[np.float32]

PUBLISHED, AGAINST_TARGET = "as published", "against the target"
"""The two ways in which final states are scored."""


def paper_split(table: str, scoring: str) -> str:
    """Name the split of one table of the paper under one way of scoring."""
    return f"{table}, {scoring}"


def is_published(split: str) -> bool:
    """Say whether a split is scored as the paper's code does."""
    return split.rpartition(", ")[2] == PUBLISHED


def score_paper(
    initial: Float, final: Float, target: Float, *, slices: Mapping[str, slice], table: str
) -> pd.DataFrame:
    """Score final states twice: as the published code does, and against the target that was asked for.

    Published: a feature's label is whether the target lies above the original, its call whether the final state does,
    AUPRC ranks by the hard call, and MSE to Pearson r compare the final state with the **original** one, so that an
    agent that does not move scores best. Against the target: the same labels, continuous ranking, and the final state
    compared with the target.

    Parameters
    ----------
    initial, final, target
        States of the episodes, (episodes, features).
    slices
        Features of each modality, and ``all``.
    table
        Which table of the paper this is; begins the name of the split.

    Returns
    -------
    DataFrame
        Columns condition (the episode), split, modality, metric, value.
    """
    rows: list[dict[str, object]] = []
    for episode, (start, end, goal) in enumerate(zip(initial, final, target, strict=True)):
        for modality, part in slices.items():
            moved, asked = end[part] - start[part], goal[part] - start[part]
            by_split = {
                paper_split(table, PUBLISHED): _pick(effect_metrics(moved, asked, score=moved > 0), CLASSIFICATION)
                | _pick(effect_metrics(end[part], start[part]), REGRESSION),
                paper_split(table, AGAINST_TARGET): _pick(effect_metrics(moved, asked), CLASSIFICATION)
                | _pick(effect_metrics(end[part], goal[part]), REGRESSION),
            }
            for split, values in by_split.items():
                for metric, value in values.items():
                    rows.append(
                        {
                            "condition": str(episode),
                            "split": split,
                            "modality": modality,
                            "metric": metric,
                            "value": value,
                        }
                    )
    return pd.DataFrame(rows, columns=["condition", "split", "modality", "metric", "value"])


def _pick(values: dict[str, float], names: tuple[str, ...]) -> dict[str, float]:
    return {name: values[name] for name in names}
