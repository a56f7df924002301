"""HDF5's heaps of text, walked before HDF5 walks them: an entry of no length there keeps its library busy for ever.

A heap is ``GCOL``, a version, its size, and then entries: a number (0 for free space), a use count and a length. See
the HDF5 file format specification 3.0, section III.E, "Global Heap".
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Final

from waddington.errors import DataError

__all__ = ["check_heaps"]

_SIGNATURE: Final = b"GCOL\x01\x00\x00\x00"
_HEAD: Final = struct.Struct("<8sQ")
_ENTRY: Final = struct.Struct("<HHIQ")


def check_heaps(path: Path) -> None:
    """Refuse an HDF5 file with a heap whose entries do not lead to its end.

    Raises
    ------
    DataError
        Names the place in the file.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if not _has_long_lengths(content):
            return
        at = content.find(_SIGNATURE)
        while at >= 0:
            if at + _HEAD.size <= len(content) and not _leads_to_its_end(content, at):
                raise DataError(
                    f"cannot read {path}: it is damaged: the heap of text at byte {at:,} does not lead to its end; "
                    "accepted is a complete file: copy or download it again"
                )
            at = content.find(_SIGNATURE, at + 1)


def _has_long_lengths(content: mmap.mmap) -> bool:
    """Say whether lengths take 8 bytes, as every library in use writes them."""
    place = 14 if content[8] < 2 else 10
    return content[:4] == b"\x89HDF" and content[place] == 8


def _leads_to_its_end(content: mmap.mmap, at: int) -> bool:
    end = at + _HEAD.unpack_from(content, at)[1]
    if end > len(content):
        return False
    at += _HEAD.size
    while at + _ENTRY.size <= end:
        number, _, _, length = _ENTRY.unpack_from(content, at)
        # The length of free space counts its own head; that of an entry does not, and is rounded up to 8.
        step = length if number == 0 else _ENTRY.size + (length + 7) // 8 * 8
        if step == 0 or at + step > end:
            return False
        at += step
    return True
