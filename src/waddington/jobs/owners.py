"""Who owns a claim, and whether it still lives: a name, and a lock file that the system frees when its process ends."""

from __future__ import annotations

import os
import platform
import uuid
from pathlib import Path

from filelock import FileLock, Timeout

from waddington.jobs.lock import release

__all__ = ["Owner"]


class Owner:
    """A process (more exactly: one opened store) that claims jobs.

    Its lock file is held as long as it lives, so that on the same machine a killed owner is known at once, whatever its
    process number is given to next. On another machine only the lease counts.

    Parameters
    ----------
    folder
        Where the lock files are.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.host = platform.node()
        self.token = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._folder = folder
        self._lock = FileLock(folder / f"{self.token}.lock", blocking=False, thread_local=False)
        self._lock.acquire()

    def lives(self, host: str, token: str) -> bool | None:
        """Whether an owner lives; None where that cannot be seen from here, because it is of another machine."""
        if host != self.host:
            return None
        path = self._folder / f"{token}.lock"
        if token == self.token or not path.exists():
            return token == self.token
        lock = FileLock(path, blocking=False)
        try:
            lock.acquire()
        except Timeout:
            return True
        except OSError:  # no lock can be asked for here: the lease counts
            return None
        release(lock)
        return False

    def close(self) -> None:
        """Let go; what is still claimed may be claimed by others."""
        if self._lock.is_locked:
            release(self._lock)
