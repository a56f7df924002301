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

import h5py
import mudata as md

from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.data.io.formats import Contents, recognise
from waddington.twin.data.io.formats.base import Container
from waddington.twin.data.io.headers import check_hdf5
from waddington.twin.data.io.heaps import check_heaps
from waddington.twin.data.io.limits import check_regular
from waddington.twin.data.io.refusals import refusal

__all__ = ["ACCEPTED", "check_exists", "open_backed", "open_file", "quiet_mudata"]

ACCEPTED: Final = (
    "a .h5mu or .h5ad file, a 10x .h5 file, a folder with matrix.mtx, barcodes and features, or a .zarr store (also as "
    ".zarr.zip) of either"
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
    contents = _look_into(path)
    form = _call_reader(lambda _: recognise(contents), path)
    if form is None:
        listing = ", ".join(sorted(contents.names)[:8]) or "nothing"
        raise DataError(f"cannot read {_FOREIGN[contents.container].format(path, listing)}; accepted is {ACCEPTED}")
    return _call_reader(form.read, path)


_FOREIGN: Final[dict[Container, str]] = {
    "HDF5": "{}: found an HDF5 file of another kind (at its root: {})",
    "folder": "folder {}: found {} in it",
    "zip": "{0}: found a zip archive without a zarr store",
    "text": "{0}: found a text of another kind",
}
"""What is said of a file that no format knows: its path, and what is in it."""


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


def _look_into(path: Path) -> Contents:
    """See what kind of file this is, and the names in it, without reading it."""
    if path.is_dir():
        return Contents(path=path, container="folder", names=_names_in_folder(path))
    if zipfile.is_zipfile(path) and not h5py.is_hdf5(path):
        return Contents(path=path, container="zip", names=_call_reader(_names_in_zip, path))
    if path.name.endswith((".mtx", ".mtx.gz")):
        return Contents(path=path, container="text", names=frozenset({path.name}))
    return Contents(path=path, container="HDF5", names=_names_in_hdf5(path))


def _names_in_folder(path: Path) -> frozenset[str]:
    try:
        return frozenset(entry.name for entry in path.iterdir())
    except OSError as error:
        raise refusal(path, error) from error


def _names_in_zip(path: Path) -> frozenset[str]:
    with zipfile.ZipFile(path) as archive:
        return frozenset(entry.filename.rpartition("/")[2] for entry in archive.infolist() if not entry.is_dir())


def _names_in_hdf5(path: Path) -> frozenset[str]:
    """Give the names at the root of an HDF5 file whose structure was checked."""
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
            names = frozenset(file)
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
    return names
