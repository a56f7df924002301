"""Writing files whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from waddington._errors import OutputError

__all__ = ["replacing", "write_text"]


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place beside a path to write to; it takes the path's place once the block has ended well.

    Whoever reads meanwhile finds what stood there before or what stands there after, never a part. If the block fails,
    what stood there is untouched and nothing is left behind; a killed process leaves a hidden ``.part.`` file at worst.

    Parameters
    ----------
    path
        A file, or a folder that the block makes. The place given keeps the suffix, which many writers look at.

    Raises
    ------
    OutputError
        When the place cannot be written.
    """
    beside = path.with_name(f".{os.getpid()}.part.{path.name}")
    try:
        yield beside
        if beside.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        os.replace(beside, path)
    except BaseException as error:
        if beside.is_dir():
            shutil.rmtree(beside, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
        # PyTorch reports a folder that does not exist as a RuntimeError.
        if isinstance(error, OSError) or (isinstance(error, RuntimeError) and not path.parent.is_dir()):
            reason = getattr(error, "strerror", None) or error
            raise OutputError(f"cannot write {str(path)!r}: {reason}; accepted: a place that can be written") from error
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, whole or not at all.

    Raises
    ------
    OutputError
        When the place cannot be written.
    """
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")
