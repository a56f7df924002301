"""Matrix Market files: the header first, then as many bytes and entries as it allows."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import scipy.io

from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.data.io.limits import check_declared, check_regular

__all__ = ["BROKEN", "Header", "open_packed", "read_header", "read_matrix"]

BROKEN: Final = (ValueError, OverflowError, MemoryError, EOFError, OSError, zlib.error)
"""What reading a damaged text or gzip file raises."""

_LONGEST_LINE: Final = 2**20
_LEAST_BYTES: Final = 4
"""The shortest entry is ``1 1`` and the end of its line."""

_MOST_BYTES: Final = 128
_BYTES_IN_MEMORY: Final = 16
_PACKED_RATIO: Final = 100
"""Gzip makes columns of numbers four to ten times smaller."""


@dataclass(frozen=True, slots=True)
class Header:
    """Sizes as the first lines say, and the most bytes that the whole file may unpack to."""

    n_rows: int
    n_columns: int
    n_entries: int
    most_bytes: int


class _Limited:
    """A stream that ends in a refusal, not in full memory."""

    def __init__(self, stream: IO[bytes], path: Path, most_bytes: int) -> None:
        self._stream, self._path, self._left = stream, path, most_bytes

    def read(self, size: int = -1) -> bytes:
        """Read as a file does."""
        block = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(block)
        if self._left < 0:
            raise DataError(
                f"cannot read {self._path}: it unpacks to more than its header allows for; "
                "accepted is a complete file: copy or download it again"
            )
        return block


def open_packed(path: Path) -> Any:
    """Open a file for reading, unpacked if its name ends in ``.gz``."""
    check_regular(path)
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def read_header(path: Path) -> Header:
    """Read and check the sizes of a matrix.

    Parameters
    ----------
    path
        ``.mtx`` or ``.mtx.gz``.

    Raises
    ------
    DataError
        When it is no Matrix Market file of counts by coordinates, or declares more entries than the file can hold.
    """
    try:
        with open_packed(path) as stream:
            banner = stream.readline(_LONGEST_LINE).decode("ascii").lower().split()
            begun = _LONGEST_LINE
            while (line := stream.readline(_LONGEST_LINE)).startswith(b"%") or (line and not line.strip()):
                begun += len(line)
                if begun > 16 * _LONGEST_LINE:
                    raise ValueError("no line with sizes after 16 MiB of comments")
            sizes = [int(word) for word in line.split()]
    except DataError:
        raise
    except BROKEN as error:
        raise _broken(path, error) from error
    if banner[:3] != ["%%matrixmarket", "matrix", "coordinate"] or banner[3:4] not in (
        ["integer"],
        ["real"],
        ["pattern"],
    ):
        raise _broken(path, f"its first line is {' '.join(banner)[:80]!r}")
    if banner[4:] != ["general"] or len(sizes) != 3 or min(sizes) < 0:
        raise _broken(path, f"it is {' '.join(banner[4:])[:40]!r} with sizes {sizes[:4]}")
    n_rows, n_columns, n_entries = sizes
    stored = path.stat().st_size
    unpacked = stored * _PACKED_RATIO + _LONGEST_LINE if path.suffix == ".gz" else stored
    if n_entries > n_rows * n_columns or n_entries * _LEAST_BYTES > unpacked + 1:
        raise _broken(
            path,
            f"{counted(n_entries, 'entry', 'entries')} declared for {n_rows:,} x {n_columns:,} in {stored:,} bytes",
        )
    check_declared(n_entries * _BYTES_IN_MEMORY, unpacked, what=str(path))
    return Header(n_rows, n_columns, n_entries, min(unpacked, begun + n_entries * _MOST_BYTES) + 1)


def read_matrix(path: Path, header: Header) -> Any:
    """Read the entries.

    Returns
    -------
    scipy.sparse.coo_matrix
        As the file holds them: the caller checks for entries that stand twice.

    Raises
    ------
    DataError
        When the file is cut off, damaged, or longer than its header allows for.
    """
    try:
        with open_packed(path) as stream:
            return scipy.io.mmread(_Limited(stream, path, header.most_bytes))  # type: ignore[call-overload]
    except DataError:
        raise
    except BROKEN as error:
        raise _broken(path, error) from error


def _broken(path: Path, reason: object) -> DataError:
    """Give the refusal of a file that is not what it should be."""
    return DataError(
        f"cannot read {path}: it is empty, cut off or no Matrix Market file of counts by coordinates "
        f"({' '.join(str(reason).split())[:240]}); accepted is matrix.mtx as 10x writes it, also as .gz"
    )
