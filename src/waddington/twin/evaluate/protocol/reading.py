"""Labelled cells of an AnnData or MuData, as the evaluator takes them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.data.conditions import CONTROL
from waddington.twin.data.setup import UNLABELLED, Cells, parts_of, read_labels
from waddington.twin.data.splits import time_labels
from waddington.twin.evaluate.protocol.screen import Screen
from waddington.twin.preprocess.cells import profiles

__all__ = ["screen_of"]


def screen_of(
    data: Cells, *, group_key: str | None = None, representation: npt.NDArray[np.float32] | None = None
) -> Screen:
    """Take labelled cells out of an object; their test cells, where ``obs["split"]`` names any, stay test cells.

    Parameters
    ----------
    data
        AnnData or MuData with normalized profiles.
    group_key
        Column of ``obs`` with donor, cell type, line or batch; cells without one are left out.
    representation
        Of all cells, (cells, dimensions), for models that use one.

    Raises
    ------
    DataError
        When cells bear neither perturbations nor times, a column or key is missing, or there are too few controls.
    """
    labels = read_labels(data)
    known = labels.condition != UNLABELLED
    without = {"a condition": int((~known).sum())}
    found = profiles(parts_of(data))
    groups = None
    if group_key is not None:
        column = _column(data, group_key)
        without[f"{group_key!r}"] = int((known & column.isna().to_numpy()).sum())
        known &= column.notna().to_numpy()
        groups = column.astype(str).to_numpy(dtype=np.str_)[known]
    train = None
    if labels.split is not None and (labels.split[known] == "test").any():
        known &= np.isin(labels.split, ("train", "test", "validation"))
        train = np.isin(labels.split[known], ("train", "validation"))
        groups = None if groups is None else _column(data, str(group_key)).astype(str).to_numpy(dtype=np.str_)[known]
    common = {
        "values": {modality: x[known] for modality, x in found.inputs.items()},
        "names": found.names,
        "dose_unit": labels.dose_unit,
        "groups": groups,
        "train": train,
        "representation": None if representation is None else representation[known],
        "notes": (
            *(f"{note}." for note in labels.unused),
            *(f"{counted(n, 'cell')} without {what} left out." for what, n in without.items() if n),
        ),
    }
    if labels.perturbed:
        return Screen(labels=labels.condition[known], control=CONTROL, **common)  # type: ignore[arg-type]
    if labels.time is None:
        why = "".join(f"; {note}" for note in labels.unused)
        have = ", ".join(map(repr, data.obs.columns)) or "none"
        raise DataError(
            f"cannot evaluate: cells bear neither perturbations nor times (columns of obs: {have}); accepted is a "
            f"column of either, named as perturbation key or time key{why}"
        )
    times, order = time_labels(labels.time[known], unit=labels.time_unit)
    return Screen(labels=times, control=order[0], kind="time", order=order[1:], **common)  # type: ignore[arg-type]


def _column(data: Cells, name: str) -> pd.Series:
    if name not in data.obs:
        have = ", ".join(map(repr, data.obs.columns)) or "none"
        raise DataError(f"cannot use group_key={name!r}: obs has no such column; columns found: {have}")
    column: pd.Series = data.obs[name]
    return column
