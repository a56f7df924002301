"""The store of runs: the jobs' store, under the name that a study's folder has for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from waddington import jobs

__all__ = ["STORE", "Store"]

STORE = "store.sqlite"


class Store(jobs.Store):
    """Records of runs in ``store.sqlite``; several studies, processes and terminals may share one.

    Parameters
    ----------
    folder
        Made if it does not exist.
    lease_s, journal, note
        As :class:`waddington.jobs.Store` takes them: ``journal="delete"`` for a network folder.

    Raises
    ------
    OutputError
        When the file cannot be made, read or written, is kept locked by another process, or is no store.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        lease_s: float = 300.0,
        journal: Literal["wal", "delete"] = "wal",
        note: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(folder, file=STORE, lease_s=lease_s, journal=journal, note=note)
