"""Objects as they come from files or callers, made safe to use: in memory, sound, with text for names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import pandas as pd

from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.data.io.files import open_backed, quiet_mudata
from waddington.twin.data.io.structure import check_structure

__all__ = ["make_ready"]


def make_ready(data: Any, *, source: str) -> Any:
    """Read what is left on disk, check how sparse matrices are stored, and turn names into text.

    Parameters
    ----------
    data
        An AnnData or MuData; not changed. Anything else is given back.
    source
        Where it comes from, for messages.

    Returns
    -------
    anndata.AnnData | mudata.MuData
        ``data`` itself where nothing had to be done.

    Raises
    ------
    DataError
        When a file behind it is damaged, a sparse matrix is stored wrongly, or two columns of cells bear one name.
    """
    if isinstance(data, ad.AnnData):
        return _ready_table(data, source)
    if not isinstance(data, md.MuData):
        return data
    _check_column_names(data.obs, source)
    parts = {
        name: _ready_table(part, f"{name} of {source}") if isinstance(part, ad.AnnData) else part
        for name, part in data.mod.items()
    }
    if all(parts[name] is part for name, part in data.mod.items()) and _is_text(data.obs_names):
        check_structure(data, source=source)
        return data
    with quiet_mudata():
        ready = md.MuData(parts)
    ready.obs = data.obs.set_axis(_as_text(data.obs_names)).reindex(ready.obs_names)
    for key, values in data.obsm.items():
        # A mask of cells by modality is made by MuData itself.
        if key not in parts and getattr(values, "ndim", 0) == 2 and not hasattr(values, "tocsr"):
            ready.obsm[key] = (
                pd.DataFrame(values).set_axis(_as_text(data.obs_names)).reindex(ready.obs_names).to_numpy()
            )
    ready.uns.update(data.uns)
    return ready


def _check_column_names(obs: pd.DataFrame, source: str) -> None:
    repeats = obs.columns[obs.columns.duplicated()]
    if len(repeats):
        raise DataError(
            f"cannot use obs of {source}: found {counted(len(repeats), 'duplicate column')}, the first is "
            f"{str(repeats[0])!r}; accepted are unique names"
        )


def _ready_table(adata: ad.AnnData, source: str) -> ad.AnnData:
    _check_column_names(adata.obs, source)
    if adata.isbacked:
        file = Path(adata.filename)
        if adata.is_view:
            check_structure(open_backed(adata._adata_ref.to_memory, file), source=source)
        adata = open_backed(adata.to_memory, file)
    check_structure(adata, source=source)
    if not _is_text(adata.obs_names) or not _is_text(adata.var_names):
        with quiet_mudata():
            adata = adata.copy()
        adata.obs_names, adata.var_names = _as_text(adata.obs_names), _as_text(adata.var_names)
    return adata


def _is_text(names: pd.Index) -> bool:
    return pd.api.types.infer_dtype(names, skipna=False) in ("string", "empty")


def _as_text(names: pd.Index) -> pd.Index:
    return pd.Index([name if isinstance(name, str) else str(name) for name in names], dtype=object)
