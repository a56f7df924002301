"""Cells with columns of labels, and what reading them gave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anndata as ad
import mudata as md
import pandas as pd

from waddington.twin.data.conditions import conditions_of

Make = Callable[..., ad.AnnData]


def labelled(make: Make, labels: list[Any], column: str = "perturbation", **columns: list[Any]) -> ad.AnnData:
    """Give 30 cells that bear labels, and further columns, in turn."""
    adata = make()
    for name, values in {column: labels, **columns}.items():
        adata.obs[name] = pd.Series(values * (30 // len(values)), index=adata.obs_names, dtype=object)
    return adata


def counted(mdata: md.MuData) -> dict[str, int]:
    """Count cells by condition."""
    return dict(conditions_of(mdata).value_counts())


def notes(mdata: md.MuData) -> str:
    """Give what reading said."""
    return "\n".join(mdata.uns["waddington"]["notes"])
