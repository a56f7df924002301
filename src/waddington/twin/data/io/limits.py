"""How much a file may ask for: what it declares is held against what it holds and against this machine's memory.

A damaged or hostile file of a few megabytes can declare, or unpack to, more than any machine has. The limits lie far
from real data: a matrix of a million cells with 60,000 genes and two billion counts passes, where the memory is there.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from waddington.errors import DataError

__all__ = ["check_declared", "check_regular", "largest_unpacked"]

_FREE_BYTES: Final = 2**30
"""As much may be declared by any file: a table of zeros packs without bound."""

_RATIO: Final = 200
"""Beyond that, a file unpacks to at most so many times its size; counts pack to a tenth or a twentieth."""

_KINDS: Final = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_regular(path: Path) -> None:
    """Refuse what is no file or folder, before it is opened: a pipe would be waited for, a device never ends.

    Raises
    ------
    DataError
        Names the path and what it is.
    """
    mode = path.stat().st_mode
    for is_kind, name in _KINDS:
        if is_kind(mode):
            raise DataError(f"cannot read {path}: found {name}; accepted is a file or a folder")


def largest_unpacked(stored: int) -> int:
    """Give the most bytes that a file of so many may unpack to."""
    return max(_FREE_BYTES, _RATIO * stored)


def check_declared(declared: int, stored: int, *, what: str) -> None:
    """Refuse sizes that the bytes in the file cannot fill, or that this machine cannot hold.

    Parameters
    ----------
    declared
        Bytes in memory, as the headers say.
    stored
        Bytes on disk.
    what
        File or folder, for messages.

    Raises
    ------
    DataError
        Names both sizes and the limit.
    """
    if declared > largest_unpacked(stored):
        raise DataError(
            f"cannot read {what}: it declares {_gibibytes(declared)} in {stored:,} bytes on disk, so it is damaged or "
            f"no real data; accepted are at most {_gibibytes(_FREE_BYTES)} or {_RATIO} times the bytes on disk"
        )
    memory = _memory()
    if declared > memory:
        raise DataError(
            f"cannot read {what}: it holds {_gibibytes(declared)}; accepted is what fits into this machine's "
            f"memory ({_gibibytes(memory)}): choose cells or features first"
        )


def _memory() -> int:
    """Give the bytes of memory of this machine, or of the container that this process lives in."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return memory
    return min(memory, int(limit)) if limit.isdigit() else memory


def _gibibytes(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"
