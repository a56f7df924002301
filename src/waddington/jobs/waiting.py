"""Waiting for a store that another process has locked: aloud, and no longer than somebody said."""

from __future__ import annotations

import contextlib
import math
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["Patience", "PatientConnection", "is_locked"]

_LIMIT_S = 120.0  # longest wait for another's transaction, which takes milliseconds
_SILENT_S = 3.0  # a wait that is shorter is nothing to tell
_AGAIN_S = 30.0  # between two words about one wait
_ASK_S = 0.5  # between two attempts SQLite itself waits, so that an interrupt is heard


class Patience:
    """How long a store waits for a lock, and who is told.

    Parameters
    ----------
    path
        The file.
    note
        Told of waits in words; None warns.
    """

    def __init__(self, path: Path, note: Callable[[str], None] | None = None) -> None:
        self._path = path
        self._note = note or _warn
        self._own = threading.local()

    @contextlib.contextmanager
    def limited(self, limit_s: float, *, quiet: bool = False) -> Iterator[None]:
        """Have this thread wait no longer than `limit_s` seconds (infinite: as long as it takes), perhaps silently."""
        before = self._limit_s, self._is_quiet
        self._own.limit_s, self._own.is_quiet = limit_s, quiet
        try:
            yield
        finally:
            self._own.limit_s, self._own.is_quiet = before

    def connect(self) -> PatientConnection:
        """Open the file; the connection may be closed by any thread."""
        connection = sqlite3.connect(
            self._path,
            timeout=_ASK_S,
            isolation_level=None,
            check_same_thread=False,
            factory=PatientConnection,
        )
        connection.patience = self
        return connection

    def wait(self, attempt: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        """Try until the lock is free.

        Raises
        ------
        sqlite3.OperationalError
            It was not free within the limit.
        """
        begun, told = time.monotonic(), -math.inf
        while True:
            try:
                found = attempt()
            except sqlite3.OperationalError as error:
                waited = time.monotonic() - begun
                if not is_locked(error) or waited >= self._limit_s:
                    raise
                if waited >= _SILENT_S and waited - told >= _AGAIN_S:
                    self._tell(f"is {'still ' if told >= 0 else ''}locked by another process, {self._plan(waited)}")
                    told = waited
            else:
                if told >= 0:
                    self._tell(f"is free again after {time.monotonic() - begun:.0f} s")
                return found

    @property
    def _limit_s(self) -> float:
        return float(getattr(self._own, "limit_s", _LIMIT_S))

    @property
    def _is_quiet(self) -> bool:
        return bool(getattr(self._own, "is_quiet", False))

    def _plan(self, waited: float) -> str:
        until = "as long as it is" if math.isinf(self._limit_s) else f"for at most {self._limit_s:.0f} s"
        return f"for {waited:.0f} s now; waiting {until}, and nothing is lost"

    def _tell(self, what: str) -> None:
        if not self._is_quiet:
            self._note(f"the store {str(self._path)!r} {what}")


class PatientConnection(sqlite3.Connection):
    """A connection whose statements wait as its :class:`Patience` has it."""

    patience: Patience

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run a statement; one that met a lock has done nothing, and is run again."""
        once = super().execute
        return self.patience.wait(lambda: once(sql, parameters))


def is_locked(error: sqlite3.Error) -> bool:
    """Tell whether another process's lock is what an error is about."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=2)
