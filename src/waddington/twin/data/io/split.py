"""One file taken apart into the modalities that it holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import scipy.sparse as sp

from waddington._text import counted
from waddington.errors import DataError, UnknownNameError
from waddington.twin.data.modalities import (
    FEATURE_TYPES,
    canonical_modality,
    in_words,
    is_guides,
    modality_of_feature_type,
)

__all__ = ["PROTEIN_OBSM", "split_modalities"]

PROTEIN_OBSM: Final = (
    *("protein_counts", "protein_expression", "proteins", "protein", "antibody_capture", "adt", "ADT", "prot"),
)
"""Keys of ``obsm`` under which antibody counts are kept beside RNA (scvi-tools' first)."""

_MOST_PROTEINS: Final = 100_000
"""A sparse matrix may declare any number of columns without holding one; each would get a name."""

_INTERVAL: Final = re.compile(r"^[\w.]+[:_-]\d+[-_]\d+$")


def split_modalities(data: Any, *, source: str, role: str | None = None) -> tuple[dict[str, ad.AnnData], list[str]]:
    """Take a file's content apart.

    Parameters
    ----------
    data
        AnnData or MuData as opened.
    source
        The file's name, for messages.
    role
        The modality that the caller says this is (``rna=``, ``atac=``, ``protein=``); None takes all that is there.

    Returns
    -------
    parts : dict[str, anndata.AnnData]
        By canonical modality.
    notes : list[str]
        What was decided or left out.

    Raises
    ------
    DataError
        When nothing usable is there, or not the modality asked for.
    """
    if isinstance(data, md.MuData):
        parts, notes = _split_mudata(data, source)
    elif isinstance(data, ad.AnnData):
        parts, notes = _split_anndata(data, source, role)
    else:
        raise DataError(f"cannot use {source}: found {type(data).__name__}; accepted is an AnnData or a MuData")
    if role is None:
        return parts, notes
    if role not in parts:
        raise DataError(
            f"cannot read {role} from {source}: found {', '.join(parts) or 'nothing usable'} only; "
            f"accepted is a file that holds {role}"
        )
    others = [modality for modality in parts if modality != role]
    if others:
        notes.append(
            f"{source} also holds {', '.join(map(in_words, others))}, not used: only its {in_words(role)} was asked for"
        )
    return {role: parts[role]}, notes


def _split_mudata(mdata: md.MuData, source: str) -> tuple[dict[str, ad.AnnData], list[str]]:
    parts: dict[str, ad.AnnData] = {}
    left_out = []
    for name, adata in mdata.mod.items():
        try:
            modality = canonical_modality(name)
        except UnknownNameError:
            left_out.append(name)
            continue
        if modality in parts or not isinstance(adata, ad.AnnData):
            raise DataError(
                f"cannot use modality {name!r} of {source}: "
                f"accepted is one AnnData for each of {', '.join(FEATURE_TYPES)}"
            )
        parts[modality] = adata
    if not parts:
        found = ", ".join(map(repr, mdata.mod)) or "none"
        raise DataError(f"cannot use {source}: modalities found: {found}; accepted are {', '.join(FEATURE_TYPES)}")
    return parts, [
        f"{source}: modality {name!r} holds guides, its columns of cells are read"
        if is_guides(name)
        else f"{source}: modality {name!r} is not used by the twin"
        for name in left_out
    ]


def _split_anndata(adata: ad.AnnData, source: str, role: str | None) -> tuple[dict[str, ad.AnnData], list[str]]:
    parts, notes = _split_features(adata, source, role)
    for key in PROTEIN_OBSM:
        if key in adata.obsm and "protein" not in parts and role in (None, "protein"):
            parts["protein"] = _protein_of_obsm(adata, key, source)
            notes.append(f"{source}: {in_words('protein')} was taken from obsm[{key!r}]")
    if role == "protein" and "protein" not in parts:
        parts["protein"] = adata
    return parts, notes


def _split_features(adata: ad.AnnData, source: str, role: str | None) -> tuple[dict[str, ad.AnnData], list[str]]:
    """Split the features of one matrix by ``var["feature_types"]``, or decide what all of them are."""
    if "feature_types" in adata.var.columns:
        kinds = adata.var["feature_types"].astype(str)
        modality_of = {kind: modality_of_feature_type(kind) for kind in kinds.unique()}
        if any(modality_of.values()):
            by_modality = kinds.map(modality_of).to_numpy(dtype=object)
            found = [modality for modality in FEATURE_TYPES if (by_modality == modality).any()]
            dropped = [kind for kind, modality in modality_of.items() if modality is None]
            notes = [f"{source}: features of type {kind!r} are not used by the twin" for kind in dropped]
            if len(found) == 1 and not dropped:
                return {found[0]: adata}, notes
            return {modality: adata[:, by_modality == modality].copy() for modality in found}, notes
        if role is None:
            accepted = ", ".join(repr(names[0]) for names in FEATURE_TYPES.values())
            raise DataError(
                f"cannot use {source}: feature types found: {', '.join(map(repr, modality_of))}; "
                f"accepted are {accepted}"
            )
    if role is not None:
        # A file without feature types is what the caller says; protein may still lie in obsm.
        return ({} if role == "protein" else {role: adata}), []
    if _are_intervals(adata.var_names):
        return {"atac": adata}, [f"{source}: features are genomic intervals, read as {in_words('atac')}"]
    return {"rna": adata}, [f"{source}: nothing says what the features are; they are read as {in_words('rna')}"]


def _are_intervals(names: pd.Index, n_looked_at: int = 200) -> bool:
    """Say whether names are such as ``chr1:100-600`` or ``chr1_100_600``."""
    looked_at = names[:n_looked_at].astype(str)
    return len(looked_at) > 0 and float(np.mean([bool(_INTERVAL.match(name)) for name in looked_at])) > 0.9


def _protein_of_obsm(adata: ad.AnnData, key: str, source: str) -> ad.AnnData:
    """Make an AnnData of antibody counts that lie beside RNA."""
    table = adata.obsm[key]
    n_features = table.shape[1]
    if n_features > _MOST_PROTEINS:
        raise DataError(
            f"cannot use obsm[{key!r}] of {source}: found {counted(n_features, 'column')}; "
            f"accepted are at most {_MOST_PROTEINS:,}"
        )
    if isinstance(table, pd.DataFrame):
        names: Sequence[str] = [str(column) for column in table.columns]
    else:
        stems = (key, key.removesuffix("_counts").removesuffix("_expression"), "protein")
        recorded = next((adata.uns[f"{stem}_names"] for stem in stems if f"{stem}_names" in adata.uns), None)
        names = [str(name) for name in recorded] if recorded is not None else [f"{key}_{i}" for i in range(n_features)]
    if len(names) != n_features:
        raise DataError(
            f"cannot use obsm[{key!r}] of {source}: found {counted(n_features, 'column')} and "
            f"{counted(len(names), 'name')} in uns; "
            "accepted is one name for each column"
        )
    matrix = table.to_numpy() if isinstance(table, pd.DataFrame) else table
    return ad.AnnData(
        X=matrix if sp.issparse(matrix) else np.asarray(matrix),
        obs=pd.DataFrame(index=adata.obs_names),
        var=pd.DataFrame(index=pd.Index(list(names))),
    )
