"""The folder of kernels: where it is, and which of its files may be loaded.

Whoever can write a kernel can run code as whoever loads it. So nothing is loaded but what belongs to this user or to
root, from folders that do, and that nobody else may write to, nor put another in their place. Every trouble with files
is an OSError, which names the path.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO

__all__ = ["cache_folder", "make_folder", "opened"]


def cache_folder() -> Path:
    """Give the folder in which kernels are kept: ``$WADDINGTON_CACHE``, or ``waddington`` in the user's cache folder.

    Returns
    -------
    Path
        Absolute and without links; a relative one is meant from where this process first asked.

    Raises
    ------
    OSError
        Nobody knows where the user's home is, or the path cannot be followed.
    """
    try:
        chosen = os.environ.get("WADDINGTON_CACHE")
        if not chosen:
            base = os.environ.get("XDG_CACHE_HOME", "")
            chosen = f"{base if os.path.isabs(base) else Path.home() / '.cache'}/waddington"
        return Path(os.path.realpath(_from_here(chosen)))
    except RuntimeError as error:
        raise FileNotFoundError(errno.ENOENT, "no home folder is known in which kernels could be kept") from error


@cache
def _from_here(chosen: str) -> Path:
    return Path.cwd() / Path(chosen).expanduser()


def make_folder(folder: Path) -> None:
    """Make a folder of this user's own, unless it is there.

    Raises
    ------
    OSError
        It cannot be made, or somebody else may write to it.
    """
    _check_chain(folder)
    for each in (*reversed(folder.parents), folder):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file that only this user or root can have written.

    Raises
    ------
    FileNotFoundError
        It is not there.
    OSError
        It cannot be read, is no file, or somebody else may write to it or to a folder that it lies in.
    """
    _check_chain(path.parent)
    # A pipe in its place would be waited for.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no file", str(path))
        _check(path, found)
        with os.fdopen(handle, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(handle)


def _check_chain(folder: Path) -> None:
    """Refuse a folder if it, or one that it lies in, may be written to by others; as far as they are there."""
    for each in (folder, *folder.parents):
        try:
            found = os.stat(each)
        except FileNotFoundError:
            continue
        _check(each, found, is_above=each != folder)


def _check(path: Path, found: os.stat_result, *, is_above: bool = False) -> None:
    if found.st_uid not in (0, os.geteuid()):
        raise _refused(path, f"it belongs to the user {found.st_uid}")
    if is_above and found.st_mode & stat.S_ISVTX:  # as of /tmp: others can add to it, and not touch what is there
        return
    if found.st_mode & stat.S_IWOTH:
        raise _refused(path, "everybody may write to it")
    if found.st_mode & stat.S_IWGRP and not _is_private(found.st_gid):
        raise _refused(path, f"the group {found.st_gid} may write to it")


def _refused(path: Path, reason: str) -> OSError:
    rule = "kernels are loaded only from where nobody but this user and root may write"
    return PermissionError(errno.EPERM, f"{reason}, and {rule}", str(path))


@cache
def _is_private(group: int) -> bool:
    """Tell whether a group is this user's own, as many systems make one for each user."""
    import grp
    import pwd

    try:
        user, found = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return found.gr_gid == user.pw_gid and found.gr_name == user.pw_name and set(found.gr_mem) <= {user.pw_name}
