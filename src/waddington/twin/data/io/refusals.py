"""What a reader's exception means: "damaged" is said of a damaged file only, not of what this machine cannot read."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

from waddington.errors import DataError

__all__ = ["fitting_in_memory", "refusal"]

_NOT_OURS: Final = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EAGAIN: "another program has it open for writing",
    errno.EMFILE: "too many open files",
    errno.EIO: "the disk or network reports an error",
    errno.ESTALE: "the disk or network reports an error",
}
"""Errors of the system, which say nothing about the file's content."""


def refusal(path: Path, error: BaseException) -> DataError:
    """Turn what a library raised while it read a file into one line with the right reason.

    h5py, anndata, mudata and zarr raise a dozen types on damaged files, some of them private to the library; what is
    not recognised as something else is damage.

    Parameters
    ----------
    path
        The file.
    error
        What was raised.

    Returns
    -------
    DataError
        To be raised from ``error``.
    """
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return DataError(f"cannot read {path}: it does not fit into memory; accepted is a smaller file, or more memory")
    if isinstance(error, ImportError):
        name = error.name or text
        return DataError(f"cannot read {path}: it needs {name!r}, which is not installed; accepted: pip install {name}")
    if spec := re.search(r"encoding_type='(.*?)', encoding_version='(.*?)'", text):
        kind, written = spec.groups()
        return DataError(
            f"cannot read {path}: it holds {kind or 'an element without a type'!r} in version {written or 'none'!r} of "
            f"its encoding, which anndata {version('anndata')} does not know: it needs a newer anndata "
            "(pip install -U anndata), or to be written by an older one"
        )
    if found := re.search(r"[Uu]nknown codec:? *'*([\w.-]+)|codec not available: *'*([\w.-]+)", text):
        return DataError(
            f"cannot read {path}: it is packed with the codec {found[1] or found[2]!r}, which is not installed; "
            "accepted: install the package that brings it (pip install -U numcodecs zarr), or pack with another"
        )
    if "No Zarr data type found" in text or "zarr_format" in text:
        return DataError(
            f"cannot read {path}: {text[:160]}, which zarr {version('zarr')} does not know: "
            "it needs a newer zarr (pip install -U zarr), or to be written by an older one"
        )
    if found := re.search(r"scipy.sparse does not support dtype (\S+)\.", text):
        return DataError(
            f"cannot read {path}: it holds a sparse matrix of type {found[1]}, for which SciPy has no form; "
            "accepted are integers, float32 and float64 in this machine's byte order"
        )
    number = _system_error(error)
    if number in _NOT_OURS:
        return DataError(f"cannot read {path}: {_NOT_OURS[number]}; accepted is a file that can be read")
    return DataError(
        f"cannot read {path}: it is damaged or incomplete ({text[:240] or type(error).__name__}); "
        "accepted is a complete file: copy or download it again"
    )


@contextlib.contextmanager
def fitting_in_memory() -> Iterator[None]:
    """Turn sizes beyond memory or beyond an integer, wherever they are met, into the package's own error.

    Raises
    ------
    DataError
        When the block runs out of memory or out of an integer's range.
    """
    try:
        yield
    except MemoryError as error:
        text = " ".join(str(error).split())[:160]
        raise DataError(
            f"cannot read the data: they do not fit into memory{f' ({text})' if text else ''}; accepted are fewer "
            "cells or features, or more memory"
        ) from error
    except OverflowError as error:
        raise DataError(f"cannot read the data: a number is too large ({error}); accepted are real sizes") from error


def _system_error(error: BaseException) -> int | None:
    """Give the system's number of an error; HDF5 has it in its text."""
    number = getattr(error, "errno", None)
    found = re.search(r"errno = (\d+)", str(error))
    return number or (int(found[1]) if found else None)
