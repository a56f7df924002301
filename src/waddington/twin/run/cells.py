"""The cells that a run hands back: as they came, with what the run found of each, in one MuData."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import anndata as ad
import mudata as md
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from waddington.twin._keys import is_ours, note, put, record
from waddington.twin.data.io.files import quiet_mudata
from waddington.twin.data.io.labels import free_name
from waddington.twin.data.io.left_out import REASON
from waddington.twin.data.modalities import COUNTS_LAYER, VALUES_LAYER
from waddington.twin.data.splits import stage_labels
from waddington.twin.embed.dataset import hold_out
from waddington.twin.preprocess import measured
from waddington.twin.run.choice import Chosen
from waddington.twin.run.config import RunConfig
from waddington.twin.run.data import RunData
from waddington.twin.run.encoder_jobs import VALIDATION

__all__ = ["as_measured", "hand_back"]

Float = npt.NDArray[np.float32]

_WRITER: Final = "run"


def as_measured(mdata: md.MuData) -> md.MuData:
    """Give read cells with what was measured in ``X`` once; arrays are shared, and stay when others are put in place.

    Preprocessing puts normalized values and components in the place of what it finds.
    """
    parts = {}
    for name, part in mdata.mod.items():
        parts[name] = ad.AnnData(
            X=measured(part, name),
            obs=part.obs,
            var=part.var.copy(),
            uns=dict(part.uns),
            obsm=dict(part.obsm),
            varm=dict(part.varm),
            layers={key: part.layers[key] for key in part.layers if key not in (COUNTS_LAYER, VALUES_LAYER)},
        )
    with quiet_mudata():
        made = md.MuData(parts)
    made.obs = mdata.obs.copy()
    for key, values in mdata.obsm.items():
        if key not in parts:
            made.obsm[key] = values
    made.uns.update(mdata.uns)
    return made


def hand_back(
    cells: md.MuData,
    left_out: md.MuData | None,
    prepared: RunData,
    config: RunConfig,
    chosen: Chosen,
    *,
    joint: Float,
    embeddings: Mapping[str, Float],
) -> md.MuData:
    """Put what a run found beside the cells that it was given.

    Parameters
    ----------
    cells, left_out
        From :func:`as_measured`: the cells of the run, and those that reading left out.
    prepared, config, chosen
        The run.
    joint, embeddings
        Of the chosen encoder, (cells, dimensions); the joint one standardized, the others by modality.

    Returns
    -------
    mudata.MuData
        The cells of the run in their order, then those left out. Keys are those of :mod:`waddington.twin._keys`. A
        column of the file that bears the name of one of them is kept as ``NAME_original``.
    """
    kept = cells.obs_names
    with quiet_mudata():
        whole = md.MuData(
            {name: _joined(part, left_out.mod.get(name) if left_out else None) for name, part in cells.mod.items()}
        )
    others = None if left_out is None else _named_alike(left_out.obs, cells.obs)
    reasons = None if others is None else others.pop(REASON)
    # pandas warns of a column without a value, of which it will give another dtype; a lacking one it fills as ever.
    obs = cells.obs if others is None else pd.concat([cells.obs, others.dropna(axis="columns", how="all")])
    whole.obs = obs.reindex(whole.obs_names)
    whole.uns.update(cells.uns)
    for holder in (whole, *whole.mod.values()):
        rows = pd.Index(kept).get_indexer(holder.obs_names)
        name = next((name for name, part in whole.mod.items() if part is holder), "")
        put(holder, "obsm", "X_twin", _spread(embeddings[name] if name else joint, rows), writer=_WRITER)
    rows = pd.Index(kept).get_indexer(whole.obs_names)
    for key, values in cells.obsm.items():
        if key not in whole.obsm:
            whole.obsm[key] = _spread(np.asarray(values), rows)
    put(whole, "obsm", "twin_weights", _spread(prepared.weights, rows), writer=_WRITER)
    put(whole, "obsp", "twin_connectivities", _spread_graph(prepared.graph, rows), writer=_WRITER)
    found = {
        "twin_used": pd.Series(True, index=kept),
        "twin_condition": pd.Series(prepared.design.labels, index=kept, dtype=object),
        "split": pd.Series(_roles(prepared, chosen.encoder.seed), index=kept, dtype=object),
        "pseudotime": pd.Series(prepared.pseudotime, index=kept),
        "stage": pd.Series(_stages(prepared), index=kept, dtype=object),
    }
    for name, values in found.items():
        _put_column(whole, name, values.reindex(whole.obs_names))
    whole.obs["twin_used"] = whole.obs["twin_used"].notna() & (rows >= 0)
    if reasons is not None:
        _put_column(whole, "twin_left_out", reasons.reindex(whole.obs_names))
    space = record(whole)
    space["setup"] = {"normalization": config.read.normalization}
    space["neighbors"] = {"n_neighbors": config.preprocess.n_neighbors}
    space["embed"] = {"encoder": chosen.encoder.label}
    roots = [(part, root) for part, root in sorted(prepared.order.roots.items())]
    space["pseudotime"] = {
        "root": str(kept[roots[0][1].cell]),
        "how": roots[0][1].words,
        "is_guess": prepared.order.is_guess,
        "is_descent": prepared.order.is_descent,
        "others": [str(kept[cell]) for cell in roots[0][1].others],
        "graph": "twin_connectivities",
    }
    note(whole, *prepared.notes)
    return whole


def _joined(part: ad.AnnData, other: ad.AnnData | None) -> ad.AnnData:
    """Put the cells that were left out below the others."""
    if other is None:
        return part
    return ad.concat([part, other], merge="first", uns_merge="first")


def _named_alike(others: pd.DataFrame, used: pd.DataFrame) -> pd.DataFrame:
    """Name the columns of cells that were left out as those of the others: what reading rewrote is `NAME_original`."""
    names = {name: f"{name}_original" for name in others.columns if f"{name}_original" in used.columns}
    return others.rename(columns={old: new for old, new in names.items() if new not in others.columns})


def _spread(values: npt.NDArray[Any], rows: npt.NDArray[np.intp]) -> Float:
    """Give a row to every cell, NaN to one that was left out."""
    full = np.full((len(rows), *values.shape[1:]), np.nan, dtype=np.result_type(values.dtype, np.float32))
    full[rows >= 0] = values[rows[rows >= 0]]
    return full


def _spread_graph(graph: sparse.csr_matrix, rows: npt.NDArray[np.intp]) -> sparse.csr_matrix:
    """Give the graph over all cells; one that was left out has no neighbours."""
    (place,) = np.nonzero(rows >= 0)
    shape = (len(rows), graph.shape[0])
    choose = sparse.csr_matrix((np.ones(len(place), dtype=np.float32), (place, rows[place])), shape=shape)
    return sparse.csr_matrix(choose @ graph @ choose.T, dtype=np.float32)


def _roles(prepared: RunData, seed: int) -> npt.NDArray[np.object_]:
    """Say what part each cell had in training the encoder of a seed."""
    roles = np.where(prepared.design.train, "train", "test").astype(object)
    _, watched = hold_out(np.flatnonzero(prepared.design.train), VALIDATION, seed=seed)
    roles[watched] = "validation"
    return roles


def _stages(prepared: RunData) -> npt.NDArray[np.str_]:
    if prepared.design.kind == "pseudotime":
        return prepared.design.labels
    return stage_labels(prepared.pseudotime, train=prepared.design.train, part=prepared.order.part)


def _put_column(whole: md.MuData, name: str, values: pd.Series) -> None:
    """Write a column; what the file had under its name, and is something else, is kept beside it."""
    if values.dtype == object:
        values = values.astype("category")
    if name in whole.obs and not is_ours(whole, "obs", name):
        old = whole.obs[name]
        if not old.astype(object).where(old.notna(), None).equals(values.astype(object).where(values.notna(), None)):
            place = free_name(name, whole.obs)
            whole.obs[place] = old
            note(whole, f"the file's obs[{name!r}] is kept in obs[{place!r}]")
    put(whole, "obs", name, values, writer=_WRITER)
