"""Modalities from one or several files, joined on the cells that they share into one MuData of fixed form."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd

from waddington._text import counted
from waddington.errors import DataError, UnknownNameError
from waddington.twin._keys import drop_record
from waddington.twin.data.io.counts import find_counts, find_values
from waddington.twin.data.io.files import quiet_mudata
from waddington.twin.data.io.validation import MIN_CELLS, check_names, check_size
from waddington.twin.data.modalities import COUNTS_LAYER, TITLES, VALUES_LAYER, canonical_modality, in_order

__all__ = ["Part", "build", "gene_names", "measure", "merge_obs", "named_column", "shared_cells"]

_SYMBOLS: Final = ("gene_name", "gene_names", "gene_symbol", "gene_symbols", "symbol", "feature_name", "gene")


@dataclass(frozen=True, slots=True)
class Part:
    """One modality as a file holds it, and the file's name for messages."""

    adata: ad.AnnData
    source: str


def shared_cells(parts: Mapping[str, Part]) -> tuple[pd.Index, list[str]]:
    """Find the cells that every modality has, in the order of the first.

    Returns
    -------
    cells : pandas.Index
        Barcodes.
    notes : list[str]
        How many cells each modality lost.

    Raises
    ------
    DataError
        When no cell is shared; shows a barcode of each, and whether they would match without a suffix such as ``-1``.
    """
    (_, first), *others = parts.items()
    cells = first.adata.obs_names
    for _, part in others:
        cells = cells[cells.isin(part.adata.obs_names)]
    if not len(cells):
        shown = "; ".join(
            f"{modality} of {part.source}: {counted(part.adata.n_obs, 'cell')} such as {str(part.adata.obs_names[0])!r}"
            for modality, part in parts.items()
        )
        hint = " (they would match without the suffix after '-')" if _match_without_suffix(parts) else ""
        raise DataError(
            f"cannot join modalities: found no shared cell ({shown}); "
            f"accepted are equal barcodes for the same cell{hint}"
        )
    notes = [
        f"{TITLES[modality]}: {part.adata.n_obs - len(cells)} of {counted(part.adata.n_obs, 'cell')} left out, other "
        "modalities lack them"
        for modality, part in parts.items()
        if part.adata.n_obs > len(cells)
    ]
    return cells, notes


def _match_without_suffix(parts: Mapping[str, Part]) -> bool:
    bare = [{re.sub(r"-\d+$", "", str(name)) for name in part.adata.obs_names} for part in parts.values()]
    return bool(set.intersection(*bare))


def merge_obs(tables: Mapping[str, pd.DataFrame], cells: pd.Index) -> pd.DataFrame:
    """Put the columns of several tables of the same cells into one.

    Parameters
    ----------
    tables
        By modality, in the order of precedence; the key ``""`` stands for a MuData's own ``obs``.
    cells
        Rows of the result; each table holds them all.

    Returns
    -------
    pandas.DataFrame
        A column that is equal everywhere appears once; a differing one keeps its plain name for the first table and
        becomes ``MODALITY:NAME`` for the others.
    """
    merged: dict[str, pd.Series] = {}
    for modality, table in tables.items():
        for column in table.columns:
            values = table[column] if table.index.equals(cells) else table[column].reindex(cells)
            plain = str(column).removeprefix(f"{modality}:")
            if plain not in merged:
                merged[plain] = values
            elif not _equal(merged[plain], values):
                merged.setdefault(f"{modality}:{plain}" if modality else f"global:{plain}", values)
    return pd.DataFrame(merged, index=cells)


def gene_names(features: Mapping[str, pd.DataFrame]) -> set[str]:
    """Collect the names under which genes and proteins are known: the index of ``var``, and columns of symbols."""
    names: set[str] = set()
    for modality, table in features.items():
        if modality != "atac":
            names.update(map(str, table.index))
            for column in _SYMBOLS:
                if column in table.columns:
                    names.update(table[column].astype(str))
    return names


def named_column(name: str | None, tables: Mapping[str, pd.DataFrame], merged: pd.DataFrame) -> str | None:
    """Find a column that the caller names in the merged table: ``"stim"``, or ``"MODALITY:stim"`` of one modality.

    Returns
    -------
    str or None
        Its name there; the given one where no modality has such a column.
    """
    if name is None or name in merged.columns or ":" not in name:
        return name
    modality, column = name.split(":", 1)
    if modality not in tables:
        try:
            modality = canonical_modality(modality)
        except UnknownNameError:
            return name
    if modality not in tables or column not in tables[modality].columns:
        return name
    return f"{modality}:{column}" if f"{modality}:{column}" in merged.columns else column


def _equal(one: pd.Series, other: pd.Series) -> bool:
    left, right = one.astype(object), other.astype(object)
    return bool(((left == right) | (left.isna() & right.isna())).all())


