"""AnnData and MuData on zarr: a folder, or the same in one zip archive."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Final

import anndata as ad
import mudata as md
import zarr
from anndata.io import read_elem
from zarr.storage import ZipStore

from waddington.twin.data.io.formats.base import Contents, Format
from waddington.twin.data.io.headers import check_zarr, store_bytes
from waddington.twin.data.io.limits import check_declared

__all__ = ["ZARR", "ZARR_ZIP"]

_MARKERS: Final = frozenset({".zgroup", "zarr.json", ".zattrs", ".zmetadata"})


def _is_store(contents: Contents) -> bool:
    return not _MARKERS.isdisjoint(contents.names)


def _read_folder(path: Path) -> Any:
    return _read(zarr.open_group(path, mode="r"), path, store_bytes(path))


def _read_zip(path: Path) -> Any:
    """Read a zarr store in one file, packed with or without the folder around it."""
    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    check_declared(sum(entry.file_size for entry in entries), path.stat().st_size, what=str(path))
    roots = [parent for entry in entries for parent, _, name in [entry.filename.rpartition("/")] if name in _MARKERS]
    with ZipStore(path, mode="r") as store:
        group = zarr.open_group(store, path=min(roots, key=len), mode="r")
        return _read(group, path, path.stat().st_size)


def _read(group: Any, path: Path, stored: int) -> Any:
    check_zarr(group, path, stored)
    if "mod" not in group:
        return ad.read_zarr(group)
    # MuData's reader wants a store rather than a group where that is an AnnData's, and leaves out what is in raw.
    data = md.read_zarr(group.store_path)
    for name, part in data.mod.items():
        stored_part = group["mod"][name]
        if isinstance(part, ad.AnnData) and part.raw is None and "raw" in stored_part:
            raw = stored_part["raw"]
            part.raw = ad.AnnData(read_elem(raw["X"]), obs=part.obs[[]], var=read_elem(raw["var"]))
    return data


ZARR = Format(
    name="zarr",
    suffix=".zarr",
    container="folder",
    holds=("AnnData", "MuData"),
    recognises=_is_store,
    read=_read_folder,
)
ZARR_ZIP = Format(
    name="zarr.zip",
    suffix=".zarr.zip",
    container="zip",
    holds=("AnnData", "MuData"),
    recognises=_is_store,
    read=_read_zip,
)
