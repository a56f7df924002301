"""One file or folder, recognised by what it holds rather than by its name, and opened; or a clear refusal."""

from __future__ import annotations

import difflib
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import anndata as ad
import h5py
import mudata as md
import zarr
from anndata.io import read_elem
from zarr.storage import ZipStore

from waddington._errors import DataError
from waddington._text import counted
from waddington.twin.data.io.headers import check_hdf5, check_zarr, store_bytes
from waddington.twin.data.io.heaps import check_heaps
from waddington.twin.data.io.limits import check_declared, check_regular
from waddington.twin.data.io.refusals import refusal
from waddington.twin.data.io.tenx import find_mtx, is_tenx_group, read_tenx_h5, read_tenx_mtx

__all__ = ["ACCEPTED", "check_exists", "open_backed", "open_file", "quiet_mudata"]

ACCEPTED: Final = (
    "a .h5mu or .h5ad file, a 10x .h5 file, a folder with matrix.mtx, barcodes and features, or a .zarr store (also as "
    ".zarr.zip) of either"
)
"""What can be read, as messages say it."""

_ZARR_MARKERS: Final = frozenset({".zgroup", "zarr.json", ".zattrs", ".zmetadata"})


@contextmanager
def quiet_mudata() -> Iterator[None]:
    """Keep MuData from copying columns between levels, and its and anndata's notices about that from the user.

    Names that repeat are checked by the package itself, with an error that says what to do, so nothing is lost with the
    notices.
    """
    with warnings.catch_warnings(), md.set_options(pull_on_update=False):
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", UserWarning)
        yield


def check_exists(path: Path) -> None:
    """Refuse a path at which there is nothing, or an empty file.

    Raises
    ------
    DataError
        Names the path, a similar name beside it if there is one, and what is accepted.
    """
    try:
        size = path.stat().st_size
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, PermissionError):
            raise refusal(path, error) from error
        if os.path.islink(path):  # False, where pathlib raises, for a name that is too long
            raise DataError(
                f"cannot read {path}: it is a link to {os.readlink(path)!r}, where nothing is; accepted is {ACCEPTED}"
            ) from error
        close = difflib.get_close_matches(path.name, _names_beside(path), n=1)
        hint = f" (beside it is {close[0]!r})" if close else ""
        raise DataError(f"cannot read {path}: it does not exist{hint}; accepted is {ACCEPTED}") from error
    check_regular(path)
    if path.is_file() and size == 0:
        raise DataError(f"cannot read {path}: the file is empty (0 bytes); accepted is {ACCEPTED}")


def _names_beside(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.parent.iterdir()]
    except (OSError, ValueError):
        return []


def open_file(path: Path) -> Any:
    """Open whatever single-cell file this is.

    Parameters
    ----------
    path
        File or folder.

    Returns
    -------
    anndata.AnnData | mudata.MuData
        As the file holds it; nothing is checked or renamed yet.

    Raises
    ------
    DataError
        When it is missing, empty, not HDF5, cut off, damaged, or holds something else.
    """
    check_exists(path)
    if path.is_dir():
        return _open_folder(path)
    if zipfile.is_zipfile(path) and not h5py.is_hdf5(path):
        return _call_reader(_read_zipped_zarr, path)
    if path.name.endswith((".mtx", ".mtx.gz")):
        return read_tenx_mtx(path)
    return _call_reader(_recognise_hdf5(path), path)


def open_backed(reader: Callable[[], Any], path: Path) -> Any:
    """Read what an object in memory has left in its file.

    Parameters
    ----------
    reader
        What reads: ``to_memory`` of the object.
    path
        The file behind it.

    Raises
    ------
    DataError
        When the file is missing or damaged.
    """
    check_exists(path)
    return _call_reader(lambda _: reader(), path)


def _call_reader(reader: Callable[[Path], Any], path: Path) -> Any:
    """Call a library's reader; whatever it raises on a foreign file means that the file cannot be used."""
    try:
        with quiet_mudata():
            return reader(path)
    except DataError:
        raise
    except Exception as error:
        raise refusal(path, error) from error


def _recognise_hdf5(path: Path) -> Any:
    """Choose the reader of an HDF5 file by the groups at its root."""
    try:
        is_hdf5 = h5py.is_hdf5(path)
        with path.open("rb") as stream:
            head = stream.read(8)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; accepted is {ACCEPTED}") from error
    if not is_hdf5:
        found = (
            "a gzip archive: unpack it first" if head[:2] == b"\x1f\x8b" else f"no HDF5 file (it starts with {head!r})"
        )
        raise DataError(f"cannot read {path}: found {found}; accepted is {ACCEPTED}")
    try:
        check_heaps(path)
        with h5py.File(path, "r") as file:
            names = set(file)
            is_tenx = any(is_tenx_group(file[name]) for name in names)
        check_hdf5(path)
    except DataError:
        raise
    except Exception as error:
        if "truncated" in str(error):
            raise DataError(
                f"cannot read {path}: the file is cut off (truncated at {counted(path.stat().st_size, 'byte')}); "
                "accepted is a complete file: copy or download it again"
            ) from error
        raise refusal(path, error) from error
    if "mod" in names:
        return md.read_h5mu
    if {"obs", "var"} <= names:
        return ad.read_h5ad
    if is_tenx:
        return read_tenx_h5
    listing = ", ".join(sorted(names)[:8]) or "nothing"
    raise DataError(
        f"cannot read {path}: found an HDF5 file of another kind (at its root: {listing}); accepted is {ACCEPTED}"
    )


def _open_folder(path: Path) -> Any:
    """Open a zarr store or a 10x folder."""
    try:
        names = sorted(entry.name for entry in path.iterdir())
    except OSError as error:
        raise refusal(path, error) from error
    if not _ZARR_MARKERS.isdisjoint(names):
        return _call_reader(lambda store: _read_zarr(zarr.open_group(store, mode="r"), path, store_bytes(path)), path)
    if find_mtx(path):
        return read_tenx_mtx(path)
    listing = ", ".join(names[:8]) or "nothing"
    raise DataError(f"cannot read folder {path}: found {listing} in it; accepted is {ACCEPTED}")


def _read_zipped_zarr(path: Path) -> Any:
    """Read a zarr store in one file, packed with or without the folder around it."""
    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    check_declared(sum(entry.file_size for entry in entries), path.stat().st_size, what=str(path))
    roots = [
        parent for entry in entries for parent, _, name in [entry.filename.rpartition("/")] if name in _ZARR_MARKERS
    ]
    if not roots:
        raise DataError(f"cannot read {path}: found a zip archive without a zarr store; accepted is {ACCEPTED}")
    with ZipStore(path, mode="r") as store:
        group = zarr.open_group(store, path=min(roots, key=len), mode="r")
        return _read_zarr(group, path, path.stat().st_size)


def _read_zarr(group: Any, path: Path, stored: int) -> Any:
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
