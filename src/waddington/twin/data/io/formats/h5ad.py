"""AnnData on HDF5: one table of cells."""

from __future__ import annotations

import anndata as ad

from waddington.twin.data.io.formats.base import Format

__all__ = ["H5AD"]

H5AD = Format(
    name="h5ad",
    suffix=".h5ad",
    container="HDF5",
    holds=("AnnData",),
    recognises=lambda contents: {"obs", "var"} <= contents.names and "mod" not in contents.names,
    read=ad.read_h5ad,
)
