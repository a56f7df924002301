"""Writing files whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from waddington.errors import OutputError

__all__ = ["remove_parts", "replacing", "write_text"]


_PART = re.compile(r"\.\d+\.part\.")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place beside a path to write to; it takes the path's place once the block has ended well.

    Whoever reads meanwhile finds what stood there before or what stands there after, never a part. If the block fails,
    what stood there is untouched and nothing is left behind; a killed process leaves a hidden ``.part.`` file at worst.
    A folder that stood there is renamed first, for no system swaps two: for a moment nothing bears the name, and a
    process that is killed just then leaves it as a hidden ``.old.`` folder.
    A link stays a link: the place that it points to is written, whether something is there yet or not.

    Parameters
    ----------
    path
        A file, or a folder that the block makes. The place given keeps the suffix, which many writers look at.

    Raises
    ------
    OutputError
        When the place cannot be written: no such folder, no right, a full disk, a pipe or device.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file() and not target.is_dir():
        raise OutputError(f"cannot write {str(path)!r}: found a pipe or device; accepted: a file or a free name")
    beside = target.with_name(f".{os.getpid()}.part.{target.name}")
    try:
        yield beside
        if beside.is_dir() and target.is_dir():
            _replace_folder(beside, target)
        else:
            os.replace(beside, target)
    except BaseException as error:
        reason = _reason(error, target)
        if beside.is_dir():
            shutil.rmtree(beside, ignore_errors=True)  # the error at hand says more than one about what it leaves
        else:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
        if reason is None:
            raise
        where = f" (a link to {str(target)!r})" if path.is_symlink() else ""
        raise OutputError(
            f"cannot write {str(path)!r}{where}: {reason}; accepted: a place that can be written"
        ) from error


def remove_parts(folder: Path) -> None:
    """Remove what killed processes left of :func:`replacing` in a folder that no other process writes to."""
    for part in [*folder.rglob(".*.part.*")]:
        if _PART.match(part.name) and part.is_file():
            with contextlib.suppress(OSError):
                part.unlink()


def _replace_folder(beside: Path, target: Path) -> None:
    """Put a folder in the place of another, which is gone only once the new one stands there."""
    old = target.with_name(f".{os.getpid()}.old.{target.name}")
    os.rename(target, old)
    try:
        os.rename(beside, target)
    except BaseException:
        os.rename(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)  # the new one is there; what cannot be removed is hidden and does no harm


def _reason(error: BaseException, target: Path) -> str | None:
    """Say why writing failed; None if the error is about something else.

    PyTorch and HDF5 report a folder that does not exist and a full disk as a RuntimeError.
    """
    if isinstance(error, OSError):
        return str(error.strerror or error)
    if not isinstance(error, RuntimeError):
        return None
    if not target.parent.is_dir():
        return "its folder does not exist"
    if re.search(r"inline_container|PytorchStreamWriter|errno = \d+", str(error)):
        return f"it could not be written whole, {shutil.disk_usage(target.parent).free:,} bytes are free on the disk"
    return None


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, whole or not at all.

    Raises
    ------
    OutputError
        When the place cannot be written.
    """
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")
