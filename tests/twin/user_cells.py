"""Cells as a user holds them, for the tests of pp, tl, pl and Twin."""

from __future__ import annotations

from typing import Any

import anndata as ad
import mudata as md

from waddington import twin


def simulated(**changes: Any) -> md.MuData:
    """Give raw counts of a small screen of three modalities."""
    sizes = {"n_cells": 600, "n_genes": 80, "n_peaks": 60, "n_proteins": 8, "n_truth_cells": 0, "seed": 0}
    return twin.datasets.simulate(**{**sizes, **changes})


def one_modality(mdata: md.MuData, name: str = "rna") -> ad.AnnData:
    """Give one modality with the columns of cells: an AnnData as most users have it."""
    adata = mdata.mod[name].copy()
    adata.obs = mdata.obs.copy()
    return adata


def prepared(data: ad.AnnData | md.MuData) -> ad.AnnData | md.MuData:
    """Take cells through everything that comes before questions."""
    twin.pp.split(data)
    twin.pp.preprocess(data)
    twin.pp.neighbors(data)
    twin.tl.embed(data, epochs=1, embedding_dim=8, joint_dim=8)
    twin.tl.pseudotime(data)
    return data
