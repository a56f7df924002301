"""MuData on HDF5: several modalities in one file."""

from __future__ import annotations

import mudata as md

from waddington.twin.data.io.formats.base import Format

__all__ = ["H5MU"]

H5MU = Format(
    name="h5mu",
    suffix=".h5mu",
    container="HDF5",
    holds=("MuData",),
    recognises=lambda contents: "mod" in contents.names,
    read=md.read_h5mu,
)
