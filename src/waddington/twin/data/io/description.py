"""What a data set holds, as a record that a table or a page can be made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd

from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.data.conditions import conditions_of
from waddington.twin.data.modalities import COUNTS_LAYER, TITLES, VALUES_LAYER, in_order

__all__ = ["Description", "ModalityDescription", "describe"]

_LABELS: Final = ("time", "split", "batch", "cell_type")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModalityDescription:
    """One modality in numbers.

    Attributes
    ----------
    modality
        Which one.
    n_cells, n_features
        Size.
    density
        Share of entries that are not zero, from 0 to 1.
    as_given
        Whether values are taken as they are; else they are counts.
    median_counts
        Median over cells of the sum of counts; NaN for values as given.
    median_features
        Median over cells of the number of features that are not zero.
    n_empty_cells
        Cells that are zero everywhere.
    layers
        Names of the layers.
    examples
        The first few feature names.
    """

    modality: str
    n_cells: int
    n_features: int
    density: float
    as_given: bool
    median_counts: float
    median_features: float
    n_empty_cells: int
    layers: tuple[str, ...]
    examples: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """What a data set holds.

    Attributes
    ----------
    n_cells
        Number of cells, the same in all modalities.
    modalities
        One record each, in their fixed order.
    conditions
        Columns ``condition`` and ``cells``: control first, then by falling number of cells.
    labels
        For each of ``time``, ``split``, ``batch`` and ``cell_type`` that is known, the number of cells by value.
    columns
        Every column of ``obs``.
    notes
        What reading decided, in sentences.
    """

    n_cells: int
    modalities: tuple[ModalityDescription, ...]
    conditions: pd.DataFrame
    labels: dict[str, dict[str, int]]
    columns: tuple[str, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        lines = [counted(self.n_cells, "cell")]
        lines += [
            f"{TITLES[one.modality]}: {counted(one.n_features, 'feature')}, {one.density:.1%} not zero, "
            + (
                "values as given"
                if one.as_given
                else f"median {one.median_counts:,.0f} counts on {one.median_features:,.0f} features per cell"
            )
            for one in self.modalities
        ]
        lines.append(f"conditions: {_listed(dict(self.conditions.itertuples(index=False)))}")
        lines += [f"{name}: {_listed(counts)}" for name, counts in self.labels.items()]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def describe(mdata: md.MuData) -> Description:
    """Describe a data set.

    Parameters
    ----------
    mdata
        As :func:`waddington.twin.data.io.read` gives it.

    Raises
    ------
    DataError
        When no modality is known, or one has no counts.

    Examples
    --------
    >>> print(describe(read("cells.h5mu")))  # doctest: +SKIP
    """
    present = in_order(mdata.mod)
    if not present:
        raise DataError(f"cannot describe modalities {', '.join(mdata.mod) or 'none'}: accepted is what io.read gives")
    labels = {name: _count_values(mdata.obs[name]) for name in _LABELS if name in mdata.obs.columns}
    said = mdata.uns.get("waddington", {}).get("notes", ())
    return Description(
        n_cells=int(mdata.n_obs),
        modalities=tuple(_describe_modality(mdata.mod[modality], modality) for modality in present),
        conditions=_count_conditions(mdata),
        labels=labels,
        columns=tuple(map(str, mdata.obs.columns)),
        notes=tuple(map(str, said)),
    )


def _describe_modality(adata: ad.AnnData, modality: str, n_examples: int = 3) -> ModalityDescription:
    as_given = VALUES_LAYER in adata.layers
    if not as_given and COUNTS_LAYER not in adata.layers:
        raise DataError(
            f"cannot describe {modality}: layers found: {', '.join(adata.layers) or 'none'}; "
            "accepted is what io.read gives"
        )
    matrix = adata.layers[VALUES_LAYER if as_given else COUNTS_LAYER]
    totals = np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()
    detected = np.asarray((matrix != 0).sum(axis=1)).ravel()
    return ModalityDescription(
        modality=modality,
        n_cells=int(adata.n_obs),
        n_features=int(adata.n_vars),
        density=float(detected.sum() / (adata.n_obs * adata.n_vars)),
        as_given=as_given,
        median_counts=float("nan") if as_given else float(np.median(totals)),
        median_features=float(np.median(detected)),
        n_empty_cells=int((detected == 0).sum()),
        layers=tuple(adata.layers),
        examples=tuple(map(str, adata.var_names[:n_examples])),
    )


def _count_conditions(mdata: md.MuData) -> pd.DataFrame:
    counts = conditions_of(mdata).value_counts()
    order = sorted(counts.index, key=lambda label: (label != "control", -int(counts[label]), label))
    return pd.DataFrame({"condition": order, "cells": [int(counts[label]) for label in order]})


def _count_values(values: pd.Series) -> dict[str, int]:
    """Count cells by value: times in their order, words by falling number."""
    counts = values.astype(object).value_counts(sort=True)
    if values.dtype.kind in "if":
        return {f"{value:g}": int(number) for value, number in counts.sort_index().items()}
    return {str(value): int(number) for value, number in counts.items() if number}


def _listed(counts: dict[str, int], n_shown: int = 8) -> str:
    shown = [f"{name} ({number:,})" for name, number in list(counts.items())[:n_shown]]
    more = len(counts) - n_shown
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
