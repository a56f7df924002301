"""The store of runs: the jobs' store, under the name that a study's folder has for it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from waddington import jobs

__all__ = ["Store"]


class Store(jobs.Store):
    """Records of runs in ``store.sqlite``; several studies, processes and terminals may share one.

    Parameters
    ----------
    folder
        Made if it does not exist.
    lease_s, journal
        As :class:`waddington.jobs.Store` takes them: ``journal="delete"`` for a network folder.

    Raises
    ------
    OutputError
        When the file cannot be made, read or written, or is no store.
    """

    def __init__(
        self, folder: str | Path, *, lease_s: float = 300.0, journal: Literal["wal", "delete"] = "wal"
    ) -> None:
        super().__init__(folder, file="store.sqlite", lease_s=lease_s, journal=journal)
