"""One file or folder, recognised by what it holds rather than by its name, and opened; or a clear refusal."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import anndata as ad
import h5py
import mudata as md

from waddington._errors import DataError
from waddington.twin.io.tenx import find_mtx, is_tenx_group, read_tenx_h5, read_tenx_mtx

__all__ = ["ACCEPTED", "check_exists", "open_backed", "open_file", "quiet_mudata"]

ACCEPTED: Final = (
    "a .h5mu or .h5ad file, a 10x .h5 file, a folder with matrix.mtx, barcodes and features, or a .zarr store of either"
)
"""What can be read, as messages say it."""


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
    if not path.exists():
        beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, beside, n=1)
        hint = f" (beside it is {close[0]!r})" if close else ""
        raise DataError(f"cannot read {path}: it does not exist{hint}; accepted is {ACCEPTED}")
    if path.is_file() and path.stat().st_size == 0:
        raise DataError(f"cannot read {path}: the file is empty (0 bytes); accepted is {ACCEPTED}")


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
    except (DataError, MemoryError):
        raise
    except Exception as error:
        # h5py, anndata, mudata and zarr raise a dozen types on damaged files, some of them private to the library.
        raise _damaged(path, error) from error


def _damaged(path: Path, error: BaseException) -> DataError:
    reason = str(error).strip().splitlines()
    return DataError(
        f"cannot read {path}: it is damaged or incomplete ({reason[0] if reason else type(error).__name__}); "
        "accepted is a complete file: copy or download it again"
    )


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
        with h5py.File(path, "r") as file:
            names = set(file)
            is_tenx = any(is_tenx_group(file[name]) for name in names)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        if "truncated" in str(error):
            raise DataError(
                f"cannot read {path}: the file is cut off (truncated at {path.stat().st_size} bytes); "
                "accepted is a complete file: copy or download it again"
            ) from error
        raise _damaged(path, error) from error
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
    if any((path / marker).exists() for marker in (".zgroup", "zarr.json", ".zattrs", ".zmetadata")):
        reader = md.read_zarr if (path / "mod").is_dir() else ad.read_zarr
        return _call_reader(reader, path)
    if find_mtx(path):
        return read_tenx_mtx(path)
    listing = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
    raise DataError(f"cannot read folder {path}: found {listing} in it; accepted is {ACCEPTED}")
