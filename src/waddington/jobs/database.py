"""The store's SQLite file: connections, transactions, and what SQLite refuses said with the file's name."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from waddington.errors import OutputError
from waddington.jobs.waiting import Patience, PatientConnection, is_locked

__all__ = ["Database", "Locked"]

_VERSION = 1
_TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    key      TEXT PRIMARY KEY,
    kind     TEXT NOT NULL,
    spec     TEXT NOT NULL,
    status   TEXT NOT NULL CHECK (status IN ('free', 'claimed', 'done', 'failed')),
    host     TEXT,
    owner    TEXT,
    lease    REAL,
    attempts INTEGER NOT NULL,
    record   TEXT
)
"""


class Locked(OutputError):
    """Another process has kept the file locked for longer than this one waits."""


class Database:
    """A file with one table of jobs; a connection for each thread.

    Parameters
    ----------
    path
        The file; its folder exists.
    journal
        SQLite's.
    patience
        How long other processes' locks are waited for.
    """

    def __init__(self, path: Path, journal: Literal["wal", "delete"], patience: Patience) -> None:
        self.path, self._journal, self._patience = path, journal, patience
        self._local = threading.local()
        self._connections: list[PatientConnection] = []

    def _close_connections(self) -> None:
        for connection in self._connections:
            connection.close()

    def _create(self) -> None:
        with self._connected() as database:
            database.execute(f"PRAGMA journal_mode={self._journal}")
            version = database.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            raise OutputError(
                f"cannot use {str(self.path)!r}: its format is {version}; accepted: {_VERSION}, or another folder"
            )
        if version == _VERSION:  # whoever only reads asks for no lock
            return
        with self._transaction() as database:
            database.execute(_TABLE)
            database.execute(f"PRAGMA user_version={_VERSION}")

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Give this thread's connection; what SQLite refuses is said with the file's name."""
        try:
            if (connection := getattr(self._local, "connection", None)) is None:
                connection = self._patience.connect()  # closed by close(), whichever thread calls it
                connection.execute("PRAGMA synchronous=NORMAL" if self._journal == "wal" else "PRAGMA synchronous=FULL")
                self._local.connection = connection
                self._connections.append(connection)
            yield connection
        except sqlite3.Error as error:
            if is_locked(error):
                raise Locked(
                    f"cannot use the store {str(self.path)!r}: another process keeps it locked ({error}); accepted: the"
                    " same again when that has ended; what is recorded stays"
                ) from error
            raise OutputError(
                f"cannot use the store {str(self.path)!r}: {error}; accepted: a store's own file on a disk that can "
                "be written"
            ) from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Write alone, whole or not at all."""
        with self._connected() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:  # of a full disk SQLite itself may have taken everything back
                    database.execute("ROLLBACK")
                raise