def build(
    parts: Mapping[str, Part],
    *,
    counts_layer: str | None = None,
    as_given: Collection[str] = (),
    layer: str | None = None,
    min_cells: int = MIN_CELLS,
) -> tuple[md.MuData, list[str]]:
    """Join modalities into a MuData whose modalities hold the same cells in the same order.

    Parameters
    ----------
    parts
        By canonical modality; the first gives the order of cells.
    counts_layer
        A layer that holds the counts; None looks for it.
    as_given
        Modalities whose values are taken as they are.
    layer
        The layer that holds those values; None takes ``X``.
    min_cells
        Fewest cells that are accepted, before and after joining.

    Returns
    -------
    mdata : mudata.MuData
        Each modality has counts in ``X`` and, as a copy of its own, in ``layers["counts"]`` (CSR, float32), or values
        as given in ``X`` and ``layers["values"]``; ``obs`` of modalities is empty, and the global one too: see
        :func:`merge_obs`.
    notes : list[str]
        Where counts were found and which cells were left out.

    Raises
    ------
    DataError
        On names, sizes or counts that cannot be used, or when no cell is shared.
    """
    for modality, part in parts.items():
        check_size(part.adata.n_obs, part.adata.n_vars, modality=modality, source=part.source, min_cells=min_cells)
        check_names(part.adata.obs_names, kind="barcodes", modality=modality, source=part.source)
        check_names(part.adata.var_names, kind="features", modality=modality, source=part.source)
    cells, notes = shared_cells(parts)
    if len(cells) < min_cells:
        raise DataError(
            f"cannot join modalities {', '.join(parts)}: found {counted(len(cells), 'shared cell')}; "
            f"accepted are at least {min_cells}"
        )
    counted_parts = {name: part for name, part in parts.items() if name not in as_given}
    _check_layer("counts_layer", counts_layer, counted_parts, kind="counts")
    _check_layer(
        "layer", layer, {name: part for name, part in parts.items() if name in as_given}, kind="values as given"
    )
    built: dict[str, ad.AnnData] = {}
    for modality in in_order(parts):
        built[modality], said = measure(
            parts[modality], cells, modality=modality, counts_layer=counts_layer, as_given=as_given, layer=layer
        )
        notes += said
    with quiet_mudata():
        return md.MuData(built), notes


def measure(
    part: Part,
    cells: pd.Index,
    *,
    modality: str,
    counts_layer: str | None = None,
    as_given: Collection[str] = (),
    layer: str | None = None,
) -> tuple[ad.AnnData, list[str]]:
    """Make one modality of some of a part's cells; parameters and result are those of :func:`build`."""
    order = None if cells.equals(part.adata.obs_names) else part.adata.obs_names.get_indexer(cells)
    what = counted(part.adata.n_vars, "feature")
    # A layer's name is a property of one file; a modality from elsewhere is looked through as usual.
    if modality in as_given:
        named = layer if layer in part.adata.layers else None
        values, place = find_values(part.adata, modality=modality, source=part.source, layer=named)
        notes = [f"{TITLES[modality]}: {what}, values as given from {place} of {part.source}"]
        return _rebuild(part.adata, values, VALUES_LAYER, cells, order), notes
    named = counts_layer if counts_layer in part.adata.layers else None
    counts, place = find_counts(part.adata, modality=modality, source=part.source, counts_layer=named)
    notes = [f"{TITLES[modality]}: {what}, counts from {place} of {part.source}"]
    made = _rebuild(part.adata, counts, COUNTS_LAYER, cells, order)
    n_empty = int((np.diff(made.layers[COUNTS_LAYER].indptr) == 0).sum())
    if n_empty:
        notes.append(f"{TITLES[modality]}: {counted(n_empty, 'cell')} without any counts")
    return made, notes


def _check_layer(option: str, layer: str | None, parts: Mapping[str, Part], *, kind: str) -> None:
    """Refuse a named layer that none of the modalities that it is meant for has."""
    if layer is not None and not parts:
        raise DataError(f"cannot use {option}={layer!r}: no modality is read as {kind}; accepted: leave it out")
    if layer is not None and not any(layer in part.adata.layers for part in parts.values()):
        found = sorted({name for part in parts.values() for name in part.adata.layers})
        raise DataError(
            f"cannot use {option}={layer!r}: no modality has it; layers found: {', '.join(found) or 'none'}"
        )


def _rebuild(adata: ad.AnnData, measured: Any, name: str, cells: pd.Index, order: Any) -> ad.AnnData:
    """Make a modality of its own, so that nothing that the caller holds is changed later.

    Of the two layers whose names say what was measured, only the one that was read now is in it.
    """
    view = adata if order is None else adata[order]
    chosen = measured if order is None else measured[order]
    layers = {key: view.layers[key].copy() for key in view.layers if key not in (COUNTS_LAYER, VALUES_LAYER)}
    return ad.AnnData(
        X=chosen.copy(),
        obs=pd.DataFrame(index=cells.copy()),
        var=view.var.copy(),
        # A file that was preprocessed before gets its counts back in X, so it must not say that it is normalized.
        uns=drop_record(dict(view.uns), "preprocess"),
        obsm={key: view.obsm[key].copy() for key in view.obsm},
        varm={key: view.varm[key].copy() for key in view.varm},
        layers={**layers, name: chosen},
    )
