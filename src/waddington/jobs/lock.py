"""A folder for one process at a time, on every system; whoever is refused learns who holds it."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from waddington.errors import OutputError

__all__ = ["holder", "locked", "release"]

_LOCK, _HOLDER = ".lock", ".lock.json"


@contextlib.contextmanager
def locked(folder: str | Path, *, what: str = "run") -> Iterator[None]:
    """Hold a folder for this process; the lock goes with the process, however it ends.

    The lock is :mod:`filelock`'s: the system's own (``flock``, on Windows ``msvcrt``), and where a network folder has
    none, a file that names its process. Nothing is left in the folder afterwards.

    Parameters
    ----------
    folder
        An existing folder.
    what
        What an error calls the other user.

    Raises
    ------
    OutputError
        When another process (or thread) holds it; says which, on which machine and since when.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise OutputError(f"cannot lock {str(folder)!r}: no such folder; accepted: a folder that can be written")
    lock = FileLock(folder / _LOCK, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise OutputError(
            f"cannot write to {str(folder)!r}: another {what} is writing there{_named(holder(folder))}; "
            "accepted: another folder, or wait"
        ) from None
    except OSError as error:
        raise OutputError(
            f"cannot lock {str(folder)!r}: {error.strerror or error}; accepted: a folder that can be written"
        ) from error
    try:
        (folder / _HOLDER).write_text(json.dumps(_myself()), encoding="utf-8")
        yield
    finally:
        (folder / _HOLDER).unlink(missing_ok=True)
        release(lock)


def release(lock: FileLock) -> None:
    """Let go of a lock and take its file away: while it is held, so that nobody's newer one goes.

    Windows removes no file that is open, so there it goes afterwards. A file that stays behind locks nobody out.
    """
    path = Path(lock.lock_file)
    if os.name != "nt":
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    lock.release()
    if os.name == "nt":
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def holder(folder: str | Path) -> dict[str, str] | None:
    """Say who holds a folder: ``pid``, ``host`` and ``since``; None where nobody has written that down."""
    try:
        found: dict[str, str] = json.loads((Path(folder) / _HOLDER).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or not written whole yet
        return None
    return found


def _myself() -> dict[str, str]:
    return {
        "pid": str(os.getpid()),
        "host": platform.node(),
        "since": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
    }


def _named(found: dict[str, str] | None) -> str:
    if not found:
        return ""
    return f" (process {found.get('pid')} on {found.get('host')}, since {found.get('since')})"
