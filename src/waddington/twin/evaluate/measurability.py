"""Which conditions of a data set can be measured at all: the rule of :mod:`~waddington.twin.evaluate.measurable`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington.twin.data.splits import Split
from waddington.twin.evaluate.heldout import edited_features
from waddington.twin.evaluate.measurable import chance_explains, measure_agreement

__all__ = ["CIRCULAR", "measure_conditions"]

CIRCULAR = "stages of an order of the same cells agree by construction"
"""Reason why no stage of pseudotime is measurable."""


def measure_conditions(
    values: npt.NDArray[np.float32],
    names: npt.NDArray[np.str_],
    split: Split,
    *,
    seed: int = 0,
    callback: Callable[[float], None] = lambda _: None,
) -> pd.DataFrame:
    """Say of every scored condition whether its change can be measured in one modality.

    The rule is that of :mod:`waddington.twin.evaluate.measurable`, on all cells of a condition, those of training
    included. Stages of pseudotime are never measurable: cells were sorted by what is measured, so halves agree in noise
    as well.

    Parameters
    ----------
    values
        Normalized profiles of one modality, (cells, features).
    names
        Names of the features.
    split
        Labels; features that a condition edits itself are left out.
    seed
        Of halves and relabellings.
    callback
        Called with the fraction that is done.

    Returns
    -------
    DataFrame
        Columns condition, split, n_cells, n_controls, half_r, reliability, bound, measurable, reason (empty where it is
        measurable).
    """
    rng = np.random.default_rng(seed)
    control = values[split.labels == split.control]
    rows: list[dict[str, object]] = []
    for done, (label, way) in enumerate(split.split_of.items()):
        cells = split.labels == label
        keep = ~np.isin(names, edited_features(label, split))
        found = measure_agreement(values[cells][:, keep], control[:, keep], rng=rng)
        rows.append(
            {
                "condition": label,
                "split": way,
                "n_cells": int(cells.sum()),
                "n_controls": len(control),
                "half_r": found.half_r,
                "reliability": found.reliability,
                "bound": found.bound,
                "measurable": found.agrees,
                "reason": found.reason,
            }
        )
        callback(0.8 * (done + 1) / len(split.split_of))
    table = pd.DataFrame(rows)
    if split.kind == "pseudotime":
        return table.assign(measurable=False, reason=CIRCULAR)
    if table["measurable"].any():
        groups, inside = _groups(split)
        unedited = ~np.isin(names, [gene for label in split.split_of for gene in edited_features(label, split)])
        if chance_explains(values[inside][:, unedited], groups[inside], rng=rng):
            table.loc[table["measurable"], "reason"] = "no more than chance finds in such a table"
            table["measurable"] = False
    return table


def _groups(split: Split) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Number the scored conditions from 1, the control 0; say which cells belong to any."""
    known = {split.control: 0, **{label: 1 + i for i, label in enumerate(split.split_of)}}
    labels, where = np.unique(split.labels, return_inverse=True)
    groups = np.array([known.get(str(label), -1) for label in labels], dtype=np.intp)[where]
    return groups, groups >= 0
